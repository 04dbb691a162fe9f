"""What the drift detector reads and keeps: trials and successes per closed batch, and the state of each series."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final

from keeprate.sinks.closed.batches import BATCH, RETENTION
from keeprate.sinks.store.clickhouse import Client

Series = tuple[str, str, str, str, str]
"""App, prompt, prompt version, model and metric: a kind of batch, or generation_error."""
Counted = tuple[int, int, int, tuple[tuple[str, int, int], ...]]
"""When a batch began (seconds since the epoch), its trials and its successes, and these by surface: the strata."""
Windows = dict[Series, list[Counted]]
"""By series, in order of time."""

ERRORS: Final = "generation_error"
_METRIC: Final = f"if(kind = 'generation', '{ERRORS}', kind)"
_TRIAL: Final = "outcome NOT IN ('closed', 'unknown', 'cancelled')"
_SUCCESS: Final = "outcome IN ('accepted', 'retained', 'error', 'timeout')"


@dataclass(frozen=True)
class Kept:
    """One series' state as it is stored. fell, rose: log R, CUSUM and since when, each by odds ratio."""

    series: Series
    last_batch_at: datetime
    baseline_day: datetime
    fell: list[list[float]]
    rose: list[list[float]]


@dataclass(frozen=True)
class Level:
    """What a series counted: in the day before a time, and in the four weeks before that day.

    batches: how many had trials, ever. trials and successes, now and before.
    """

    batches: int
    trials: int
    successes: int
    trials_before: int
    successes_before: int


# -1e308 stands for the logarithm of nothing, which JSON and some clients cannot say.
_NOTHING: Final = -1e308


def is_watched(kind: str) -> bool:
    """Whether batches of a kind have a rate that the detector watches."""
    return kind in ("acceptance", "generation") or kind.startswith(RETENTION)


def levels(client: Client, now: datetime) -> dict[Series, Level]:
    """The level of every series that has closed batches. Raises StoreError."""
    query = f"""
    WITH batch_at >= {{since:DateTime64(3, 'UTC')}} AS recent,
        batch_at >= {{reference:DateTime64(3, 'UTC')}} AND NOT recent AS earlier, {_SUCCESS} AS success
    SELECT app, prompt, prompt_version, model, {_METRIC} AS metric, toUInt64(uniqExactIf(batch_at, count > 0)),
        toUInt64(sumIf(count, recent)), toUInt64(sumIf(count, recent AND success)),
        toUInt64(sumIf(count, earlier)), toUInt64(sumIf(count, earlier AND success))
    FROM quality_batches FINAL
    WHERE app = source_app AND {_TRIAL} AND batch_at < {{now:DateTime64(3, 'UTC')}}
    GROUP BY ALL
    """
    day = timedelta(days=1)
    parameters = {"now": _text(now), "since": _text(now - day), "reference": _text(now - 29 * day)}
    return {
        (app, prompt, version, model, metric): Level(*map(int, numbers))
        for app, prompt, version, model, metric, *numbers in client.query(query, parameters)
    }


def windows(client: Client, kind: str, app: str, since: datetime, until: datetime, every: timedelta = BATCH) -> Windows:
    """The closed batches of one kind and app, by series, from `since` up to and without `until`. Raises StoreError.

    every: how long a window is; batches of one are added up.
    """
    query = f"""
    SELECT app, prompt, prompt_version, model, {_METRIC} AS metric,
        toUnixTimestamp(toStartOfInterval(batch_at, INTERVAL {{every_s:UInt32}} SECOND, 'UTC')) AS at_s, surface,
        sum(count), sumIf(count, {_SUCCESS})
    FROM quality_batches FINAL
    WHERE kind = {{kind:String}} AND source_app = {{app:String}} AND app = source_app
        AND {_TRIAL}
        AND batch_at >= {{since:DateTime64(3, 'UTC')}} AND batch_at < {{until:DateTime64(3, 'UTC')}}
    GROUP BY ALL
    ORDER BY app, prompt, prompt_version, model, metric, at_s, surface
    """
    parameters = {"kind": kind, "app": app, "since": _text(since), "until": _text(until)}
    parameters["every_s"] = str(int(every.total_seconds()))
    found: Windows = defaultdict(list)
    for (*series, at_s), rows in groupby(client.query(query, parameters), key=lambda row: row[:6]):
        parts = tuple((surface, trials, successes) for *_, surface, trials, successes in rows)
        whole = sum(trials for _, trials, _ in parts), sum(successes for *_, successes in parts)
        source, prompt, version, model, metric = series
        found[source, prompt, version, model, metric].append((at_s, *whole, parts))
    return found


def kept(client: Client) -> dict[Series, Kept]:
    """The last state of every series."""
    query = """
    SELECT app, prompt, prompt_version, model, metric, last_batch_at, baseline_day, fell, rose FROM drift_states FINAL
    """
    return {
        (app, prompt, version, model, metric): Kept(
            (app, prompt, version, model, metric), at.astimezone(UTC), day.astimezone(UTC), list(fell), list(rose)
        )
        for app, prompt, version, model, metric, at, day, fell, rose in client.query(query)
    }


def keep(client: Client, states: Iterable[Kept]) -> None:
    """Keep states; of one series, that of its latest batch counts."""
    columns = ("app", "prompt", "prompt_version", "model", "metric", "last_batch_at", "baseline_day", "fell", "rose")
    rows = [
        (*each.series, each.last_batch_at, each.baseline_day, _finite(each.fell), _finite(each.rose)) for each in states
    ]
    client.insert("drift_states", columns, rows)


def _finite(values: list[list[float]]) -> list[list[float]]:
    return [[max(each, _NOTHING) for each in part] for part in values]


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
