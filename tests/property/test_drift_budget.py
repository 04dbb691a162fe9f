"""The detector keeps its budget of false alarms and still sees a change: `make drift-bench`, small."""

import pytest

from tests.drift.measures import POLICY, Delay, Place, delays, false_alarms

SEED = 20260302


@pytest.mark.slow
@pytest.mark.parametrize(("world", "replicates", "most"), [("iid", 60, 5), ("all at once", 30, 8)])
def test_false_alarms_stay_within_their_budget(world: str, replicates: int, most: int) -> None:
    """Four weeks each: with one alarm in 1000 days, three in the hardest world, more have a chance of 1 %."""
    assert false_alarms(Place(world, 200), POLICY, replicates, SEED).count <= most


@pytest.mark.slow
def test_a_fall_from_30_to_25_percent_is_found_within_half_a_day() -> None:
    """The median of 25 series at 200 an hour, of which the mix wobbles and the strata are told: 10 h is the target."""
    assert Delay.of(delays(Place("mix", 200), POLICY, 25, SEED, days=3)).median <= 12
