"""What users keep besides the key numbers: untouched, cost, votes, flags and latency, against the period before."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from keeprate.deploy.page.answers import Json, rate_json
from keeprate.deploy.page.comparison import change
from keeprate.deploy.page.parts.before import compared
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.selection import Selection
from keeprate.sinks.reading.queries import Rate


@dataclass(frozen=True)
class _Shown:
    of: str
    better: str


SHOWN: Final[Mapping[str, _Shown]] = {
    "touchless_rate": _Shown("used", "higher"),
    "positive_vote_share": _Shown("votes", "higher"),
    "flag_rate": _Shown("shown", "lower"),
}
"""The shares, what each is of, and which direction is better."""


def more(reads: Reads, selection: Selection) -> Json:
    """Each number with its interval, and with that of the period before."""
    found = compared(reads, selection)
    now, before = found.now, found.before
    shares = [
        {"name": name, "of": shown.of, "better": shown.better, **_against(now.rates.get(name), before.rates.get(name))}
        for name, shown in SHOWN.items()
    ]
    return {
        "horizon_s": selection.horizon_s,
        "period": selection.period,
        "shares": shares,
        "cost": {"now": _cost(now.rates), "before": _cost(before.rates)},
        "latency": {"now": [vars(each) for each in now.latency], "before": [vars(each) for each in before.latency]},
    }


def _against(now: Rate | None, before: Rate | None) -> Json:
    difference = change(now, before)
    return {
        "rate": rate_json(now),
        "previous": rate_json(before) if before and before.value is not None else None,
        "change": None if difference is None else {**vars(difference), "clear": difference.clear},
    }


def _cost(rates: Mapping[str, Rate]) -> Json | None:
    """What a suggestion that is kept costs, in USD. It is as uncertain as how many of those observed are kept."""
    cost, kept = rates.get("cost_per_retained"), rates.get("fuzzy_persistence_observed")
    if cost is None or kept is None or cost.value is None or not kept.interval_low or not kept.interval_high:
        return None
    low, high = (cost.numerator / kept.denominator / bound for bound in (kept.interval_high, kept.interval_low))
    return {"value": float(cost.value), "low": float(low), "high": float(high), "kept": cost.denominator}
