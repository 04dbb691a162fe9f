"""RA-MSR: has a rate fallen or risen against its baseline, with a stated number of days between false alarms?

A risk-adjusted mixture of Shiryaev-Roberts e-detectors. Every batch brings n trials and s successes; under the
baseline's rate p the evidence R grows by 1 a batch on average, so it reaches 2A no sooner than after 2A batches on
average, and each side spends half of the budget. A = batches a day × days between false alarms of one series.

Sources: Shin, Ramdas, Rinaldo, E-detectors (the detector and its mixture, simple e-SR); Steiner et al., risk-adjusted
CUSUM (the odds ratio against a rate of its own for each stratum).

**Invariant:** no clock and no random number: the same batches in the same order give the same state, and a batch that
was scored already changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, expm1, inf, log, log1p
from typing import Final, Literal

BATCHES_PER_DAY: Final = 288
DAYS_BETWEEN_FALSE_ALARMS: Final = 1000
ODDS_RATIOS: Final = (0.9, 0.8, 0.65, 0.5, 0.3)
"""The falls that are looked for; a rise is looked for by their inverses."""
WEIGHTS: Final = (0.10, 0.40, 0.25, 0.15, 0.10)
CAP: Final = 10.0
"""The evidence ratio never exceeds it: that bounds how long an alarm outlives its cause."""

Side = Literal["fell", "rose"]
SIDES: Final[tuple[Side, Side]] = ("fell", "rose")


@dataclass(frozen=True)
class Stratum:
    """Trials and successes of one part of a batch, against a rate of its own.

    log_odds: of the baseline's rate for this part at this time. margin: its uncertainty, on the same scale.
    dispersion: how much more its counts vary than independent trials would; at least 1.
    """

    trials: int
    successes: int
    log_odds: float
    margin: float = 0.0
    dispersion: float = 1.0


@dataclass(frozen=True)
class Evidence:
    """One side's state, per odds ratio: log of R, the CUSUM that dates a change, and the batch after it was last 0."""

    log_r: tuple[float, ...] = (-inf,) * len(ODDS_RATIOS)
    cusum: tuple[float, ...] = (0.0,) * len(ODDS_RATIOS)
    since: tuple[int, ...] = (0,) * len(ODDS_RATIOS)


@dataclass(frozen=True)
class State:
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


def score(state: State, batch: int, strata: Sequence[Stratum], policy: Policy) -> State:
    """The state after a batch. One that is not later than the last changes nothing, nor does one of no trials."""
    if batch <= state.last_batch or not any(each.trials for each in strata):
        return state
    return State(
        batch,
        _update(state.fell, "fell", batch, strata, policy),
        _update(state.rose, "rose", batch, strata, policy),
    )


def evidence_ratio(evidence: Evidence, policy: Policy) -> float:
    """R / 2A: an alarm from 1 on."""
    return exp(_log_mixture(evidence.log_r) - log(policy.threshold))


def changed_at(evidence: Evidence) -> int:
    """The batch at which the change probably began: that of the odds ratio with the most evidence."""
    return evidence.since[max(range(len(ODDS_RATIOS)), key=lambda k: evidence.log_r[k])]


def forget(state: State) -> State:
    """The state without its evidence, after an alarm was dealt with: what was scored stays scored."""
    return replace(state, fell=Evidence(), rose=Evidence())


def _update(evidence: Evidence, side: Side, batch: int, strata: Sequence[Stratum], policy: Policy) -> Evidence:
    log_r, cusum, since = [], [], []
    for k, odds_ratio in enumerate(ODDS_RATIOS):
        gain = sum(_log_likelihood_ratio(each, side, odds_ratio) for each in strata)
        log_r.append(_log_one_plus(evidence.log_r[k]) + gain)
        cusum.append(max(0.0, evidence.cusum[k] + gain))
        since.append(batch if evidence.cusum[k] == 0.0 else evidence.since[k])
    excess = max(0.0, _log_mixture(log_r) - log(CAP * policy.threshold))
    return Evidence(tuple(each - excess for each in log_r), tuple(cusum), tuple(since))


def _log_likelihood_ratio(stratum: Stratum, side: Side, odds_ratio: float) -> float:
    sign = 1.0 if side == "fell" else -1.0
    gain = sign * log(odds_ratio)
    # The margin moves the null rate towards the change, so that an uncertain baseline is no evidence.
    rate = 1 / (1 + exp(sign * stratum.margin - stratum.log_odds))
    return (stratum.successes * gain - stratum.trials * log1p(rate * expm1(gain))) / stratum.dispersion


def _log_one_plus(log_value: float) -> float:
    """log(1 + exp(x)) without overflow."""
    return log_value + log1p(exp(-log_value)) if log_value > 0 else log1p(exp(log_value))


def _log_mixture(log_r: Sequence[float]) -> float:
    largest = max(log_r)
    if largest == -inf:
        return -inf
    return largest + log(sum(weight * exp(each - largest) for weight, each in zip(WEIGHTS, log_r, strict=True)))
