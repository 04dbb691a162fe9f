"""The lexeme distance is Copilot's: what of an accepted text is still in the code, whatever stands around it."""

import json
import random
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import pytest

from keeprate.producers.lexemes import MAX_COST, lexeme_distance, lexemes
from keeprate.producers.text import survival

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "copilot_lexemes.json").read_text("utf-8"))


def placed(original: Sequence[str], current: Sequence[str]) -> int:
    """The distance by its definition, cell by cell."""
    last = len(original) - 1
    row = [0] * (len(current) + 1)
    for at, wanted in enumerate(original):
        above, row = row, [at + 1]
        for column, lexeme in enumerate(current):
            same = lexeme == wanted if 0 < at < last else False
            same |= (at == 0 and lexeme.endswith(wanted)) or (at == last and lexeme.startswith(wanted))
            row.append(min(above[column] + (not same), above[column + 1] + 1, row[column] + 1))
    return min(row)


def test_every_pair_of_copilots_has_copilots_distance() -> None:
    """208 pairs that Copilot's own code compared: the distance and the number of lexemes that it is a share of."""
    assert len(VECTORS) == 208
    for pair in VECTORS:
        found = survival(pair["original"], pair["current"])
        assert (found.lexeme_distance, found.original_lexemes) == (pair["lexeme_distance"], pair["original_lexemes"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("foo_1 =  bar\n😀!", ["foo_1", "=", "  ", "bar", "\n", "😀", "!"]),
        ("été x²y Ⅷ ٣", ["été", "x", "²", "y", "Ⅷ", "٣"]),
        (" ", []),
        ("\t \t", ["\t", "\t"]),
    ],
)
def test_lexemes_are_words_runs_of_spaces_and_single_code_points(text: str, found: list[str]) -> None:
    """Letters of any alphabet and decimal digits make words, other numerals do not; a single space says nothing."""
    assert lexemes(text) == found


@pytest.mark.parametrize("seed", range(30))
def test_the_distance_is_the_definitions(seed: int) -> None:
    """On random lexemes, from one to more than a machine word has bits, rare and frequent ones."""
    rng = random.Random(seed)
    words = ["a", "ab", "ba", "b", "(", ")", *map(str, range(rng.choice((1, 5, 50))))]
    original = rng.choices(words, k=rng.choice((1, 2, 3, 20, 200)))
    current = rng.choices(words, k=rng.choice((1, 2, 30, 200)))
    if rng.random() < 0.5:
        current = [*current, *(word for word in original if rng.random() < 0.9), *current]
    assert lexeme_distance(original, current) == placed(original, current)


def test_what_is_gone_is_as_far_as_it_was_long() -> None:
    """Nothing left, or nothing there at all: every lexeme of the original; and none of an original without any."""
    assert lexeme_distance(["a", "b"], []) == 2
    assert lexeme_distance([], ["a"]) == 0
    assert lexeme_distance(["a", "b"], ["x", "y", "z"]) == 2


def test_a_long_text_is_compared_and_a_longer_one_left_out() -> None:
    """100 kB of code have their distance; what would take longer than a second has none, but what is unchanged has."""
    line = "value_{0} = compute(value_{0}, [{0}])  # keep\n"
    code = "".join(line.format(number) for number in accumulate([7] * 2_200))
    assert len(code) > 100_000
    words = lexemes(code)
    assert lexeme_distance(words, [*words[:500], "else", *words[501:]]) == 1
    many = ["x"] * (int(MAX_COST**0.5) + 1)
    assert lexeme_distance(many, [*many, "y"]) is None
    assert lexeme_distance(many, list(many)) == 0
    assert survival("x " * len(many), "y " * len(many)).lexeme_distance is None
