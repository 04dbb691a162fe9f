"""What the difference of two rates is made of, by the values of a cut: other shares, or other rates. Pure.

With w a value's share of the trials and r its rate, before (0) and after (1), the difference is exactly

    R1 - R0 = sum (w1 - w0) (r1 + r0) / 2  +  sum (w1 + w0) / 2 (r1 - r0)

(Kitagawa, Components of a difference between two rates, JASA 50, 1955). The first sum is the mix: what came with other
shares. A value's part of it is taken from the middle of both whole rates, which leaves the sum as it is: more of what
is below the middle lowers the rate. A value that only one side has is all mix.

The second sum says little of a value by itself: the largest one always has most of it. So a value's excess is told: how
much less the difference would be, had the value's rate moved as that of the rest did.

Intervals are by the delta method, of shares that are multinomial and rates that are binomial, trials independent of
each other, the middle as if it were known; `among` widens them (Bonferroni), so that the best of many is not taken for
more than it is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Final

_ALPHA: Final = 0.05


@dataclass(frozen=True)
class Portion:
    """The trials and successes that one value of a cut has on both sides."""

    value: str
    old_trials: int
    old_successes: int
    new_trials: int
    new_successes: int


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Contribution:
    """What one value has to do with the difference.

    moved: its own rate, new minus old; excess: how much less the difference would be, had it moved as the rest. Both
    are None where one side has none of it; excess too where there is no rest. mix: its part of what came with other
    shares.
    """

    portion: Portion
    mix: Estimate
    moved: Estimate | None
    excess: Estimate | None


@dataclass(frozen=True)
class Decomposition:
    """A difference of rates, new minus old, what of it is mix, and each value's contribution, in the order given."""

    difference: Estimate
    mix: Estimate
    contributions: tuple[Contribution, ...]


def decompose(portions: Sequence[Portion], among: int = 1) -> Decomposition | None:
    """The difference by the values of a cut; None where one side has no trials. among: how many statements are made."""
    old = _Side({each.value: (each.old_trials, each.old_successes) for each in portions if each.old_trials})
    new = _Side({each.value: (each.new_trials, each.new_successes) for each in portions if each.new_trials})
    if not old.trials or not new.trials:
        return None
    sides = _Both(old, new, NormalDist().inv_cdf(1 - _ALPHA / 2 / max(1, among)))
    own = tuple(
        Contribution(each, sides.mix([each.value], centred=True), sides.moved(each.value), sides.excess(each.value))
        for each in portions
    )
    return Decomposition(sides.difference(), sides.mix(sides.values), own)


class _Side:
    """One side's shares and rates, by value."""

    def __init__(self, counts: Mapping[str, tuple[int, int]]) -> None:
        self.trials = sum(trials for trials, _ in counts.values())
        self.share = {value: trials / self.trials for value, (trials, _) in counts.items()}
        self.rate = {value: successes / trials for value, (trials, successes) in counts.items()}
        # Half a success more, or a value that was always taken would be known without error.
        smooth = {value: (successes + 0.5) / (trials + 1) for value, (trials, successes) in counts.items()}
        self._rate_variance = {value: smooth[value] * (1 - smooth[value]) / counts[value][0] for value in counts}

    @property
    def whole(self) -> float:
        """The rate of all."""
        return sum(self.share[value] * self.rate[value] for value in self.share)

    def variance(self, by_share: Mapping[str, float], by_rate: Mapping[str, float]) -> float:
        """Of what grows by so much with each share and each rate."""
        shares = [(self.share[value], slope) for value, slope in by_share.items() if value in self.share]
        mean = sum(share * slope for share, slope in shares)
        of_shares = max(0.0, sum(share * slope**2 for share, slope in shares) - mean**2) / self.trials
        return of_shares + sum(
            slope**2 * self._rate_variance[value] for value, slope in by_rate.items() if value in self.share
        )


class _Both:
    """Both sides, and the estimates that are made of them. A slope is by share, or by rate, of old and of new."""

    def __init__(self, old: _Side, new: _Side, z: float) -> None:
        self._old, self._new, self._z = old, new, z
        self.values = sorted({*old.share, *new.share})
        self._shared = [value for value in self.values if value in old.share and value in new.share]
        self._weight = {value: (old.share.get(value, 0.0) + new.share.get(value, 0.0)) / 2 for value in self.values}
        self._middle = {value: self._middle_of(value) for value in self.values}
        self._moved = {value: new.rate[value] - old.rate[value] for value in self._shared}

    def _middle_of(self, value: str) -> float:
        rates = [side.rate[value] for side in (self._old, self._new) if value in side.rate]
        return sum(rates) / len(rates)

    def difference(self) -> Estimate:
        """New minus old, of all: shares and rates both vary."""
        variance = sum(side.variance(side.rate, side.share) for side in (self._old, self._new))
        return self._estimate(self._new.whole - self._old.whole, variance)

    def mix(self, values: Iterable[str], *, centred: bool = False) -> Estimate:
        """What these values' shares did. centred: against the middle of all, which matters where it is not all."""
        centre = (self._old.whole + self._new.whole) / 2 if centred else 0.0
        by_share = {each: self._middle[each] - centre for each in values}
        grown = {each: self._new.share.get(each, 0.0) - self._old.share.get(each, 0.0) for each in by_share}
        value = sum(grown[each] * by_share[each] for each in by_share)
        by_rate = {each: grown[each] / (2 if each in self._moved else 1) for each in by_share}
        variance = sum(side.variance(by_share, by_rate) for side in (self._old, self._new))
        return self._estimate(value, variance)

    def moved(self, value: str) -> Estimate | None:
        """The value's own rate."""
        if value not in self._moved:
            return None
        variance = sum(side.variance({}, {value: 1.0}) for side in (self._old, self._new))
        return self._estimate(self._moved[value], variance)

    def excess(self, value: str) -> Estimate | None:
        """Its weight times how much more it moved than the rest did."""
        rest = [each for each in self._shared if each != value]
        if value not in self._moved or not rest:
            return None
        weight, around = self._weight[value], sum(self._weight[each] for each in rest)
        of_rest = sum(self._weight[each] * self._moved[each] for each in rest) / around
        by_rate = {each: -weight * self._weight[each] / around for each in rest} | {value: weight}
        by_share = {each: -weight * (self._moved[each] - of_rest) / around / 2 for each in rest}
        by_share[value] = (self._moved[value] - of_rest) / 2
        variance = sum(side.variance(by_share, by_rate) for side in (self._old, self._new))
        return self._estimate(weight * (self._moved[value] - of_rest), variance)

    def _estimate(self, value: float, variance: float) -> Estimate:
        half = self._z * sqrt(variance)
        return Estimate(value, value - half, value + half)
