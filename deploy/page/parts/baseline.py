"""The key numbers against what is usual: the four weeks before the period. One period before may be an odd one."""

from keeprate.deploy.page.answers import Json, rate_json
from keeprate.deploy.page.comparison import change
from keeprate.deploy.page.definitions import METRICS
from keeprate.deploy.page.parts.before import USUAL, compared
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.selection import Selection
from keeprate.sinks.reading.queries import Rate


def baseline(reads: Reads, selection: Selection) -> Json:
    """By metric: its rate in those weeks, and how it has changed since. Nothing where the period is as long."""
    found = compared(reads, selection)
    usual = found.usual.rates if found.usual else {}
    rows = {
        name: _row(found.now.rates.get(metric.name), usual[metric.name])
        for name, metric in METRICS.items()
        if metric.name in usual and usual[metric.name].denominator
    }
    return {"days": USUAL.days, "rows": rows}


def _row(now: Rate | None, usual: Rate) -> Json:
    difference = change(now, usual)
    return {
        "rate": rate_json(usual),
        "change": None if difference is None else {**vars(difference), "clear": difference.clear},
    }
