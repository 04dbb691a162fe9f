"""Lexemes: how much of an accepted text is still in the code, whatever was written around it (Copilot).

The distance is that of microsoft/vscode-copilot-chat, completions-core, suggestions/editDistance.ts: the least edits
that place the lexemes of the original somewhere inside those of the current text. What stands before and after the
place costs nothing. The first lexeme also matches one that ends with it, the last one also one that begins with it,
because a user who types on at either end of an accepted text makes one word of two.

The algorithm is Myers' for approximate matching (JACM 46(3), 1999) over integers as wide as the original has lexemes:
a few operations of such integers for each lexeme of the current text.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

MAX_COST: Final = 1 << 31
"""Beyond it texts are not compared: it is less than a second's work. Texts of 100 kB of code are within."""
_STEP_COST: Final = 1 << 12
"""What each lexeme of the current text costs, in lexemes of the original."""
_FREQUENT: Final = 64

_RUN = re.compile(r"\w+| +|.", re.DOTALL)


def lexemes(text: str) -> list[str]:
    """Runs of letters, decimal digits and `_`; runs of two or more spaces; any other code point but a single space."""
    runs = [run for run in _RUN.findall(text) if run != " "]
    # Only beyond ASCII does `\w` take more than that: numerals such as ² and Ⅷ.
    return runs if text.isascii() else [lexeme for run in runs for lexeme in _split(run)]


def _split(run: str) -> Iterator[str]:
    begin = 0
    for at, char in enumerate(run):
        if char.isnumeric() and not (char.isdecimal() or char.isalpha()):
            if begin < at:
                yield run[begin:at]
            yield char
            begin = at + 1
    if begin < len(run):
        yield run[begin:]


def lexeme_distance(original: Sequence[str], current: Sequence[str]) -> int | None:
    """The least edits that place the original's lexemes inside the current ones; None beyond MAX_COST."""
    if original == current:
        return 0
    if not original or not current:
        return len(original)
    if len(current) * (len(original) + _STEP_COST) > MAX_COST:
        return None
    return _search(map(_matcher(original), current), len(original))


def _matcher(original: Sequence[str]) -> Callable[[str], int]:
    """Takes a lexeme of the current text and gives the positions of the original that it matches, as bits."""
    first, last, top = original[0], original[-1], len(original) - 1
    inner: dict[str, list[int]] = {}
    for position in range(1, top):
        inner.setdefault(original[position], []).append(position)
    # Only the frequent ones are kept: an integer as wide as the text for each different lexeme is too much memory.
    kept = {lexeme: _bits(at, top) for lexeme, at in inner.items() if len(at) > _FREQUENT}

    def matches(lexeme: str) -> int:
        bits = kept.get(lexeme)
        if bits is None:
            bits = _bits(inner[lexeme], top) if lexeme in inner else 0
        return bits | lexeme.endswith(first) | lexeme.startswith(last) << top

    return matches


def _bits(positions: Sequence[int], top: int) -> int:
    # Set in bytes: to set each bit in the integer itself would copy it each time.
    bits = bytearray(top // 8 + 1)
    for position in positions:
        bits[position >> 3] |= 1 << (position & 7)
    return int.from_bytes(bits, "little")


def _search(matches: Iterable[int], count: int) -> int:
    """Least distance of the original's `count` lexemes to any stretch of the current ones, of which each has matches.

    Bit i of `rises` and `falls`: whether the distance of the original's first i + 1 lexemes is one more or one less
    than that of its first i, for a stretch that ends here. `distance` is that of all of them.
    """
    everything, top = (1 << count) - 1, count - 1
    rises, falls, distance, least = everything, 0, count, count
    for equal in matches:
        diagonal = (((equal & rises) + rises) ^ rises) | equal
        grows, shrinks = falls | everything & ~(diagonal | rises), rises & diagonal
        distance += (grows >> top & 1) - (shrinks >> top & 1)
        least = min(least, distance)
        grows, shrinks, diagonal = grows << 1, shrinks << 1 & everything, equal | falls
        rises, falls = shrinks | everything & ~(diagonal | grows), grows & diagonal
    return least
