"""A question to counts: from the sums of hours where they are known, and from suggestions elsewhere.

A row of counts is a dictionary: `bucket_ms`, `era` where the scope has some, the dimensions that it cuts by,
`horizon_s` where horizons are asked, and a number for each measure by name.

Sums of days are taken where an answer tells no hours of them apart, and sums of hours elsewhere.

What depends on age is answered exactly. A suggestion counts at a horizon once its last accept, and its generation once
it itself, is older than the horizon and its grace. Sums are kept by hour, of the generation and of the accept, so only
the one hour that an edge of age runs through is read from suggestions.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from keeprate.sinks.reading import hours, splitting
from keeprate.sinks.reading.hours import FINAL, PRUNED, Known, checks_table, sums_table
from keeprate.sinks.reading.measures import (
    ACTIVE_HOURS,
    AGED,
    AGELESS,
    ALIASES,
    CHECK_COLUMNS,
    CHECKS,
    MADE,
    SETTLED,
    SUGGESTION_COLUMNS,
    SUGGESTIONS,
    TAKEN,
    Measure,
    columns_of,
    each_check,
    state_where,
)
from keeprate.sinks.reading.scope import HOUR_MS, Scope
from keeprate.sinks.reading.splitting import Edges, Split, listed
from keeprate.sinks.store.clickhouse import Client

Counts = dict[str, Any]

MOST_HORIZONS: Final = 24
"""Of one app, in an answer. Whoever may send an app's feedback, such as a page with a key, may make up horizons, and
each is a line of every answer."""
_REST_OF: Final = ("observed", "mostly", "unobserved", "late", "branch_changed")
_HOUR_BEGINS: Final = f"toInt64(hour) * {HOUR_MS}"
_FROM_MS: Final = "toUnixTimestamp64Milli(ifNull(retention_from, cohort_at))"
_APP: Final = "toString(app) AS its_app"
_BY_NAME: Final = {measure.name: measure for measure in SUGGESTIONS}


def suggestions(client: Client, scope: Scope, names: Collection[str] = (), summed: Known | None = None) -> list[Counts]:
    """Counts of suggestions and generations, one row for each bucket and segment.

    names: of these measures; all where there are none. summed: what is `known` of a span that holds the scope's.
    """
    chosen = _chosen(SUGGESTIONS, names)
    return _plain(_ask(client, scope, _counting(client, scope, chosen, summed)), chosen)


def first_buckets(client: Client, scope: Scope, summed: Known | None = None) -> list[Counts]:
    """The segments that there are, each with the first bucket in which it is. summed: as in `suggestions`."""
    by, counted = ", ".join(scope.by), _counting(client, scope, [_BY_NAME["opportunities"]], summed)
    return _ask(client, scope, f"SELECT {by}, min(bucket_ms) AS bucket_ms FROM ({counted}) GROUP BY {by}")


def _counting(client: Client, scope: Scope, measures: Sequence[Measure], summed: Known | None) -> str:
    """The statement that counts suggestions, from sums where there are some."""
    split = splitting.split(scope, _known(client, scope, summed))
    parts = [_part(scope, measures, _rows(scope, split.rows, split.hours), with_=f"{ALIASES}, {SETTLED}")]
    if split.sums:
        parts.append(_summed(scope, measures, f"{sums_table()} WHERE {split.sums}"))
    return _united(scope, measures, parts)


def at_horizons(
    client: Client, scope: Scope, names: Collection[str] = (), summed: Known | None = None, only: int = 0
) -> list[Counts]:
    """Counts of retention, one row for each bucket, segment and horizon that the apps' checks have; of each app, for
    the `MOST_HORIZONS` that are most checked.

    names, summed: as in `suggestions`. only: of this horizon alone, of the apps whose checks have it; those that a
    scope names are of all its apps.
    """
    summed = _known(client, scope, summed)
    checks = _chosen(CHECKS, {*names, *_REST_OF} if names else ())
    edges, split, rows = _at_each(client, scope, summed, (*checks, TAKEN), only)
    aged = [_BY_NAME[name] for name in (*AGED, *AGELESS) if not names or name in names]
    by_age = _by_age(client, scope, aged, edges, split) if aged else ()
    people = not names or ACTIVE_HOURS in names
    measures = (*checks, *aged, *([_BY_NAME[ACTIVE_HOURS]] if people else ()))
    kept = _Kept(scope, edges, rows, measures)
    kept.add_checks(rows, checks)
    kept.add_by_age(by_age, aged)
    for horizon_s, until_ms in zip(edges.horizons, edges.until_ms, strict=True) if people else ():
        asked = scope.at_horizon(horizon_s)
        kept.add_people(horizon_s, _active_hours(client, asked, until_ms, kept.apps(horizon_s), split))
    return _plain([_with_rest(row) for row in kept.found.values()], measures)


def _at_each(
    client: Client, scope: Scope, summed: Known, measures: Sequence[Measure], only: int
) -> tuple[Edges, Split, list[Counts]]:
    """Rows of `_checks`, and with which edges and of what they were asked."""
    asked = [only] if only else sorted(scope.horizons)
    horizons = sorted(scope.horizons or summed.horizons or _horizons(client, scope))
    told: list[tuple[str, int]] | None = None
    while True:
        if told is None and not scope.horizons and len(horizons) > MOST_HORIZONS:
            told = [each for each in most_checked(client, scope, summed=summed) if not only or each[1] == only]
            horizons = sorted({horizon_s for _, horizon_s in told})
        edges = Edges(scope, asked or horizons)
        # An hour of generations that an edge runs through is read whole from suggestions.
        split = splitting.split(scope, summed, edges.hours)
        rows = _checks(client, scope, edges, measures, split, asked, told)
        found = {row["horizon_s"] for row in rows} - {0}
        if asked or told is not None or found <= set(horizons):
            return edges, split, rows
        # What is not summed has others: only now it is known which times matter.
        horizons = sorted(found.union(horizons))


def _known(client: Client, scope: Scope, summed: Known | None) -> Known:
    return splitting.known(client, scope) if summed is None else splitting.within(summed, scope)


def _horizons(client: Client, scope: Scope) -> set[int]:
    """Those of checks, for a scope of which nothing is summed."""
    return {horizon_s for _, found in _of_checks(client, scope, scope.condition()) for horizon_s in found}


def _of_checks(client: Client, scope: Scope, condition: str, at: str = "") -> list[tuple[str, list[int]]]:
    """The horizons of the checks of some rows, by app."""
    own = f"{_rows(scope, condition, at)} AND NOT orphan GROUP BY its_app"
    rows = _ask(
        client, scope, f"WITH {_APP} SELECT its_app, groupUniqArrayArray(checks.horizon_s) AS horizons FROM {own}"
    )
    return [(row["its_app"], row["horizons"]) for row in rows]


def horizons(client: Client, scope: Scope, summed: Known | None = None) -> dict[str, set[int]]:
    """All horizons of the checks of a scope that chooses nothing but apps, by app.

    summed: as in `suggestions`; where it is of a longer span, the scope's begins with a day.
    """
    summed = _known(client, scope, summed)
    split = splitting.split(scope, summed)
    found = defaultdict(set, summed.horizons_by_app)
    for app, of_rows in _of_checks(client, scope, split.rows, split.hours):
        found[app].update(of_rows)
    return {app: of_app for app, of_app in found.items() if of_app}


def most_checked(
    client: Client, scope: Scope, limit: int = MOST_HORIZONS, summed: Known | None = None
) -> list[tuple[str, int]]:
    """The horizons that most suggestions of a scope have a check at, `limit` of each app, with the app; the most
    frequent first, and of equals the shortest. summed: as in `suggestions`.

    A check of no generation weighs nothing: who knows a few suggestions displaces no horizon that the app asks of all.
    """
    asked = replace(scope, by=(), bucket_s=0, eras=())
    split = splitting.split(asked, _known(client, asked, summed))
    keys, made = ("its_app", "horizon_s"), (MADE,)
    columns = "app, cohort_ms, checks.horizon_s, checks.state"
    own = f"(SELECT {columns} FROM {_rows(asked, split.rows, split.hours)} AND NOT orphan) {each_check(made)}"
    parts = [_part(asked, made, f"{own} WHERE horizon_s > 0", keys, _APP)]
    if split.sums:
        parts.append(_summed(asked, made, f"{checks_table()} WHERE {split.sums} AND horizon_s > 0", keys, _APP))
    most = f"ORDER BY its_app, w_{MADE.name} DESC, horizon_s LIMIT {limit} BY its_app"
    rows = _ask(client, asked, f"{_united(asked, made, parts, keys)} {most}")
    return [(row["its_app"], row["horizon_s"]) for row in rows]


class _Kept:
    """Counts of retention by segment and horizon, put together from what was asked. asked: the horizons of each app."""

    def __init__(self, scope: Scope, edges: Edges, rows: Sequence[Counts], measures: Sequence[Measure]) -> None:
        self._scope, self._horizons = scope, edges.horizons
        self._since_ms, self._segment = scope.since_ms, scope.keys[1:]
        self._in_buckets = {horizon_s for horizon_s in edges.horizons if scope.at_horizon(horizon_s).bucket_s}
        self._asked: dict[str, set[int]] = defaultdict(set)
        for row in rows:
            for app in row["apps"]:
                self._asked[app] |= set(scope.horizons) or {row["horizon_s"]} - {0}
        self._nothing: Counts = {"due": 0, "maturing": 0} | {each.name: each.nothing for each in measures}
        self.found: dict[tuple[Any, ...], Counts] = {}

    def apps(self, horizon_s: int) -> list[str]:
        """The apps that have a horizon."""
        return [app for app, horizons in self._asked.items() if horizon_s in horizons]

    def add_checks(self, rows: Sequence[Counts], checks: Sequence[Measure]) -> None:
        """Rows of `_checks`."""
        for row in rows:
            if row["horizon_s"]:
                self._counts(row, row["horizon_s"]).update((each.name, row[each.name]) for each in checks)
                continue
            for at, horizon_s in self._among(self._scope.horizons or row["horizons_of_taken"]):
                self._counts(row, horizon_s)["due" if at < row["age"] else "maturing"] += row[TAKEN.name]

    def add_by_age(self, rows: Iterable[Counts], measures: Sequence[Measure]) -> None:
        """Rows of `_by_age`."""
        for row in rows:
            for at, horizon_s in self._among(self._asked.get(row["its_app"], ())):
                counts = self._counts(row, horizon_s)
                for each in measures:
                    if each.name in AGELESS or at < row["age"]:
                        counts[each.name] += row[each.name]

    def add_people(self, horizon_s: int, rows: Iterable[Counts]) -> None:
        """Rows of `_active_hours`. A segment of nothing but orphans is in no count of retention."""
        for row in rows:
            if (key := self._key(row, horizon_s)) in self.found:
                self.found[key][ACTIVE_HOURS] = row[ACTIVE_HOURS]

    def _among(self, asked: Collection[int]) -> list[tuple[int, int]]:
        return [(at, horizon_s) for at, horizon_s in enumerate(self._horizons) if horizon_s in asked]

    def _key(self, row: Counts, horizon_s: int) -> tuple[Any, ...]:
        bucket_ms = row["bucket_ms"] if horizon_s in self._in_buckets else self._since_ms
        return (bucket_ms, *[row[name] for name in self._segment], horizon_s)

    def _counts(self, row: Counts, horizon_s: int) -> Counts:
        key = self._key(row, horizon_s)
        if key not in self.found:
            self.found[key] = dict(zip((*self._scope.keys, "horizon_s"), key, strict=True)) | self._nothing
        return self.found[key]


def judged(client: Client, scope: Scope) -> list[Counts]:
    """How often each LLM judge said which label of what people said which of: `pairs`, one row for each combination."""
    keys = ("evaluation", "annotator", "label", "truth")
    columns = ", ".join(f"judged.{name} AS {name}" for name in keys)
    rows = f"(SELECT * FROM {_rows(scope, scope.condition())} AND NOT orphan) ARRAY JOIN {columns}"
    pairs = (Measure("pairs", "toInt64(count())"),)
    return _ask(client, scope, _united(scope, pairs, [_part(scope, pairs, rows, keys)], keys))


def _checks(
    client: Client,
    scope: Scope,
    edges: Edges,
    measures: Sequence[Measure],
    split: Split,
    asked: Sequence[int],
    told: Sequence[tuple[str, int]] | None,
) -> list[Counts]:
    """Sums by horizon, of what is due; and of horizon 0 by how many horizons the accept is old enough for, and by those
    that the checks of its app have, so that apps which look at the same are one row.

    Every horizon has a row that an app's checks have, due or not, and `apps` says of which they are. asked: of these
    alone, where there are some. told: of these alone, by app; None for all.
    """
    chosen = f"horizon_s IN {[0, *asked]}" if asked else "1"
    if told is not None:
        chosen = f"(horizon_s = 0 OR (its_app, horizon_s) IN ({listed(told)}))" if told else "horizon_s = 0"
    keys, edge_hour = ("its_app", "horizon_s", "age"), f"intDiv({edges.until}, {HOUR_MS})"
    columns = ["cohort_ms", "retainable", "retention_from", "cohort_at", "accept_hour", *{"app", *scope.by}]
    columns += columns_of(measures, SUGGESTION_COLUMNS)
    columns += [f"checks.{name}" for name in ("horizon_s", "state", *columns_of(measures, CHECK_COLUMNS))]

    # What the sums stand for is in them, but for the accepts of the hours that an edge runs through: one read finds
    # these with what is not summed.
    own, at, due = split.rows, split.hours, "1"
    if split.sums and edges.hours:
        columns.append(f"({split.rows}) AS apart")
        own = f"(apart OR ({split.summed} AND accept_hour IN {edges.hours}))"
        at = f"({split.hours} OR ({scope.hours} AND accept_hour IN {edges.hours}))"
        due = f"(apart OR accept_hour = {edge_hour})"
    state = state_where(f"retainable AND {due} AND {_FROM_MS} <= {edges.until}")
    with_ = f"{state}, {_APP}, if(horizon_s = 0, {edges.age(_FROM_MS)}, 0) AS age"
    rows = f"(SELECT {', '.join(columns)} FROM {_rows(scope, own, at)} AND NOT orphan) {each_check(measures)}"
    parts = [_part(scope, measures, f"{rows} WHERE {chosen}", keys, with_)]
    if split.sums:
        accept_ends = f"(toInt64(accept_hour) + 1) * {HOUR_MS} - 1"
        is_due = f"if(horizon_s = 0, accept_hour NOT IN {edges.hours or [0]}, accept_hour < {edge_hour})"
        with_ = f"{_APP}, if(horizon_s = 0, {edges.age(accept_ends)}, 0) AS age, {is_due} AS is_due"
        counted = [f"{measure.added(measure.column, 'is_due')} AS p_{measure.name}" for measure in measures]
        rows = f"{checks_table()} WHERE {split.sums} AND {chosen}"
        parts.append(_grouped(_HOUR_BEGINS, scope, counted, rows, keys, with_))
    wholes = ", ".join(f"{measure.whole()} AS w_{measure.name}" for measure in measures)
    every = "arraySort(groupUniqArray(horizon_s) OVER (PARTITION BY its_app))"
    of_taken = f"*, if(horizon_s = 0, {every}, []) AS horizons_of_taken"
    group = ", ".join([*scope.keys, "horizon_s", "age", "horizons_of_taken"])
    return _ask(
        client,
        scope,
        f"SELECT {group}, groupUniqArray(its_app) AS apps, {wholes} "
        f"FROM (SELECT {of_taken} FROM ({' UNION ALL '.join(parts)})) GROUP BY {group}",
    )


def _by_age(client: Client, scope: Scope, measures: Sequence[Measure], edges: Edges, split: Split) -> list[Counts]:
    """Sums by app, and by how many of the horizons a generation is old enough for: whether or not anybody looked."""
    keys = ("its_app", "age")
    by_row = f"{ALIASES}, {_APP}, {edges.age('cohort_ms')} AS age"
    parts = [_part(scope, measures, f"{_rows(scope, split.rows, split.hours)} AND NOT orphan", keys, by_row)]
    if split.sums:
        by_hour = f"{_APP}, {edges.age(f'(toInt64(hour) + 1) * {HOUR_MS} - 1')} AS age"
        # A segment of nothing but orphans is in no count of retention, and has sums all the same.
        rows = f"{sums_table()} WHERE {split.sums} AND m_suggestions > m_orphans"
        parts.append(_summed(scope, measures, rows, keys, by_hour))
    return _ask(client, scope, _united(scope, measures, parts, keys))


def _active_hours(client: Client, scope: Scope, until_ms: int, apps: Sequence[str], split: Split) -> list[Counts]:
    """The distinct hours of people with something shown, of generations old enough for one horizon."""
    measures = (_BY_NAME[ACTIVE_HOURS],)
    of_apps = "app IN {asked:Array(String)}"
    rows = f"{_rows(scope, split.rows, split.hours)} AND cohort_ms <= {until_ms} AND {of_apps}"
    parts = [_part(scope, measures, rows, with_=ALIASES)]
    if split.sums:
        old = f"(toInt64(hour) + 1) * {HOUR_MS} - 1 <= {until_ms}"
        parts.append(_summed(scope, measures, f"{sums_table()} WHERE {split.sums} AND {old} AND {of_apps}"))
    return _ask(client, scope, _united(scope, measures, parts), {"asked": list(apps)})


def _rows(scope: Scope, condition: str, at: str = "") -> str:
    """Rows of suggestions by a condition. at: what it says of hours alone, which is met before versions are merged."""
    return f"suggestions FINAL PREWHERE {at or scope.hours} WHERE {hours.not_moved(scope.hours)} AND {condition}"


def _part(scope: Scope, measures: Sequence[Measure], rows: str, keys: Sequence[str] = (), with_: str = "") -> str:
    """Parts of measures, over rows of suggestions."""
    columns = [f"{measure.part()} AS {measure.column}" for measure in measures]
    return _grouped("cohort_ms", scope, columns, rows, keys, with_)


def _summed(scope: Scope, measures: Sequence[Measure], rows: str, keys: Sequence[str] = (), with_: str = "") -> str:
    """The same, of sums: what counts the settled is there the count of all, because all are."""
    columns = []
    for measure in measures:
        kept = f"m_{measure.settled_of}" if measure.settled_of else measure.column
        columns.append(f"{measure.added(kept)} AS p_{measure.name}")
    return _grouped(_HOUR_BEGINS, scope, columns, rows, keys, with_)


def _grouped(at_ms: str, scope: Scope, columns: Sequence[str], rows: str, keys: Sequence[str], with_: str) -> str:
    group = ", ".join([*scope.keys, *keys])
    head = f"WITH {with_} " if with_ else ""
    selected = ", ".join([*scope.columns(at_ms, "horizon_s" in keys), *keys, *columns])
    return f"{head}SELECT {selected} FROM {rows} GROUP BY {group}"


def _united(scope: Scope, measures: Sequence[Measure], parts: Sequence[str], keys: Sequence[str] = ()) -> str:
    group = ", ".join([*scope.keys, *keys])
    columns = ", ".join(f"{measure.whole()} AS w_{measure.name}" for measure in measures)
    # Columns of parts are united by position.
    return f"SELECT {group}, {columns} FROM ({' UNION ALL '.join(parts)}) GROUP BY {group}"


def _ask(client: Client, scope: Scope, statement: str, parameters: Mapping[str, Any] | None = None) -> list[Counts]:
    # A person's rows are found by an index of their own, which knows of no moves.
    settings = FINAL if "user" in scope.only else PRUNED
    rows = client.query_dicts(statement, {**scope.parameters(), **(parameters or {})}, settings)
    names = [name.removeprefix("w_") for name in rows[0]] if rows else []
    return [dict(zip(names, row.values(), strict=True)) for row in rows]


def _chosen(measures: Sequence[Measure], names: Collection[str]) -> list[Measure]:
    return [measure for measure in measures if not names or measure.name in names]


def _with_rest(row: Counts) -> Counts:
    """The counts that follow from the others: A, C, and those of whom nobody sent a check."""
    accepted = row["due"] - row["branch_changed"]
    looked_at = row["observed"] + row["unobserved"] + row["late"]
    rest = {"accepted": accepted, "missing": accepted - looked_at}
    return row | rest | {"substantially_changed": row["observed"] - row["mostly"]}


def _plain(rows: list[Counts], measures: Iterable[Measure]) -> list[Counts]:
    """Decimals as floats, once nothing is added to them any more."""
    names = [measure.name for measure in measures if measure.type.startswith("Decimal")]
    return [row | {name: float(row[name]) for name in names} for row in rows] if names else rows
