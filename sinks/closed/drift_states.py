"""What the drift detector reads and keeps: outcomes per closed batch, and the state of each series."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final

from keeprate.sinks.closed import watched
from keeprate.sinks.closed.batches import BATCH
from keeprate.sinks.closed.signals import JUDGE
from keeprate.sinks.closed.watched import Counted, Tally
from keeprate.sinks.store.clickhouse import Client

Series = tuple[str, str, str, str, str]
"""App, prompt, prompt version, model and metric, as `watched` names it."""
Windows = dict[Series, list[Counted]]
"""By series, in order of time."""
Tallies = Mapping[tuple[str, str, str, str, str], list[Tally]]
"""By app, prompt, prompt version, model and kind of batches; in order of time."""


_NEVER: Final = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class TalliedHours:
    """What one app's closed batches counted by the hour, of what closes together, in a span."""

    closed: str = ""
    app: str = ""
    since: datetime = _NEVER
    until: datetime = _NEVER
    tallies: Tallies = field(default_factory=dict)

    def hold(self, closed: str, app: str, since: datetime, until: datetime) -> bool:
        """Whether a span of these is known."""
        return (self.closed, self.app) == (closed, app) and self.since <= since and until <= self.until

    def between(self, since: datetime, until: datetime) -> Tallies:
        """The part of a span."""
        begin_s, end_s = since.timestamp(), until.timestamp()
        return {
            key: part
            for key, found in self.tallies.items()
            if (part := [each for each in found if begin_s <= each[0] < end_s])
        }


@dataclass(frozen=True)
class Standing:
    """Where a series stands, for whoever asks: the words of docs/observability.md.

    expected: the baseline's rate. trials, successes: of the day before its last batch. detectable: the smallest
    change for the worse that is found within a day at this traffic, as a part of the rate; None where there is none.
    """

    name: str = ""
    expected: float | None = None
    trials: int = 0
    successes: int = 0
    detectable: float | None = None


@dataclass(frozen=True)
class Kept:
    """One series' state as it is stored. fell, rose: log R, CUSUM and since when, each by odds ratio.

    cause: the prompt under which its alarm is told; '' where it is in none.
    """

    series: Series
    last_batch_at: datetime
    baseline_day: datetime
    fell: list[list[float]]
    rose: list[list[float]]
    standing: Standing = Standing()
    cause: str = ""


@dataclass(frozen=True)
class Level:
    """What a series counted: in the day before a time, and in the four weeks before that day.

    batches: how many had trials, ever. trials and successes, now and before: none of a size, whose bound is not kept.
    """

    batches: int
    trials: int
    successes: int
    trials_before: int
    successes_before: int


STRATUM: Final = ("surface", "language", "context_strategy")
"""The dimensions whose combinations are the strata of a series."""
_BETWEEN: Final = "\x1f"
_STRATUM: Final = f"concat({', char(31), '.join(STRATUM)})"
# -1e308 stands for the logarithm of nothing, which JSON and some clients cannot say.
_NOTHING: Final = -1e308
_TRIAL: Final = "outcome NOT IN ('closed', 'unknown', 'cancelled')"


def levels(client: Client, now: datetime) -> dict[Series, Level]:
    """The level of every series that has closed batches. Raises StoreError."""
    query = f"""
    WITH batch_at >= {{since:DateTime64(3, 'UTC')}} AS recent,
        batch_at >= {{reference:DateTime64(3, 'UTC')}} AND NOT recent AS earlier
    SELECT app, prompt, prompt_version, model, kind, toUInt64(uniqExactIf(batch_at, count > 0)),
        sumMapIf(map(toString(outcome), count), recent), sumMapIf(map(toString(outcome), count), earlier)
    FROM quality_batches FINAL
    WHERE app = source_app AND {_TRIAL} AND batch_at < {{now:DateTime64(3, 'UTC')}}
    GROUP BY ALL
    """
    day = timedelta(days=1)
    parameters = {"now": _text(now), "since": _text(now - day), "reference": _text(now - 29 * day)}
    return {
        (app, prompt, version, model, metric): Level(number, *_level(metric, recent), *_level(metric, earlier))
        for app, prompt, version, model, kind, number, recent, earlier in client.query(query, parameters)
        for metric in watched.names(kind)
    }


def parts_of(stratum: str) -> dict[str, str]:
    """The dimensions of a stratum and their values, '' where one is not known."""
    return dict(zip(STRATUM, stratum.split(_BETWEEN), strict=True))


def _level(metric: str, outcomes: Mapping[str, int]) -> tuple[int, int]:
    successes = watched.named(metric).outcomes
    return (sum(outcomes.values()), sum(outcomes.get(each, 0) for each in successes)) if successes else (0, 0)


def tallies(
    client: Client, closed: str, app: str, since: datetime, until: datetime, every: timedelta = BATCH
) -> Tallies:
    """The watched batches of one app that close as one kind, from `since` up to and without `until`. Raises StoreError.

    every: how long a window is; batches of one are added up. A stratum is a value of each of `STRATUM`: `parts_of`.
    """
    query = f"""
    SELECT app, prompt, prompt_version, model, kind,
        toUnixTimestamp(toStartOfInterval(batch_at, INTERVAL {{every_s:UInt32}} SECOND, 'UTC')) AS at_s,
        {_STRATUM} AS stratum, outcome, sum(count)
    FROM quality_batches FINAL
    WHERE (kind IN {{kinds:Array(String)}} OR ({{judges:Bool}} AND startsWith(kind, '{JUDGE}')))
        AND source_app = {{app:String}} AND app = source_app AND {_TRIAL}
        AND batch_at >= {{since:DateTime64(3, 'UTC')}} AND batch_at < {{until:DateTime64(3, 'UTC')}}
    GROUP BY ALL
    ORDER BY app, prompt, prompt_version, model, kind, at_s, stratum, outcome
    """
    found: dict[tuple[str, str, str, str, str], list[Tally]] = defaultdict(list)
    parameters = {
        "kinds": list(watched.kinds(closed)),
        "judges": closed == "signal",
        "app": app,
        "since": _text(since),
        "until": _text(until),
        "every_s": int(every.total_seconds()),
    }
    for (*series, at_s), rows in groupby(client.query(query, parameters), key=lambda row: row[:6]):
        source, prompt, version, model, kind = series
        parts = tuple((stratum, outcome, number) for *_, stratum, outcome, number in rows)
        found[source, prompt, version, model, kind].append((at_s, parts))
    return found


_COLUMNS: Final = (
    *("app", "prompt", "prompt_version", "model", "metric", "last_batch_at", "baseline_day", "fell", "rose"),
    *("cause", "standing", "expected", "trials", "successes", "detectable"),
)


def kept(client: Client) -> dict[Series, Kept]:
    """The last state of every series."""
    query = f"SELECT {', '.join(_COLUMNS)} FROM drift_states FINAL"
    return {
        (app, prompt, version, model, metric): Kept(
            (app, prompt, version, model, metric),
            at.astimezone(UTC),
            day.astimezone(UTC),
            list(fell),
            list(rose),
            Standing(*standing),
            cause,
        )
        for app, prompt, version, model, metric, at, day, fell, rose, cause, *standing in client.query(query)
    }


def keep(client: Client, states: Iterable[Kept]) -> None:
    """Keep states; of one series, that of its latest batch counts."""
    rows = []
    for each in states:
        now = each.standing
        standing = (now.name, now.expected, now.trials, now.successes, now.detectable)
        where = (*each.series, each.last_batch_at, each.baseline_day)
        rows.append((*where, _finite(each.fell), _finite(each.rose), each.cause, *standing))
    client.insert("drift_states", _COLUMNS, rows)


def _finite(values: list[list[float]]) -> list[list[float]]:
    return [[max(each, _NOTHING) for each in part] for part in values]


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
