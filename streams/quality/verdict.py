"""Worse, better, the same within a margin, or not yet; and how long until a fall of a tenth would be seen."""

from dataclasses import dataclass
from math import exp, inf, log
from typing import Final, Literal

from keeprate.streams.quality.detector import SIDES, WEIGHTS, Side
from keeprate.streams.quality.evidence import EQUAL_WITHIN_PART, Comparison, Promise, Weighed

Verdict = Literal["worse", "better", "same", "not_yet"]
VERDICTS: Final[tuple[Verdict, ...]] = ("worse", "better", "same", "not_yet")
MOST: Final = 1e9
"""A ratio of evidence is not told beyond it."""
_AS_GOOD_AS_NEVER: Final = 1e9


@dataclass(frozen=True)
class ReleaseJudgement:
    """What is known of one metric of a release.

    fell, rose: evidence against the promise's threshold: 1 or more is enough. p_value: always valid, of any difference.
    found_at_s: the end of the window at which the verdict's side first had enough; None while neither has.
    trials_left: how many trials of the new version it takes until a version a tenth worse would be seen; None: never.
    """

    verdict: Verdict
    fell: float
    rose: float
    p_value: float
    found_at_s: int | None
    trials_left: float | None


def judge(comparison: Comparison, promise: Promise, bad: Side) -> ReleaseJudgement:
    """The verdict on what was compared. bad: the side on which the metric gets worse."""
    last = comparison.path[-1] if comparison.path else Weighed(0, 0, 0.0, 0.0)
    ratios: dict[Side, float] = {side: _ratio(getattr(last, side), promise) for side in SIDES}
    found = next((side for side in SIDES if ratios[side] >= 1), None)
    highest = max((max(each.fell, each.rose) for each in comparison.path), default=0.0)
    verdict: Verdict = "not_yet"
    if _within(comparison, promise):
        verdict = "same"
    elif found:
        verdict = "worse" if found == bad else "better"
    return ReleaseJudgement(
        verdict,
        ratios["fell"],
        ratios["rose"],
        min(1.0, 2 * promise.metrics * exp(-max(0.0, highest))),
        _first(comparison, found, promise) if found else None,
        trials_left(comparison, promise),
    )


def trials_left(comparison: Comparison, promise: Promise) -> float | None:
    """From now on, were the new version a tenth worse; None where what it is compared with is too little for that."""
    needed = [
        _needed(promise.log_threshold - log(weight), gain, comparison.ceiling)
        for weight, gain in zip(WEIGHTS, comparison.gains, strict=False)
    ]
    least = min(needed, default=inf)
    return None if least > _AS_GOOD_AS_NEVER else max(0.0, least - comparison.new_trials)


def _needed(log_threshold: float, gain: float, ceiling: float) -> float:
    """The n at which n × gain / (1 + n / ceiling) reaches the threshold."""
    left = gain - log_threshold / ceiling if ceiling else 0.0
    return log_threshold / left if left > 0 else inf


def _ratio(log_e: float, promise: Promise) -> float:
    return exp(min(log_e - promise.log_threshold, log(MOST)))


def _within(comparison: Comparison, promise: Promise) -> bool:
    """Whether the whole interval lies within the margin."""
    difference, trials = comparison.difference, comparison.old_trials
    if difference is None or not trials:
        return False
    margin = min(promise.margin, EQUAL_WITHIN_PART * comparison.old_successes / trials)
    return -margin <= difference.low and difference.high <= margin


def _first(comparison: Comparison, side: Side, promise: Promise) -> int:
    return next(each.until_s for each in comparison.path if getattr(each, side) >= promise.log_threshold)
