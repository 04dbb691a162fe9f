"""Worlds in which the detector is tried: trials and successes of five-minute windows, per stratum, as arrays.

Every world has a rate of about 0.30. What differs is how its counts vary where nothing has changed. The sizes are what
traffic of assistants shows, not what the detector was tuned to; each is named here once.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Reals = NDArray[np.float64]

WINDOW_S: Final = 300
PER_HOUR: Final = 12
PER_DAY: Final = 288
RATE: Final = 0.30
LEVEL: Final = float(np.log(RATE / (1 - RATE)))

NIGHT_VOLUME, WEEKEND_VOLUME = 0.8, 0.4
"""By how much the volume swings over the day, and what a weekend has of it."""
DAILY_SWING, WEEKEND_SHIFT = 0.30, -0.20
"""Log odds: the rate's swing over the day, and its shift on weekends."""
SESSION_EVENTS, SESSION_WINDOWS, LIKENESS = 6.0, 3, 0.233
"""A session's events, over how many windows they fall, and the correlation of two: a design effect of 2.4."""
DAY_SD: Final = 0.05
"""Log odds by which whole days differ: one percentage point."""
WANDER_SD, WANDER_HOURS = 0.05, 12.0
"""Log odds by which the rate wanders, and the time over which it forgets."""
MIX_RATES: Final = (0.15, 0.30, 0.45)
MIX_SD: Final = 0.1
"""Three strata (say languages), and by how much the log of their shares differs from day to day."""


@dataclass(frozen=True)
class Traffic:
    """Trials and successes by replicate, window and stratum. It begins on a Thursday, as the epoch did."""

    trials: Counts
    successes: Counts

    @property
    def pooled(self) -> "Traffic":
        """The same traffic with its strata added up."""
        return Traffic(self.trials.sum(2, keepdims=True), self.successes.sum(2, keepdims=True))


@dataclass(frozen=True)
class World:
    """What varies where nothing has changed."""

    season: bool = False
    sessions: bool = False
    days: bool = False
    wander: bool = False
    mix: bool = False

    def traffic(
        self, generator: np.random.Generator, replicates: int, days: int, per_hour: float, shift: Reals | None = None
    ) -> Traffic:
        """`days` of traffic in every replicate. shift: of the log odds, by replicate and window: the change to find."""
        windows = days * PER_DAY
        log_odds, volume = self._expected(generator, replicates, days, per_hour)
        if shift is not None:
            log_odds = log_odds + shift
        shares = self._shares(generator, replicates, days)
        trials, successes = [], []
        for j, rate in enumerate(MIX_RATES if self.mix else (RATE,)):
            offset = float(np.log(rate / (1 - rate))) - LEVEL
            draw = _clustered if self.sessions else _independent
            n, s = draw(generator, volume * shares[:, :, j], log_odds + offset)
            trials.append(n)
            successes.append(s)
        assert trials[0].shape == (replicates, windows)
        return Traffic(np.stack(trials, 2), np.stack(successes, 2))

    def _expected(
        self, generator: np.random.Generator, replicates: int, days: int, per_hour: float
    ) -> tuple[Reals, Reals]:
        """Log odds by replicate and window, and mean trials of a window."""
        windows = days * PER_DAY
        log_odds = np.full((replicates, windows), LEVEL)
        volume = np.full((1, windows), per_hour / PER_HOUR)
        if self.season:
            hour = np.arange(windows) / PER_HOUR
            weekend = (hour // 24 % 7 == 2) | (hour // 24 % 7 == 3)
            wave = np.cos(2 * np.pi * (hour - 14) / 24)
            log_odds += DAILY_SWING * wave + WEEKEND_SHIFT * weekend
            profile = (1 + NIGHT_VOLUME * wave) * np.where(weekend, WEEKEND_VOLUME, 1.0)
            volume = volume * profile / ((5 + 2 * WEEKEND_VOLUME) / 7)
        if self.days:
            log_odds += np.repeat(generator.normal(0, DAY_SD, (replicates, days)), PER_DAY, axis=1)
        if self.wander:
            log_odds += _wandering(generator, replicates, windows)
        return log_odds, volume

    def _shares(self, generator: np.random.Generator, replicates: int, days: int) -> Reals:
        if not self.mix:
            return np.ones((1, 1, 1))
        shares = np.exp(generator.normal(0, MIX_SD, (replicates, days, len(MIX_RATES))))
        return np.repeat(shares / shares.sum(2, keepdims=True), PER_DAY, axis=1)


WORLDS: Final = {
    "iid": World(),
    "seasonal": World(season=True),
    "cluster": World(sessions=True),
    "day-effect": World(days=True),
    "wandering": World(wander=True),
    "mix": World(mix=True),
    "all at once": World(season=True, sessions=True, days=True),
}


def _wandering(generator: np.random.Generator, replicates: int, windows: int) -> Reals:
    """An Ornstein-Uhlenbeck path, in its stationary state from the first window on."""
    keep = float(np.exp(-1 / (WANDER_HOURS * PER_HOUR)))
    steps = generator.normal(0, WANDER_SD * np.sqrt(1 - keep**2), (windows, replicates))
    path = np.empty((windows, replicates))
    value = generator.normal(0, WANDER_SD, replicates)
    for t in range(windows):
        value = keep * value + steps[t]
        path[t] = value
    return path.T


def _independent(generator: np.random.Generator, volume: Reals, log_odds: Reals) -> tuple[Counts, Counts]:
    trials = generator.poisson(np.broadcast_to(volume, log_odds.shape))
    return trials, generator.binomial(trials, 1 / (1 + np.exp(-log_odds)))


def _clustered(generator: np.random.Generator, volume: Reals, log_odds: Reals) -> tuple[Counts, Counts]:
    """Sessions with a propensity of their own, whose events fall in the window they begin in and the next ones."""
    replicates, windows = log_odds.shape
    trials, successes = np.zeros(log_odds.shape, np.int64), np.zeros(log_odds.shape, np.int64)
    spread = (1 - LIKENESS) / LIKENESS
    for each in range(replicates):
        begun = generator.poisson(np.broadcast_to(volume, log_odds.shape)[each] / SESSION_EVENTS)
        at = np.repeat(np.arange(windows), begun)
        rate = 1 / (1 + np.exp(-log_odds[each, at]))
        propensity = generator.beta(spread * rate, spread * (1 - rate))
        for lag in range(SESSION_WINDOWS):
            n = generator.poisson(SESSION_EVENTS / SESSION_WINDOWS, len(at))
            s = generator.binomial(n, propensity)
            place = np.minimum(at + lag, windows - 1)
            trials[each] += np.bincount(place, n, windows).astype(np.int64)
            successes[each] += np.bincount(place, s, windows).astype(np.int64)
    return trials, successes
