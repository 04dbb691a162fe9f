"""What windows of counts say for a fall or a rise, so that it may be looked at after every one of them.

E is the mixture of likelihood ratios over the odds ratios of `drift`, begun at the release and never restarted. Without
a change it is a martingale that begins at 1, so the chance that it ever reaches 1/alpha is at most alpha (Ville).

What is compared with is itself an estimate, of n0 events. Its error adds up in step with what is compared with it, so
the sum of log likelihood ratios is divided by D = 1 + n/n0. With S the sum of residuals, V their variance and e the
estimate's error, of variance 1/V0, (S + eV) / (1 + V/V0) is a Brownian motion in V / (1 + V/V0): the promise holds with
that error in it, and evidence has a ceiling.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Final

from keeprate.streams.quality.detector import ODDS_RATIOS, SIDES, Side, Stratum, log_likelihood_ratios, log_mixture

ALPHA: Final = 0.01
"""The chance that a harmless release is ever called worse or better, in any of its metrics."""
INTERVAL_ALPHA: Final = 0.05
EQUAL_WITHIN: Final = 0.02
"""Rates that differ by less are the same to whoever decides."""
EQUAL_WITHIN_PART: Final = 0.2
"""And of a rare event by less than this part of its rate: of one flag in a hundred, two more are not the same."""
_USUAL: Final = 0.3
"""Differences of this size, in log odds, are what the interval is narrowest for."""


@dataclass(frozen=True)
class Promise:
    """What an operator chooses, and over how many metrics of a release it is spread."""

    alpha: float = ALPHA
    metrics: int = 1
    margin: float = EQUAL_WITHIN

    @property
    def log_threshold(self) -> float:
        """Of E in one direction of one metric: each has its share of alpha."""
        return log(2 * self.metrics / self.alpha)


@dataclass(frozen=True)
class Weighed:
    """Where the evidence stands after a window: its end, the new version's trials up to then, and log E by side."""

    until_s: int
    trials: int
    fell: float
    rose: float


@dataclass(frozen=True)
class RateDifference:
    """New minus old, of rates, with an interval that holds at 95 % however often it is looked at."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """Two versions' counts of one metric, and what they say.

    old_trials, old_successes: of what the new one was compared with.
    gains: what a trial of the new version adds to log E by odds ratio, if it were a tenth worse than the old one.
    ceiling: how many trials of the new version the old one's information is worth; more add little.
    """

    new_trials: int
    new_successes: int
    old_trials: int
    old_successes: int
    path: tuple[Weighed, ...]
    difference: RateDifference | None
    gains: tuple[float, ...]
    ceiling: float


Gains = dict[Side, list[float]]


def no_gains() -> Gains:
    """Where both sides begin."""
    return {side: [0.0] * len(ODDS_RATIOS) for side in SIDES}


def add(gains: Gains, strata: Sequence[Stratum]) -> None:
    """Add what a window's strata say to the sums of both sides."""
    for side in SIDES:
        gains[side] = [sum(each) for each in zip(gains[side], log_likelihood_ratios(side, strata), strict=True)]


def log_evidence(gains: Sequence[float], divisor: float) -> float:
    """log E of sums that are divided by what the estimate compared with costs."""
    return log_mixture([each / divisor for each in gains])


def radius(information: float) -> float:
    """Half of the interval that holds at all times (Robbins' normal mixture), of an estimate with this information."""
    prior = _USUAL**-2
    whole = information + prior
    return sqrt(whole * log(whole / (prior * INTERVAL_ALPHA**2))) / information
