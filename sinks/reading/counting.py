"""A question to counts: from the sums of hours where they are known, and from suggestions elsewhere.

A row of counts is a dictionary: `bucket_ms`, `era` where the scope has some, the dimensions that it cuts by,
`horizon_s` where horizons are asked, and a number for each measure by name.

What depends on age is answered exactly. A suggestion counts at a horizon once its last accept, and its generation once
it itself, is older than the horizon and its grace. Sums are kept by hour, of the generation and of the accept, so only
the one hour that an edge of age runs through is read from suggestions.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from keeprate.schemas.events import LATE_CHECK_MIN_MS
from keeprate.sinks.reading import hours
from keeprate.sinks.reading.hours import FINAL, PRUNED, checks_table, sums_table
from keeprate.sinks.reading.measures import (
    ACTIVE_HOURS,
    AGED,
    AGELESS,
    ALIASES,
    CHECK_COLUMNS,
    CHECKS,
    SETTLED,
    SUGGESTIONS,
    TAKEN,
    Measure,
)
from keeprate.sinks.reading.scope import HOUR_MS, Scope
from keeprate.sinks.store.clickhouse import Client

Counts = dict[str, Any]

MOST_OTHERS: Final = 20_000
"""Hours that are not summed. Where there are more, all is read from suggestions: naming them would cost as much."""
_REST_OF: Final = ("observed", "mostly", "unobserved", "late", "branch_changed")
_HOUR_BEGINS: Final = f"toInt64(hour) * {HOUR_MS}"
_FROM_MS: Final = "toUnixTimestamp64Milli(ifNull(retention_from, cohort_at))"
_BY_NAME: Final = {measure.name: measure for measure in SUGGESTIONS}


@dataclass(frozen=True)
class Split:
    """Where a question is answered from.

    sums: a condition of rows of sums; '' where none is used. rows: one of rows of suggestions, for the rest.
    summed: one of the suggestions that the sums stand for.
    """

    sums: str
    rows: str
    summed: str = ""


def suggestions(client: Client, scope: Scope, names: Collection[str] = ()) -> list[Counts]:
    """Counts of suggestions and generations, one row for each bucket and segment.

    names: of these measures; all where there are none.
    """
    chosen = _chosen(SUGGESTIONS, names)
    split = _split(scope, _known(client, scope))
    parts = [_part(scope, chosen, f"{_rows(scope)} AND {split.rows}", with_=f"{ALIASES}, {SETTLED}")]
    if split.sums:
        parts.append(_summed(scope, chosen, f"{sums_table()} FINAL WHERE {split.sums}"))
    return _ask(client, scope, _united(scope, chosen, parts))


def at_horizons(client: Client, scope: Scope, names: Collection[str] = ()) -> list[Counts]:
    """Counts of retention, one row for each bucket, segment and horizon that the apps' checks have."""
    known = _known(client, scope)
    asked = _asked(client, scope, _split(scope, known))
    if not asked:
        return []
    horizons = sorted({horizon_s for of_app in asked.values() for horizon_s in of_app})
    edges = Edges(horizons, [scope.as_of_ms - maturity_ms(horizon_s, scope.grace_s * 1000) for horizon_s in horizons])
    # An hour of generations that an edge runs through is read whole from suggestions.
    split = _split(scope, known, [edge // HOUR_MS for edge in edges.until_ms])
    found = _by_age(client, scope, asked, edges, split)
    checks = _chosen(CHECKS, {*names, *_REST_OF} if names else ())
    made = {_key(row, scope): row for row in _checks(client, scope, edges, checks, split)}
    if not names or ACTIVE_HOURS in names:
        for horizon_s, until_ms in zip(horizons, edges.until_ms, strict=True):
            apps = [app for app in asked if horizon_s in asked[app]]
            for row in _active_hours(client, scope, until_ms, apps, split):
                # A segment of nothing but orphans is in no count of retention.
                if (sums := found.get(_key(row | {"horizon_s": horizon_s}, scope))) is not None:
                    sums[ACTIVE_HOURS] = row[ACTIVE_HOURS]
    nothing = {measure.name: 0 for measure in checks}
    return [_with_rest(row | nothing | made.get(key, {})) for key, row in found.items()]


def judged(client: Client, scope: Scope) -> list[Counts]:
    """How often each LLM judge said which label of what people said which of: `pairs`, one row for each combination."""
    keys = ("evaluation", "annotator", "label", "truth")
    columns = ", ".join(f"judged.{name} AS {name}" for name in keys)
    rows = f"(SELECT * FROM {_rows(scope)} AND {scope.condition()} AND NOT orphan) ARRAY JOIN {columns}"
    pairs = (Measure("pairs", "toInt64(count())"),)
    return _ask(client, scope, _united(scope, pairs, [_part(scope, pairs, rows, keys)], keys))


def maturity_ms(horizon_s: int, grace_ms: int) -> int:
    """How long after an accept a check at a horizon is awaited: it may come late, and then has the grace to arrive."""
    return horizon_s * 1000 + max(grace_ms, LATE_CHECK_MIN_MS, horizon_s * 100)


@dataclass(frozen=True)
class Edges:
    """Horizons, and the time of the youngest accept that is old enough for each."""

    horizons: Sequence[int]
    until_ms: Sequence[int]

    @property
    def hours(self) -> list[int]:
        """The hours that an edge runs through."""
        return sorted({until_ms // HOUR_MS for until_ms in self.until_ms})

    def age(self, at_ms: str) -> str:
        """For how many of the horizons a time is old enough; they come in the order of their edges, oldest last."""
        return f"arrayCount(until -> {at_ms} <= until, {list(self.until_ms)})"

    def until(self, unit_ms: int = 1) -> str:
        """The edge of `horizon_s`, in milliseconds or in hours."""
        of = [until_ms // unit_ms for until_ms in self.until_ms]
        return f"transform(horizon_s, {list(self.horizons)}, {of}, toInt64(0))"


def _known(client: Client, scope: Scope) -> hours.Known | None:
    """What is summed of the scope's whole hours; None where no sums can answer, or too few."""
    by_people = "user" in (*scope.by, *scope.only)
    if by_people or scope.bucket_s % 3600:
        return None
    first, last = -(-scope.since_ms // HOUR_MS), scope.until_ms // HOUR_MS - 1
    if first > last or first < 0:
        return None
    apps = scope.only.get("app", ())
    known = hours.known(client, first, last, apps, scope.as_of_ms - scope.settle_s * 1000)
    return known if known.any and len(known.others) <= MOST_OTHERS else None


def _split(scope: Scope, known: hours.Known | None, edges: Sequence[int] = ()) -> Split:
    """edges: hours that are read from suggestions besides."""
    if known is None:
        return Split("", scope.condition())
    first, last = known.first, known.last
    edges = [*edges, *(era_ms // HOUR_MS for era_ms in scope.era_ms if era_ms % HOUR_MS)]
    # The first and last hour may be asked for in part.
    by_row = sorted({scope.since_ms // HOUR_MS, scope.until_ms // HOUR_MS, *edges} - set(range(first, last + 1)))
    by_row += [hour for hour in edges if first <= hour <= last]
    others = ", ".join(f"({_text(app)}, {hour})" for app, hour in known.others)
    other_hours = sorted({hour for _, hour in known.others})
    conditions = []
    if by_row:
        conditions.append(f"hour IN {by_row}")
    if others:
        conditions.append(f"(hour IN {other_hours} AND (app, hour) IN ({others}))")
    rows = f"{scope.condition()} AND ({' OR '.join(conditions) or '0'})"
    between = f"hour BETWEEN {first} AND {last}"
    summed = [between, *scope.keeps()]
    if edges:
        summed.append(f"hour NOT IN {sorted(set(edges))}")
    if others:
        summed.append(f"(app, hour) NOT IN ({others})")
    return Split(" AND ".join([*summed, hours.newest(between)]), rows, " AND ".join(summed))


def _asked(client: Client, scope: Scope, split: Split) -> dict[str, list[int]]:
    """The horizons of each app: the scope's, or those that the app's checks have."""
    parts = [
        f"SELECT toString(app) AS its_app, groupUniqArrayArray(checks.horizon_s) AS horizons "
        f"FROM {_rows(scope)} AND {split.rows} AND NOT orphan GROUP BY its_app"
    ]
    if split.sums:
        parts.append(
            "SELECT toString(app) AS its_app, groupUniqArrayIf(horizon_s, horizon_s > 0) AS horizons "
            f"FROM {checks_table()} WHERE {split.sums} GROUP BY its_app"
        )
    statement = (
        f"SELECT its_app, arraySort(groupUniqArrayArray(horizons)) AS horizons FROM ({' UNION ALL '.join(parts)}) "
        "GROUP BY its_app"
    )
    found = {row["its_app"]: list(scope.horizons) or row["horizons"] for row in _ask(client, scope, statement)}
    return {app: horizons for app, horizons in found.items() if horizons}


def _by_age(
    client: Client, scope: Scope, asked: Mapping[str, Sequence[int]], edges: Edges, split: Split
) -> dict[tuple[Any, ...], Counts]:
    """What is counted whether or not anybody looked, by `_key`."""
    aged, ageless = [_BY_NAME[name] for name in AGED], [_BY_NAME[name] for name in AGELESS]
    found: dict[tuple[Any, ...], Counts] = {}
    for row in _ask(client, scope, _ages(scope, (*aged, *ageless, TAKEN), edges, split)):
        for at, horizon_s in enumerate(edges.horizons):
            if horizon_s not in asked.get(row["its_app"], ()):
                continue
            key = (*(row[name] for name in scope.keys), horizon_s)
            sums = found.setdefault(key, _nothing_yet(key, scope))
            for name in (*AGED, *AGELESS):
                if name in AGELESS or at < row["generation_age"]:
                    sums[name] += row[name]
            sums["due" if at < row["accept_age"] else "maturing"] += row["taken"]
    return found


def _ages(scope: Scope, measures: Sequence[Measure], edges: Edges, split: Split) -> str:
    """Sums by how many of the horizons a generation, and its last accept, are old enough for."""
    ages = ("its_app", "generation_age", "accept_age")
    hour_ends = f"(toInt64(hour) + 1) * {HOUR_MS} - 1"
    accept_hour_ends = f"(toInt64(accept_hour) + 1) * {HOUR_MS} - 1"
    app = "toString(app) AS its_app"
    by_row = f"{app}, {edges.age('cohort_ms')} AS generation_age, {edges.age(_FROM_MS)} AS accept_age"
    rows = f"{_rows(scope)} AND {split.rows} AND NOT orphan"
    parts = [_part(scope, measures, rows, ages, f"{ALIASES}, {by_row}")]
    if split.sums:
        generations = [measure for measure in measures if measure is not TAKEN]
        hour_age = f"{app}, {edges.age(hour_ends)} AS generation_age, 0 AS accept_age"
        parts.append(_summed(scope, measures, f"{sums_table()} FINAL WHERE {split.sums}", ages, hour_age, generations))
        accept_age = f"{app}, 0 AS generation_age, {edges.age(accept_hour_ends)} AS accept_age"
        taken = f"{checks_table()} FINAL WHERE {split.sums} AND horizon_s = 0 AND accept_hour NOT IN {edges.hours}"
        parts.append(_summed(scope, measures, taken, ages, accept_age, [TAKEN]))
        edge = f"{_rows(scope)} AND {split.summed} AND accept_hour IN {edges.hours} AND NOT orphan"
        by_accept = f"{app}, 0 AS generation_age, {edges.age(_FROM_MS)} AS accept_age"
        parts.append(_part(scope, measures, edge, ages, f"{ALIASES}, {by_accept}", [TAKEN]))
    return _united(scope, measures, parts, ages)


def _checks(client: Client, scope: Scope, edges: Edges, measures: Sequence[Measure], split: Split) -> list[Counts]:
    joined = ", ".join(f"checks.{name} AS {name}" for name in ("horizon_s", *CHECK_COLUMNS))
    chosen = f"horizon_s IN {list(edges.horizons)}"

    def rows(condition: str, more: str = "1") -> str:
        due = f"NOT orphan AND retainable AND {chosen} AND {_FROM_MS} <= {edges.until()} AND {more}"
        return f"(SELECT * FROM {_rows(scope)} AND {condition}) ARRAY JOIN {joined} WHERE {due}"

    keys = ("horizon_s",)
    parts = [_part(scope, measures, rows(split.rows), keys)]
    if split.sums:
        edge_hour = edges.until(HOUR_MS)
        summed = f"{checks_table()} FINAL WHERE {split.sums} AND {chosen} AND accept_hour < {edge_hour}"
        parts.append(_summed(scope, measures, summed, keys))
        at_edge = rows(f"{split.summed} AND accept_hour IN {edges.hours}", f"accept_hour = {edge_hour}")
        parts.append(_part(scope, measures, at_edge, keys))
    return _ask(client, scope, _united(scope, measures, parts, keys))


def _active_hours(client: Client, scope: Scope, until_ms: int, apps: Sequence[str], split: Split) -> list[Counts]:
    """The distinct hours of people with something shown, of generations old enough for one horizon."""
    measures = (_BY_NAME[ACTIVE_HOURS],)
    of_apps = "app IN {asked:Array(String)}"
    rows = f"{_rows(scope)} AND {split.rows} AND cohort_ms <= {until_ms} AND {of_apps}"
    parts = [_part(scope, measures, rows, with_=ALIASES)]
    if split.sums:
        old = f"(toInt64(hour) + 1) * {HOUR_MS} - 1 <= {until_ms}"
        parts.append(_summed(scope, measures, f"{sums_table()} FINAL WHERE {split.sums} AND {old} AND {of_apps}"))
    return _ask(client, scope, _united(scope, measures, parts), {"asked": list(apps)})


def _rows(scope: Scope) -> str:
    return f"suggestions FINAL WHERE {hours.not_moved(scope.hours)}"


def _part(
    scope: Scope,
    measures: Sequence[Measure],
    rows: str,
    keys: Sequence[str] = (),
    with_: str = "",
    only: Sequence[Measure] | None = None,
) -> str:
    """Parts of measures, over rows of suggestions. only: those that these rows count; the others are 0 there."""
    columns = [
        f"{measure.part() if only is None or measure in only else _zero(measure)} AS {measure.column}"
        for measure in measures
    ]
    return _grouped("cohort_ms", scope, columns, rows, keys, with_)


def _summed(
    scope: Scope,
    measures: Sequence[Measure],
    rows: str,
    keys: Sequence[str] = (),
    with_: str = "",
    only: Sequence[Measure] | None = None,
) -> str:
    """The same, of sums: what counts the settled is there the count of all, because all are."""
    columns = []
    for measure in measures:
        kept = f"m_{measure.settled_of}" if measure.settled_of else measure.column
        merged = {"sum": f"sum({kept})", "distinct": f"uniqExactArrayMergeState({kept})", "labels": f"sumMap({kept})"}
        value = merged[measure.kind] if only is None or measure in only else _zero(measure)
        columns.append(f"{value} AS p_{measure.name}")
    return _grouped(_HOUR_BEGINS, scope, columns, rows, keys, with_)


def _grouped(at_ms: str, scope: Scope, columns: Sequence[str], rows: str, keys: Sequence[str], with_: str) -> str:
    group = ", ".join([*scope.keys, *keys])
    head = f"WITH {with_} " if with_ else ""
    selected = ", ".join([*scope.columns(at_ms), *keys, *columns])
    return f"{head}SELECT {selected} FROM {rows} GROUP BY {group}"


def _united(scope: Scope, measures: Sequence[Measure], parts: Sequence[str], keys: Sequence[str] = ()) -> str:
    group = ", ".join([*scope.keys, *keys])
    columns = ", ".join(f"{measure.whole()} AS w_{measure.name}" for measure in measures)
    # Columns of parts are united by position.
    return f"SELECT {group}, {columns} FROM ({' UNION ALL '.join(parts)}) GROUP BY {group}"


def _zero(measure: Measure) -> str:
    return f"CAST(0, '{measure.type}')"


def _ask(client: Client, scope: Scope, statement: str, parameters: Mapping[str, Any] | None = None) -> list[Counts]:
    # A person's rows are found by an index of their own, which knows of no moves.
    settings = FINAL if "user" in scope.only else PRUNED
    rows = client.query_dicts(statement, {**scope.parameters(), **(parameters or {})}, settings)
    return [{name.removeprefix("w_"): _number(value) for name, value in row.items()} for row in rows]


def _chosen(measures: Sequence[Measure], names: Collection[str]) -> list[Measure]:
    return [measure for measure in measures if not names or measure.name in names]


def _key(row: Mapping[str, Any], scope: Scope) -> tuple[Any, ...]:
    return tuple(row[name] for name in (*scope.keys, "horizon_s"))


def _nothing_yet(key: tuple[Any, ...], scope: Scope) -> Counts:
    names = (*scope.keys, "horizon_s")
    zero = dict.fromkeys([*AGED, *AGELESS, "due", "maturing", ACTIVE_HOURS], 0)
    return dict(zip(names, key, strict=True)) | zero


def _with_rest(row: Counts) -> Counts:
    """The counts that follow from the others: A, C, and those of whom nobody sent a check."""
    accepted = row["due"] - row["branch_changed"]
    looked_at = row["observed"] + row["unobserved"] + row["late"]
    rest = {"accepted": accepted, "missing": accepted - looked_at}
    return row | rest | {"substantially_changed": row["observed"] - row["mostly"]}


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def _text(value: str) -> str:
    """A literal of a name that the store itself gave out."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
