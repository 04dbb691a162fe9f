"""Every fault by its name, and what surviving it takes: the rows of `make fault`, most of them `make test`'s too."""

import random
from typing import Final

from keeprate.schemas.topics import SOURCES
from tests.fault import (
    disk_faults,
    flight_faults,
    https_faults,
    network_faults,
    sdk_lab,
    shard_faults,
    sink_faults,
    token_faults,
    topic_faults,
    upgrade_faults,
    worker_faults,
)
from tests.fault.arena import Arena
from tests.fault.cell import Cell, Outcome, keep_evidence
from tests.fault.content import cells as content_cells
from tests.fault.lab import Lab
from tests.fault.reading import cells as reading_cells
from tests.fault.sharded import ShardedTrial
from tests.fault.trial import Fault, Together, Trial
from tests.streaming import remove_records

APP_KILLED: Final = "app killed again and again"


def _sink_cell(name: str, fault: Fault, alone: bool, kind: type[Trial] = Trial) -> Cell:
    def survive(lab: Lab, seed: int, together: Together) -> Outcome:
        """Load, fault, heal and check."""
        trial = kind(lab, seed, together)
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
        """lost: suggestions whose outcome is not the oracle's. unaccounted: those whose last record is behind it."""
        first = lab.before().nest if fault.upgrade else lab.nest
        arena = Arena(lab, seed, fault.standby_replicas, together, first)
        try:
            worker_faults.survive(arena, fault)
            if wrong := arena.wrong():
                keep_evidence(name, seed, arena.evidence(wrong))
            if behind := arena.behind():
                keep_evidence(f"{name}, recovered", seed, arena.evidence(behind))
        finally:
            arena.close()
        return Outcome(name, 1, len(arena.records), arena.kills, len(wrong), 0, len(behind))

    return Cell(name, survive, fault.alone)


def _app_survives(lab: Lab, seed: int, together: Together) -> Outcome:
    """unaccounted: files that nobody adopted."""
    spool = lab.directory / f"spool-{seed}"
    # Apps share the registry's topics, and reading what others left there would take ever longer.
    with lab.one_app:
        bootstrap, app = lab.broker.bootstrap, f"sdk-{seed}"
        found = sdk_lab.killed_again_and_again(bootstrap, {"brokers": bootstrap}, app, spool, random.Random(seed))
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
        *(_sink_cell(name, fault, False, ShardedTrial) for name, fault in shard_faults.FAULTS.items()),
        *(_sink_cell(name, fault, False) for name, fault in upgrade_faults.SINKS.items()),
        *(_worker_cell(name, fault) for name, fault in worker_faults.FAULTS.items()),
        *(_worker_cell(name, fault) for name, fault in upgrade_faults.WORKERS.items()),
        Cell(APP_KILLED, _app_survives),
        *https_faults.CELLS.values(),
        *content_cells.CELLS.values(),
        *reading_cells.CELLS.values(),
    )
}
_ALONE_IN_FAULT: Final = {name for name in shard_faults.FAULTS if name not in shard_faults.IN_TEST} | {
    *upgrade_faults.SINKS,
    *upgrade_faults.WORKERS,
}
IN_TEST: Final[dict[str, Cell]] = {name: cell for name, cell in CELLS.items() if name not in _ALONE_IN_FAULT}
"""Without those that `make fault` makes alone: most of what shards survive is what a single store survives, and for an
upgrade the version before has to be imported."""
