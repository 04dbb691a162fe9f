"""What is said to be seen within a day is seen within a day, mostly; and much smaller changes are not."""

from math import log

import numpy as np
import pytest

from keeprate.streams.quality.baseline import Baseline
from keeprate.streams.quality.detectable import smallest
from keeprate.streams.quality.detector import Policy, Side, State, Stratum, evidence_ratio, score

POLICY = Policy()


def baseline(rate: float, per_day: float) -> Baseline:
    events = int(28 * per_day)
    return Baseline(log(rate / (1 - rate)), 1.0, (1 / (events * rate * (1 - rate))) ** 0.5, events, per_day / 24)


def found_within_a_day(known: Baseline, per_day: float, side: Side, part: float, seed: int) -> bool:
    """Two quiet days, and one at the changed rate."""
    generator = np.random.default_rng(seed)
    rate = 1 / (1 + np.exp(-known.log_odds))
    state = State()
    for t, trials in enumerate(generator.poisson(per_day / 288, 3 * 288).tolist()):
        now = rate if t < 2 * 288 else rate * (1 - part if side == "fell" else 1 + part)
        successes = int(generator.binomial(trials, now))
        state = score(state, t, [Stratum(trials, successes, known.log_odds, known.margin)], POLICY)
        if t >= 2 * 288 and evidence_ratio(getattr(state, side), POLICY) >= 1:
            return True
    return False


@pytest.mark.parametrize(
    ("rate", "per_day", "side"), [(0.3, 1_200, "fell"), (0.3, 4_800, "rose"), (0.02, 2_000, "rose")]
)
def test_what_is_detectable_is_found_and_half_of_it_is_not(rate: float, per_day: float, side: Side) -> None:
    """Of thirty changes of that size most are found within the day; of those half as large hardly any."""
    known = baseline(rate, per_day)
    part = smallest(known, per_day, side, POLICY)
    assert part is not None
    assert sum(found_within_a_day(known, per_day, side, part, seed) for seed in range(30)) >= 17
    assert sum(found_within_a_day(known, per_day, side, part / 2, seed) for seed in range(30)) <= 8


def test_more_traffic_sees_smaller_changes_and_too_little_sees_none() -> None:
    """Down to a few trials a day, where nothing but a longer wait would help."""
    parts = [smallest(baseline(0.3, per_day), per_day, "fell", POLICY) for per_day in (200, 2_000, 20_000)]
    assert parts == sorted((each for each in parts if each is not None), reverse=True)
    assert smallest(baseline(0.3, 20), 20, "fell", POLICY) is None


def test_a_rise_that_is_nearly_everything_is_none_to_be_seen() -> None:
    """Of what one in a thousand has, at little traffic, only a rise to most of them would be found within a day."""
    assert smallest(baseline(0.001, 30), 30, "rose", POLICY) is None
    part = smallest(baseline(0.001, 20_000), 20_000, "rose", POLICY)
    assert part is not None
    assert part < 5
