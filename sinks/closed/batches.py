"""Closed batches: five minutes of one app, counted once they can change no more, and kept.

The exporter's counters and the baselines are sums over them, so both survive a restart and never go back. A batch is of
the generations that occurred in its five minutes. Its rows and the mark that it is closed are one insert.

Invariant: counting the same facts again gives the same rows: nothing here reads a clock.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from keeprate.schemas.dead_letters import QUARANTINED
from keeprate.schemas.lift import verdict
from keeprate.schemas.topics import ALL
from keeprate.sinks.closed import signals
from keeprate.sinks.reading import counting
from keeprate.sinks.reading.hours import FINAL
from keeprate.sinks.reading.scope import GRACE_S, Scope
from keeprate.sinks.reading.splitting import maturity_ms
from keeprate.sinks.store.clickhouse import Client

BATCH: Final = timedelta(minutes=5)
LATENESS: Final = timedelta(minutes=5)
"""How much older than the watermark an event may be and still find its batch open."""
ATTRIBUTION: Final = timedelta(minutes=5)
"""How long after it was shown a suggestion may be accepted and still count as accepted here."""
DAY: Final = timedelta(days=1)

LATENCY_BOUNDS_S: Final = (0.25, 0.5, 1, 2, 3, 5, 8, 13, 21, 34, 60)
COST_BOUNDS_USD: Final = tuple(step * 10.0**power for power in range(-6, 2) for step in (1, 2, 5))
RATIO_BOUNDS: Final = (0.0, 0.05, 0.1, 0.2, 0.33, 0.5, 0.75, 1)
EDIT_DISTANCE_HORIZON_S: Final = 600
SIGNAL: Final = "signal"
"""As what closes what people and judges said."""
MAX_HORIZONS: Final = 8
"""Of an app, that are counted by."""
UNKNOWN: Final = "unknown"
"""Prometheus takes an empty label for an absent one."""
RETENTION: Final = "retention_"
"""The kind of a horizon's checks is this and the horizon in seconds."""
# What is counted in passing, and closes with another kind.
_CLOSED_WITH: Final = {
    "generation": ("tokens", "latency", "first_token", "cost", "overflow"),
    SIGNAL: signals.SIGNALS,
    f"{RETENTION}{EDIT_DISTANCE_HORIZON_S}": ("edit_distance",),
}
_QUARANTINED: Final = {"quarantined": QUARANTINED}


@dataclass(frozen=True)
class Labels:
    """Where a count belongs in Prometheus. '' is not known, and kept as `UNKNOWN`."""

    app: str
    prompt: str
    prompt_version: str
    model: str
    surface: str
    language: str = ""
    context_strategy: str = ""


@dataclass(frozen=True)
class Count:
    """A number of events of one batch, and the sum of what they measure, where they measure something."""

    kind: str
    batch_at: datetime
    labels: Labels
    outcome: str
    count: int
    total: float = 0.0


def delay_of(kind: str) -> timedelta:
    """How far the watermark must be past a batch's end before the batch may close."""
    if kind == "acceptance":
        return ATTRIBUTION + LATENESS
    if kind == SIGNAL:
        return timedelta(seconds=signals.SETTLES_S) + LATENESS
    if kind.startswith(RETENTION):
        horizon_s = int(kind.removeprefix(RETENTION))
        return ATTRIBUTION + timedelta(milliseconds=maturity_ms(horizon_s, GRACE_S * 1000))
    return LATENESS


def closable_until(kind: str, watermark: datetime) -> datetime:
    """The end of the last batch of a kind that is complete at a watermark."""
    seconds = (watermark - delay_of(kind)).timestamp()
    return datetime.fromtimestamp(seconds - seconds % BATCH.total_seconds(), UTC)


def closed_until(client: Client) -> dict[tuple[str, str], datetime]:
    """Up to when batches are closed, by kind and app."""
    query = "SELECT kind, source_app, max(batch_at) FROM quality_batches WHERE outcome = 'closed' GROUP BY ALL"
    return {(kind, app): at.astimezone(UTC) for kind, app, at in client.query(query)}


_ROWS: Final = "suggestions FINAL WHERE {condition} AND NOT orphan"
_BATCH_AT: Final = "toStartOfInterval(cohort_at, INTERVAL 5 MINUTE) AS batch_at"
_SEGMENT: Final = ("app", "prompt_name", "prompt_version", "model", "surface", "language", "context_strategy")
_LABELS: Final = ", ".join(("batch_at", *_SEGMENT))

_GENERATIONS: Final = f"""
WITH (bounds, value) -> if(arrayExists(b -> value <= b, bounds),
    toString(arrayFirst(b -> value <= b, bounds)), '+Inf') AS bucket_of
SELECT {_LABELS}, item.1 AS kind, item.2 AS result, count(), sum(item.3)
FROM
(
    SELECT {_BATCH_AT}, {", ".join(_SEGMENT)}, arrayJoin(arrayFilter(i -> i.3 IS NOT NULL, [
        ('generation', multiIf(outcome = 'filtered', 'refused', outcome = 'cancelled', 'cancelled',
            outcome != 'failed', 'ok', match(error_type, '(?i)timeout|timed_out'), 'timeout', 'error'),
            toNullable(0.)),
        ('tokens', 'input', toFloat64(input_tokens)),
        ('tokens', 'output', toFloat64(output_tokens)),
        ('latency', bucket_of({{bounds:Array(Float64)}}, latency_ms / 1000), latency_ms / 1000),
        ('first_token', bucket_of({{bounds:Array(Float64)}}, time_to_first_token_ms / 1000),
            time_to_first_token_ms / 1000),
        ('cost', bucket_of({{costs:Array(Float64)}}, toFloat64(cost_usd)), toFloat64(cost_usd))
    ])) AS item
    FROM {_ROWS} AND choice_index = 0
)
GROUP BY ALL
"""
_ACCEPTANCE: Final = f"""
WITH {_BATCH_AT}
SELECT {_LABELS}, 'acceptance' AS kind, multiIf(
    accepted AND first_accepted_at <= coalesce(first_shown_at, first_accepted_at)
        + toIntervalSecond({{attribution_s:UInt32}}), 'accepted',
    end_reason = 'rejected', 'rejected',
    'ignored') AS result, count(), 0.
FROM {_ROWS} AND shown
GROUP BY ALL
"""
EDIT_DISTANCE_AT: Final = "indexOf(checks.horizon_s, {horizon_s:UInt32}) AS at"
READ_AGAIN: Final = "retainable AND at > 0 AND checks.state[at] IN ('unchanged', 'mostly', 'changed', 'removed')"
"""Of a suggestion: whether its text could be read at the check that `EDIT_DISTANCE_AT` finds."""
_EDIT_DISTANCE: Final = f"""
WITH {_BATCH_AT}, {EDIT_DISTANCE_AT}, checks.distance_ratio[at] AS ratio
SELECT {_LABELS}, 'edit_distance' AS kind, toString(arrayFirst(b -> ratio <= b, {{bounds:Array(Float64)}})) AS bucket,
    count(), sum(ratio)
FROM {_ROWS} AND {READ_AGAIN}
GROUP BY ALL
"""
# Events, not states: a revote is two. The prompt comes from the generation, wherever in time that is. Votes come by
# what they say, a few kinds for each prompt and batch, because `verdict` knows which are up and which are down.
_FEEDBACK: Final = """
WITH f AS
(
    SELECT app, generation_id, event_id, toStartOfInterval(occurred_at, INTERVAL 5 MINUTE) AS bucket_at, multiIf(
        type = 'vote', 'vote', type = 'flag' AND status = 'set', 'flag', type = 'edit', 'edit', action = 'copy', 'copy',
        '') AS outcome, (toInt8(if(type = 'vote', value, NULL)), score,
        JSONExtract(event, 'scale_min', 'Nullable(Float64)'), JSONExtract(event, 'scale_max', 'Nullable(Float64)'))
        AS said
    FROM feedback
    WHERE app = {app:String}
        AND occurred_at >= {since:DateTime64(3, 'UTC')} AND occurred_at < {until:DateTime64(3, 'UTC')} AND outcome != ''
)
SELECT f.bucket_at, f.app, g.prompt_name, f.outcome, f.said.1, f.said.2, f.said.3, f.said.4, uniqExact(f.event_id)
FROM f ANY LEFT JOIN
(
    SELECT generation_id, prompt_name FROM generations
    WHERE app = {app:String} AND toUInt128(generation_id) GLOBAL IN (SELECT toUInt128(generation_id) FROM f)
) AS g ON f.generation_id = g.generation_id
GROUP BY ALL
"""
# A withdrawn vote, and one in the middle of its scale, is neither.
_VOTES: Final = {1: "thumbs_up", -1: "thumbs_down", 0: ""}


def count(client: Client, kind: str, app: str, since: datetime, until: datetime) -> list[Count]:
    """The counts of one app's batches from `since` up to and without `until`. Reads only. Raises StoreError."""
    if kind == "feedback":
        return _feedback(client, {"app": app, "since": _text(since), "until": _text(until)})
    scope = Scope(since, until, until + delay_of(kind), _SEGMENT, {"app": [app]}, int(BATCH.total_seconds()))
    if kind == "generation":
        return _of_rows(client, _GENERATIONS, scope, {"bounds": list(LATENCY_BOUNDS_S), "costs": list(COST_BOUNDS_USD)})
    if kind == SIGNAL:
        return [
            Count(name, at, Labels(*segment), outcome, number)
            for name, at, segment, outcome, number in signals.count(client, scope)
        ]
    if kind == "acceptance":
        return _of_rows(client, _ACCEPTANCE, scope, {"attribution_s": int(ATTRIBUTION.total_seconds())})
    horizon_s = int(kind.removeprefix(RETENTION))
    counts = _retention(client, kind, replace(scope, horizons=[horizon_s]))
    if horizon_s == EDIT_DISTANCE_HORIZON_S:
        counts += _of_rows(client, _EDIT_DISTANCE, scope, {"horizon_s": horizon_s, "bounds": list(RATIO_BOUNDS)})
    return counts


def _of_rows(client: Client, query: str, scope: Scope, parameters: Mapping[str, Any]) -> list[Count]:
    statement = query.replace("{condition}", scope.condition())
    return _counts(client, statement, {**scope.parameters(), **parameters}, FINAL)


def _retention(client: Client, kind: str, scope: Scope) -> list[Count]:
    counts = []
    for row in counting.at_horizons(client, scope, ("observed", "mostly", "removed")):
        at = datetime.fromtimestamp(row["bucket_ms"] / 1000, UTC)
        labels = Labels(*(row[name] for name in _SEGMENT))
        outcomes = {
            "retained": row["mostly"],
            "edited": row["substantially_changed"] - row["removed"],
            "removed": row["removed"],
            "unknown": row["accepted"] - row["observed"],
        }
        counts += [Count(kind, at, labels, outcome, number) for outcome, number in outcomes.items() if number]
    return counts


def _feedback(client: Client, parameters: Mapping[str, Any]) -> list[Count]:
    counts = []
    for at, app, prompt, outcome, *said, number in client.query(_FEEDBACK, parameters):
        kind = _VOTES[verdict(*said)[0]] if outcome == "vote" else outcome
        if kind:
            labels = Labels(app, prompt, "", "", "")
            counts.append(Count("feedback", at.astimezone(UTC), labels, kind, number))
    return counts


def _counts(
    client: Client, query: str, parameters: Mapping[str, Any], settings: Mapping[str, str | int] | None = None
) -> list[Count]:
    return [
        Count(kind, at.astimezone(UTC), Labels(*labels), outcome, number, total or 0.0)
        for at, *labels, kind, outcome, number, total in client.query(query, parameters, settings)
    ]


_COLUMNS: Final = (
    *("kind", "source_app", "batch_at", "app", "prompt", "prompt_version", "model", "surface", "language"),
    "context_strategy",
    *("outcome", "count", "total"),
)


def store(client: Client, kind: str, app: str, since: datetime, until: datetime, counts: Iterable[Count]) -> None:
    """Keep the counts of one app's batches and mark them closed up to `until`: all in one insert, or nothing.

    The same span again merges with itself. Counts that fall together after their labels were folded are added up.
    """
    added: dict[tuple[str, datetime, Labels, str], list[float]] = defaultdict(lambda: [0, 0.0])
    for each in counts:
        sums = added[each.kind, each.batch_at, each.labels, each.outcome]
        sums[0] += each.count
        sums[1] += each.total
    rows: list[Sequence[Any]] = [
        (name, app, at, *_values(labels), outcome, int(number), total)
        for (name, at, labels, outcome), (number, total) in added.items()
    ]
    rows.append((kind, app, until, *_values(Labels("", "", "", "", "")), "closed", 0, 0.0))
    client.insert("quality_batches", _COLUMNS, rows, {"async_insert": 0, "max_insert_block_size": 1_000_000})


def stored(client: Client, kind: str, app: str, since: datetime, until: datetime) -> list[Count]:
    """The kept counts that were closed as `kind`, of one app, from `since` up to and without `until`."""
    query = (
        "SELECT batch_at, app, prompt, prompt_version, model, surface, language, context_strategy, kind, outcome, "
        "count, total FROM quality_batches FINAL WHERE kind IN {kinds:Array(String)} AND source_app = {app:String} "
        "AND batch_at >= {since:DateTime64(3, 'UTC')} AND batch_at < {until:DateTime64(3, 'UTC')} "
        "AND outcome != 'closed'"
    )
    kinds = [kind, *_CLOSED_WITH.get(kind, ())]
    parameters = {"kinds": kinds, "app": app, "since": _text(since), "until": _text(until)}
    return _counts(client, query, parameters)


def horizons(client: Client, app: str, since: datetime, until: datetime, admitted: Sequence[int] = ()) -> list[int]:
    """The horizons, in seconds, that checks of an app's generations in [since, until) have, and that are counted by: of
    more than `MAX_HORIZONS`, those admitted before, and then the most checked."""
    scope = Scope(since, until, until, only={"app": [app]})
    found = sorted(counting.horizons(client, scope).get(app, ()))
    if len(found) <= MAX_HORIZONS:
        return found
    kept = [each for each in found if each in admitted][:MAX_HORIZONS]
    if len(kept) < MAX_HORIZONS:
        kept += [each for _, each in counting.most_checked(client, scope, MAX_HORIZONS) if each not in kept]
    return sorted(kept[:MAX_HORIZONS])


def beyond(client: Client, app: str, since: datetime, until: datetime, counted: Sequence[int]) -> list[Count]:
    """How many checks of an app's batches are at horizons that nothing is counted by. counted: those that are."""
    query = (
        "SELECT toStartOfInterval(occurred_at, INTERVAL 5 MINUTE) AS at, uniqExact(event_id) FROM feedback "
        "WHERE app = {app:String} AND horizon_s > 0 AND NOT has({counted:Array(Int64)}, toInt64(horizon_s)) "
        "AND occurred_at >= {since:DateTime64(3, 'UTC')} AND occurred_at < {until:DateTime64(3, 'UTC')} GROUP BY at"
    )
    parameters = {"app": app, "since": _text(since), "until": _text(until), "counted": list(counted)}
    where = Labels(app, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN)
    return [
        Count("overflow", at.astimezone(UTC), where, "horizon", number)
        for at, number in client.query(query, parameters)
    ]


def first_generation_at(client: Client, app: str) -> datetime | None:
    """When an app's first generation occurred; None before there is one."""
    query = "SELECT min(occurred_at), count() FROM generations WHERE app = {app:String}"
    ((first, number),) = client.query(query, {"app": app})
    return first.astimezone(UTC) if number else None


def series(client: Client) -> list[Labels]:
    """Every combination of labels that is kept, the oldest first."""
    query = (
        "SELECT app, prompt, prompt_version, model, surface, language, context_strategy FROM quality_batches "
        "WHERE outcome != 'closed' AND kind IN ('generation', 'acceptance') "
        "GROUP BY ALL ORDER BY min(batch_at), 1, 2, 3, 4, 5, 6, 7"
    )
    return [Labels(*row) for row in client.query(query)]


def recent_series(client: Client, since: datetime) -> list[Labels]:
    """The combinations of labels that generations have had since a time, whether counted yet or not."""
    query = (
        "SELECT DISTINCT app, prompt_name, prompt_version, model, surface FROM generations "
        "WHERE occurred_at >= {since:DateTime64(3, 'UTC')} ORDER BY ALL"
    )
    return [Labels(*row) for row in client.query(query, {"since": _text(since)})]


def ledger(client: Client) -> dict[tuple[str, str, str], int]:
    """What became of the records that sinks landed: their number by topic, stage and result."""
    query = "SELECT topic, sum(rows), sum(dead_letters), sum(filtered) FROM ledger FINAL GROUP BY topic"
    return {
        (topic, "store", result): number
        for topic, *numbers in client.query(query)
        for result, number in zip(("ok", "dead_letter", "filtered"), numbers, strict=True)
    }


def quarantined(client: Client) -> dict[tuple[str, str], int]:
    """How many records each stage set aside, by stage and topic; 0 of those topics that had none."""
    query = (
        "SELECT if(stage = '', 'sink', stage) AS by, topic, count() FROM dead_letters FINAL "
        "WHERE error_type = {quarantined:String} GROUP BY by, topic"
    )
    found = {(str(stage), str(topic)): number for stage, topic, number in client.query(query, _QUARANTINED)}
    # Of a counter that begins at 1 nobody sees that it rose.
    return {(stage, topic.name): 0 for topic in ALL for stage in ("join", "sink")} | found


def _values(labels: Labels) -> tuple[str, ...]:
    return astuple(labels)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
