"""Of many series those are reported that changed, and few others."""

import math
import random

import pytest

from keeprate.streams.quality.discoveries import discoveries, e_value


@pytest.mark.parametrize(
    ("e_values", "expected"),
    [
        ({"a": 39.0, "b": 1.0, "c": 1.0, "d": 0.0}, []),
        ({"a": 40.0, "b": 1.0, "c": 1.0, "d": 0.0}, ["a"]),
        # Neither is enough alone: two of them are.
        ({"a": 20.0, "b": 39.0, "c": 1.0, "d": 0.0}, ["b", "a"]),
        ({}, []),
    ],
)
def test_the_largest_are_chosen_that_support_each_other(e_values: dict[str, float], expected: list[str]) -> None:
    """With alpha 0.1 and four series, one needs 40, two need 20 each."""
    assert discoveries(e_values, 0.1) == expected


def test_the_false_share_is_kept_when_series_move_together() -> None:
    """Two hundred digests of two hundred series, ten of which changed; the others share a shock."""
    rng = random.Random(7)
    false, found = 0.0, 0
    for _ in range(200):
        shock = rng.gauss(0, 1)
        logs = {}
        for series in range(200):
            noise = math.sqrt(0.5) * shock + math.sqrt(0.5) * rng.gauss(0, 1)
            # exp(2 z - 2) has mean 1: the heavy tail of a likelihood ratio. A change adds to it.
            logs[series] = math.exp(2 * noise - 2 + (9 if series < 10 else 0))
        chosen = discoveries(logs, 0.1)
        found += sum(series < 10 for series in chosen)
        false += sum(series >= 10 for series in chosen) / max(1, len(chosen))
    assert false / 200 <= 0.1
    assert found > 200


def test_evidence_is_worth_less_the_longer_it_was_gathered() -> None:
    """R grows by one a batch without a change; none at all is worth nothing."""
    assert e_value(math.log(500), 500) == pytest.approx(1)
    assert e_value(math.log(5000), 500) == pytest.approx(10)
    assert e_value(-math.inf, 500) == 0
    assert e_value(0.0, 0) == 0
