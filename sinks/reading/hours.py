"""Sums of whole hours: a cache of `suggestions`, exact as long as nothing touched an hour since it was summed.

    hour_marks   when an hour of an app was last touched: `derive` says so
    hour_sums    which hours are summed, and at which touch
    moves        versions of suggestions that left an hour: `derive` says so
    sums_…       by segment: every measure of suggestions
    checks_…     by segment, horizon and hour of the accept: every measure of checks; horizon 0 has what was taken

A sum is believed where the mark that it was made at is still the hour's newest. The tables of sums are named for what
is in them: where a definition changes, they are other tables, and nothing of the old ones is read.

**Invariant:** an hour is summed only when nothing touched it for `QUIET_S`: a derivation that marked it is long done.
**Invariant:** every answer is the same with the cache and without.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from keeprate.sinks.reading.measures import ALIASES, CHECK_COLUMNS, CHECKS, SUGGESTIONS, TAKEN, Measure
from keeprate.sinks.reading.scope import DIMENSIONS
from keeprate.sinks.store.clickhouse import Client

NOW_NS: Final = "toUnixTimestamp64Nano(now64(9))"
QUIET_S: Final = 900
HOURS_AT_ONCE: Final = 500
SEGMENT: Final = tuple(name for name in DIMENSIONS if name not in ("app", "user"))
"""What sums are kept by, besides the app. People are many: questions about one are answered from suggestions."""
_KEPT: Final = tuple(measure for measure in SUGGESTIONS if not measure.settled_of)
_CHECKED: Final = (*CHECKS, TAKEN)
_SETTLES: Final = (
    "max(greatest(cohort_ms, toUnixTimestamp64Milli(ifNull(ifNull(first_shown_at, first_accepted_at), cohort_at))))"
)
FINAL: Final = {
    # Rows of one suggestion share a partition, because the partition is a function of its identity.
    "do_not_merge_across_partitions_select_final": 1,
    # A granule that the index leaves out may hold the newer row of a suggestion that another granule shows.
    "use_skip_indexes_if_final": 1,
    "use_skip_indexes_if_final_exact_mode": 1,
}
"""Settings of every statement that reads `suggestions FINAL`."""
PRUNED: Final = FINAL | {"use_skip_indexes_if_final_exact_mode": 0}
"""The same for those that leave granules out by hour alone, and say `not_moved`: nothing else is hidden by that."""
_INSERT: Final = {"async_insert": 0, "max_partitions_per_insert_block": 0, "max_query_size": 4 << 20}


@dataclass(frozen=True)
class Known:
    """What of a span of hours is summed: whether anything is, and the (app, hour) that are not."""

    first: int
    last: int
    any: bool = False
    others: Sequence[tuple[str, int]] = field(default_factory=tuple)


@cache
def definition_id() -> str:
    """Names what the sums hold: another set of measures, dimensions or rules has another name."""
    parts = [f"{measure.name} {measure.part()} {measure.type}" for measure in (*_KEPT, *_CHECKED)]
    return hashlib.sha256("\n".join([*parts, *SEGMENT, ALIASES]).encode()).hexdigest()[:12]


def sums_table() -> str:
    return f"sums_{definition_id()}"


def checks_table() -> str:
    return f"checks_{definition_id()}"


def create(store: Client) -> None:
    """Make the tables of sums, and drop those of other definitions."""
    key = "app LowCardinality(String), hour UInt32, touched_at Int64, "
    segment = ", ".join(f"{name} LowCardinality(String)" for name in SEGMENT)
    for table, more, measures in (
        (sums_table(), "", _KEPT),
        (checks_table(), "horizon_s UInt32, accept_hour UInt32, ", _CHECKED),
    ):
        columns = ", ".join(f"{measure.column} {measure.type}" for measure in measures)
        order = ", ".join(["app", "hour", "touched_at", *(("horizon_s", "accept_hour") if more else ()), *SEGMENT])
        store.command(
            f"CREATE TABLE IF NOT EXISTS {table} ({key}{more}{segment}, {columns}) "
            f"ENGINE = ReplacingMergeTree PARTITION BY intDiv(hour, 2160) ORDER BY ({order})"
        )
    others = store.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() "
        "AND match(name, '^(sums|checks)_[0-9a-f]{12}$') AND name NOT IN {ours:Array(String)}",
        {"ours": [sums_table(), checks_table()]},
    )
    for (name,) in others:
        store.command(f"DROP TABLE IF EXISTS `{name}`")


def touch(store: Client, touched: Sequence[tuple[str, int]]) -> None:
    """Mark hours of apps, so that sums made of them before are not believed."""
    if touched:
        ((now_ns,),) = store.query(f"SELECT {NOW_NS}")
        store.insert("hour_marks", ("app", "hour", "touched_at"), [(*each, now_ns) for each in touched])


def sum_quiet(store: Client, quiet_s: int = QUIET_S, limit: int = HOURS_AT_ONCE) -> int:
    """Sum hours that are not summed as they are, and that nothing touched for `quiet_s`. Returns how many."""
    quiet = store.query(
        "SELECT app, hour, max(touched_at) AS touched FROM hour_marks GROUP BY app, hour "
        "HAVING touched < toUnixTimestamp64Nano(now64(9)) - {quiet_s:Int64} * 1000000000 "
        "AND (app, hour, touched) NOT IN "
        "(SELECT app, hour, touched_at FROM hour_sums FINAL WHERE definition = {definition:String}) "
        "ORDER BY hour, app LIMIT {limit:UInt32}",
        {"quiet_s": quiet_s, "limit": limit, "definition": definition_id()},
    )
    if quiet:
        _sum(store, [(str(app), int(hour), int(touched)) for app, hour, touched in quiet])
    return len(quiet)


def known(store: Client, first: int, last: int, apps: Sequence[str], settled_ms: int) -> Known:
    """What is summed of the hours [first, last] of some apps, or of all: believed, and settled at a time."""
    of_apps = "app IN {apps:Array(String)}" if apps else "1"
    between = "hour BETWEEN {first:UInt32} AND {last:UInt32}"
    rows = store.query(
        f"SELECT countIf(good), groupArrayIf((app, hour), NOT good) FROM (SELECT app, hour, {_good(between)} AS good "
        f"FROM hour_marks WHERE {between} AND {of_apps} GROUP BY app, hour)",
        {"first": first, "last": last, "apps": list(apps), "settled_ms": settled_ms, "definition": definition_id()},
    )
    return Known(first, last, rows[0][0] > 0, [(str(app), int(hour)) for app, hour in rows[0][1]])


def newest(between: str) -> str:
    """A condition of a row of sums: it is of the hour's newest sums. Whether these are believed, `known` says."""
    return (
        "(app, hour, touched_at) IN (SELECT app, hour, touched_at FROM hour_sums FINAL "
        f"WHERE definition = '{definition_id()}' AND {between})"
    )


def not_moved(between: str) -> str:
    """A condition of a row of suggestions: it did not leave its hour, which is in a range, for another."""
    version = "app, generation_id, choice_index, derived_at"
    return f"({version}) NOT IN (SELECT {version} FROM moves WHERE {between})"


def _good(between: str) -> str:
    return (
        "(app, hour, max(touched_at)) IN (SELECT app, hour, touched_at FROM hour_sums FINAL WHERE "
        f"definition = {{definition:String}} AND {between} AND settles_ms <= {{settled_ms:Int64}})"
    )


def _sum(store: Client, hours: Sequence[tuple[str, int, int]]) -> None:
    parameters = {f"app_{at}": app for at, app in enumerate(sorted({app for app, _, _ in hours}))}
    placed = {app: f"{{{name}:String}}" for name, app in parameters.items()}
    marks = ", ".join(f"({placed[app]}, {hour}, {touched_at})" for app, hour, touched_at in hours)
    marked = (
        "(SELECT mark.1 AS app, toUInt32(mark.2) AS hour, toInt64(mark.3) AS touched_at "
        f"FROM (SELECT arrayJoin([{marks}]) AS mark))"
    )
    only = f"hour IN ({', '.join(str(hour) for hour in sorted({hour for _, hour, _ in hours}))})"
    own = f"SELECT * FROM suggestions FINAL WHERE {only} AND {not_moved(only)}"
    rows = f"({own}) AS s INNER JOIN {marked} AS mark USING (app, hour)"
    segment = ", ".join(SEGMENT)
    keys = f"app, hour, touched_at, {segment}"
    _run(
        store,
        f"INSERT INTO {sums_table()} WITH {ALIASES} SELECT {keys}, {_parts(_KEPT)} FROM {rows} GROUP BY {keys}",
        parameters,
    )
    joined = ", ".join(f"checks.{name} AS {name}" for name in ("horizon_s", *CHECK_COLUMNS))
    nothing = ", ".join(f"CAST(0, '{measure.type}')" for measure in CHECKS)
    keys = f"app, hour, touched_at, horizon_s, accept_hour, {segment}"
    _run(
        store,
        f"INSERT INTO {checks_table()} SELECT {keys}, {_parts(CHECKS)}, toInt64(0) FROM {rows} "
        f"ARRAY JOIN {joined} WHERE NOT orphan AND retainable GROUP BY {keys} UNION ALL "
        f"SELECT {keys.replace('horizon_s', '0 AS horizon_s')}, {nothing}, toInt64(count()) FROM {rows} "
        f"WHERE NOT orphan AND retainable GROUP BY {keys.replace('horizon_s, ', '')}",
        parameters,
    )
    _run(
        store,
        "INSERT INTO hour_sums (app, hour, definition, touched_at, settles_ms) "
        f"SELECT app, hour, '{definition_id()}', touched_at, max(settles_ms) FROM ("
        f"SELECT app, hour, touched_at, {_SETTLES} AS settles_ms FROM {rows} GROUP BY app, hour, touched_at "
        f"UNION ALL SELECT app, hour, touched_at, 0 FROM {marked}) GROUP BY app, hour, touched_at",
        parameters,
    )


def _parts(measures: Sequence[Measure]) -> str:
    return ", ".join(measure.part() for measure in measures)


def _run(store: Client, text: str, parameters: Mapping[str, Any]) -> None:
    settings = ", ".join(f"{name} = {value}" for name, value in (PRUNED | _INSERT).items())
    store.command(f"{text} SETTINGS {settings}", parameters)
