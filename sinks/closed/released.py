"""What closed batches say of a version, by the hour: how its calls went, how much is edited, what judges say.

Slow, dear and rewritten is what few of the version before were: those above the bound of the histogram that is nearest
to its ninety-fifth percentile, as for the drift detector; and a judge's usual verdict is what it said of most of them.
Where it has too few to say so, nothing is compared. By user the same is counted from suggestions, because batches know
no users.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import groupby
from typing import Final

from keeprate.sinks.closed import watched
from keeprate.sinks.closed.batches import EDIT_DISTANCE_AT, EDIT_DISTANCE_HORIZON_S, READ_AGAIN, UNKNOWN
from keeprate.sinks.closed.signals import JUDGE, SAID
from keeprate.sinks.closed.watched import Success, Tally
from keeprate.sinks.reading.hours import FINAL
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.reading.versions import FAMILY, Component, ReleaseMetric, VersionCount, Versions
from keeprate.sinks.store.clickhouse import Client

METRICS: Final = tuple(
    ReleaseMetric(name=name, more_is_better=False)
    for name in (
        *("generation_error", "latency_over_p95", "ttft_over_p95", "cost_over_p95"),
        *("edit_distance_over_p50", "edit_distance_over_p95"),
    )
)
"""Besides them each judge has one of its own."""
ENOUGH: Final = 300
"""Trials of the version before, of fewer of which a ninety-fifth percentile or a usual verdict says little."""
MAX_JUDGES: Final = 8
"""Those that said most: each metric more takes its share of the evidence of the others."""
_LABELS: Final = {"prompt_name": "prompt"}
"""Where a dimension has another name in batches."""
# A trial and its size; a success is a size above the bound. The same as batches count.
_CALL: Final = "choice_index = 0 AND"
_SIZES: Final = {
    "generation": (f"{_CALL} outcome != 'cancelled'", "toFloat64(outcome = 'failed')"),
    "latency": (f"{_CALL} latency_ms IS NOT NULL", "latency_ms / 1000"),
    "first_token": (f"{_CALL} time_to_first_token_ms IS NOT NULL", "time_to_first_token_ms / 1000"),
    "cost": (f"{_CALL} cost_usd IS NOT NULL", "toFloat64(cost_usd)"),
    "edit_distance": (READ_AGAIN, "checks.distance_ratio[at]"),
}
_ABOVE_NO_FAILURE: Final = 0.5

Tallies = Mapping[tuple[str, str], list[Tally]]
"""By kind of batches and version; by the hour, in order of time."""
Successes = Mapping[ReleaseMetric, Success]
"""What counts as one, of each metric that can be compared."""


def tallied(client: Client, versions: Versions, since: datetime, until: datetime) -> Tallies:
    """What closed batches counted of versions, from `since` up to and without `until`. Raises StoreError."""
    names = {name or UNKNOWN: name for name in versions.names}
    of_family = {_LABELS.get(name, name): value or UNKNOWN for name, value in _family(versions)}
    query = f"""
    SELECT kind, {versions.component},
        toUnixTimestamp(toStartOfHour(batch_at, 'UTC')) AS at_s, outcome, sum(count)
    FROM quality_batches FINAL
    WHERE (kind IN {{kinds:Array(String)}} OR startsWith(kind, '{JUDGE}')) AND source_app = app AND outcome != 'closed'
        AND {" AND ".join(f"{name} = {{{name}:String}}" for name in of_family)}
        AND {versions.component} IN {{names:Array(String)}}
        AND batch_at >= fromUnixTimestamp64Milli({{since_ms:Int64}})
        AND batch_at < fromUnixTimestamp64Milli({{until_ms:Int64}})
    GROUP BY ALL ORDER BY 1, 2, at_s, outcome
    """
    span = {"since_ms": _ms(since), "until_ms": _ms(until)}
    parameters = {"kinds": list(_SIZES), "names": list(names), **of_family, **span}
    found: dict[tuple[str, str], list[Tally]] = {}
    for (kind, version, at_s), rows in groupby(client.query(query, parameters), key=lambda row: row[:3]):
        parts = tuple(("", outcome, number) for *_, outcome, number in rows)
        found.setdefault((kind, names[version]), []).append((at_s, parts))
    return found


def successes(found: Tallies, predecessor: str, before: datetime) -> Successes:
    """What counts as a success, by what the predecessor did before a time. Pure."""
    known = {}
    for metric in (*METRICS, *_judges(found)):
        own, kind = watched.named(metric.name), watched.kind_of(metric.name)
        reference = [each for each in found.get((kind, predecessor), ()) if each[0] < before.timestamp()]
        if own.outcomes or sum(number for _, parts in reference for *_, number in parts) >= ENOUGH:
            known[metric] = own.success(reference)
    return known


def _judges(found: Tallies) -> Iterator[ReleaseMetric]:
    said: Counter[str] = Counter()
    for (kind, _), tallies in found.items():
        if kind.startswith(JUDGE):
            said[kind] += sum(number for _, parts in tallies for *_, number in parts)
    for name in sorted(name for name, _ in said.most_common(MAX_JUDGES)):
        yield ReleaseMetric(name=name, more_is_better=True)


def by_hour(found: Tallies, known: Successes) -> Iterator[VersionCount]:
    """The counts of the metrics that can be compared. Pure."""
    for metric, success in known.items():
        for (kind, version), tallies in found.items():
            if kind == watched.kind_of(metric.name):
                for at_s, trials, number, _ in watched.counted(tallies, success):
                    yield VersionCount(metric, 0, version, at_s, "", trials, number)


def by_user(
    client: Client, versions: Versions, since: datetime, until: datetime, known: Successes
) -> Iterator[VersionCount]:
    """The same by user, of those that are known. Raises StoreError."""
    scope = versions.scope(since, until, until)
    judges = {metric: success for metric, success in known.items() if metric.name.startswith(JUDGE)}
    sizes = {metric: success for metric, success in known.items() if metric not in judges}
    if sizes:
        yield from _sizes_by_user(client, versions.component, scope, sizes)
    if judges:
        yield from _said_by_user(client, versions.component, scope, judges)


def _sizes_by_user(client: Client, component: Component, scope: Scope, known: Successes) -> Iterator[VersionCount]:
    counts: list[str] = []
    parameters: dict[str, float] = {"horizon_s": EDIT_DISTANCE_HORIZON_S}
    for at, (metric, success) in enumerate(known.items()):
        trial, size = _SIZES[watched.kind_of(metric.name)]
        parameters[f"bound_{at}"] = _ABOVE_NO_FAILURE if success.outcomes else success.above
        counts.append(f"countIf({trial}), countIf({trial} AND ifNull({size}, 0) > {{bound_{at}:Float64}})")
    query = (
        f"WITH {EDIT_DISTANCE_AT} SELECT {component}, user, {', '.join(counts)} FROM suggestions FINAL "
        f"WHERE {scope.condition()} AND NOT orphan AND user != '' GROUP BY ALL"
    )
    for version, user, *numbers in client.query(query, scope.parameters() | parameters, FINAL):
        for metric, trials, number in zip(known, numbers[::2], numbers[1::2], strict=True):
            if trials:
                yield VersionCount(metric, 0, version, 0, user, trials, number)


def _said_by_user(client: Client, component: Component, scope: Scope, known: Successes) -> Iterator[VersionCount]:
    query = (
        f"SELECT item.1, {component}, user, {SAID} AS said, count() "
        "FROM suggestions FINAL ARRAY JOIN arrayZip(judged.evaluation, judged.label) AS item "
        f"WHERE {scope.condition()} AND NOT orphan AND user != '' AND item.2 != '' "
        "GROUP BY ALL ORDER BY 1, 2, 3"
    )
    by_kind = {metric.name: metric for metric in known}
    for (name, version, user), rows in groupby(client.query(query, scope.parameters(), FINAL), key=lambda row: row[:3]):
        if (metric := by_kind.get(f"{JUDGE}{name}")) is not None:
            tally = (0, tuple(("", said, number) for *_, said, number in rows))
            for _, trials, number, _ in watched.counted([tally], known[metric]):
                yield VersionCount(metric, 0, version, 0, user, trials, number)


def _family(versions: Versions) -> Iterator[tuple[str, str]]:
    return zip(FAMILY[versions.component], versions.family, strict=True)


def _ms(at: datetime) -> int:
    return int(at.astimezone(UTC).timestamp() * 1000)
