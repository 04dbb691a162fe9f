"""A change between two periods: Newcombe's interval, and no change where there is nothing to compare."""

from datetime import UTC, datetime
from math import sqrt

import pytest

from keeprate.deploy.page.comparison import change
from keeprate.sinks.reading.queries import Rate

Z = 1.959963984540054


def _rate(numerator: int, denominator: int) -> Rate:
    at = datetime(2026, 3, 2, tzinfo=UTC)
    if not denominator:
        return Rate(at, {}, "acceptance_rate", 0, 0, None, None, None, None)
    share = numerator / denominator
    middle = (share + Z * Z / (2 * denominator)) / (1 + Z * Z / denominator)
    half = Z / (1 + Z * Z / denominator) * sqrt(share * (1 - share) / denominator + (Z / (2 * denominator)) ** 2)
    return Rate(at, {}, "acceptance_rate", numerator, denominator, share, 1.0, middle - half, middle + half)


@pytest.mark.parametrize(
    ("now", "before", "low", "high"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_the_interval_is_newcombes(now: tuple[int, int], before: tuple[int, int], low: float, high: float) -> None:
    """Method 10 of Newcombe 1998 gives the limits of the examples in its table II."""
    found = change(_rate(*now), _rate(*before))
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_a_change_is_clear_when_its_interval_leaves_out_zero() -> None:
    """What noise explains is not called a change, in either direction."""
    up, down = change(_rate(56, 70), _rate(48, 80)), change(_rate(48, 80), _rate(56, 70))
    noise = change(_rate(5, 56), _rate(0, 29))
    assert up is not None
    assert up.clear
    assert up.value > 0
    assert down is not None
    assert down.clear
    assert down.value < 0
    assert noise is not None
    assert not noise.clear


def test_there_is_no_change_against_nothing() -> None:
    """A period without a denominator is not a period at zero."""
    assert change(_rate(1, 2), None) is None
    assert change(None, _rate(1, 2)) is None
    assert change(_rate(1, 2), _rate(0, 0)) is None
