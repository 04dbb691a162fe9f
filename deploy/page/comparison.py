"""Two shares side by side: their difference with an interval, so that noise is not taken for a change."""

from dataclasses import dataclass
from math import sqrt

from keeprate.sinks.reading.queries import Rate


@dataclass(frozen=True)
class ShareDifference:
    """A difference of shares, with its 95 % interval. `clear`: the interval leaves out zero."""

    value: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        return self.low > 0 or self.high < 0


def change(now: Rate | None, before: Rate | None) -> ShareDifference | None:
    """The change from one period to another; None where either has no value or no interval.

    The interval is Newcombe's hybrid of the two Wilson intervals (Statistics in Medicine 17, 1998, method 10).
    """
    if now is None or before is None or now.value is None or before.value is None:
        return None
    if None in (now.interval_low, now.interval_high, before.interval_low, before.interval_high):
        return None
    value = now.value - before.value
    down = _distance(now.value, now.interval_low, before.value, before.interval_high)
    up = _distance(now.value, now.interval_high, before.value, before.interval_low)
    return ShareDifference(value, max(-1.0, value - down), min(1.0, value + up))


def _distance(a: float, a_limit: float | None, b: float, b_limit: float | None) -> float:
    return sqrt((a - (a_limit or 0.0)) ** 2 + (b - (b_limit or 0.0)) ** 2)
