"""The write-ahead intent: which offsets are about to land, kept in the metadata of the committed offset.

Committed before anything is written, so that whoever owns the partition after a crash writes exactly that range again,
with the same deduplication tokens, and not another cut of the same records.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

_FORM: Final = re.compile(r"keeprate/1 (\d+)-(\d+) ([0-9.]+)")


@dataclass(frozen=True)
class Intent:
    """Offsets `first` to `last`, both included, to be landed by a sink of this `revision`."""

    first: int
    last: int
    revision: str

    def encode(self) -> str:
        """The metadata of a committed offset."""
        return f"keeprate/1 {self.first}-{self.last} {self.revision}"

    @classmethod
    def decode(cls, metadata: str | None, committed: int) -> Self | None:
        """The intent in the metadata of the offset `committed`; None where there is none.

        One that does not begin at the committed offset is none: somebody set the group's offsets by hand since.
        """
        form = _FORM.fullmatch(metadata or "")
        if form is None or int(form[1]) != committed:
            return None
        return cls(int(form[1]), int(form[2]), form[3])


def token(sink: str, topic: str, partition: int, intent: Intent, part: str) -> str:
    """The deduplication token of one insert of a range: the same for each try, different for any other insert.

    It holds the revision: after an upgrade the decisions on the same records may differ, and then the rows must be
    written again rather than be taken for those already there. Rows with an identity of their own make that harmless.
    """
    return f"{sink}/{topic}/{partition}/{intent.first}-{intent.last}/{intent.revision}/{part}"
