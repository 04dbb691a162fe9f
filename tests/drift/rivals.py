"""What others use, over the same windows: each is a statistic after every window, and an alarm where it is large.

Every rival knows the rate of 28 days before, where it can use one, and gets the threshold that suits the traffic at
hand. Alarms within a day count as one.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from tests.drift.worlds import PER_DAY, PER_HOUR, Counts, Reals

DESIGN_ODDS: Final = 0.78
"""The odds ratio of 0.25 to 0.30: what the CUSUM is told to look for."""
GRID: Final = np.exp(np.linspace(np.log(0.97), np.log(0.1), 40))
"""Odds ratios at which FOCuS is evaluated, and their inverses: its maximum over all of them, within a percent."""
Statistic = Callable[[Counts, Counts, Reals], Reals]


def cusum(n: Counts, s: Counts, rate: Reals) -> Reals:
    """Bernoulli CUSUM of both sides (Page; Steiner et al.), for one change: that which is made here."""
    return _page(n, s, rate, np.array([DESIGN_ODDS, 1 / DESIGN_ODDS]))


def focus(n: Counts, s: Counts, rate: Reals) -> Reals:
    """FOCuS for Bernoulli trials with a known rate before the change (Romano et al., JMLR 24/81; Ward et al.).

    Page's CUSUM over all sizes of change. Of our own: over a dense grid of sizes, and after each window.
    """
    return _page(n, s, rate, np.concatenate([GRID, 1 / GRID]))


def _page(n: Counts, s: Counts, rate: Reals, odds_ratios: Reals) -> Reals:
    gains = np.log(odds_ratios)
    cost = np.log1p(rate[:, None] * np.expm1(gains))
    value = np.zeros((len(n), len(gains)))
    found = np.empty(n.shape)
    for t in range(n.shape[1]):
        value += s[:, t, None] * gains - n[:, t, None] * cost
        np.maximum(value, 0.0, out=value)
        found[:, t] = value.max(1)
    return found


def page_hinkley(tolerance: float) -> Statistic:
    """Page-Hinkley on events against their running mean, with a tolerance, after each window."""

    def statistic(n: Counts, s: Counts, rate: Reals) -> Reals:
        del rate
        mean = np.cumsum(s, 1) / np.maximum(np.cumsum(n, 1), 1)
        deviation, allowed = s - n * mean, tolerance * n
        low, high = np.zeros(len(n)), np.zeros(len(n))
        found = np.empty(n.shape)
        for t in range(n.shape[1]):
            low = np.maximum(0.0, low - deviation[:, t] - allowed[:, t])
            high = np.maximum(0.0, high + deviation[:, t] - allowed[:, t])
            found[:, t] = np.maximum(low, high)
        return found

    return statistic


def ewma(n: Counts, s: Counts, rate: Reals) -> Reals:
    """EWMA chart of hourly rates, lambda 0.1, in its standard deviations."""
    keep = 0.9
    hours, kept = (each.reshape(len(n), -1, PER_HOUR).sum(2) for each in (n, s))
    value, variance = np.zeros(len(n)), np.zeros(len(n))
    found = np.zeros(n.shape)
    for hour in range(hours.shape[1]):
        trials = np.maximum(hours[:, hour], 1)
        deviation = np.where(hours[:, hour] > 0, kept[:, hour] / trials - rate, 0.0)
        value = keep * value + (1 - keep) * deviation
        variance = keep**2 * variance + (1 - keep) ** 2 * rate * (1 - rate) / trials
        # The hour is known at its end: with its last window.
        found[:, (hour + 1) * PER_HOUR - 1] = np.abs(value) / np.sqrt(variance)
    return found


def sliding_z(hours: int) -> Statistic:
    """Two-proportion z of the last hours against the 7 days before them, after each window."""

    def statistic(n: Counts, s: Counts, rate: Reals) -> Reals:
        del rate
        n1, s1, n0, s0 = _against_week(n, s, hours)
        pooled = (s1 + s0) / np.maximum(n1 + n0, 1)
        spread = np.sqrt(pooled * (1 - pooled) * (1 / np.maximum(n1, 1) + 1 / np.maximum(n0, 1)))
        return _settled(np.abs(s1 / np.maximum(n1, 1) - s0 / np.maximum(n0, 1)) / np.maximum(spread, 1e-9), hours + 168)

    return statistic


def psi(hours: int) -> Statistic:
    """Population stability index of the last hours against the 7 days before them, after each window."""

    def statistic(n: Counts, s: Counts, rate: Reals) -> Reals:
        del rate
        n1, s1, n0, s0 = _against_week(n, s, hours)
        new, old = (s1 + 0.5) / (n1 + 1), (s0 + 0.5) / (n0 + 1)
        found: Reals = (new - old) * np.log(new / old * (1 - old) / (1 - new))
        return _settled(found, hours + 168)

    return statistic


def promql(hours: int) -> Statistic:
    """`rate[…] < x × offset 1d` for ten minutes: by how much the rate fell, in all of three windows."""

    def statistic(n: Counts, s: Counts, rate: Reals) -> Reals:
        del rate
        now = (_rolling(s, hours * PER_HOUR) + 0.5) / (_rolling(n, hours * PER_HOUR) + 1)
        before = np.roll(now, PER_DAY, 1)
        fallen = 1 - now / before
        return _settled(np.minimum(fallen, np.minimum(np.roll(fallen, 1, 1), np.roll(fallen, 2, 1))), hours + 25)

    return statistic


WIDTHS_H: Final = (2, 6, 12, 24, 48)
RIVALS: Final[dict[str, Sequence[Statistic]]] = {
    "FOCuS, Bernoulli": [focus],
    "EWMA chart": [ewma],
    "sliding z, 1 h": [sliding_z(1)],
    "sliding z, 24 h": [sliding_z(24)],
    "Page-Hinkley": [page_hinkley(0.005)],
    "PSI, 1 h": [psi(1)],
    "PSI, 24 h": [psi(24)],
    "PromQL rule, 1 h": [promql(1)],
}
"""As they are set up by who does not know what will change: river's tolerance, an hour or a day."""
TOLD: Final[dict[str, Sequence[Statistic]]] = {
    "Bernoulli CUSUM": [cusum],
    "Page-Hinkley, best tolerance": [page_hinkley(0.025)],
    "sliding z, best width": [sliding_z(hours) for hours in WIDTHS_H],
    "PSI, best width": [psi(hours) for hours in WIDTHS_H],
    "PromQL rule, best width": [promql(hours) for hours in (1, 6, 24)],
}
"""The same, told the change that will come: what is best for that, of several where there are several."""


def episodes(alarm: Any) -> int:
    """How many alarms, where those that begin within a day of one count with it; by replicate and window."""
    total = 0
    for row in alarm:
        at = np.flatnonzero(row)
        total += int((np.diff(at) > PER_DAY).sum()) + 1 if len(at) else 0
    return total


def threshold(statistic: Reals, allowed: float) -> float:
    """The threshold at which there are no more episodes than allowed."""
    low, high = float(np.quantile(statistic, 0.5)), float(statistic.max()) * 1.001
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (low, middle) if episodes(statistic >= middle) <= allowed else (middle, high)
    return high


@dataclass(frozen=True)
class Adwin:
    """river's ADWIN, which sees event after event; its statistic is the window in which it alarms."""

    delta: float

    def alarms(self, n: Counts, s: Counts, generator: np.random.Generator) -> Iterator[int]:
        """The windows of one series in which it alarms. Raises ImportError where river is not installed."""
        from river.drift import ADWIN

        new: Any = ADWIN
        detector = new(delta=self.delta)
        for t, (trials, successes) in enumerate(zip(n.tolist(), s.tolist(), strict=True)):
            events = np.zeros(trials, np.int64)
            events[:successes] = 1
            fired = False
            for event in generator.permutation(events).tolist():
                detector.update(event)
                fired = fired or detector.drift_detected
            if fired:
                yield t


def _rolling(values: Counts, windows: int) -> Counts:
    """Sums of the last windows, of fewer where there were fewer."""
    total = np.cumsum(values, 1)
    total[:, windows:] -= total[:, :-windows].copy()
    return total


def _against_week(n: Counts, s: Counts, hours: int) -> tuple[Counts, Counts, Counts, Counts]:
    width, week = hours * PER_HOUR, 7 * PER_DAY
    n1, s1 = _rolling(n, width), _rolling(s, width)
    return n1, s1, _rolling(n, width + week) - n1, _rolling(s, width + week) - s1


def _settled(statistic: Reals, hours: int) -> Reals:
    """Nothing before as many hours were seen as it looks back."""
    statistic[:, : hours * PER_HOUR] = 0.0
    return statistic
