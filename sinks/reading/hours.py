"""Sums of whole hours and days: a cache of `suggestions`, exact as long as nothing touched an hour of theirs since.

    hour_marks   when an hour of an app was last touched, and on which shard: `derive` says so
    moves        versions of suggestions that left an hour: `derive` says so
    summed_…     which spans of an hour or a day are summed, at which touches, and in which run
    sums_…       by segment: every measure of suggestions
    checks_…     by segment, horizon and hour of the accept: every measure of checks; horizon 0 has what was taken

A sum is believed where its stamp, a hash of the touches of its hours, is still theirs. So a day falls with any of its
hours, and no two marks need to agree on a clock. The rows of a sum are those of one run, which `summed_…` names once
they are all there. The tables are named for what is in them: where a definition changes,
they are other tables, and nothing of the old ones is read.

Where the store has shards, each sums its own rows, by its own clock and marks; what is read is of all of them, and an
hour or day is believed where every shard that has some of it is believed.

Of a day, accepts within it have its first hour as theirs: days that an edge of age runs through are answered by hours.

**Invariant:** an hour is summed only when nothing touched it for `QUIET_S`: a derivation that marked it is long done.
**Invariant:** every answer is the same with the cache and without.
"""

import hashlib
import secrets
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from keeprate.sinks.reading.measures import ALIASES, CHECKED, SUGGESTIONS, Measure, each_check, state_where
from keeprate.sinks.reading.scope import DIMENSIONS
from keeprate.sinks.store.clickhouse import Client
from keeprate.sinks.store.servers import Servers

NOW_NS: Final = "toUnixTimestamp64Nano(now64(9))"
SHARD: Final = "assumeNotNull((SELECT max(number) FROM shard_place))"
"""The number of the shard that runs a statement; 0 where there are none."""
QUIET_S: Final = 900
HOURS_AT_ONCE: Final = 500
DAY: Final = 24
SEGMENT: Final = tuple(name for name in DIMENSIONS if name not in ("app", "user"))
"""What sums are kept by, besides the app. People are many: questions about one are answered from suggestions."""
_KEPT: Final = tuple(measure for measure in SUGGESTIONS if not measure.settled_of)
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
"""The same for those that leave granules or rows (PREWHERE) out by hour alone, and say `not_moved`: nothing else is
hidden by that."""
_INSERT: Final = {"async_insert": 0, "max_partitions_per_insert_block": 0}


@dataclass(frozen=True)
class Known:
    """What of a span of hours is summed.

    any: whether any hour is. others: the (app, hour) that are not. days: whether any day is, as one sum. apart: the
    (app, first hour) of the days that are not. checked: (app, first hours of days, horizons) of the checks of hours
    that are summed. Where it was asked of a longer span or of more apps, `any` and `days` may be said though nothing of
    this one is, and of a day with which this one begins in the middle, all horizons.
    """

    first: int
    last: int
    any: bool = False
    others: Sequence[tuple[str, int]] = ()
    days: bool = False
    apart: Sequence[tuple[str, int]] = ()
    checked: Sequence[tuple[str, Sequence[int], Sequence[int]]] = ()

    @property
    def horizons(self) -> set[int]:
        """All that checks of what is summed have."""
        return {horizon_s for *_, horizons in self.checked for horizon_s in horizons}

    @property
    def horizons_by_app(self) -> dict[str, set[int]]:
        """The same of each app that has some."""
        found: dict[str, set[int]] = defaultdict(set)
        for app, _, horizons in self.checked:
            found[app].update(horizons)
        return dict(found)

    def within(self, first: int, last: int, apps: Sequence[str]) -> "Known":
        """What is known of the hours [first, last], which are among these, of some of the apps, or of all."""

        def of(places: Sequence[tuple[str, int]], since: int) -> list[tuple[str, int]]:
            return [(app, hour) for app, hour in places if since <= hour <= last and (not apps or app in apps)]

        day = first // DAY * DAY
        checked = [
            (app, days, horizons)
            for app, of_app, horizons in self.checked
            if (not apps or app in apps) and (days := [each for each in of_app if day <= each <= last])
        ]
        apart = of(self.apart, day)
        return replace(self, first=first, last=last, others=of(self.others, first), apart=apart, checked=checked)


_SUMMED_COLUMNS: Final = (
    "app LowCardinality(String), span UInt8, hour UInt32, stamp UInt64, run UInt64, settles_ms Int64, "
    "horizons Array(UInt32), made_at Int64"
)


@cache
def _tables() -> Mapping[str, str]:
    """The tables by their kind, as what follows a name in a statement that creates one."""
    segment = ", ".join(f"{name} LowCardinality(String)" for name in SEGMENT)
    found = {"summed": f"({_SUMMED_COLUMNS}) ENGINE = ReplacingMergeTree(made_at) ORDER BY (span, hour, app)"}
    for kind, more, order, measures in (
        ("sums", "", "", _KEPT),
        ("checks", "horizon_s UInt32, accept_hour UInt32, ", ", horizon_s, accept_hour", CHECKED),
    ):
        columns = ", ".join(f"{measure.column} {measure.type}" for measure in measures)
        found[kind] = (
            f"(app LowCardinality(String), span UInt8, hour UInt32, run UInt64, {more}{segment}, {columns}) "
            f"ENGINE = MergeTree PARTITION BY (span, intDiv(hour, 2160)) ORDER BY (span, hour, app, run{order})"
        )
    return found


@cache
def definition_id() -> str:
    """Names what the sums hold: another set of measures, dimensions or rules has another name."""
    parts = [f"{measure.name} {measure.part()} {measure.type}" for measure in (*_KEPT, *CHECKED)]
    text = "\n".join([*parts, *SEGMENT, ALIASES, *_tables().values()])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def summed_table() -> str:
    return f"summed_{definition_id()}"


def sums_table() -> str:
    return f"sums_{definition_id()}"


def checks_table() -> str:
    return f"checks_{definition_id()}"


def create(servers: Servers) -> None:
    """Make the tables of sums, and drop those of other definitions."""
    for kind, rest in _tables().items():
        servers.define(f"CREATE TABLE IF NOT EXISTS {kind}_{definition_id()} {rest}")
    others = servers.clients[0].query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() "
        "AND match(name, '^(summed|sums|checks)_[0-9a-f]{12}$') AND NOT endsWith(name, {ours:String})",
        {"ours": definition_id()},
    )
    for (name,) in others:
        servers.define(f"DROP TABLE IF EXISTS `{name}`")


def marking(rows: str) -> str:
    """The statement that marks the hours in which rows of suggestions are."""
    return (
        f"INSERT INTO hour_marks (app, hour, touched_at, shard) SELECT app, hour, {NOW_NS}, {SHARD} FROM {rows} "
        "GROUP BY app, hour"
    )


def touch(store: Client, touched: Sequence[tuple[str, int]]) -> None:
    """Mark hours of apps, so that sums made of them before are not believed."""
    if touched:
        ((now_ns, shard),) = store.query(f"SELECT {NOW_NS}, {SHARD}")
        rows = [(*each, now_ns, shard) for each in touched]
        store.insert("hour_marks", ("app", "hour", "touched_at", "shard"), rows)


def sum_quiet(store: Client, quiet_s: int = QUIET_S, limit: int = HOURS_AT_ONCE) -> int:
    """Sum hours that are not summed as they are, and that nothing touched for `quiet_s`; then days of which every hour
    is. Returns how many hours. Of a store with shards, each is summed by itself."""
    (hours, days) = _unsummed(store, quiet_s, limit)
    if hours:
        _sum(store, hours)
        _, days = _unsummed(store, quiet_s, limit)
    if days:
        _sum_days(store, days)
    return len(hours)


def _unsummed(store: Client, quiet_s: int, limit: int) -> tuple[list[tuple[str, int, int]], list[tuple[str, int, int]]]:
    """Hours of apps with their last touch, and days with their stamp."""
    found = store.query(
        f"SELECT app, day, groupArrayIf((hour, touched), NOT good AND touched < quiet) AS open, {_DAY_STAMP}, "
        f"countIf(NOT good) = 0 AND NOT {_day_good()} AS is_open "
        f"FROM ({_marks('1', SHARD)}) GROUP BY app, {_DAY_OF} AS day "
        "HAVING notEmpty(open) OR is_open ORDER BY day, app LIMIT {limit:UInt32}",
        {"quiet_s": quiet_s, "limit": limit},
    )
    hours = [(str(app), int(hour), int(touched)) for app, _, open_, *_ in found for hour, touched in open_]
    return hours[:limit], [(str(app), int(day), int(stamp)) for app, day, _, stamp, is_open in found if is_open]


def known(store: Client, first: int, last: int, apps: Sequence[str], settled_ms: int) -> Known:
    """What is summed of the hours [first, last] of some apps, or of all: believed, and settled at a time."""
    of_apps = "app IN {apps:Array(String)}" if apps else "1"
    # Whole days, because the stamp of a day is of all its hours.
    between = f"hour BETWEEN {first // DAY * DAY} AND {last // DAY * DAY + DAY - 1} AND {of_apps}"
    settled = f"settles_ms <= {settled_ms}"
    days = (
        "SELECT app, day, countIf(good) AS summed, groupArrayIf(hour, NOT good) AS others, "
        f"arraySort(groupUniqArrayArrayIf(horizons, good AND hour BETWEEN {first} AND {last})) AS found, {_DAY_STAMP}, "
        f"{_day_good(f'{settled} AND {between}')} AS is_good "
        f"FROM ({_marks(between, 'shard', f'{settled} AND {between}')}) GROUP BY app, {_DAY_OF} AS day, its_shard"
    )
    # A row for each set of horizons, which few days differ in.
    rows = store.query(
        "SELECT app, sum(summed), groupUniqArrayArray(others), max(is_good), groupUniqArrayIf(day, NOT is_good), "
        f"groupUniqArray(day), found FROM ({days}) GROUP BY app, found",
        {"quiet_s": 0, "apps": list(apps)},
    )
    return Known(
        first,
        last,
        any(summed for _, summed, *_ in rows),
        sorted({(app, hour) for app, _, others, *_ in rows for hour in others if first <= hour <= last}),
        any(is_good for _, _, _, is_good, *_ in rows),
        sorted({(app, day) for app, *_, apart, _, _ in rows for day in apart}),
        sorted((app, sorted(of_app), horizons) for app, *_, of_app, horizons in rows if horizons),
    )


def newest(condition: str) -> str:
    """A condition of a row of sums: it is of the newest sum of spans, by a condition of their app, span and hour.
    Whether these are believed, `known` says. The key of sums is not told by it."""
    return f"run GLOBAL IN (SELECT run FROM {summed_table()} FINAL WHERE {condition})"


def not_moved(between: str) -> str:
    """A condition of a row of suggestions: it did not leave its hour, which is in a range, for another."""
    version = "app, generation_id, choice_index, derived_at"
    return f"({version}) GLOBAL NOT IN (SELECT {version} FROM moves WHERE {between})"


_DAY_OF: Final = f"intDiv(hour, {DAY}) * {DAY}"
_DAY_STAMP: Final = "groupBitXor(stamp) AS stamp_of_day"


def _marks(condition: str, shard: str, also: str = "1") -> str:
    """Hours that have a mark, and whether each is summed as it is. also: a condition of the sums.

    shard: the number of the shard that is asked, or the column, where all are and each is judged by itself.
    """
    touched = (
        f"SELECT app, hour, {shard} AS its_shard, max(touched_at) AS touched, "
        f"{_stamp('touched', 'its_shard')} AS stamp FROM hour_marks WHERE {condition} GROUP BY app, hour, its_shard"
    )
    summed = f"SELECT app, hour, stamp, horizons, true AS good FROM {summed_table()} FINAL WHERE span = 1 AND {also}"
    return (
        "SELECT app, hour, its_shard, touched, stamp, good, horizons, "
        "toUnixTimestamp64Nano(now64(9)) - {quiet_s:Int64} * 1000000000 AS quiet "
        f"FROM ({touched}) AS marks GLOBAL ANY LEFT JOIN ({summed}) AS sums USING (app, hour, stamp)"
    )


def _stamp(touched: str, shard: str) -> str:
    """Two shards that were touched at the same time have two stamps."""
    return f"cityHash64(hour, {touched}) + {shard}"


def _day_good(also: str = "1") -> str:
    """Whether a day is summed as its hours are."""
    days = f"SELECT app, hour, stamp FROM {summed_table()} FINAL WHERE span = {DAY} AND {also}"
    return f"((app, day, stamp_of_day) GLOBAL IN ({days}))"


def _sum(store: Client, hours: Sequence[tuple[str, int, int]]) -> None:
    marked, parameters = _marked(hours)
    only = f"hour IN ({', '.join(str(hour) for hour in sorted({hour for _, hour, _ in hours}))})"
    own = f"SELECT * FROM suggestions FINAL PREWHERE {only} WHERE {not_moved(only)}"
    rows, segment = f"({own}) AS s INNER JOIN ({marked}) AS mark USING (app, hour)", ", ".join(SEGMENT)
    run = _run_id("hour")
    keys = f"app, hour, {segment}"
    insert = f"SELECT app, 1, hour, {run}, "
    _run(
        store,
        f"INSERT INTO {sums_table()} WITH {ALIASES} {insert}{segment}, {_parts(_KEPT)} FROM {rows} GROUP BY {keys}",
        parameters,
    )
    _run(
        store,
        f"INSERT INTO {checks_table()} WITH {state_where('retainable')} {insert}horizon_s, accept_hour, {segment}, "
        f"{_parts(CHECKED)} FROM {rows} {each_check(CHECKED)} WHERE NOT orphan "
        f"GROUP BY {keys}, horizon_s, accept_hour",
        parameters,
    )
    horizons = "groupUniqArrayArray(if(orphan, [], checks.horizon_s))"
    _run(
        store,
        f"INSERT INTO {summed_table()} SELECT app, 1, hour, {_stamp('any(mark)', SHARD)}, {run}, max(settles), "
        f"groupUniqArrayArray(found), {NOW_NS} FROM (SELECT app, hour, any(mark.mark) AS mark, {_SETTLES} AS settles, "
        f"{horizons} AS found FROM {rows} GROUP BY app, hour UNION ALL SELECT app, hour, mark, 0, [] FROM ({marked})) "
        "GROUP BY app, hour",
        parameters,
    )


def _sum_days(store: Client, days: Sequence[tuple[str, int, int]]) -> None:
    """Of the sums of their hours, all of which are believed."""
    marked, parameters = _marked(days)
    run, segment = _run_id("day"), ", ".join(SEGMENT)
    first, last = (chosen(day for _, day, _ in days) for chosen in (min, max))
    hours = (
        f"span = 1 AND hour BETWEEN {first} AND {last + DAY - 1} "
        f"AND (app, {_DAY_OF}) IN (SELECT app, hour FROM ({marked}))"
    )
    insert, keys = f"SELECT app, {DAY}, day, {run}, ", f"GROUP BY app, {_DAY_OF} AS day, {segment}"
    rows = f"WHERE {hours} AND {newest(hours)}"
    _run(
        store,
        f"INSERT INTO {sums_table()} {insert}{segment}, {_added(_KEPT)} FROM {sums_table()} {rows} {keys}",
        parameters,
    )
    accepted = "if(accept_hour >= day AND accept_hour < day + 24, day, accept_hour) AS accepted"
    _run(
        store,
        f"INSERT INTO {checks_table()} {insert}horizon_s, accepted, {segment}, {_added(CHECKED)} "
        f"FROM {checks_table()} {rows} {keys}, horizon_s, {accepted}",
        parameters,
    )
    _run(
        store,
        f"INSERT INTO {summed_table()} SELECT app, {DAY}, mark.hour AS day, any(mark.mark), {run}, max(settles_ms), "
        f"groupUniqArrayArray(horizons), {NOW_NS} FROM (SELECT app, {_DAY_OF} AS hour, settles_ms, horizons "
        f"FROM {summed_table()} FINAL WHERE {hours}) AS s INNER JOIN ({marked}) AS mark USING (app, hour) "
        "GROUP BY app, mark.hour",
        parameters,
    )


def _marked(spans: Sequence[tuple[str, int, int]]) -> tuple[str, dict[str, str]]:
    """A SELECT of app, hour and mark, and its parameters."""
    parameters = {f"app_{at}": app for at, app in enumerate(sorted({app for app, _, _ in spans}))}
    placed = {app: f"{{{name}:String}}" for name, app in parameters.items()}
    marks = ", ".join(f"({placed[app]}, {hour}, {mark})" for app, hour, mark in spans)
    tuples = f"CAST([{marks}], 'Array(Tuple(String, UInt32, UInt64))')"
    return f"SELECT it.1 AS app, it.2 AS hour, it.3 AS mark FROM (SELECT arrayJoin({tuples}) AS it)", parameters


def _run_id(hour: str) -> str:
    """SQL that names one sum of one run, so that a row of sums is told by one number."""
    return f"cityHash64({secrets.randbits(63)}, app, {hour})"


def _parts(measures: Sequence[Measure]) -> str:
    return ", ".join(measure.part() for measure in measures)


def _added(measures: Sequence[Measure]) -> str:
    return ", ".join(measure.added(measure.column) for measure in measures)


def _run(store: Client, text: str, parameters: Mapping[str, Any]) -> None:
    settings = ", ".join(f"{name} = {value}" for name, value in (PRUNED | _INSERT).items())
    store.command(f"{text} SETTINGS {settings}", parameters)
