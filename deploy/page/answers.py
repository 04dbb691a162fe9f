"""The numbers of the page: from the rows of `sinks.queries` to the JSON of docs/page.md."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from keeprate.deploy.page.comparison import change
from keeprate.deploy.page.definitions import METRICS, VARIANTS, View
from keeprate.deploy.page.selection import DIMENSIONS, Selection
from keeprate.sinks import queries
from keeprate.sinks.clickhouse import Client, to_ms
from keeprate.sinks.queries import Funnel, Rate, Retention, RetentionRate, Scope, Segment

Json = dict[str, Any]

MAX_LINES: Final = 6
"""Groups in a chart: as many as there are colours that anybody can tell apart."""
MAX_GROUPS: Final = 60
"""Groups in the table."""


def summary(client: Client, selection: Selection, now: datetime) -> Json:
    """The key numbers, each with its change against the period before."""
    scope, before = selection.scope(now), selection.scope_before(now)
    current, previous = (_by_metric(client, each, selection.horizon_s) for each in (scope, before))
    counted = queries.funnel(client, scope)
    return {
        "period": selection.period,
        "horizon_s": selection.horizon_s,
        "opportunities": sum(row.opportunities for row in counted),
        "metrics": [_key_number(name, current.get(name), previous.get(name)) for name in METRICS],
    }


def _by_metric(client: Client, scope: Scope, horizon_s: int) -> dict[str, Rate]:
    """The one rate of each metric, in a scope that is not cut."""
    return {name: row for name, rows in all_rates(client, scope, horizon_s).items() for row in rows}


def all_rates(client: Client, scope: Scope, horizon_s: int) -> dict[str, list[Rate]]:
    """The rows of every metric, with one query for each of the views that have them."""
    names = {(metric.query, metric.name): name for name, metric in METRICS.items()}
    found: dict[str, list[Rate]] = {name: [] for name in METRICS}
    for query in {metric.query for metric in METRICS.values()}:
        metrics = [metric for of_query, metric in names if of_query == query]
        for row in read_rates(client, query, metrics, scope, horizon_s):
            found[names[query, row.metric]].append(row)
    return found


def read_rates(client: Client, query: View, metrics: Sequence[str], scope: Scope, horizon_s: int) -> Sequence[Rate]:
    """The rows of some metrics of one view; of retention, those at the horizon."""
    if query == "rates":
        return queries.rates(client, scope, metrics)
    if query == "feedback_rates":
        return queries.feedback_rates(client, scope, metrics)
    return [row for row in queries.retention_rates(client, scope, metrics) if row.horizon_s == horizon_s]


def _key_number(name: str, current: Rate | None, previous: Rate | None) -> Json:
    metric, difference = METRICS[name], change(current, previous)
    return {
        "name": name,
        "of": metric.of,
        "better": metric.better,
        "rate": rate_json(current),
        "coverage": current.coverage if current and name == "retention" else None,
        "previous": rate_json(previous) if previous and previous.value is not None else None,
        "change": None
        if difference is None
        else {"value": difference.value, "low": difference.low, "high": difference.high, "clear": difference.clear},
    }


def rate_json(row: Rate | None) -> Json:
    """A rate as the API has it: null where there is no denominator, never 0."""
    if row is None:
        return {"value": None, "low": None, "high": None, "numerator": 0, "denominator": 0}
    return {
        "value": row.value,
        "low": row.interval_low,
        "high": row.interval_high,
        "numerator": row.numerator,
        "denominator": row.denominator,
    }


def name_of(row: Segment) -> str:
    """The name of a row's group: its values of the dimensions that it was cut by."""
    return " ".join(value for value in row.dimensions.values() if value)


def ranked(rows: Iterable[Funnel]) -> list[str]:
    """The groups by how much was shown of them, then by requests and name, so that equals do not swap places."""
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        total = totals[name_of(row)]
        total[0] += row.shown
        total[1] += row.opportunities
    present = [name for name, total in totals.items() if any(total)]
    return sorted(present, key=lambda name: (-totals[name][0], -totals[name][1], name))


def series(client: Client, selection: Selection, now: datetime) -> Json:
    """One metric over time, for the largest groups. A bucket without a denominator has nulls."""
    names = ranked(queries.funnel(client, selection.scope(now, grouped=True)))
    scope = selection.scope_over_time(now)
    metric = METRICS[selection.metric]
    points: dict[str, dict[datetime, Rate]] = defaultdict(dict)
    for row in read_rates(client, metric.query, [metric.name], scope, selection.horizon_s):
        points[name_of(row)][row.bucket_at] = row
    return {
        "metric": selection.metric,
        "of": metric.of,
        "by": selection.by,
        "by_text": DIMENSIONS[selection.by],
        "horizon_s": selection.horizon_s,
        "bucket_s": scope.bucket_s,
        "since": to_ms(scope.since),
        "until": to_ms(scope.until),
        "left_out": max(0, len(names) - MAX_LINES),
        "groups": [{"name": name, "points": _points(points[name], scope)} for name in names[:MAX_LINES]],
    }


def _points(rates: dict[datetime, Rate], scope: Scope) -> list[Json]:
    found, at = [], scope.since
    while at < scope.until:
        found.append({"at": to_ms(at)} | rate_json(rates.get(at)))
        at += timedelta(seconds=scope.bucket_s)
    return found


def retention(client: Client, selection: Selection, now: datetime) -> Json:
    """The retention curve in its three variants, for the largest groups."""
    scope = selection.scope(now, grouped=True)
    names = ranked(queries.funnel(client, scope))
    rates: dict[str, dict[int, dict[str, RetentionRate]]] = defaultdict(lambda: defaultdict(dict))
    for rate in queries.retention_rates(client, scope, [metric for metric, _ in VARIANTS.values()]):
        rates[name_of(rate)][rate.horizon_s][rate.metric] = rate
    counts = {(name_of(row), row.horizon_s): row for row in queries.retention(client, scope)}
    # An agent's suggestions are applied and never shown, but they are kept or not like any other.
    names += sorted(name for name in rates if name not in names)
    groups = [
        {"name": name, "points": _curve(name, rates[name], counts)} for name in names if _observed(name, rates, counts)
    ]
    return {"by": selection.by, "left_out": max(0, len(groups) - MAX_LINES), "groups": groups[:MAX_LINES]}


def _observed(
    name: str, rates: dict[str, dict[int, dict[str, RetentionRate]]], counts: dict[tuple[str, int], Retention]
) -> bool:
    return any(counts[name, horizon_s].observed for horizon_s in rates[name])


def _curve(
    name: str, rates: dict[int, dict[str, RetentionRate]], counts: dict[tuple[str, int], Retention]
) -> list[Json]:
    return [
        {
            "horizon_s": horizon_s,
            "accepted": count.accepted,
            "observed": count.observed,
            "coverage": count.observed / count.accepted if count.accepted else None,
            "rates": {variant: rate_json(rates[horizon_s].get(metric)) for variant, (metric, _) in VARIANTS.items()},
        }
        for horizon_s in sorted(rates)
        if (count := counts[name, horizon_s]).observed
    ]


def funnel(client: Client, selection: Selection, now: datetime) -> Json:
    """Requests, shown, accepted, kept at the horizon; of each step, what its suggestions came to."""
    scope = selection.scope(now)
    count = next(iter(queries.funnel(client, scope)), None)
    kept = next((row for row in queries.retention(client, scope) if row.horizon_s == selection.horizon_s), None)
    steps = [] if count is None else _steps(count, kept)
    return {"horizon_s": selection.horizon_s, "steps": steps}


def _steps(count: Funnel, kept: Retention | None) -> list[Json]:
    endings = ("rejected", "ignored", "superseded", "unanswered")
    answered = [{"kind": "accepted", "count": count.accepted}]
    answered += [{"kind": kind, "count": getattr(count, kind)} for kind in endings]
    steps = [
        _step("opportunities", count.opportunities, None, ""),
        _step("shown", count.shown, count.opportunities, "of requests") | {"parts": answered},
        _step("accepted", count.accepted, count.shown, "of shown"),
    ]
    if kept is not None:
        fates = {
            "kept": kept.mostly,
            "changed": kept.observed - kept.mostly,
            "unobserved": kept.accepted - kept.observed,
            "young": kept.maturing,
        }
        step = _step("retained", kept.mostly, kept.observed, "of observed")
        steps.append(step | {"parts": [{"kind": kind, "count": number} for kind, number in fates.items()]})
    return steps


def _step(name: str, number: int, whole: int | None, of: str) -> Json:
    share = number / whole if whole else None
    return {"name": name, "count": number, "share": share, "of": of, "parts": [{"kind": name, "count": number}]}


def compare(client: Client, selection: Selection, now: datetime) -> Json:
    """Every metric of every group, the largest group first."""
    scope = selection.scope(now, grouped=True)
    counts: dict[str, Json] = {}
    rows = queries.funnel(client, scope)
    for row in rows:
        counts[name_of(row)] = {
            "opportunities": row.opportunities,
            "shown": row.shown,
            "accepted": row.accepted,
        }
    found = all_rates(client, scope, selection.horizon_s)
    rates = {metric: {name_of(row): row for row in of_metric} for metric, of_metric in found.items()}
    names = ranked(rows)
    groups = [_group(name, counts[name], rates) for name in names[:MAX_GROUPS]]
    return {
        "by": selection.by,
        "by_text": DIMENSIONS[selection.by],
        "horizon_s": selection.horizon_s,
        "left_out": max(0, len(names) - MAX_GROUPS),
        "groups": groups,
    }


def _group(name: str, counts: Json, rates: dict[str, dict[str, Rate]]) -> Json:
    kept = rates["retention"].get(name)
    return {
        "name": name,
        **counts,
        "coverage": kept.coverage if kept else None,
        "rates": {metric: rate_json(of_group.get(name)) for metric, of_group in rates.items()},
    }
