"""How long calls of the model took: quantiles, each with an interval that assumes nothing of their distribution.

They are those of a histogram with bins of one relative width, whose parts are added as those of every other count are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from math import sqrt
from typing import Final

from keeprate.sinks.reading.measures import BINS_OF_DOUBLING
from keeprate.sinks.reading.rates import Z

LEVELS: Final = (0.5, 0.95)


@dataclass(frozen=True)
class Quantile:
    """A quantile in milliseconds with its 95 % interval, and of how many calls."""

    level: float
    value_ms: float
    low_ms: float
    high_ms: float
    calls: int


def quantiles(calls: Mapping[int, int]) -> list[Quantile]:
    """The median and the 95th percentile of calls by bin, as `CALLS_BY_LATENCY` counts them; none of no calls.

    The interval is between the order statistics around the quantile's rank, by the normal approximation of the binomial
    (Conover, Practical Nonparametric Statistics, 3.2), and from the beginning of one's bin to the end of the other's.
    """
    number = sum(calls.values())
    return [_quantile(calls, level, number) for level in LEVELS] if number else []


def _quantile(calls: Mapping[int, int], level: float, number: int) -> Quantile:
    at, low, high = (_ends(calls, each * number) for each in ranks(level, number))
    return Quantile(level, (at[0] + at[1]) / 2, low[0], high[1], number)


def _ends(calls: Mapping[int, int], rank: float) -> tuple[float, float]:
    """The ends of the bin that holds a rank, in milliseconds."""
    bins = sorted(calls)
    up_to = accumulate(calls[each] for each in bins)
    bin_ = next((each for each, below in zip(bins, up_to, strict=True) if below >= rank), bins[-1])
    return (2 ** ((bin_ - 1) / BINS_OF_DOUBLING) if bin_ else 0.0), 2 ** (bin_ / BINS_OF_DOUBLING)


def ranks(level: float, calls: int) -> tuple[float, float, float]:
    """A quantile's level, and the levels of both ends of its interval."""
    half = Z * sqrt(level * (1 - level) / calls)
    return level, max(0.0, level - half), min(1.0, level + half)
