"""What users keep besides the key numbers: untouched, cost, votes, flags and latency, against the period before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from keeprate.deploy.page.answers import Json, rate_json
from keeprate.deploy.page.comparison import change
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.selection import Selection
from keeprate.sinks.reading import latency, queries, splitting
from keeprate.sinks.reading.counting import Counts
from keeprate.sinks.reading.measures import CALLS_BY_LATENCY
from keeprate.sinks.reading.queries import Rate
from keeprate.sinks.reading.rates import ACCEPTANCE, RETENTION, counts_of
from keeprate.sinks.reading.scope import Scope

_RATES: Final = ("touchless_rate",)
_FEEDBACK: Final = ("positive_vote_share", "flag_rate")
_RETENTION: Final = ("fuzzy_persistence_observed", "cost_per_retained")


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
    now, before = _asked(reads, selection)
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


@dataclass(frozen=True)
class _Asked:
    rates: Mapping[str, Rate]
    latency: list[latency.Quantile]


def _asked(reads: Reads, selection: Selection) -> tuple[_Asked, _Asked]:
    """Of the period, and of the one before."""
    if selection.of_nobody:
        return _Asked({}, []), _Asked({}, [])
    key = (selection.core("now"), selection.horizon_s)
    return reads.fact("more", key, lambda: _ask(reads, selection), selection.keep_s)


def _ask(reads: Reads, selection: Selection) -> tuple[_Asked, _Asked]:
    now = selection.scope("now", reads.now)
    scope = replace(now, since=now.since - selection.span.length, by=(), eras=[now.since])
    summed = splitting.known(reads.client, scope)
    # Not by label: users name those, and here they are not shown.
    names = counts_of(ACCEPTANCE, _RATES) | queries.feedback_counts(_FEEDBACK) | {CALLS_BY_LATENCY}
    counts = queries.counted(reads.client, scope, names, summed)
    kept = queries.counted_at_horizons(reads.client, scope, counts_of(RETENTION, _RETENTION), summed)
    kept = [row for row in kept if row["horizon_s"] == selection.horizon_s]
    before, after = (
        _of_era(scope, *([row for row in rows if row["era"] == era] for rows in (counts, kept))) for era in (0, 1)
    )
    return after, before


def _of_era(scope: Scope, counts: Sequence[Counts], kept: Sequence[Counts]) -> _Asked:
    found: list[Rate] = [
        *queries.rates_of(scope, counts, _RATES),
        *queries.feedback_rates_of(scope, counts, _FEEDBACK),
        *queries.retention_rates_of(scope, kept, _RETENTION),
    ]
    spread = latency.quantiles(counts[0][CALLS_BY_LATENCY]) if counts else []
    return _Asked({each.metric: each for each in found}, spread)


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
