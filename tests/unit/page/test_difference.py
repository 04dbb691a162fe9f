"""The word diff: it says what changed, and nothing of either text is lost."""

from itertools import pairwise

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from keeprate.deploy.page import difference
from keeprate.deploy.page.difference import by_words

TEXTS = st.text("ab \n.é😀\u202e\x00", max_size=24)


@given(TEXTS, TEXTS)
@settings(max_examples=200, phases=[Phase.generate], deadline=None)
def test_both_texts_can_be_read_from_their_difference(before: str, after: str) -> None:
    """Whatever is in them, and no two neighbours are of one kind."""
    pieces = by_words(before, after)
    assert "".join(text for kind, text in pieces if kind != "new") == before
    assert "".join(text for kind, text in pieces if kind != "gone") == after
    assert all(text for _, text in pieces)
    assert all(one[0] != two[0] for one, two in pairwise(pieces))


def test_a_changed_word_is_one_word() -> None:
    """What was said before and after it stays, and white space between two changes goes with them."""
    assert by_words("We ship within two days.", "We ship within three days.") == [
        ("same", "We ship within "),
        ("gone", "two"),
        ("new", "three"),
        ("same", " days."),
    ]
    assert by_words("see you soon", "meet them soon") == [("gone", "see you"), ("new", "meet them"), ("same", " soon")]
    assert by_words("same", "same") == [("same", "same")]
    assert by_words("all of it", "") == [("gone", "all of it")]
    assert by_words("", "") == []


def test_long_texts_are_compared_by_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """And those of one endless line as a whole: a page must not wait for a difference."""
    monkeypatch.setattr(difference, "MOST_CELLS", 9)
    before, after = "a b c d\ne f g h\n", "a b c x\ne f g h\n"
    assert by_words(before, after) == [("same", "a b c "), ("gone", "d"), ("new", "x"), ("same", "\ne f g h\n")]
    assert by_words("1 2 3 4 5\nx\n", "6 7 8 9 10\nx\n") == [
        ("gone", "1 2 3 4 5\n"),
        ("new", "6 7 8 9 10\n"),
        ("same", "x\n"),
    ]
    one, other = "1\n2\n3\n4\n5\n", "6\n7\n8\n9\n"
    assert by_words(one, other) == [("gone", one), ("new", other)]
