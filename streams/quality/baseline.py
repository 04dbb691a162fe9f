"""The baseline that `detector` scores against: a level, a profile over the week, and how far to trust both.

Fitted once a day from closed batches. More variance than independent trials have is paid for in the cheaper way: by
tempering the evidence, or by a margin around the rate. Where windows say their strata (surfaces, languages), each has a
level of its own, so that a change of the mix is no evidence and hides none. Pure, with the standard library alone.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import exp, log, sqrt
from typing import Final, NamedTuple

from keeprate.streams.quality.detector import Stratum
from keeprate.streams.quality.odds import logit, rate_of, variance_at
from keeprate.streams.quality.strata import Counted, Levels, Part, added, folded, levels, mix_offset

HOUR_S: Final = 3600
DAY_S: Final = 86_400
DESIGN_SHIFT: Final = 0.25
"""The change, in log odds, whose detection is weighed when variance must be paid for: 0.30 to 0.25 is one."""
_SLOW_BLOCKS_H: Final = (6, 24)
_SLOW_ERRORS: Final = 1.0
"""From so many standard errors of chance on, variance between blocks is believed. Two were tried, with blocks of 12 and
48 hours beside and a tenth on top: docs/drift.md says why they are not taken."""
_SLOW_MARGIN: Final = 2.5
_NEWTON_STEPS: Final = 20
_NEWTON_PRECISION: Final = 1e-9


class Window(NamedTuple):
    """A closed batch: when it began (seconds since the epoch), its trials and its successes, and those by stratum."""

    at_s: int
    trials: int
    successes: int
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Baseline:
    """What a series does when nothing has changed.

    log_odds: the level. cells: by hour of the week or of the day, the deviation from it, and that one's variance.
    dispersion: phi. margin: on the log odds. hourly_trials: the mean, which says what a cell's variance costs.
    strata: by name, the deviation from the level, and the information (trials × p q) that it rests on.
    """

    log_odds: float
    dispersion: float
    margin: float
    events: int
    hourly_trials: float
    cells: dict[int, tuple[float, float]] = field(default_factory=dict)
    cell_count: int = 1
    strata: Levels = field(default_factory=dict)

    @property
    def information(self) -> float:
        """The reciprocal of the level's variance, on the log odds."""
        return self.events * variance_at(self.log_odds) / self.dispersion

    @property
    def wandering(self) -> float:
        """The part of the margin that pays for days which differ: without that of the level's own error."""
        return max(0.0, self.margin - sqrt(1 / self.information))

    def stratum(self, window: Counted) -> Stratum:
        """The window as a whole, against the rate that this baseline expects of its hour."""
        at_s, trials, successes, _ = window
        effect, dispersion = self._hour(at_s)
        return Stratum(trials, successes, self.log_odds + effect, self.margin, dispersion)

    def scored(self, window: Counted) -> list[Stratum]:
        """The window's strata, each against the rate that is expected of it; as a whole where either has none."""
        parts = folded(window[3], self.strata) if self.strata else ()
        if not parts:
            return [self.stratum(window)]
        effect, dispersion = self._hour(window[0])
        margin = self.margin + self._mix_margin(parts)
        return [
            Stratum(trials, successes, self.log_odds + self.strata[name][0] + effect, margin, dispersion)
            for name, trials, successes in parts
        ]

    def _hour(self, at_s: int) -> tuple[float, float]:
        if not self.cells:
            return 0.0, self.dispersion
        effect, variance = self.cells.get(_cell(at_s, self.cell_count), (0.0, 0.0))
        return effect, self.dispersion + self._hourly_information * variance

    @cached_property
    def _hourly_information(self) -> float:
        return self.hourly_trials * variance_at(self.log_odds)

    def _mix_margin(self, parts: Sequence[Part]) -> float:
        """What the uncertainty of these strata's levels adds to that of the whole, which `margin` holds already."""
        whole = sum(information for _, information in self.strata.values())
        trials = sum(each for _, each, _ in parts)
        squares = sum((each / trials) ** 2 / self.strata[name][1] for name, each, _ in parts)
        return max(0.0, sqrt(self.dispersion * squares) - sqrt(self.dispersion / whole))


_Hour = tuple[int, int, int, float]
"""When it began, its trials and successes, and by how much its mix of strata moves the log odds to expect."""
_Sums = tuple[int, int, float]
"""Trials, successes, and the mean offset of some hours."""


def fit(windows: Iterable[Counted]) -> Baseline | None:
    """The baseline of a reference; None where it holds no trial.

    Windows of an alarm or of a declared incident should not be among them.
    """
    found = _hourly(windows)
    trials, successes = sum([each[1] for each in found]), sum([each[2] for each in found])
    if not trials:
        return None
    level = logit(successes, trials)
    strata = levels(found, level)
    hours = [(at_s, n, s, mix_offset(parts, level, strata) if strata else 0.0) for at_s, n, s, parts in found]
    cell_count = _cell_count(hours)
    groups = _grouped(hours, cell_count)
    sums = {cell: _summed(group) for cell, group in groups.items()}
    dispersion = _dispersion(groups, sums)
    cells = _cells(sums, level, dispersion, successes)
    effects = {cell: effect for cell, (effect, _) in cells.items()}
    residuals = _residuals(hours, level, effects, cell_count)
    inflation, tau = _slow(residuals, dispersion)
    margin = 0.0
    if tau and _SLOW_MARGIN * tau < DESIGN_SHIFT and (1 - _SLOW_MARGIN * tau / DESIGN_SHIFT) ** -2 < inflation:
        margin = _SLOW_MARGIN * tau
    else:
        dispersion *= inflation
    margin += sqrt(dispersion / (trials * variance_at(level)))
    return Baseline(level, dispersion, margin, trials, trials / len(hours), cells, cell_count, strata)


def inherit(parent: Baseline, windows: Iterable[Counted]) -> Baseline | None:
    """A young version's baseline: its own level, with its parent's profile and dispersion; None without a trial.

    Its level is what its own windows say once the parent's profile and strata are taken into account, and is as
    uncertain: also by how much its few days may differ from the next ones.
    """
    own = _hourly(windows)
    trials, successes = sum([each[1] for each in own]), sum([each[2] for each in own])
    if not trials:
        return None
    effects = []
    for at_s, n, _, parts in own:
        effect, _ = parent.cells.get(_cell(at_s, parent.cell_count), (0.0, 0.0))
        effects.append((n, effect + mix_offset(parts, parent.log_odds, parent.strata)))
    level = calibrated(logit(successes, trials), effects, successes)
    days = (own[-1][0] - own[0][0] + HOUR_S) / DAY_S
    margin = sqrt(parent.dispersion / (trials * variance_at(level))) + parent.wandering * sqrt(1 + 1 / days)
    hourly = trials / len(own)
    return Baseline(level, parent.dispersion, margin, trials, hourly, parent.cells, parent.cell_count, parent.strata)


def _hourly(windows: Iterable[Counted]) -> list[Counted]:
    """The windows that have trials, by hour, in order."""
    hours: dict[int, tuple[int, int]] = {}
    parts: dict[int, list[Part]] = defaultdict(list)
    for at_s, trials, successes, strata in windows:
        if trials:
            at_s -= at_s % HOUR_S
            before = hours.get(at_s)
            hours[at_s] = (before[0] + trials, before[1] + successes) if before else (trials, successes)
            if strata:
                parts[at_s] += strata
    if not parts:
        return [(at_s, *hours[at_s], ()) for at_s in sorted(hours)]
    return [(at_s, *hours[at_s], added(parts[at_s])) for at_s in sorted(hours)]


def _cell_count(hours: Sequence[_Hour]) -> int:
    days = (hours[-1][0] + HOUR_S - hours[0][0]) / DAY_S
    return 168 if days >= 14 else 24 if days >= 4 else 1


def _cell(at_s: int, cell_count: int) -> int:
    return at_s // HOUR_S % cell_count


def _grouped(hours: Iterable[_Hour], cell_count: int) -> dict[int, list[_Hour]]:
    groups: dict[int, list[_Hour]] = defaultdict(list)
    for each in hours:
        groups[each[0] // HOUR_S % cell_count].append(each)
    return groups


def _summed(hours: Iterable[_Hour]) -> _Sums:
    trials, successes, offset = 0, 0, 0.0
    for _, n, s, moved in hours:
        trials += n
        successes += s
        offset += n * moved
    return trials, successes, offset / trials


def _dispersion(groups: dict[int, list[_Hour]], sums: dict[int, _Sums]) -> float:
    """Pearson's chi-squared of the hours within their cells, per degree of freedom; at least 1.

    Nothing is believed of an excess that is no larger than its standard error, and all of it from two on.
    """
    chi_squared, freedom = 0.0, 0
    for cell, group in groups.items():
        trials, successes, offset = sums[cell]
        if 0 < successes < trials:
            level = log(successes / (trials - successes)) - offset
            for _, n, s, moved in group:
                rate = 1 / (1 + exp(-level - moved))
                chi_squared += (s - n * rate) ** 2 / (n * rate * (1 - rate))
            freedom += len(group) - 1
    if not freedom:
        return 1.0
    excess = chi_squared / freedom - 1
    return 1 + excess * min(1.0, max(0.0, excess / sqrt(2 / freedom) - 1))


def _cells(sums: dict[int, _Sums], level: float, dispersion: float, successes: int) -> dict[int, tuple[float, float]]:
    """The cells' deviations from the level, shrunk towards it (DerSimonian-Laird), and their variances."""
    freedom = len(sums) - 1
    if freedom < 1:
        return {}
    found: dict[int, tuple[int, float, float]] = {}
    information = variance_at(level)
    for cell, (trials, kept, offset) in sums.items():
        found[cell] = trials, logit(kept, trials) - offset, dispersion / (trials * information)
    weights = [1 / variance for _, _, variance in found.values()]
    total = sum(weights)
    mean = sum(weight * log_odds for weight, (_, log_odds, _) in zip(weights, found.values(), strict=True)) / total
    spread = sum(
        weight * (log_odds - mean) ** 2 for weight, (_, log_odds, _) in zip(weights, found.values(), strict=True)
    )
    if spread <= freedom + 2 * sqrt(2 * freedom):
        return {}
    tau_squared = (spread - freedom) / (total - sum(each**2 for each in weights) / total)
    shrunk = {}
    for cell, (_, log_odds, variance) in found.items():
        shrink = tau_squared / (tau_squared + variance)
        shrunk[cell] = shrink * (log_odds - mean), shrink * variance
    # The mean of log odds is not the log odds of the mean: the cells are shifted so that they expect what was seen.
    parts = [
        (trials, offset + effect)
        for (effect, _), (trials, _, offset) in zip(shrunk.values(), sums.values(), strict=True)
    ]
    shift = calibrated(level, parts, successes) - level
    return {cell: (effect + shift, variance) for cell, (effect, variance) in shrunk.items()}


def calibrated(level: float, parts: Sequence[tuple[float, float]], successes: float) -> float:
    """The level at which parts, as trials and deviation, are expected to have so many successes; from a first guess."""
    trials = sum(each for each, _ in parts)
    # Half a success and half a failure more: a level exists even where there was none of either.
    target = (successes + 0.5) * trials / (trials + 1)
    for _ in range(_NEWTON_STEPS):
        expected = slope = 0.0
        for each, effect in parts:
            rate = rate_of(level + effect)
            expected += each * rate
            slope += each * rate * (1 - rate)
        step = max(-1.0, min(1.0, (target - expected) / slope))
        level += step
        if abs(step) < _NEWTON_PRECISION:
            break
    return level


def _residuals(
    hours: Iterable[_Hour], level: float, effects: dict[int, float], cell_count: int
) -> dict[int, tuple[float, float]]:
    """By block of the shortest length: successes beyond those expected, and the information they rest on."""
    blocks: dict[int, tuple[float, float]] = {}
    length_s = _SLOW_BLOCKS_H[0] * HOUR_S
    for at_s, n, s, offset in hours:
        rate = 1 / (1 + exp(-level - offset - effects.get(at_s // HOUR_S % cell_count, 0.0)))
        block = at_s // length_s
        residual, information = blocks.get(block, (0.0, 0.0))
        blocks[block] = residual + s - n * rate, information + n * rate * (1 - rate)
    return blocks


def _slow(blocks: dict[int, tuple[float, float]], dispersion: float) -> tuple[float, float]:
    """Wandering from day to day: by how much it inflates the variance of a block's sum, and its size in log odds."""
    inflation, tau = 1.0, 0.0
    for length_h in _SLOW_BLOCKS_H:
        sums: dict[int, tuple[float, float]] = {}
        for block, (residual, information) in blocks.items():
            before = sums.get(block * _SLOW_BLOCKS_H[0] // length_h, (0.0, 0.0))
            sums[block * _SLOW_BLOCKS_H[0] // length_h] = before[0] + residual, before[1] + information
        chi_squared = sum(residual**2 / (dispersion * information) for residual, information in sums.values())
        count = len(sums)
        if chi_squared > count + _SLOW_ERRORS * sqrt(2 * count) and chi_squared / count > inflation:
            inflation = chi_squared / count
            # A deviation d moves a block's sum by information × d, whose variance is dispersion × information.
            tau = sqrt((chi_squared - count) * dispersion / sum(information for _, information in sums.values()))
    return inflation, tau
