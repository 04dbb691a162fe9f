"""Facts about event time and what it leaves behind."""

from hypothesis import given
from hypothesis import strategies as st

from keeprate.streams.join.expiry import (
    IDLE_MS,
    KEEP_MS,
    SKEW_MS,
    Watermark,
    late,
    stamp,
    stamped_at_ms,
    value_of,
)

NOW_MS = 1_764_000_000_000
times = st.integers(0, NOW_MS * 2)


@given(st.lists(times))
def test_a_watermark_never_goes_back_and_no_clock_that_is_ahead_drives_it(heard: list[int]) -> None:
    """Whatever clients say, event time only grows and stays near the clock."""
    watermark, before_ms = Watermark(), 0
    for at_ms in heard:
        watermark.hear([at_ms], NOW_MS)
        assert before_ms <= watermark.at_ms <= NOW_MS + SKEW_MS
        before_ms = watermark.at_ms


def test_an_idle_partition_moves_on_with_the_clock() -> None:
    """An hour after its last event, a partition's event time follows the clock at a distance."""
    watermark = Watermark()
    watermark.hear([NOW_MS - KEEP_MS], NOW_MS)
    assert watermark.expired_before_ms(NOW_MS + IDLE_MS) == NOW_MS - 2 * KEEP_MS
    assert watermark.expired_before_ms(NOW_MS + 2 * IDLE_MS) == NOW_MS + IDLE_MS - KEEP_MS


def test_a_partition_without_events_expires_nothing() -> None:
    """A worker that has just started knows no event time."""
    assert Watermark().expired_before_ms(NOW_MS) == -KEEP_MS


def test_only_an_outcome_that_begins_again_is_late() -> None:
    """Old facts about an outcome that is still held are not late."""
    times_ms = {"held": 5, "gone": 5, "new": 15}
    assert late(times_ms, {"held": {}}, expired_before_ms=10) == 1


@given(st.binary(), st.integers(0, 2**63))
def test_a_stamp_comes_off_again(value: bytes, at_ms: int) -> None:
    """The value and its stamp are what went in."""
    assert (value_of(stamp(value, at_ms)), stamped_at_ms(stamp(value, at_ms))) == (value, at_ms)
