"""Where a list looks, and how long each look may take."""

from itertools import pairwise

import pytest

from keeprate.sinks.reading.lists import candidates


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("hours", [1, candidates.FIRST_SPAN, candidates.FIRST_SPAN + 1, 24 * 366])
def test_spans_hold_every_hour_once_in_the_order_of_the_list(hours: int, backwards: bool) -> None:
    """They grow, so that a long time takes a few questions, and what is found at once a short one."""
    first = 500_000
    found = list(candidates.spans(first, first + hours - 1, backwards))
    ordered = found if backwards else found[::-1]
    assert (ordered[0][0], ordered[-1][1]) == (first, first + hours - 1)
    assert all(before[1] + 1 == after[0] for before, after in pairwise(ordered))
    assert found[0][1] - found[0][0] < candidates.FIRST_SPAN
    assert len(found) <= 5


def test_nothing_is_looked_through_where_no_hour_is_left() -> None:
    """As behind the last hour of a scope."""
    assert list(candidates.spans(500_001, 500_000, backwards=False)) == []


def test_a_look_is_no_longer_than_what_is_left_of_the_patience() -> None:
    """And makes progress where nothing is left."""
    assert candidates.next_size(100, took_s=0.1, left_s=10) == 80
    assert candidates.next_size(100, took_s=0.1, left_s=0.05) == 50
    assert candidates.next_size(100, took_s=0.01, left_s=10) == 600
    assert candidates.next_size(100, took_s=0.1, left_s=-1) == 1
