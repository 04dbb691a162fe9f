"""What is measured: false alarms, delays, young versions, rivals, and what it costs. Each is a function of a seed."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from keeprate.deploy.monitor.drifting import chosen
from keeprate.streams.quality.baseline import fit
from keeprate.streams.quality.detector import Policy, State, Stratum, evidence_ratio, score, score_all
from tests.drift import rivals
from tests.drift.ours import REFERENCE_DAYS, SERIES, Fleet, at_day, counted, hourly
from tests.drift.worlds import LEVEL, PER_DAY, PER_HOUR, WORLDS, Counts, Reals, Traffic

VOLUMES: Final = (50, 200, 1000)
"""Trials an hour."""
SCORED_DAYS: Final = 28
CHANGE: Final = float(np.log(0.25 / 0.75) - np.log(0.30 / 0.70))
"""0.30 to 0.25, in log odds."""
POLICY: Final = Policy()
WATCHED_H: Final = 21 * 24
"""How long a change is waited for."""
_SETTLED_DAYS: Final = 2
"""Days that are scored before the change, so that the evidence is what it is on any day."""


@dataclass(frozen=True)
class Place:
    """A world and a volume; split: whether its strata are told apart."""

    world: str
    per_hour: int
    split: bool = True

    def traffic(
        self, generator: np.random.Generator, replicates: int, days: int, shift: Reals | None = None
    ) -> Traffic:
        """Traffic as the detector gets it."""
        found = WORLDS[self.world].traffic(generator, replicates, days, self.per_hour, shift)
        return found if self.split else found.pooled


@dataclass(frozen=True)
class Alarms:
    """How many alarms in how many series-days."""

    count: int
    series_days: int

    def __add__(self, other: "Alarms") -> "Alarms":
        return Alarms(self.count + other.count, self.series_days + other.series_days)

    @property
    def per_1000_days(self) -> float:
        """False alarms of a thousand days of one series."""
        return 1000 * self.count / self.series_days


def false_alarms(place: Place, policy: Policy, replicates: int, seed: int) -> Alarms:
    """In 28 days without a change, after a reference of 28."""
    traffic = place.traffic(np.random.default_rng(seed), replicates, REFERENCE_DAYS + SCORED_DAYS)
    return Alarms(sum(1 for _ in Fleet(traffic, policy).alarms()), replicates * SCORED_DAYS)


def delays(place: Place, policy: Policy, replicates: int, seed: int, days: int = WATCHED_H // 24) -> list[float]:
    """Hours from the change to the first alarm that a fall is seen; infinite where there is none in so many days."""
    generator = np.random.default_rng(seed)
    changed, shift = changes(generator, replicates, days)
    return _found(place.traffic(generator, replicates, shift.shape[1] // PER_DAY, shift), changed, policy)


def _found(traffic: Traffic, changed: Counts, policy: Policy) -> list[float]:
    found = [float("inf")] * len(changed)
    for alarm in Fleet(traffic, policy).alarms():
        after = alarm.window - int(changed[alarm.replicate]) + 1
        if alarm.side == 0 and after > 0:
            found[alarm.replicate] = min(found[alarm.replicate], after / PER_HOUR)
    return found


def changes(generator: np.random.Generator, replicates: int, days: int) -> tuple[Counts, Reals]:
    """In which window each replicate changes, at any time of a day of the week; and the shift of its log odds."""
    begin = (REFERENCE_DAYS + _SETTLED_DAYS) * PER_DAY
    changed = begin + generator.integers(0, PER_DAY, replicates)
    windows = begin + (1 + days) * PER_DAY
    return changed, np.where(np.arange(windows) >= changed[:, None], CHANGE, 0.0)


def young_false_alarms(place: Place, replicates: int, seed: int, days: int = 14) -> Alarms:
    """Of a version of the same rate as its parent, which is 29 days old: in its first days, after one to learn from."""
    traffic = place.traffic(np.random.default_rng(seed), replicates, REFERENCE_DAYS + days)
    count = sum(1 for _ in Fleet(traffic, born_day=REFERENCE_DAYS).alarms())
    return Alarms(count, replicates * (days - 1))


@dataclass(frozen=True)
class Delay:
    """Median and ninth decile, hours; infinite where fewer were found. mean: of what was not found, `WATCHED_H`."""

    median: float
    p90: float
    mean: float

    @classmethod
    def of(cls, hours: Sequence[float]) -> "Delay":
        """The delay of so many replicates."""
        found = sorted(hours)
        mean = sum(min(each, WATCHED_H) for each in found) / len(found)
        return cls(found[(len(found) - 1) // 2], found[-(-9 * len(found) // 10) - 1], mean)


def rival(name: str, per_hour: int, replicates: int, seed: int) -> Delay:
    """A rival's delay, tuned to one false alarm in a thousand days of iid traffic at this volume."""
    null, after, changed = _shared(per_hour, replicates, seed)
    best, scored = Delay.of([float("inf")]), 2 * SCORED_DAYS
    for statistic in (rivals.RIVALS | rivals.TOLD)[name]:
        quiet = statistic(*_counts(null))[:, SCORED_DAYS * PER_DAY :]
        alarm = statistic(*_counts(after)) >= rivals.threshold(quiet, replicates * scored / 1000)
        found = [_first(row[at:]) for row, at in zip(alarm, changed, strict=True)]
        best = min(best, Delay.of(found), key=lambda delay: delay.mean)
    return best


def tuned(per_hour: int, days: float, replicates: int, seed: int) -> list[float]:
    """The detector's delays in the traffic of its rivals, with as many days between false alarms as they have."""
    _, after, changed = _shared(per_hour, replicates, seed)
    return _found(after, changed, Policy(days))


def _shared(per_hour: int, replicates: int, seed: int) -> tuple[Traffic, Traffic, Counts]:
    """What all rivals of a seed see: traffic without a change, traffic with one, and when that is."""
    place, generator = Place("iid", per_hour, split=False), np.random.default_rng(seed)
    null = place.traffic(generator, replicates, 3 * SCORED_DAYS)
    changed, shift = changes(generator, replicates, WATCHED_H // 24)
    return null, place.traffic(generator, replicates, shift.shape[1] // PER_DAY, shift), changed


def _counts(traffic: Traffic) -> tuple[Counts, Counts, Reals]:
    n, s = traffic.trials[:, :, 0], traffic.successes[:, :, 0]
    known = SCORED_DAYS * PER_DAY
    return n, s, s[:, :known].sum(1) / n[:, :known].sum(1)


def _first(alarm: Counts) -> float:
    at = np.flatnonzero(alarm)
    return (int(at[0]) + 1) / PER_HOUR if len(at) else float("inf")


def adwin_alarms(delta: float, per_hour: int, replicates: int, seed: int) -> Alarms:
    """ADWIN's false alarms on iid events, after a week of them. Raises ImportError where river is not installed."""
    generator, quiet = np.random.default_rng(seed), 7 * PER_DAY
    n, s, _ = _counts(Place("iid", per_hour).traffic(generator, replicates, SCORED_DAYS + 7))
    found = [
        t for row in range(replicates) for t in rivals.Adwin(delta).alarms(n[row], s[row], generator) if t >= quiet
    ]
    return Alarms(len(found), replicates * SCORED_DAYS)


def adwin_delays(delta: float, per_hour: int, replicates: int, seed: int, rows: range) -> list[float]:
    """Hours from the change to ADWIN's first alarm, in some rows of the traffic of the other rivals."""
    generator = np.random.default_rng(seed)
    _, traffic, changed = _shared(per_hour, replicates, seed)
    n, s, _ = _counts(traffic)
    found = []
    for row in rows:
        at = int(changed[row])
        after = (t for t in rivals.Adwin(delta).alarms(n[row], s[row], generator) if t >= at)
        found.append(next(((t - at + 1) / PER_HOUR for t in after), float("inf")))
    return found


@dataclass(frozen=True)
class Cost:
    """CPU seconds to refit and to score so many series over 28 days, and microseconds of one window's scoring.

    load: of the machine meanwhile, the mean of the last minute of it.
    """

    series: int
    refit_s: float
    score_s: float
    score_us: float
    load: float


def cost(series: int, seed: int) -> Cost:
    """Every day a new baseline, every window scored, by the shipped functions, in one process."""
    traffic = Place("seasonal", 200).traffic(np.random.default_rng(seed), 10, REFERENCE_DAYS + SCORED_DAYS)
    hours = [hourly(traffic, each) for each in range(10)]
    windows = [counted(traffic, each) for each in range(10)]
    refit_s = score_s = 0.0
    for each in range(series):
        state = State()
        for day in range(REFERENCE_DAYS, REFERENCE_DAYS + SCORED_DAYS):
            started = time.process_time()
            reference = {SERIES: hours[each % 10][(day - REFERENCE_DAYS) * 24 : day * 24]}
            baseline, _ = chosen(SERIES, reference, at_day(day))
            fitted = time.process_time()
            assert baseline is not None
            day_of = windows[each % 10][day * PER_DAY : (day + 1) * PER_DAY]
            state = score_all(state, ((found[0], baseline.scored(found)) for found in day_of), POLICY)
            refit_s += fitted - started
            score_s += time.process_time() - fitted
    score_us = 1e6 * score_s / (series * SCORED_DAYS * PER_DAY)
    return Cost(series, refit_s, score_s, score_us, os.getloadavg()[0])


def first_alarm(trials: int, successes: int, batches: int) -> tuple[int, str] | None:
    """Which batch of the same counts alarms against a known rate of 0.3, and that it fell or rose."""
    state = State()
    for batch in range(1, batches + 1):
        state = score(state, batch, [Stratum(trials, successes, LEVEL)], POLICY)
        for side, evidence in (("fell", state.fell), ("rose", state.rose)):
            if evidence_ratio(evidence, POLICY) >= 1:
                return batch, side
    return None


def replays_alike(seed: int) -> bool:
    """Whether scoring the same windows twice, from any of them on, gives the same state."""
    generator = np.random.default_rng(seed)
    windows = counted(Place("mix", 200).traffic(generator, 1, REFERENCE_DAYS + 1), 0)
    baseline = fit(windows[: 28 * PER_DAY])
    assert baseline is not None
    state = State()
    for found in windows:
        state = score(state, found[0], baseline.scored(found), POLICY)
    again = state
    for found in windows[int(generator.integers(len(windows))) :]:
        again = score(again, found[0], baseline.scored(found), POLICY)
    return again == state
