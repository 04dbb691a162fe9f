"""Two versions that share the traffic, hour by hour: seasons and outages meet both, so no baseline is needed.

Which version does the next event come from? With rho the new one's share of an hour's trials, its share of the hour's
events is rho without a difference (Lindon, Malek, Anytime-valid inference for multinomial count data). Each hour has a
rho of its own, so a ramp is no difference; alternatives are the mixture over ratios that the detector has.

Suggestions of one user or session are not independent. Evidence is divided by how much more the difference varies than
if they were: by users, who may have been assigned to one version, and from hour to hour. The events are the rarer of
successes and failures: they say most.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, lgamma, log
from typing import Final

from keeprate.streams.quality.baseline import DAY_S
from keeprate.streams.quality.detector import ODDS_RATIOS, Side, Stratum
from keeprate.streams.quality.evidence import (
    Comparison,
    RateDifference,
    Weighed,
    add,
    log_evidence,
    no_gains,
    radius,
)
from keeprate.streams.quality.successor import TENTH

_SPLIT_WEIGHT: Final = 100.0
_MIN_BLOCKS: Final = 12
_ENOUGH: Final = 8
"""Trials of each version that a block of hours should have: of fewer, much of what they say is lost."""
_PRIOR_DISPERSION: Final = 1.5


@dataclass(frozen=True)
class Hour:
    """A window that both versions have: when it ended, and each one's trials and successes."""

    until_s: int
    new_trials: int
    new_successes: int
    old_trials: int
    old_successes: int


@dataclass(frozen=True)
class UserTrials:
    """One user's trials and successes with each version."""

    new_trials: int
    new_successes: int
    old_trials: int
    old_successes: int


@dataclass(frozen=True)
class _Contrast:
    """Of a block of hours, new minus old, and what it weighs (Mantel-Haenszel)."""

    weight: float
    difference: float


def design_effect(people: Sequence[UserTrials]) -> float:
    """How much more the difference of two rates varies than if every trial were somebody else's; at least 1.

    A user who stays with one version tells of it with one leaning; one who has both compares them, and costs nothing.
    """
    new, old = sum(each.new_trials for each in people), sum(each.old_trials for each in people)
    if not new or not old:
        return 1.0
    correlation = _correlation(people)
    independent = 1 / new + 1 / old
    leanings = sum((each.new_trials / new - each.old_trials / old) ** 2 for each in people)
    return max(1.0, (1 - correlation) + correlation * leanings / independent)


def _correlation(people: Iterable[UserTrials]) -> float:
    """Of two trials of one user with one version, over both versions, because a new one has few users at first."""
    arms = (
        [(each.new_trials, each.new_successes) for each in people if each.new_trials],
        [(each.old_trials, each.old_successes) for each in people if each.old_trials],
    )
    squares = binomial = pairs = 0.0
    for arm in arms:
        trials = sum(n for n, _ in arm)
        share = sum(s for _, s in arm) / trials
        squares += sum((s - n * share) ** 2 for n, s in arm)
        binomial += share * (1 - share) * trials
        pairs += share * (1 - share) * sum(n * (n - 1) for n, _ in arm)
    users = sum(map(len, arms))
    if users <= len(arms) or not pairs:
        return 0.0
    # Each version's rate was estimated from the same users.
    return min(1.0, max(0.0, (squares * users / (users - len(arms)) - binomial) / pairs))


def compare(hours: Sequence[Hour], dispersion: float, bad: Side) -> Comparison:
    """What the hours say, in order. dispersion: the design effect of users; that of hours is found here."""
    new = sum(each.new_trials for each in hours), sum(each.new_successes for each in hours)
    old = sum(each.old_trials for each in hours), sum(each.old_successes for each in hours)
    trials = new[0] + old[0]
    if not new[0] or not old[0]:
        return Comparison(*new, *old, (), None, (), 0.0)
    successes = new[1] + old[1]
    failures_told = 2 * successes > trials
    event_rate = min(successes + 0.5, trials - successes + 0.5) / (trials + 1)
    blocks = _blocks(hours)
    dispersion = max(dispersion, _dispersion(blocks))
    # Counts of events vary as if each trial had only a small chance of one; those of trials vary less.
    divisor = max(1.0, dispersion * (1 - event_rate))
    path = tuple(_weigh(blocks, divisor, failures_told))
    gains = _gains(new[0] / trials, event_rate, divisor, failures_told, bad)
    return Comparison(*new, *old, path, _difference(blocks, dispersion), gains, float("inf"))


def _blocks(hours: Iterable[Hour]) -> list[Hour]:
    """Consecutive hours of a day put together, until both versions have enough trials. Outcomes have no say in it."""
    blocks: list[Hour] = []
    for each in hours:
        last = blocks[-1] if blocks else None
        if last and min(last.new_trials, last.old_trials) < _ENOUGH and _day(last) == _day(each):
            blocks[-1] = Hour(
                each.until_s,
                last.new_trials + each.new_trials,
                last.new_successes + each.new_successes,
                last.old_trials + each.old_trials,
                last.old_successes + each.old_successes,
            )
        else:
            blocks.append(each)
    return blocks


def _day(hour: Hour) -> int:
    return (hour.until_s - 1) // DAY_S


def _weigh(blocks: Iterable[Hour], divisor: float, failures_told: bool) -> Iterable[Weighed]:
    gains, trials = no_gains(), 0
    for each in blocks:
        trials += each.new_trials
        if each.new_trials and each.old_trials:
            events = (each.new_successes, each.old_successes)
            if failures_told:
                events = each.new_trials - events[0], each.old_trials - events[1]
            add(gains, [Stratum(sum(events), events[0], log(each.new_trials / each.old_trials))])
        fell, rose = log_evidence(gains["fell"], divisor), log_evidence(gains["rose"], divisor)
        if failures_told:
            fell, rose = rose, fell
        yield Weighed(each.until_s, trials, fell, rose)


def _contrasts(blocks: Iterable[Hour]) -> list[_Contrast]:
    return [
        _Contrast(
            each.new_trials * each.old_trials / (each.new_trials + each.old_trials),
            each.new_successes / each.new_trials - each.old_successes / each.old_trials,
        )
        for each in blocks
        if each.new_trials and each.old_trials
    ]


def _mean(contrasts: Sequence[_Contrast]) -> float:
    return sum(each.weight * each.difference for each in contrasts) / sum(each.weight for each in contrasts)


def _variance(blocks: Iterable[Hour]) -> float:
    """p (1 - p) of all trials."""
    trials = successes = 0
    for each in blocks:
        trials += each.new_trials + each.old_trials
        successes += each.new_successes + each.old_successes
    share = (successes + 0.5) / (trials + 1)
    return share * (1 - share)


def _dispersion(blocks: Sequence[Hour]) -> float:
    """How much more the blocks' differences vary than those of independent trials; at least 1."""
    contrasts = _contrasts(blocks)
    if len(contrasts) < _MIN_BLOCKS:
        return _PRIOR_DISPERSION
    mean = _mean(contrasts)
    squares = sum(each.weight * (each.difference - mean) ** 2 for each in contrasts)
    return max(1.0, squares / _variance(blocks) / (len(contrasts) - 1))


def _difference(blocks: Sequence[Hour], dispersion: float) -> RateDifference | None:
    contrasts = _contrasts(blocks)
    if not contrasts:
        return None
    value, variance = _mean(contrasts), _variance(blocks)
    # In units of log odds, so that the interval is narrowest for the same differences as elsewhere.
    half = radius(sum(each.weight for each in contrasts) * variance / dispersion) * variance
    return RateDifference(value, max(-1.0, value - half), min(1.0, value + half))


def _gains(rho: float, event_rate: float, divisor: float, failures_told: bool, bad: Side) -> tuple[float, ...]:
    """Of one trial of the new version, were it a tenth worse, at the split as it is."""
    success_rate = 1 - event_rate if failures_told else event_rate
    worse = success_rate * (1 - TENTH) if bad == "fell" else min(0.999, success_rate * (1 + TENTH))
    event_worse = 1 - worse if failures_told else worse
    sign = 1 if event_worse < event_rate else -1
    new, old = event_worse, event_rate * (1 - rho) / rho
    return tuple(
        (new * sign * log(odds) - (new + old) * log(1 - rho + rho * odds**sign)) / divisor for odds in ODDS_RATIOS
    )


def split_evidence(new: int, old: int, expected_share: float) -> float:
    """E that users, or trials, are not split as they were meant to be: from 1/alpha on it is a sample ratio mismatch.

    Lindon and Malek's mixture over shares, with a beta prior around the expected one.
    """
    a, b = _SPLIT_WEIGHT * expected_share, _SPLIT_WEIGHT * (1 - expected_share)
    expected = new * log(expected_share) + old * log(1 - expected_share)
    log_ratio = _log_beta(a + new, b + old) - _log_beta(a, b) - expected
    return exp(min(log_ratio, 700.0))


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
