"""The write-ahead intent: which offsets are about to land, kept in the metadata of the committed offset.

Committed before anything is written, so that whoever owns the partition after a crash writes exactly that range again,
with the same deduplication tokens, and not another cut of the same records.

It also counts the attempts. One that did not come back ended with its process, or with the store's: after LIVES of
them the range is tried in parts, the part that ends a process again in parts of its own, and a record that ends one
alone is set aside without another look at it. So a record that kills whatever reads it costs LIVES processes and then
one for each level of parts, four for the largest range, and nothing but that record is set aside.
"""

import re
from dataclasses import dataclass, replace
from typing import Final, Self

LIVES: Final = 3
"""Attempts at a range that may end their process before it is cut, or set aside where it is one record."""
PARTS: Final = 16
_FORM: Final = re.compile(r"keeprate/1 (\d+)-(\d+) ([0-9.]+)(?: (\d+)(?: (\d+)-(\d+))?)?")


@dataclass(frozen=True)
class Intent:
    """Offsets `first` to `last`, both included, to be landed by a sink of this `revision`.

    attempts: how many were begun, this one included, without those that came back. A part begins with LIVES: it was in
    all the attempts at its range. whole: of a part, the range that was cut: its first and last offset.
    """

    first: int
    last: int
    revision: str
    attempts: int = 1
    whole: tuple[int, int] | None = None

    @property
    def is_suspect(self) -> bool:
        """Whether it is the last attempt: if it does not come back, this range is at fault. So it is made alone."""
        return self.attempts >= LIVES

    @property
    def is_set_aside(self) -> bool:
        """Whether its one record is not to be looked at any more."""
        return self.attempts > LIVES

    def encode(self) -> str:
        """The metadata of a committed offset."""
        plain = f"keeprate/1 {self.first}-{self.last} {self.revision}"
        if self.whole is not None:
            return f"{plain} {self.attempts} {self.whole[0]}-{self.whole[1]}"
        return plain if self.attempts == 1 else f"{plain} {self.attempts}"

    @classmethod
    def decode(cls, metadata: str | None, committed: int) -> Self | None:
        """The intent in the metadata of the offset `committed`; None where there is none.

        One that does not begin at the committed offset is none: somebody set the group's offsets by hand since.
        """
        form = _FORM.fullmatch(metadata or "")
        if form is None or int(form[1]) != committed:
            return None
        whole = (int(form[5]), int(form[6])) if form[5] else None
        return cls(int(form[1]), int(form[2]), form[3], int(form[4] or 1), whole)

    def again(self) -> "Intent":
        """The next attempt, when this one did not come back."""
        if not self.is_suspect or self.first == self.last:
            return replace(self, attempts=self.attempts + 1)
        whole = self.whole or (self.first, self.last)
        return Intent(self.first, self.first + _width(self.first, self.last) - 1, self.revision, LIVES, whole)

    def following(self) -> "Intent | None":
        """The next part of the range that was cut, as large as it was first cut; None where there is none."""
        if self.whole is None or self.last >= self.whole[1]:
            return None
        first, (begin, end) = self.last + 1, self.whole
        while begin < first:
            width = _width(begin, end)
            begin += (first - begin) // width * width
            end = min(begin + width - 1, end)
        return Intent(first, end, self.revision, LIVES, self.whole)

    def resting(self) -> "Intent":
        """What is noted while nobody is at it: whoever finds it makes the attempt that this one would have been."""
        return replace(self, attempts=self.attempts - 1)


def _width(first: int, last: int) -> int:
    return -(-(last - first + 1) // PARTS)


def token(sink: str, topic: str, partition: int, intent: Intent, part: str) -> str:
    """The deduplication token of one insert of a range: the same for each try, different for any other insert.

    It holds the revision: after an upgrade the decisions on the same records may differ, and then the rows must be
    written again rather than be taken for those already there. Rows with an identity of their own make that harmless.
    """
    return f"{sink}/{topic}/{partition}/{intent.first}-{intent.last}/{intent.revision}/{part}"
