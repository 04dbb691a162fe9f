"""Every fault by its name, and what surviving it takes: the rows of `make fault`."""

import random
import re
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

from keeprate.schemas.topics import SOURCES
from tests.fault import (
    disk_faults,
    flight_faults,
    network_faults,
    sdk_lab,
    sink_faults,
    token_faults,
    topic_faults,
    worker_faults,
)
from tests.fault.arena import Arena
from tests.fault.lab import Lab
from tests.fault.trial import Fault, Together, Trial
from tests.streaming import remove_records

EVIDENCE: Final = Path(".bench") / "faults"
"""What trials leave behind that went wrong."""
APP_KILLED: Final = "app killed again and again"


@dataclass(frozen=True)
class Outcome:
    """What came of one fault over some seeds: the row of .bench/faults.json."""

    fault: str
    seeds: int = 0
    events: int = 0
    kills: int = 0
    lost: int = 0
    duplicated: int = 0
    unaccounted: int = 0

    def __add__(self, other: "Outcome") -> "Outcome":
        counts = zip(astuple(self)[1:], astuple(other)[1:], strict=True)
        return Outcome(self.fault, *(mine + more for mine, more in counts))

    @property
    def clean(self) -> bool:
        return not (self.lost or self.duplicated or self.unaccounted)


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


def _sink_cell(name: str, fault: Fault, alone: bool) -> Cell:
    def survive(lab: Lab, seed: int, together: Together) -> Outcome:
        """Load, fault, heal and check."""
        trial = Trial(lab, seed, together)
        try:
            fault(trial)
            trial.front.heal()
            trial.wait_landed()
            found = trial.account()
            if not found.clean:
                keep_evidence(name, seed, f"{found}\n{trial.logs(lines=1000)}")
        finally:
            trial.close()
        counts = (len(found.lost), len(found.duplicated), len(found.unaccounted))
        return Outcome(name, 1, trial.events, trial.kills, *counts)

    return Cell(name, survive, alone)


def _worker_cell(name: str, fault: worker_faults.Fault) -> Cell:
    def survive(lab: Lab, seed: int, together: Together) -> Outcome:
        """lost: suggestions whose outcome is not the oracle's. duplicated: windows that count them in another way.

        unaccounted: suggestions whose last record is behind the oracle, and windows that are not counted anew.
        """
        arena = Arena(lab, seed, fault.standby_replicas, together)
        try:
            worker_faults.survive(arena, fault)
            wrong, miscounted = arena.wrong(), arena.miscounted()
            if wrong or miscounted:
                keep_evidence(name, seed, arena.evidence(wrong))
            behind, recounted = arena.behind(), arena.miscounted()
            if behind or recounted:
                keep_evidence(f"{name}, recovered", seed, arena.evidence(behind))
        finally:
            arena.close()
        unaccounted = len(behind) + len(recounted)
        return Outcome(name, 1, len(arena.records), arena.kills, len(wrong), len(miscounted), unaccounted)

    return Cell(name, survive, fault.alone)


def _app_survives(lab: Lab, seed: int, together: Together) -> Outcome:
    """unaccounted: files that nobody adopted."""
    spool = lab.directory / f"spool-{seed}"
    # Apps share the registry's topics, and reading what others left there would take ever longer.
    with lab.one_app:
        found = sdk_lab.killed_again_and_again(lab.broker.bootstrap, f"sdk-{seed}", spool, random.Random(seed))
        for topic in SOURCES:
            remove_records(lab.broker.bootstrap, topic.name)
    return Outcome(APP_KILLED, 1, found.events, found.kills, found.lost, found.doubled, len(sdk_lab.files_in(spool)))


_SINK_FAULTS: Final[dict[str, Fault]] = {
    **sink_faults.FAULTS,
    **flight_faults.FAULTS,
    **token_faults.FAULTS,
    **network_faults.FAULTS,
    **disk_faults.FAULTS,
    **topic_faults.FAULTS,
}
CELLS: Final[dict[str, Cell]] = {
    cell.name: cell
    for cell in (
        *(_sink_cell(name, fault, name in sink_faults.ALONE) for name, fault in _SINK_FAULTS.items()),
        *(_worker_cell(name, fault) for name, fault in worker_faults.FAULTS.items()),
        Cell(APP_KILLED, _app_survives),
    )
}
