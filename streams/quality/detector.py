"""RA-MSR: has a rate fallen or risen against its baseline, with a stated number of days between false alarms?

A risk-adjusted mixture of Shiryaev-Roberts e-detectors. Every batch brings n trials and s successes; under the
baseline's rate p the evidence R grows by 1 a batch on average, so it reaches 2A no sooner than after 2A batches on
average, and each side spends half of the budget. A = batches a day × days between false alarms of one series.

Sources: Shin, Ramdas, Rinaldo, E-detectors (the detector and its mixture, simple e-SR); Steiner et al., risk-adjusted
CUSUM (the odds ratio against a rate of its own for each stratum).

**Invariant:** no clock and no random number: the same batches in the same order give the same state, and a batch that
was scored already changes nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import exp, inf, log, log1p
from typing import Final, Literal, NamedTuple

BATCHES_PER_DAY: Final = 288
DAYS_BETWEEN_FALSE_ALARMS: Final = 1000
ODDS_RATIOS: Final = (0.9, 0.8, 0.65, 0.5, 0.3)
"""The falls that are looked for; a rise is looked for by their inverses."""
WEIGHTS: Final = (0.10, 0.40, 0.25, 0.15, 0.10)
CAP: Final = 10.0
"""The evidence ratio never exceeds it: that bounds how long an alarm outlives its cause."""

Side = Literal["fell", "rose"]
SIDES: Final[tuple[Side, Side]] = ("fell", "rose")
_GAINS: Final[dict[Side, tuple[float, list[tuple[float, float]]]]] = {
    "fell": (1.0, [(log(each), each - 1) for each in ODDS_RATIOS]),
    "rose": (-1.0, [(-log(each), 1 / each - 1) for each in ODDS_RATIOS]),
}
"""By side: its sign, and of each odds ratio the logarithm and what a success's odds grow by."""
_SIZES: Final = len(ODDS_RATIOS)
_PARTS: Final = (slice(None, _SIZES), slice(_SIZES, None))
"""Of a list that has both sides: that of each."""


class Stratum(NamedTuple):
    """Trials and successes of one part of a batch, against a rate of its own.

    log_odds: of the baseline's rate for this part at this time. margin: its uncertainty, on the same scale.
    dispersion: how much more its counts vary than independent trials would; at least 1.
    """

    trials: float
    successes: float
    log_odds: float
    margin: float = 0.0
    dispersion: float = 1.0


class Evidence(NamedTuple):
    """One side's state, per odds ratio: log of R, the CUSUM that dates a change, and the batch after it was last 0."""

    log_r: tuple[float, ...] = (-inf,) * len(ODDS_RATIOS)
    cusum: tuple[float, ...] = (0.0,) * len(ODDS_RATIOS)
    since: tuple[int, ...] = (0,) * len(ODDS_RATIOS)


class State(NamedTuple):
    """A series' state: the last batch that was scored (its number, or its time in any unit), and both sides."""

    last_batch: int = -1
    fell: Evidence = Evidence()
    rose: Evidence = Evidence()


@dataclass(frozen=True)
class Policy:
    """What an operator chooses: how many days one series may go between two false alarms."""

    days: float = DAYS_BETWEEN_FALSE_ALARMS

    @property
    def threshold(self) -> float:
        """2A: where R raises the alarm."""
        return 2 * BATCHES_PER_DAY * self.days

    @cached_property
    def log_cap(self) -> float:
        """The logarithm of what R never exceeds."""
        return log(CAP * self.threshold)


def score(state: State, batch: int, strata: Sequence[Stratum], policy: Policy) -> State:
    """The state after a batch. One that is not later than the last changes nothing, nor does one of no trials."""
    return score_all(state, [(batch, strata)], policy)


def score_all(state: State, batches: Iterable[tuple[int, Sequence[Stratum]]], policy: Policy) -> State:
    """The state after batches in their order, each with its strata: `score` of one after the other, and faster."""
    last = state.last_batch
    # Both sides in one list: of a window there is little to do, and much of it would be calling functions.
    log_r = [*state.fell.log_r, *state.rose.log_r]
    cusum, since = [*state.fell.cusum, *state.rose.cusum], [*state.fell.since, *state.rose.since]
    for batch, strata in batches:
        if batch <= last or not any(each.trials for each in strata):
            continue
        last = batch
        for at, gain in enumerate(_gains(strata)):
            before, kept = log_r[at], cusum[at]
            # log(1 + R) without overflow.
            log_r[at] = (before + log1p(exp(-before)) if before > 0 else log1p(exp(before))) + gain
            if not kept:
                since[at] = batch
            kept += gain
            cusum[at] = kept if kept > 0 else 0.0
        # A mixture is no larger than its largest part, which is far below the cap on nearly every day.
        if max(log_r) > policy.log_cap:
            log_r = [*_capped(log_r[:_SIZES], policy), *_capped(log_r[_SIZES:], policy)]
    sides = (Evidence(tuple(log_r[part]), tuple(cusum[part]), tuple(since[part])) for part in _PARTS)
    return State(last, *sides)


def _capped(log_r: Sequence[float], policy: Policy) -> Sequence[float]:
    excess = log_mixture(log_r) - policy.log_cap
    return [each - excess for each in log_r] if excess > 0 else log_r


def evidence_ratio(evidence: Evidence, policy: Policy) -> float:
    """R / 2A: an alarm from 1 on."""
    return exp(log_mixture(evidence.log_r) - log(policy.threshold))


def changed_at(evidence: Evidence) -> int:
    """The batch at which the change probably began: that of the odds ratio with the most evidence."""
    return evidence.since[max(range(len(ODDS_RATIOS)), key=lambda k: evidence.log_r[k])]


def log_likelihood_ratios(side: Side, strata: Sequence[Stratum]) -> list[float]:
    """Of a batch, by odds ratio: how much more likely it is with the odds so changed. Those of its strata add up."""
    return list(_gains(strata)[_PARTS[SIDES.index(side)]])


def _gains(strata: Sequence[Stratum]) -> Sequence[float]:
    """The log likelihood ratios of both sides, one after the other."""
    parts = []
    for trials, successes, log_odds, margin, dispersion in strata:
        weights = _weights(log_odds, margin, dispersion)
        parts.append([successes * gain - trials * cost for gain, cost in weights])
    return parts[0] if len(parts) == 1 else [sum(each) for each in zip(*parts, strict=True)]


# The windows of an hour share them, and so do those of the same hour of every week.
@lru_cache(maxsize=1024)
def _weights(log_odds: float, margin: float, dispersion: float) -> list[tuple[float, float]]:
    """By side and odds ratio: what a success adds, and what a trial costs."""
    found = []
    for sign, gains in (_GAINS[side] for side in SIDES):
        # The margin moves the null rate towards the change, so that an uncertain baseline is no evidence.
        rate = 1 / (1 + exp(sign * margin - log_odds))
        found += [(gain / dispersion, log1p(rate * growth) / dispersion) for gain, growth in gains]
    return found


def log_mixture(log_r: Sequence[float]) -> float:
    """The logarithm of what the odds ratios' values come to, each by its weight."""
    largest = max(log_r)
    if largest == -inf:
        return -inf
    return largest + log(sum(weight * exp(each - largest) for weight, each in zip(WEIGHTS, log_r, strict=True)))
