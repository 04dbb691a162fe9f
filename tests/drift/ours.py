"""The shipped detector over many replicates at once: its own baselines, its own thresholds, the sums as arrays.

As the monitor does, each replicate is a series whose baseline is fitted anew every midnight by `chosen`, unless a
change is suspected. After an alarm the evidence is forgotten, so that every alarm is counted and none twice.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from keeprate.deploy.monitor.drifting import FROZEN_ABOVE, chosen
from keeprate.sinks.closed.drift_states import Series, Windows
from keeprate.sinks.closed.watched import Counted
from keeprate.streams.quality.baseline import DAY_S, HOUR_S, Baseline, Window
from keeprate.streams.quality.detector import CAP, ODDS_RATIOS, WEIGHTS, Policy
from tests.drift.worlds import PER_DAY, PER_HOUR, WINDOW_S, Counts, Reals, Traffic

REFERENCE_DAYS: Final = 29
"""Days before the first that is scored: 28 of the reference, and one that is in none."""
_SIGNS: Final = np.array([[1.0], [-1.0]])
_GAINS: Final = _SIGNS * np.log(ODDS_RATIOS)
_WEIGHTS: Final = np.array(WEIGHTS)
STRATA: Final = ("en", "de", "fr")
SERIES: Final[Series] = ("app", "prompt", "2", "model", "acceptance")
PARENT: Final[Series] = ("app", "prompt", "1", "model", "acceptance")


@dataclass(frozen=True)
class Alarm:
    """One alarm: of which replicate, in which window, and of which side (0 fell, 1 rose)."""

    replicate: int
    window: int
    side: int


@dataclass
class Fleet:
    """Series of one traffic, and where each stands. born_day: before it, the traffic is that of a parent version."""

    traffic: Traffic
    policy: Policy = field(default_factory=Policy)
    born_day: int = 0
    log_r: Reals = field(init=False)
    baselines: list[Baseline | None] = field(init=False)

    def __post_init__(self) -> None:
        replicates = len(self.traffic.trials)
        self.log_r = np.full((replicates, 2, len(ODDS_RATIOS)), -np.inf)
        self.baselines = [None] * replicates
        self._hourly = [hourly(self.traffic, each) for each in range(replicates)]

    def alarms(self, since_day: int = REFERENCE_DAYS) -> Iterator[Alarm]:
        """Score from a day on, to the end, and tell of every alarm."""
        for day in range(since_day, self.traffic.trials.shape[1] // PER_DAY):
            self._refit(day)
            yield from self._score(day)

    def ratios(self) -> Reals:
        """R / 2A by replicate and side."""
        largest = np.maximum(self.log_r.max(2), -1e300)
        mixture = (_WEIGHTS * np.exp(self.log_r - largest[:, :, None])).sum(2)
        with np.errstate(divide="ignore"):
            ratios: Reals = np.exp(largest + np.log(mixture) - np.log(self.policy.threshold))
        return ratios

    def _refit(self, day: int) -> None:
        suspected = self.ratios().max(1) > FROZEN_ABOVE
        for each, hours in enumerate(self._hourly):
            if self.baselines[each] is None or not suspected[each]:
                self.baselines[each], _ = chosen(SERIES, self._reference(hours, day), at_day(day))

    def _reference(self, hours: Sequence[Counted], day: int) -> Windows:
        since, born = max(0, day - REFERENCE_DAYS) * 24, self.born_day * 24
        return {PARENT: list(hours[since:born]), SERIES: list(hours[max(since, born) : day * 24])}

    def _score(self, day: int) -> Iterator[Alarm]:
        begin = day * PER_DAY
        trials = self.traffic.trials[:, begin : begin + PER_DAY].sum(2)
        fitted = np.array([each is not None for each in self.baselines])
        gains = log_likelihood_ratios(self.baselines, self.traffic, day)
        for t in range(PER_DAY):
            active = (trials[:, t] > 0) & fitted
            self.log_r[active] = np.logaddexp(0.0, self.log_r[active]) + gains[active, t]
            ratios = self.ratios()
            excess = np.log(np.maximum(ratios / CAP, 1.0))
            self.log_r -= excess[:, :, None]
            if (ratios >= 1).any():
                for replicate, side in zip(*np.nonzero(ratios >= 1), strict=True):
                    yield Alarm(int(replicate), begin + t, int(side))
                self.log_r[(ratios >= 1).any(1)] = -np.inf


def log_likelihood_ratios(baselines: Sequence[Baseline | None], traffic: Traffic, day: int) -> Reals:
    """A day's log likelihood ratios by replicate, window, side and odds ratio; 0 where there is no baseline."""
    begin = day * PER_DAY
    n = traffic.trials[:, begin : begin + PER_DAY]
    s = traffic.successes[:, begin : begin + PER_DAY]
    hours = [[_hour(baseline, day * DAY_S + hour * HOUR_S) for hour in range(24)] for baseline in baselines]
    log_odds, margin, dispersion = np.repeat(np.array(hours), PER_HOUR, axis=1).transpose(2, 0, 1)
    levels, information = np.array([_levels(each, n.shape[2]) for each in baselines]).transpose(1, 0, 2)
    tempered = np.array([1.0 if each is None else each.dispersion for each in baselines])
    margin = margin + _mix_margin(n, information, tempered)
    gains = np.zeros((*n.shape[:2], *_GAINS.shape))
    for j in range(n.shape[2]):
        null = (_SIGNS[:, 0] * margin[:, :, None]) - (log_odds + levels[:, None, j])[:, :, None]
        cost = np.log1p(np.expm1(_GAINS) / (1 + np.exp(null))[:, :, :, None])
        gains += s[:, :, j, None, None] * _GAINS - n[:, :, j, None, None] * cost
    gains /= dispersion[:, :, None, None]
    gains[[each is None for each in baselines]] = 0.0
    return gains


def _mix_margin(n: Counts, information: Reals, dispersion: Reals) -> Reals | float:
    """As `Baseline._mix_margin`, by replicate and window."""
    if n.shape[2] == 1:
        return 0.0
    shares = n / np.maximum(n.sum(2, keepdims=True), 1)
    squares = (shares**2 / information[:, None]).sum(2)
    mixed, whole = np.sqrt(dispersion[:, None] * squares), np.sqrt(dispersion / information.sum(1))
    margin: Reals = np.maximum(0.0, mixed - whole[:, None])
    return margin


def _hour(baseline: Baseline | None, at_s: int) -> tuple[float, float, float]:
    if baseline is None:
        return 0.0, 0.0, 1.0
    stratum = baseline.stratum(Window(at_s, 1, 0))
    return stratum.log_odds, stratum.margin, stratum.dispersion


def _levels(baseline: Baseline | None, strata: int) -> tuple[list[float], list[float]]:
    """Of each stratum, the deviation from the level and its information."""
    if baseline is None or strata == 1:
        return [0.0] * strata, [1.0] * strata
    levels, information = zip(*(baseline.strata[name] for name in STRATA[:strata]), strict=True)
    return list(levels), list(information)


def counted(traffic: Traffic, replicate: int, every: int = 1) -> list[Counted]:
    """A replicate's windows, so many added up, as the monitor reads them."""
    shape = (-1, every, traffic.trials.shape[2])
    n, s = (each[replicate].reshape(shape).sum(1) for each in (traffic.trials, traffic.successes))
    found: list[Counted] = []
    for at, (trials, successes) in enumerate(zip(n.tolist(), s.tolist(), strict=True)):
        parts = tuple(zip(STRATA, trials, successes, strict=False)) if len(trials) > 1 else ()
        found.append((at * every * WINDOW_S, sum(trials), sum(successes), parts))
    return found


def hourly(traffic: Traffic, replicate: int) -> list[Counted]:
    """A replicate's hours: the reference, as the monitor reads it."""
    return counted(traffic, replicate, PER_HOUR)


def at_day(day: int) -> datetime:
    """The midnight at which a day begins."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)
