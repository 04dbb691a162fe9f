"""The faults of what is read, and the rules without which they are not survived."""

import os
import signal
import time
from collections.abc import Callable
from typing import Final

from tests.fault.cell import Cell, Outcome, keep_evidence
from tests.fault.lab import Lab
from tests.fault.reading.harm import STATEMENTS
from tests.fault.reading.trial import ReadingTrial
from tests.fault.sink_faults import state_of
from tests.fault.trial import Together

Fault = Callable[[ReadingTrial], None]


def _killed_before(statements: tuple[int, ...]) -> Fault:
    """Killed before one of these statements of a derivation, when its outcomes have landed; the next one goes on."""

    def fault(trial: ReadingTrial) -> None:
        for _ in range(2):
            trial.load()
            nth = 1 + trial.rng.choice(statements)
            trial.wait_ended(trial.sink(instance="one", derive_at=(nth, "SIGKILL")))
        trial.load()
        trial.sink(instance="one")

    return fault


def _another_lands_meanwhile(statements: tuple[int, ...]) -> Fault:
    """A sink stands still before one of these statements, longer than its session; another takes its partitions.

    It wakes when newer parts of the same outcomes have landed and were derived.
    """

    def fault(trial: ReadingTrial) -> None:
        trial.load()
        nth = 1 + trial.rng.choice(statements)
        frozen = trial.sink(derive_at=(nth, "SIGSTOP"), marker=str(trial.marker))
        pid = frozen.pid
        assert pid is not None
        trial.wait(lambda: state_of(pid) == "T")
        trial.load()
        trial.sink()
        trial.wait_landed()
        os.kill(pid, signal.SIGCONT)
        trial.wait(trial.marker.exists)

    return fault


def sums_stale(trial: ReadingTrial) -> None:
    """Whoever sums is killed in between, and another sums; what lands then touches hours that are summed."""
    trial.load()
    trial.sink(instance="one")
    trial.wait_landed()
    trial.wait_ended(trial.child("sum", killed_at=trial.rng.randint(1, 6)))
    assert trial.wait_ended(trial.child("sum")) == 0
    trial.load()
    trial.wait_landed()


def sums_stale_or_lost(trial: ReadingTrial) -> None:
    """The same, and the cache may be gone then, and be made again."""
    sums_stale(trial)
    if trial.rng.random() < 0.5:
        trial.lose_sums()
    if trial.rng.random() < 0.5:
        trial.wait_ended(trial.child("sum"))


def swapped_under_load(trial: ReadingTrial) -> None:
    """Suggestions of another definition are built anew while sinks land: once killed in between, then to the end.

    What a page had that was built lands once more before the next.
    """
    trial.load()
    older = trial.sink(instance="one", definition="another")
    trial.wait_landed()
    older.terminate(15)
    trial.sink(instance="one")
    trial.wait_ended(trial.child("rebuild", at=trial.rng.randint(1, 3)))
    building = trial.child("rebuild", at=1, signal="SIGSTOP")
    pid = building.pid
    assert pid is not None
    trial.wait(lambda: state_of(pid) == "T")
    trial.load()
    trial.wait_landed()
    os.kill(pid, signal.SIGCONT)
    while building.running:
        trial.load(10)
        time.sleep(0.2)
    assert trial.wait_ended(building) == 0


def _cell(name: str, fault: Fault, sabotage: tuple[str, ...] = ()) -> Cell:
    def survive(lab: Lab, seed: int, together: Together) -> Outcome:
        """changed: answers that are not those of the same facts."""
        trial = ReadingTrial(lab, seed, together, sabotage)
        try:
            fault(trial)
            trial.wait_landed()
            found = trial.wrong()
            if not found.clean:
                keep_evidence(name, seed, f"{found}\n{trial.logs(lines=200)}")
        finally:
            trial.close()
        counts = (len(found.lost), len(found.extra), len(found.unaccounted))
        return Outcome(name, 1, trial.events, trial.kills, *counts, changed=len(found.answers))

    return Cell(name, survive)


_ALL: Final = tuple(range(STATEMENTS))
KILLED: Final = "reading: killed between landing and deriving"
MEANWHILE: Final = "reading: another sink lands while one derives"
STALE: Final = "reading: sums stale or lost"
SWAPPED: Final = "reading: definition swapped under load"
FAULTS: Final[dict[str, Fault]] = {
    KILLED: _killed_before((0,)),
    "reading: killed while deriving": _killed_before(_ALL[1:]),
    MEANWHILE: _another_lands_meanwhile(_ALL),
    STALE: sums_stale_or_lost,
    SWAPPED: swapped_under_load,
}
CELLS: Final[dict[str, Cell]] = {name: _cell(name, fault) for name, fault in FAULTS.items()}

DERIVED_LATER: Final = "reading: derived when more comes"
MARKED_ONCE: Final = "reading: hours marked once"
NOT_CAUGHT_UP: Final = "reading: without catching up"
BROKEN: Final[dict[str, Cell]] = {
    DERIVED_LATER: _cell(DERIVED_LATER, FAULTS[KILLED], ("derive_when_more_comes",)),
    MARKED_ONCE: _cell(MARKED_ONCE, sums_stale, ("mark_once",)),
    NOT_CAUGHT_UP: _cell(NOT_CAUGHT_UP, swapped_under_load, ("never_catch_up",)),
}
