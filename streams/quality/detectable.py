"""What a detector can see: the smallest change for the worse that is found within a day, at a traffic.

By the drift of its evidence: with n trials a day of a rate that has changed, the evidence for an odds ratio grows by n
times the mean log likelihood ratio of a trial. Of changes of the size that is told, about three in four are found
within the day.
"""

from math import log
from typing import Final

from keeprate.streams.quality.baseline import Baseline
from keeprate.streams.quality.detector import WEIGHTS, Policy, Side, Stratum, log_likelihood_ratios
from keeprate.streams.quality.odds import rate_of

HEAD_START: Final = 3.0
"""What the evidence has on most days without a change, in nats."""
_STEPS: Final = 12
_LARGEST: Final = 0.999
TIMES: Final = 10.0
"""A rise by more than so many times is none that anybody means: where one in a thousand fails, nearly all would."""


def smallest(baseline: Baseline, trials_per_day: float, bad: Side, policy: Policy) -> float | None:
    """As a part of the rate: 0.1 is a tenth of it. None where not even a fall to nothing, or a rise by `TIMES`, is."""
    rate = rate_of(baseline.log_odds)
    largest = 1.0 if bad == "fell" else min(TIMES, _LARGEST / rate - 1)
    if largest <= 0 or not _found(baseline, trials_per_day, bad, largest, policy):
        return None
    low, high = 0.0, largest
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _found(baseline, trials_per_day, bad, middle, policy):
            high = middle
        else:
            low = middle
    return high


def _found(baseline: Baseline, trials: float, bad: Side, part: float, policy: Policy) -> bool:
    changed = rate_of(baseline.log_odds) * (1 - part if bad == "fell" else 1 + part)
    # A ratio is linear in trials and successes, so parts of them are as good as whole ones.
    stratum = Stratum(trials, trials * changed, baseline.log_odds, baseline.margin, baseline.dispersion)
    grown = log_likelihood_ratios(bad, [stratum])
    needed = log(policy.threshold) - HEAD_START
    return any(gain + log(weight) >= needed for gain, weight in zip(grown, WEIGHTS, strict=True))
