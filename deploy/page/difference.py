"""What changed between two texts, word by word, for people to read. Pure.

The longest common subsequence is rapidfuzz's, which the SDK's distances come from too; this makes words of texts and
sentences of differences.
"""

import re
from collections.abc import Sequence
from itertools import takewhile
from typing import Final, Literal

from rapidfuzz.distance import LCSseq

Kind = Literal["same", "gone", "new"]
Piece = tuple[Kind, str]

_WORDS: Final = re.compile(r"\w+|\s+|[^\w\s]")
_LINES: Final = re.compile(r"[^\n]*\n|[^\n]+")
MOST_CELLS: Final = 16_000_000
"""Words of the one text times those of the other: beyond, lines are compared, and beyond those, nothing."""


def by_words(before: str, after: str) -> list[Piece]:
    """The pieces of both texts: `same` and `gone` in order are `before`, `same` and `new` are `after`, exactly.

    What is only white space between two changes is a part of them: words that moved apart are no agreement.
    """
    for pattern in (_WORDS, _LINES):
        old, new = pattern.findall(before), pattern.findall(after)
        head = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False))))
        room = min(len(old), len(new)) - head
        ends = zip(reversed(old), reversed(new), strict=False)
        tail = min(room, len(list(takewhile(lambda pair: pair[0] == pair[1], ends))))
        middle = old[head : len(old) - tail], new[head : len(new) - tail]
        if len(middle[0]) * len(middle[1]) <= MOST_CELLS:
            pieces = [("same", "".join(old[:head])), *_aligned(*middle), ("same", "".join(old[len(old) - tail :]))]
            return _joined(_readable(pieces))
    return _joined([("gone", before), ("new", after)])


def _aligned(old: Sequence[str], new: Sequence[str]) -> list[Piece]:
    pieces: list[Piece] = []
    for code in LCSseq.opcodes(old, new):
        gone, came = "".join(old[code.src_start : code.src_end]), "".join(new[code.dest_start : code.dest_end])
        pieces += [("same", gone)] if code.tag == "equal" else [("gone", gone), ("new", came)]
    return pieces


def _readable(pieces: Sequence[Piece]) -> list[Piece]:
    """White space that alone is the same between two changes goes with them."""
    pieces = _joined(pieces)
    found: list[Piece] = []
    for at, (kind, text) in enumerate(pieces):
        between = 0 < at < len(pieces) - 1
        if kind == "same" and between and text.isspace() and "\n" not in text:
            found += [("gone", text), ("new", text)]
        else:
            found.append((kind, text))
    return found


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Neighbours as one: of each run of changes, first what is gone and then what is new."""
    found: list[Piece] = []
    gone = new = ""
    for kind, text in [*pieces, ("same", "")]:
        if kind == "gone":
            gone += text
        elif kind == "new":
            new += text
        elif text or gone or new:
            changes: list[Piece] = [("gone", gone), ("new", new)]
            found += [piece for piece in changes if piece[1]]
            gone = new = ""
            if text and found and found[-1][0] == "same":
                found[-1] = ("same", found[-1][1] + text)
            elif text:
                found.append(("same", text))
    return found
