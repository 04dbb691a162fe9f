"""The baseline that `drift` scores against: a level, a profile over the week, and how far to trust both.

Fitted once a day from closed batches. More variance than independent trials have is paid for in the cheaper way: by
tempering the evidence, or by a margin around the rate. Pure, with the standard library alone.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import exp, log, sqrt
from typing import Final

from keeprate.streams.quality.detector import Stratum

HOUR_S: Final = 3600
DAY_S: Final = 86_400
DESIGN_SHIFT: Final = 0.25
"""The change, in log odds, whose detection is weighed when variance must be paid for: 0.30 to 0.25 is one."""
_SLOW_BLOCKS_H: Final = (6, 24)
_SLOW_MARGIN: Final = 2.5
_NEWTON_STEPS: Final = 20


@dataclass(frozen=True)
class Window:
    """A closed batch: when it began (seconds since the epoch), its trials and its successes."""

    at_s: int
    trials: int
    successes: int


@dataclass(frozen=True)
class Baseline:
    """What a series does when nothing has changed.

    log_odds: the level. cells: by hour of the week or of the day, the deviation from it, and that one's variance.
    dispersion: phi. margin: on the log odds. hourly_trials: the mean, which says what a cell's variance costs.
    """

    log_odds: float
    dispersion: float
    margin: float
    events: int
    hourly_trials: float
    cells: dict[int, tuple[float, float]] = field(default_factory=dict)
    cell_count: int = 1

    def stratum(self, window: Window) -> Stratum:
        """The window, against the rate that this baseline expects of its hour."""
        effect, variance = self.cells.get(_cell(window.at_s, self.cell_count), (0.0, 0.0))
        dispersion = self.dispersion + self.hourly_trials * _variance(self.log_odds) * variance
        return Stratum(window.trials, window.successes, self.log_odds + effect, self.margin, dispersion)


@dataclass(frozen=True)
class _Hour:
    at_s: int
    trials: int
    successes: int


def fit(windows: Iterable[Window]) -> Baseline | None:
    """The baseline of a reference; None where it holds no trial.

    Windows of an alarm or of a declared incident should not be among them.
    """
    hours = _hourly(windows)
    trials, successes = sum(each.trials for each in hours), sum(each.successes for each in hours)
    if not trials:
        return None
    level = _logit(successes, trials)
    cell_count = _cell_count(hours)
    dispersion = _dispersion(hours, cell_count)
    cells = _cells(hours, cell_count, level, dispersion)
    inflation, tau = _slow(hours, lambda at_s: level + cells.get(_cell(at_s, cell_count), (0.0, 0.0))[0], dispersion)
    margin = 0.0
    if tau and _SLOW_MARGIN * tau < DESIGN_SHIFT and (1 - _SLOW_MARGIN * tau / DESIGN_SHIFT) ** -2 < inflation:
        margin = _SLOW_MARGIN * tau
    else:
        dispersion *= inflation
    margin += sqrt(dispersion / (trials * _variance(level)))
    return Baseline(level, dispersion, margin, trials, trials / len(hours), cells, cell_count)


def inherit(parent: Baseline, windows: Iterable[Window]) -> Baseline | None:
    """A young version's baseline: its own level, with its parent's profile and dispersion; None without a trial.

    Its level is what its own windows say once the parent's profile is taken into account, and is as uncertain.
    """
    own = list(windows)
    trials, successes = sum(each.trials for each in own), sum(each.successes for each in own)
    if not trials:
        return None
    effects = [(each.trials, parent.cells.get(_cell(each.at_s, parent.cell_count), (0.0, 0.0))[0]) for each in own]
    level = _calibrated(_logit(successes, trials), effects, successes)
    margin = sqrt(parent.dispersion / (trials * _variance(level)))
    hourly = trials / len({each.at_s // HOUR_S for each in own})
    return Baseline(level, parent.dispersion, margin, trials, hourly, parent.cells, parent.cell_count)


def _hourly(windows: Iterable[Window]) -> list[_Hour]:
    sums: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for each in windows:
        if each.trials:
            hour = sums[each.at_s // HOUR_S * HOUR_S]
            hour[0] += each.trials
            hour[1] += each.successes
    return [_Hour(at_s, *sums[at_s]) for at_s in sorted(sums)]


def _cell_count(hours: Sequence[_Hour]) -> int:
    days = (hours[-1].at_s + HOUR_S - hours[0].at_s) / DAY_S
    return 168 if days >= 14 else 24 if days >= 4 else 1


def _cell(at_s: int, cell_count: int) -> int:
    return at_s // HOUR_S % cell_count


def _logit(successes: float, trials: float) -> float:
    return log((successes + 0.5) / (trials - successes + 0.5))


def _rate(log_odds: float) -> float:
    return 1 / (1 + exp(-log_odds))


def _variance(log_odds: float) -> float:
    """p (1 - p) of a rate."""
    rate = _rate(log_odds)
    return rate * (1 - rate)


def _grouped(hours: Iterable[_Hour], cell_count: int) -> dict[int, list[_Hour]]:
    groups: dict[int, list[_Hour]] = defaultdict(list)
    for each in hours:
        groups[_cell(each.at_s, cell_count)].append(each)
    return groups


def _dispersion(hours: Sequence[_Hour], cell_count: int) -> float:
    """Pearson's chi-squared of the hours within their cells, per degree of freedom; at least 1."""
    chi_squared, freedom = 0.0, 0
    for group in _grouped(hours, cell_count).values():
        trials, successes = sum(each.trials for each in group), sum(each.successes for each in group)
        if 0 < successes < trials:
            rate = successes / trials
            chi_squared += sum((each.successes - each.trials * rate) ** 2 / each.trials for each in group) / (
                rate * (1 - rate)
            )
            freedom += len(group) - 1
    return max(1.0, chi_squared / freedom) if freedom else 1.0


def _cells(hours: Sequence[_Hour], cell_count: int, level: float, dispersion: float) -> dict[int, tuple[float, float]]:
    """The cells' deviations from the level, shrunk towards it (DerSimonian-Laird), and their variances."""
    if cell_count == 1:
        return {}
    found: dict[int, tuple[int, float, float]] = {}
    for cell, group in _grouped(hours, cell_count).items():
        trials, successes = sum(each.trials for each in group), sum(each.successes for each in group)
        found[cell] = trials, _logit(successes, trials), dispersion / (trials * _variance(level))
    weights = {cell: 1 / variance for cell, (_, _, variance) in found.items()}
    total = sum(weights.values())
    mean = sum(weights[cell] * log_odds for cell, (_, log_odds, _) in found.items()) / total
    spread = sum(weights[cell] * (log_odds - mean) ** 2 for cell, (_, log_odds, _) in found.items())
    freedom = len(found) - 1
    if freedom < 1 or spread <= freedom + 2 * sqrt(2 * freedom):
        return {}
    tau_squared = (spread - freedom) / (total - sum(each**2 for each in weights.values()) / total)
    shrunk = {}
    for cell, (trials, log_odds, variance) in found.items():
        shrink = tau_squared / (tau_squared + variance)
        shrunk[cell] = trials, shrink * (log_odds - mean), shrink * variance
    # The mean of log odds is not the log odds of the mean: the cells are shifted so that they expect what was seen.
    successes = sum(each.successes for each in hours)
    shift = _calibrated(level, [(trials, effect) for trials, effect, _ in shrunk.values()], successes) - level
    return {cell: (effect + shift, variance) for cell, (_, effect, variance) in shrunk.items()}


def _calibrated(level: float, parts: Sequence[tuple[int, float]], successes: float) -> float:
    """The level at which parts, as trials and deviation, are expected to have so many successes; from a first guess."""
    trials = sum(each for each, _ in parts)
    # Half a success and half a failure more: a level exists even where there was none of either.
    target = (successes + 0.5) * trials / (trials + 1)
    for _ in range(_NEWTON_STEPS):
        expected = sum(each * _rate(level + effect) for each, effect in parts)
        slope = sum(each * _variance(level + effect) for each, effect in parts)
        level += max(-1.0, min(1.0, (target - expected) / slope))
    return level


def _slow(hours: Sequence[_Hour], log_odds_at: Callable[[int], float], dispersion: float) -> tuple[float, float]:
    """Wandering from day to day: by how much it inflates the variance of a block's sum, and its size in log odds."""
    inflation, tau = 1.0, 0.0
    for block_h in _SLOW_BLOCKS_H:
        blocks: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for each in hours:
            log_odds = log_odds_at(each.at_s)
            block = blocks[each.at_s // (block_h * HOUR_S)]
            block[0] += each.successes - each.trials * _rate(log_odds)
            block[1] += each.trials * _variance(log_odds)
        chi_squared = sum(residual**2 / (dispersion * information) for residual, information in blocks.values())
        count = len(blocks)
        if chi_squared > count + sqrt(2 * count) and chi_squared / count > inflation:
            inflation = chi_squared / count
            # A deviation d moves a block's sum by information × d, whose variance is dispersion × information.
            tau = sqrt((chi_squared - count) * dispersion / sum(information for _, information in blocks.values()))
    return inflation, tau
