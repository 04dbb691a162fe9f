"""The numbers of the page: from the answers of `sinks.reading` to the JSON of docs/page.md."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, get_args

from keeprate.deploy.page.comparison import change
from keeprate.deploy.page.definitions import METRICS, VARIANTS, View
from keeprate.deploy.page.parts.places import name_of, places
from keeprate.deploy.page.reads import ENDINGS, REQUESTS, Reads
from keeprate.deploy.page.selection import Selection, Span
from keeprate.sinks.reading.counting import Counts
from keeprate.sinks.reading.queries import Rate, RetentionRate
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.store.clickhouse import to_ms

Json = dict[str, Any]

MAX_LINES: Final = 6
"""Groups in a chart: as many as there are colours that anybody can tell apart."""
MAX_GROUPS: Final = 60
"""Groups in the table."""


def summary(reads: Reads, selection: Selection) -> Json:
    """The key numbers, each with its change against the period before."""
    current = {name: row for name, rows in all_rates(reads, selection, "now").items() for row in rows}
    previous = {name: row for name, rows in all_rates(reads, selection, "before").items() for row in rows}
    return {
        "period": selection.period,
        "horizon_s": selection.horizon_s,
        "opportunities": current[REQUESTS].denominator if REQUESTS in current else 0,
        "metrics": [_key_number(name, current.get(name), previous.get(name)) for name in METRICS],
    }


def all_rates(reads: Reads, selection: Selection, span: Span) -> dict[str, list[Rate]]:
    """The rows of every metric and of `REQUESTS`; of retention, those at the horizon."""
    return named({view: reads.rates(view, selection, span) for view in get_args(View)}, selection.horizon_s)


def named(rates: Mapping[View, Iterable[Rate]], horizon_s: int) -> dict[str, list[Rate]]:
    """The same, of the rates of every view."""
    found = {name: _of_metric(metric.name, rates[metric.query], horizon_s) for name, metric in METRICS.items()}
    return found | {REQUESTS: _of_metric(REQUESTS, rates["rates"], horizon_s)}


def _of_metric(name: str, rates: Iterable[Rate], horizon_s: int) -> list[Rate]:
    rows = (row for row in rates if row.metric == name)
    return [row for row in rows if not isinstance(row, RetentionRate) or row.horizon_s == horizon_s]


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


def series(reads: Reads, selection: Selection) -> Json:
    """One metric over time, for the groups with most of its denominator. A bucket without one has nulls."""
    scope = selection.scope("over_time", reads.now)
    metric = METRICS[selection.metric]
    points: dict[str, dict[datetime, Rate]] = defaultdict(dict)
    for row in reads.rates_of(metric, selection, "over_time"):
        points[name_of(row)][row.bucket_at] = row
    sizes = {name: sum(row.denominator for row in rows.values()) for name, rows in points.items()}
    names = _largest_first(sizes)
    return {
        "metric": selection.metric,
        "of": metric.of,
        "by": ",".join(selection.by),
        "by_text": selection.by_text,
        "horizon_s": selection.horizon_s,
        "bucket_s": scope.bucket_s,
        "since": to_ms(scope.since),
        "until": to_ms(scope.until),
        "left_out": max(0, len(names) - MAX_LINES),
        "groups": [{"name": name, "points": _points(points[name], scope)} for name in names[:MAX_LINES]],
    }


def _largest_first(sizes: Mapping[str, Any]) -> list[str]:
    """The names whose size is not nothing, the largest first; equals by name, so that they do not swap places."""
    present = sorted(name for name, size in sizes.items() if size)
    return sorted(present, key=lambda name: sizes[name], reverse=True)


def _points(rates: dict[datetime, Rate], scope: Scope) -> list[Json]:
    found, at = [], scope.since
    while at < scope.until:
        found.append({"at": to_ms(at)} | rate_json(rates.get(at)))
        at += timedelta(seconds=scope.bucket_s)
    return found


def retention(reads: Reads, selection: Selection) -> Json:
    """The retention curve in its three variants, for the groups of which most was observed."""
    rates: dict[str, dict[int, dict[str, Rate]]] = defaultdict(lambda: defaultdict(dict))
    for rate in reads.rates("retention_rates", selection, "grouped"):
        assert isinstance(rate, RetentionRate)
        rates[name_of(rate)][rate.horizon_s][rate.metric] = rate
    curves = {name: _curve(of_group) for name, of_group in rates.items()}
    names = _largest_first(
        {name: max((each["observed"] for each in curve), default=0) for name, curve in curves.items()}
    )
    groups = [{"name": name, "points": curves[name]} for name in names[:MAX_LINES]]
    return {"by": ",".join(selection.by), "left_out": max(0, len(names) - MAX_LINES), "groups": groups}


def _curve(rates: Mapping[int, Mapping[str, Rate]]) -> list[Json]:
    """A point for each horizon at which anything was observed. The rates' denominators are the counts."""
    curve = []
    for horizon_s in sorted(rates):
        variants = {variant: rates[horizon_s][metric] for variant, (metric, _, _) in VARIANTS.items()}
        accepted, observed = variants["lower"].denominator, variants["observed"].denominator
        if observed:
            shown = {variant: rate_json(rate) for variant, rate in variants.items()}
            coverage = observed / accepted
            point = {"horizon_s": horizon_s, "accepted": accepted, "observed": observed, "coverage": coverage}
            curve.append(point | {"rates": shown})
    return curve


def funnel(reads: Reads, selection: Selection) -> Json:
    """Requests, shown, accepted, kept at the horizon; of each step, what its suggestions came to."""
    count = next(iter(reads.counts(selection, "now")), None)
    at_horizons = reads.at_horizons(selection, "now")
    kept = next((row for row in at_horizons if row["horizon_s"] == selection.horizon_s), None)
    steps = [] if count is None else _steps(count, kept)
    return {"horizon_s": selection.horizon_s, "steps": steps}


def _steps(count: Counts, kept: Counts | None) -> list[Json]:
    answered = [{"kind": kind, "count": count[kind]} for kind in ("accepted", *ENDINGS)]
    steps = [
        _step("opportunities", count["opportunities"], None, ""),
        _step("shown", count["shown"], count["opportunities"], "of requests") | {"parts": answered},
        _step("accepted", count["accepted"], count["shown"], "of shown"),
    ]
    if kept is not None:
        fates = {
            "kept": kept["mostly"],
            "changed": kept["observed"] - kept["mostly"],
            "unobserved": kept["accepted"] - kept["observed"],
            "young": kept["maturing"],
        }
        step = _step("retained", kept["mostly"], kept["observed"], "of observed")
        steps.append(step | {"parts": [{"kind": kind, "count": number} for kind, number in fates.items()]})
    return steps


def _step(name: str, number: int, whole: int | None, of: str) -> Json:
    share = number / whole if whole else None
    return {"name": name, "count": number, "share": share, "of": of, "parts": [{"kind": name, "count": number}]}


def compare(reads: Reads, selection: Selection) -> Json:
    """Every metric of every group, the one that showed most first."""
    return compare_rates(selection, all_rates(reads, selection, "grouped"), places(reads, selection))


def compare_rates(selection: Selection, found: Mapping[str, Sequence[Rate]], places_of: Mapping[str, int]) -> Json:
    """The same, of rates that are `named`. places_of: by group, as `places` has them."""
    rates = {metric: {name_of(row): row for row in of_metric} for metric, of_metric in found.items()}
    shown, requests = rates["acceptance_rate"], rates[REQUESTS]
    names = _largest_first(
        {name: (shown[name].denominator, row.denominator) for name, row in requests.items() if row.denominator}
    )
    return {
        "by": ",".join(selection.by),
        "by_text": selection.by_text,
        "horizon_s": selection.horizon_s,
        "left_out": max(0, len(names) - MAX_GROUPS),
        "places": {name: places_of[name] for name in names[:MAX_GROUPS] if name in places_of},
        "groups": [_group(name, rates) for name in names[:MAX_GROUPS]],
    }


def _group(name: str, rates: Mapping[str, Mapping[str, Rate]]) -> Json:
    kept, accepted = rates["retention"].get(name), rates["acceptance_rate"][name]
    return {
        "name": name,
        "dimensions": rates[REQUESTS][name].dimensions,
        "opportunities": rates[REQUESTS][name].denominator,
        "shown": accepted.denominator,
        "accepted": accepted.numerator,
        "coverage": kept.coverage if kept else None,
        "rates": {metric: rate_json(rates[metric].get(name)) for metric in METRICS},
    }
