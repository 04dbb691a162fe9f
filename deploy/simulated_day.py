"""A day at full load, by a sample: how busy each stage is, how long work waits, and what is too much for it.

Suggestions are drawn with the moments of their events, checks of a day later too, and counted by the minute; each of
the sample stands for many. Stages work off what comes to them with all that was measured of them (`sizing`), without
headroom; what one cannot do in a minute waits, and reaches the next stage later. Pure: chance is given.
"""

from dataclasses import dataclass
from math import comb, cos, pi
from random import Random
from typing import Final

from keeprate.deploy.sizing import JOIN_EVENTS_PER_S, SINK_ROWS_PER_S, Load, Size, size, stored_per_s

SAMPLE: Final = 50_000
BEHIND_S: Final = 60.0
"""A stage bends when its work waits longer than this."""
_MINUTES: Final = 24 * 60
_BUSIEST: Final = 15 * 60
_ANSWER_S: Final = 12.0
_HORIZONS_S: Final = (30, 120, 300, 600, 3_600, 86_400)
_SHOWN, _ANSWERED, _KEPT = 0.95, 0.9, 0.35


@dataclass(frozen=True)
class Stage:
    """What a stage can do. per_s: events a second, of all its processes together."""

    name: str
    per_s: float


@dataclass(frozen=True)
class Waited:
    """How a stage came through the day.

    busiest: the share of what it can do that came in its busiest minute. longest_s: how long work waited at most.
    behind_from, behind_until: the minutes of the day between which it waited longer than BEHIND_S, None for never.
    bends_at: suggestions a day from which on it does, everything else being as large as it has to be.
    """

    name: str
    busiest: float
    longest_s: float
    behind_from: int | None
    behind_until: int | None
    bends_at: int


def stages(load: Load, node_cores: int) -> list[Stage]:
    """What `size` plans for a load, with one ClickHouse of so many cores at most."""
    planned: Size = size(load, node_cores)
    return [
        Stage("workers", planned.workers * JOIN_EVENTS_PER_S),
        # Every event is a row, and so is at most one outcome for each.
        Stage("sinks", planned.sinks * SINK_ROWS_PER_S / 2),
        Stage("ClickHouse", stored_per_s(min(planned.store_cores, node_cores))),
    ]


def simulate(load: Load, rng: Random, node_cores: int = 32) -> list[Waited]:
    """The day, stage by stage, in the order in which events come through them."""
    arriving = arrivals(load, rng)
    found = []
    per_suggestion = [each / load.suggestions_per_day for each in arriving]
    for stage in stages(load, node_cores):
        bends_at = _bends_at(per_suggestion, stage)
        waits, arriving_next = _worked(arriving, stage)
        behind = [minute for minute, wait_s in enumerate(waits) if wait_s > BEHIND_S]
        busiest = max(arriving) / (60 * stage.per_s)
        since, until = (behind[0], behind[-1]) if behind else (None, None)
        found.append(Waited(stage.name, busiest, max(waits), since, until, bends_at))
        arriving = arriving_next
    return found


def first_to_bend(day: list[Waited]) -> Waited:
    """The stage that fewest suggestions a day are too many for."""
    return min(day, key=lambda each: each.bends_at)


def arrivals(load: Load, rng: Random, sample: int = SAMPLE) -> list[float]:
    """Events of each minute of a day like the one before it and the one after it."""
    counts = [0] * _MINUTES
    begins = _begins(load.peak, sample, rng)
    for at_s in begins:
        for later_s in _life(rng):
            counts[int((at_s + later_s) // 60) % _MINUTES] += 1
    # A load says how many events a suggestion has; the sample says when they come.
    weight = load.suggestions_per_day * load.events_each / sum(counts)
    return [count * weight for count in counts]


def _life(rng: Random) -> list[float]:
    """Seconds from a suggestion's first event to each of its events."""
    said = [0.0]
    if rng.random() < _SHOWN:
        said.append(0.5)
    if rng.random() < _ANSWERED:
        answered_s = _ANSWER_S * rng.lognormvariate(0, 1)
        said.append(answered_s)
        if rng.random() < _KEPT:
            said += [answered_s + horizon_s for horizon_s in _HORIZONS_S]
    return said


def _begins(peak: float, sample: int, rng: Random) -> list[float]:
    """When suggestions begin, evenly drawn from a day whose busiest moment has `peak` times the mean."""
    rates = _day(peak)
    each_rate = sample / sum(rates)
    begun: list[float] = []
    reached = 0.0
    for minute, rate in enumerate(rates):
        until = reached + rate * each_rate
        begun += [(minute + rng.random()) * 60 for _ in range(int(until) - int(reached))]
        reached = until
    return begun


def _day(peak: float) -> list[float]:
    """The rate of each minute against the mean: a night, and a hill in the afternoon as steep as the peak asks for."""
    steep = 1
    while (mean := comb(2 * steep, steep) / 4**steep) * peak > 1 and steep < 128:
        steep *= 2
    night = max(0.0, (1 - peak * mean) / (1 - mean))
    hills = [((1 + cos(2 * pi * (minute - _BUSIEST) / _MINUTES)) / 2) ** steep for minute in range(_MINUTES)]
    return [night + (peak - night) * hill for hill in hills]


def _worked(arriving: list[float], stage: Stage) -> tuple[list[float], list[float]]:
    """How long work waits at the end of each minute, and what is done in each. The day begins with nothing waiting."""
    waiting, waits, done = 0.0, [], []
    for count in arriving:
        waiting += count
        worked = min(waiting, 60 * stage.per_s)
        waiting -= worked
        waits.append(waiting / stage.per_s)
        done.append(worked)
    return waits, done


def _bends_at(per_suggestion: list[float], stage: Stage) -> int:
    """Suggestions a day, to one in a thousand."""
    low, high = 0.0, 86_400 * stage.per_s
    while high - low > high / 1_000:
        middle = (low + high) / 2
        waits, _ = _worked([each * middle for each in per_suggestion], stage)
        low, high = (middle, high) if max(waits) <= BEHIND_S else (low, middle)
    return int(low)
