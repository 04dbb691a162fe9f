"""What a fault is, and what comes of it."""

import re
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

from tests.fault.lab import Lab
from tests.fault.trial import Together

EVIDENCE: Final = Path(".bench") / "faults"
"""What trials leave behind that went wrong."""


@dataclass(frozen=True)
class Outcome:
    """What came of one fault over some seeds: the row of .bench/faults.json.

    ended: processes that ended by themselves. changed: numbers of an app that nothing was done to. Both are counted
    where nothing but content is at fault.
    """

    fault: str
    seeds: int = 0
    events: int = 0
    kills: int = 0
    lost: int = 0
    duplicated: int = 0
    unaccounted: int = 0
    ended: int = 0
    changed: int = 0

    def __add__(self, other: "Outcome") -> "Outcome":
        counts = zip(astuple(self)[1:], astuple(other)[1:], strict=True)
        return Outcome(self.fault, *(mine + more for mine, more in counts))

    @property
    def clean(self) -> bool:
        return not (self.lost or self.duplicated or self.unaccounted or self.ended or self.changed)


@dataclass(frozen=True)
class Cell:
    """One fault, to be made with one seed. alone: it harms the broker or the store themselves, and with them whoever
    else uses them: then only trials of the same fault may run beside it, and they make it together.
    """

    name: str
    survive: Callable[[Lab, int, Together], Outcome]
    alone: bool = False


def keep_evidence(fault: str, seed: int, text: str) -> None:
    """Keep what a trial that went wrong has to say; what it did it to is about to be removed."""
    EVIDENCE.mkdir(parents=True, exist_ok=True)
    (EVIDENCE / f"{re.sub('[^a-z0-9]+', '-', fault)}-{seed}.txt").write_text(text)
