"""Lengths, distances and similarities of texts: the pure functions behind every edit and retention metric.

All of them count UTF-16 code units, so that they agree with JavaScript clients, and normalise CRLF to LF first.
Nothing is trimmed. Definitions, sources and test vectors: METRICS, sections 1 and 4.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from rapidfuzz.distance import LCSseq, Levenshtein

from keeprate.producers.lexemes import lexeme_distance, lexemes

MOSTLY_BELOW: Final = 0.33
"""`mostly` iff something is left and its relative distance is below this; one third fails."""
GRAM: Final = 4

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")


def normalise(text: str) -> str:
    """The text with CRLF as LF, otherwise as it is."""
    return text.replace("\r\n", "\n")


def units(text: str) -> str:
    """The normalised text as one character per UTF-16 code unit: a pair of surrogates stands for an astral one."""
    text = normalise(text)
    return text if text.isascii() else _ASTRAL.sub(_surrogates, text)


def _surrogates(match: re.Match[str]) -> str:
    offset = ord(match[0]) - 0x10000
    return chr(0xD800 + (offset >> 10)) + chr(0xDC00 + (offset & 0x3FF))


def length(text: str) -> int:
    """UTF-16 code units of the normalised text."""
    return len(units(text))


def line_count(text: str) -> int:
    """Lines of a text: its line feeds plus one. The empty text has none."""
    return text.count("\n") + 1 if text else 0


def levenshtein(a: str, b: str) -> int:
    """Least number of code units to insert, delete or replace to turn one text into the other."""
    return Levenshtein.distance(units(a), units(b))


def relative_distance(original: str, current: str) -> float:
    """Levenshtein over the longer length (Cody): from 0, the same, to 1, nothing in common. 0 when both are empty."""
    longer = max(length(original), length(current))
    return levenshtein(original, current) / longer if longer else 0.0


def is_mostly_kept(original: str, current: str) -> bool:
    """Whether something is left, and less than 0.33 of it differs."""
    return bool(current) and relative_distance(original, current) < MOSTLY_BELOW


def modification(original: str, current: str) -> float:
    """Levenshtein over the original's length, at most 1 (Amazon Q). 0 for an empty original left empty."""
    if not original:
        return float(bool(current))
    return min(1.0, levenshtein(original, current) / length(original))


def retained_length(original: str, current: str) -> int:
    """Code units of the original that are still there in their order: the longest common subsequence."""
    return LCSseq.similarity(units(original), units(current))


def four_gram_similarity(a: str, b: str) -> float:
    """Share of four-grams in common, counted with repetition (Copilot). 0 when either text is shorter than a gram."""
    a, b = units(a), units(b)
    if a == b:
        return 1.0
    if min(len(a), len(b)) < GRAM:
        return 0.0
    grams = _grams(a)
    total = len(a) + len(b) - 2 * (GRAM - 1)
    grams.subtract(_grams(b))
    return (total - sum(map(abs, grams.values()))) / total


def _grams(text: str) -> Counter[str]:
    return Counter(text[at : at + GRAM] for at in range(len(text) - GRAM + 1))


@dataclass(frozen=True)
class EditedRange:
    """One range that was edited: its text before the edit, as the edit made it, and as it is now."""

    before: str
    new: str
    current: str


def no_revert(ranges: Iterable[EditedRange]) -> float:
    """How far the edits have not gone back towards the text before them: 1 not at all, 0 wholly (Copilot).

    Weighted by the length before the edit, so a pure insertion has no say; insertions alone score 1.
    """
    weighed = [(length(each.before), _range_no_revert(each)) for each in ranges]
    total = sum(weight for weight, _ in weighed)
    return sum(weight * value for weight, value in weighed) / total if total else 1.0


def _range_no_revert(edited: EditedRange) -> float:
    made = four_gram_similarity(edited.new, edited.before)
    if made == 1.0:
        return 1.0
    back = four_gram_similarity(edited.current, edited.before) - made
    return 1.0 - max(back, 0.0) / (1.0 - made)


@dataclass(frozen=True)
class Survival:
    """All that a retention check or an edit says about two texts, in the words of the events.

    lexeme_distance: None where both texts are too long to compare by lexemes.
    """

    original_length: int
    current_length: int
    distance: int
    original_lexemes: int
    lexeme_distance: int | None
    four_gram: float
    retained_length: int


def survival(original: str, current: str) -> Survival:
    """Compare an accepted text with what became of it."""
    accepted = lexemes(normalise(original))
    return Survival(
        original_length=length(original),
        current_length=length(current),
        distance=levenshtein(original, current),
        original_lexemes=len(accepted),
        lexeme_distance=lexeme_distance(accepted, lexemes(normalise(current))),
        four_gram=four_gram_similarity(original, current),
        retained_length=retained_length(original, current),
    )
