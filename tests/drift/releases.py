"""Releases: how many harmless ones are ever called worse or better, and how soon a bad one is found."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from keeprate.streams.quality.baseline import Window
from keeprate.streams.quality.evidence import Promise
from keeprate.streams.quality.successor import compare
from tests.drift.ours import hourly
from tests.drift.worlds import LEVEL, PER_DAY, WORLDS

BEFORE_DAYS: Final = 28
AFTER_DAYS: Final = 28
HARMLESS_WORLDS: Final = ("iid", "seasonal", "cluster", "wandering", "mix", "all at once")
PER_HOUR: Final = 200
ACCEPTS_PER_HOUR: Final = 30
KEPT, BADLY_KEPT = 0.85, 0.55
"""Retention of the version before and of a bad one."""
_HOUR_S: Final = 3600


@dataclass(frozen=True)
class Releases:
    """How many were alarmed, of how many; trials: of the new version until then, of those that were."""

    alarmed: int
    count: int
    trials: tuple[int, ...]

    def __add__(self, other: "Releases") -> "Releases":
        return Releases(self.alarmed + other.alarmed, self.count + other.count, self.trials + other.trials)

    @property
    def share(self) -> float:
        """Of the releases that were alarmed."""
        return self.alarmed / self.count

    @property
    def median_trials(self) -> float:
        """Until the alarm; infinite where fewer than half were alarmed."""
        found = sorted([*self.trials, *[float("inf")] * (self.count - self.alarmed)])
        return found[(len(found) - 1) // 2]


def harmless(world: str, replicates: int, seed: int) -> Releases:
    """Looked at after every hour of four weeks, by both sides."""
    return _released(world, PER_HOUR, LEVEL, LEVEL, replicates, seed)


def bad(world: str, replicates: int, seed: int) -> Releases:
    """Retention of 0.55 where it was 0.85, from the first event on."""
    return _released(world, ACCEPTS_PER_HOUR, _log_odds(KEPT), _log_odds(BADLY_KEPT), replicates, seed)


def _released(world: str, per_hour: float, before: float, after: float, replicates: int, seed: int) -> Releases:
    days = BEFORE_DAYS + AFTER_DAYS
    level = np.where(np.arange(days * PER_DAY) < BEFORE_DAYS * PER_DAY, before, after) - LEVEL
    shift = np.broadcast_to(level, (replicates, len(level)))
    # Versions are compared as wholes: what their strata had is not counted apart.
    traffic = WORLDS[world].traffic(np.random.default_rng(seed), replicates, days, per_hour, shift).pooled
    threshold = Promise().log_threshold
    trials = []
    for each in range(replicates):
        hours = [Window(*found) for found in hourly(traffic, each)]
        path = compare(hours[: BEFORE_DAYS * 24], hours[BEFORE_DAYS * 24 :], _HOUR_S, "fell").path
        trials += [looked.trials for looked in path if max(looked.fell, looked.rose) >= threshold][:1]
    return Releases(len(trials), replicates, tuple(trials))


def _log_odds(rate: float) -> float:
    return float(np.log(rate / (1 - rate)))
