"""Distances and similarities agree with METRICS, sections 1 and 4."""

import pytest

from keeprate.producers import text
from keeprate.producers.text import EditedRange


@pytest.mark.parametrize(
    ("original", "current", "distance", "longer", "mostly"),
    [
        ("foo", "foo", 0, 3, True),
        ("foo", "fo0", 1, 3, False),
        ("foo", "", 3, 3, False),
        ("return a + b", "return a - b", 1, 12, True),
        ("return a + b", "return x + y", 2, 12, True),
        ("return a + b;", "return a * b + c;", 5, 17, True),
        ("abcd", "abce", 1, 4, True),
        ("abcdefghij", "abcdefg", 3, 10, True),
    ],
)
def test_the_distance_vectors_hold(original: str, current: str, distance: int, longer: int, mostly: bool) -> None:
    """Each vector of section 4 has its distance and its strict `mostly` flag; the distance is symmetric."""
    assert text.levenshtein(original, current) == text.levenshtein(current, original) == distance
    assert text.relative_distance(original, current) == distance / longer
    assert text.is_mostly_kept(original, current) is mostly


@pytest.mark.parametrize(
    ("original", "current", "similarity"),
    [
        ("return a + b", "return a - b", 0.666667),
        ("return a + b", "return x + y", 0.444444),
        ("abcd", "abce", 0.0),
        ("abcdefghij", "abcdefg", 0.727273),
        ("abc", "abc", 1.0),
        ("abc", "abcd", 0.0),
        ("", "", 1.0),
    ],
)
def test_the_four_gram_vectors_hold(original: str, current: str, similarity: float) -> None:
    """Each four-gram vector of section 4 holds; equal texts score 1, however short."""
    assert text.four_gram_similarity(original, current) == pytest.approx(similarity, abs=5e-7)


def test_the_modification_vector_holds() -> None:
    """`return a + b;` to `return a * b + c;` is .384615 of the original, and never more than 1."""
    assert text.modification("return a + b;", "return a * b + c;") == pytest.approx(0.384615, abs=5e-7)
    assert text.modification("a", "bcdef") == 1.0
    assert text.modification("", "") == 0.0


def test_two_empty_texts_do_not_differ() -> None:
    """The relative distance of two empty texts is 0, and an empty text is never mostly kept."""
    assert text.relative_distance("", "") == 0.0
    assert not text.is_mostly_kept("", "")


def test_lengths_count_utf16_code_units() -> None:
    """An astral character counts two, as in JavaScript, and a distance may see one half of it change."""
    assert text.length("a😀") == 3
    assert text.length("é") == 1
    assert text.levenshtein("😀", "") == 2
    assert text.levenshtein("😀", "😁") == 1


def test_crlf_counts_as_one_unit_and_nothing_is_trimmed() -> None:
    """CRLF is LF; leading and trailing space stays; a lone CR stays."""
    assert text.levenshtein("a\r\nb", "a\nb") == 0
    assert text.length(" a \r\n") == 4
    assert text.normalise("a\rb") == "a\rb"


@pytest.mark.parametrize(("value", "lines"), [("", 0), ("a", 1), ("a\n", 2), ("a\r\nb", 2), ("\n", 2)])
def test_lines_are_line_feeds_plus_one(value: str, lines: int) -> None:
    """The empty text has no lines; a trailing line feed opens another."""
    assert text.line_count(value) == lines


def test_a_pure_insertion_never_counts_as_reverted() -> None:
    """No text before the edit, no weight: insertions alone score 1."""
    assert text.no_revert([EditedRange(before="", new="abcdef", current="")]) == 1.0
    assert text.no_revert([]) == 1.0


def test_going_back_to_the_text_before_scores_zero() -> None:
    """A range that reads as before its edit is reverted wholly; one left as edited not at all; lengths weigh."""
    reverted = EditedRange(before="abcdefgh", new="stuvwxyz", current="abcdefgh")
    kept = EditedRange(before="abcdefgh", new="stuvwxyz", current="stuvwxyz")
    assert text.no_revert([reverted]) == 0.0
    assert text.no_revert([kept]) == 1.0
    assert text.no_revert([reverted, kept]) == 0.5
    assert text.no_revert([EditedRange("abcd", "abcd", "zzzz")]) == 1.0


def test_retained_length_is_the_longest_common_subsequence() -> None:
    """What stands in its order counts as kept, wherever it moved to."""
    assert text.retained_length("return a + b", "x = return a - b") == 11
    assert text.retained_length("abc", "") == 0


def test_survival_gives_the_numbers_of_a_retention_check() -> None:
    """One call yields every number the event has a field for."""
    found = text.survival("return a + b", "return a - b")
    assert (found.original_length, found.current_length, found.distance) == (12, 12, 1)
    assert (found.original_lexemes, found.lexeme_distance, found.retained_length) == (4, 1, 11)
