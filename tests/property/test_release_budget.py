"""Verdicts on releases keep their promise, and still find what is bad, in a small simulation of its own.

The worlds have what real traffic has: a rhythm of the day, sessions that share a propensity, users who lean one way.
"""

import math
import random
from collections.abc import Callable, Iterator

import pytest

from keeprate.streams.quality import concurrent, successor
from keeprate.streams.quality.baseline import DAY_S, HOUR_S, Window
from keeprate.streams.quality.concurrent import Hour, UserTrials
from keeprate.streams.quality.evidence import Comparison, Promise

PROMISE = Promise()
World = Callable[[random.Random, float], Comparison]
BEFORE_DAYS, AFTER_DAYS = 14, 7
KEPT, BADLY_KEPT = 0.85, 0.55


def rate(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def logit(share: float) -> float:
    return math.log(share / (1 - share))


def rhythm(at_s: int) -> float:
    return math.cos(at_s // HOUR_S * math.tau / 24)


def windows(generator: random.Random, since_s: int, days: int, kept: float, per_hour: float) -> Iterator[Window]:
    """Hours of sessions of about four, each with its own propensity, in a rhythm that moves traffic and rate."""
    for at_s in range(since_s, since_s + days * DAY_S, HOUR_S):
        trials = successes = 0
        sessions = per_hour / 4 * (1 + 0.7 * rhythm(at_s))
        for _ in range(int(sessions + generator.random())):
            size = 1 + int(generator.expovariate(1 / 3))
            share = rate(logit(kept) + 0.3 * rhythm(at_s) + generator.gauss(0, 0.8))
            trials += size
            successes += sum(generator.random() < share for _ in range(size))
        yield Window(at_s, trials, successes)


def successor_of(generator: random.Random, kept: float, per_hour: float = 12) -> Comparison:
    before = list(windows(generator, 0, BEFORE_DAYS, KEPT, per_hour))
    after = list(windows(generator, BEFORE_DAYS * DAY_S, AFTER_DAYS, kept, per_hour))
    return successor.compare(before, after, HOUR_S, "fell")


def side_by_side(generator: random.Random, kept: float, per_hour: float = 12) -> Comparison:
    """Sixty users who lean, of whom a tenth and then half have the new version, as in the demo."""
    leanings = [generator.gauss(0, 0.35) for _ in range(60)]
    people = [[0, 0, 0, 0] for _ in leanings]
    hours = []
    for at_s in range(0, AFTER_DAYS * DAY_S, HOUR_S):
        sums = [0, 0, 0, 0]
        for _ in range(int(per_hour * (1 + 0.7 * rhythm(at_s)) + generator.random())):
            user = generator.randrange(len(leanings))
            new = user < (6 if at_s < DAY_S else 30)
            share = rate(logit(kept if new else KEPT) + leanings[user] + 0.3 * rhythm(at_s))
            counted = (1, int(generator.random() < share))
            for at, number in enumerate(counted, start=0 if new else 2):
                sums[at] += number
                people[user][at] += number
        hours.append(Hour(at_s + HOUR_S, *sums))
    return concurrent.compare(hours, concurrent.design_effect([UserTrials(*each) for each in people]), "fell")


def ever(compared: Comparison) -> bool:
    """Whether it was called worse or better after any window, by whoever looked after each."""
    return any(max(each.fell, each.rose) >= PROMISE.log_threshold for each in compared.path)


def trials_until_found(compared: Comparison) -> int:
    return next((each.trials for each in compared.path if each.fell >= PROMISE.log_threshold), 10**9)


@pytest.mark.slow
@pytest.mark.parametrize("world", [successor_of, side_by_side])
def test_harmless_releases_are_rarely_called_anything(world: World) -> None:
    """Of 200 that are as good as what they replace, two may be, by the promise; seven are beyond chance (p < 0.005)."""
    generator = random.Random(20261115)
    assert sum(ever(world(generator, KEPT)) for _ in range(200)) <= 6


@pytest.mark.slow
@pytest.mark.parametrize("world", [successor_of, side_by_side])
def test_a_release_as_bad_as_the_demos_is_found_within_300_accepts(world: World) -> None:
    """85 % kept before and 55 % after: the median of 25 releases, in matured accepts of the new version."""
    generator = random.Random(20261115)
    found = sorted(trials_until_found(world(generator, BADLY_KEPT)) for _ in range(25))
    assert found[12] <= 300


@pytest.mark.slow
@pytest.mark.parametrize("world", [successor_of, side_by_side])
def test_the_interval_holds_the_difference(world: World) -> None:
    """At 95 %, whenever it is looked at: at most three of 30 miss what was simulated."""
    generator = random.Random(20261115)
    missed = 0
    for _ in range(30):
        difference = world(generator, KEPT).difference
        assert difference is not None
        missed += not difference.low <= 0 <= difference.high
    assert missed <= 3
