"""The key numbers against what is usual: the four weeks before the period. One period before may be an odd one."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from keeprate.deploy.page.answers import Json, all_rates, rate_json
from keeprate.deploy.page.comparison import change
from keeprate.deploy.page.definitions import METRICS, View
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.selection import Selection
from keeprate.sinks.reading import queries, splitting
from keeprate.sinks.reading.queries import Rate
from keeprate.sinks.reading.rates import ACCEPTANCE, RETENTION, counts_of
from keeprate.sinks.reading.scope import Scope

DAYS: Final = 28
"""As many as the drift detector's baselines have: each day of the week four times."""
KEPT_S: Final = 60.0


def baseline(reads: Reads, selection: Selection) -> Json:
    """By metric: its rate in those weeks, and how it has changed since. Nothing where the period is as long."""
    length = timedelta(days=DAYS)
    if selection.of_nobody or selection.span.length >= length:
        return {"days": DAYS, "rows": {}}
    key = (selection.core("now"), selection.horizon_s)
    usual = reads.fact("baseline", key, lambda: _usual(reads, selection, length), KEPT_S)
    now = {name: row for name, rows in all_rates(reads, selection, "now").items() for row in rows}
    return {"days": DAYS, "rows": {name: _row(now.get(name), rate) for name, rate in usual.items()}}


def _usual(reads: Reads, selection: Selection, length: timedelta) -> Mapping[str, Rate]:
    """By metric, the rate of those weeks, where it has a denominator."""
    until = reads.now - selection.span.length
    scope = Scope(until - length, until, reads.now, only=selection.only)
    names: dict[View, list[str]] = {"rates": [], "retention_rates": [], "feedback_rates": []}
    for metric in METRICS.values():
        names[metric.query].append(metric.name)
    summed = splitting.known(reads.client, scope)
    wanted = counts_of(ACCEPTANCE, tuple(names["rates"])) | queries.feedback_counts(names["feedback_rates"])
    counts = queries.counted(reads.client, scope, wanted, summed)
    at_horizons = counts_of(RETENTION, tuple(names["retention_rates"]))
    kept = queries.counted_at_horizons(reads.client, scope, at_horizons, summed)
    rows: dict[str, Rate] = {
        row.metric: row
        for row in (
            *queries.rates_of(scope, counts, names["rates"]),
            *queries.feedback_rates_of(scope, counts, names["feedback_rates"]),
            *queries.retention_rates_of(
                scope, (row for row in kept if row["horizon_s"] == selection.horizon_s), names["retention_rates"]
            ),
        )
        if row.denominator
    }
    return {name: rows[metric.name] for name, metric in METRICS.items() if metric.name in rows}


def _row(now: Rate | None, usual: Rate) -> Json:
    difference = change(now, usual)
    return {
        "rate": rate_json(usual),
        "change": None if difference is None else {**vars(difference), "clear": difference.clear},
    }
