"""A version that took over, against its predecessor's baseline: before and after.

The baseline expects a rate of each hour of the week, so a release on a Friday is not compared with a Tuesday.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import log, sqrt
from statistics import NormalDist
from typing import Final

from keeprate.streams.quality.baseline import DAY_S, Baseline, Window, calibrated, fit
from keeprate.streams.quality.detector import ODDS_RATIOS, Side
from keeprate.streams.quality.evidence import (
    Comparison,
    RateDifference,
    Weighed,
    add,
    log_evidence,
    no_gains,
    radius,
)
from keeprate.streams.quality.odds import rate_of, variance_at

_SHORT_DAYS: Final = 4
_PRIOR_DISPERSION: Final = 1.5
_TENTH_PERCENTILE: Final = NormalDist().inv_cdf(0.9)
_FEWEST_DAYS: Final = 7.0
"""Fewer are too few to say anything of days: the prior speaks for them."""
TENTH: Final = 0.1


def compare(before: Sequence[Window], after: Sequence[Window], length_s: int, bad: Side) -> Comparison:
    """The new version's windows, in order, against those that its predecessor had before it.

    length_s: of a window. bad: the side on which the metric gets worse.
    """
    old = sum(each.trials for each in before), sum(each.successes for each in before)
    new = sum(each.trials for each in after), sum(each.successes for each in after)
    baseline = known(before)
    if baseline is None:
        return Comparison(*new, *old, (), None, (), 0.0)
    path = tuple(_weigh(baseline, after, length_s))
    gains = _gains(baseline, bad)
    return Comparison(*new, *old, path, _difference(baseline, after), gains, float(baseline.events))


def known(before: Sequence[Window]) -> Baseline | None:
    """The predecessor's baseline, whose margin is only what its days wander: the level's own error is in D.

    How much whole days vary is known from few of them. A promise that holds for ever, and not for so many alarms a day,
    may not rest on a lucky estimate: dispersion is taken at the upper end of its error.
    """
    baseline = fit(before)
    if baseline is None:
        return None
    days = (before[-1].at_s - before[0].at_s) / DAY_S
    # A short history cannot tell how much a series wanders: assume some.
    dispersion = max(baseline.dispersion, _PRIOR_DISPERSION) if days < _SHORT_DAYS else baseline.dispersion
    return replace(baseline, margin=baseline.wandering, dispersion=dispersion * underestimated(days))


def underestimated(days: float) -> float:
    """By how much a variance that so many days gave may be too small: of ten estimates, one is too small by more.

    The reciprocal of chi-squared's tenth percentile per degree of freedom (Wilson and Hilferty's approximation).
    """
    part = 2 / (9 * max(days, _FEWEST_DAYS))
    return float((1 - part - _TENTH_PERCENTILE * sqrt(part)) ** -3)


def _weigh(baseline: Baseline, after: Iterable[Window], length_s: int) -> Iterable[Weighed]:
    gains, trials = no_gains(), 0
    for window in after:
        add(gains, [baseline.stratum(window)])
        trials += window.trials
        divisor = 1 + trials / baseline.events
        fell, rose = (log_evidence(gains[side], divisor) for side in ("fell", "rose"))
        yield Weighed(window.at_s + length_s, trials, fell, rose)


def _difference(baseline: Baseline, after: Sequence[Window]) -> RateDifference | None:
    """Of the rate that was seen and the one that the baseline expects of the same hours."""
    strata = [baseline.stratum(each) for each in after]
    trials, successes = sum(each.trials for each in after), sum(each.successes for each in after)
    if not trials:
        return None
    shift = calibrated(0.0, [(each.trials, each.log_odds) for each in strata], successes)

    def expected(moved: float) -> float:
        return sum(each.trials * rate_of(each.log_odds + moved) for each in strata) / trials

    own = sum(each.trials * variance_at(each.log_odds + shift) / each.dispersion for each in strata)
    half = radius(1 / (1 / own + 1 / baseline.information)) + baseline.margin
    old = expected(0.0)
    return RateDifference(successes / trials - old, expected(shift - half) - old, expected(shift + half) - old)


def _gains(baseline: Baseline, bad: Side) -> tuple[float, ...]:
    """Of one trial in a typical hour, were the new version a tenth worse."""
    expected = rate_of(baseline.log_odds)
    worse = expected * (1 - TENTH) if bad == "fell" else min(0.999, expected * (1 + TENTH))
    sign = 1 if bad == "fell" else -1
    null = rate_of(baseline.log_odds - sign * baseline.margin)
    return tuple(
        (worse * sign * log(odds) - log(1 - null + null * odds**sign)) / baseline.dispersion for odds in ODDS_RATIOS
    )
