"""Every fault by its name, and what surviving it takes: the rows of `make fault`."""

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from keeprate.deploy.broker import KafkaBroker
from tests.fault import disk_faults, flight_faults, network_faults, sdk_lab, sink_faults, topic_faults, worker_faults
from tests.fault.lab import Fault, Lab, Outcome, survive
from tests.streaming import create_topics

SINK_FAULTS: Final[dict[str, Fault]] = {
    **sink_faults.FAULTS,
    **flight_faults.FAULTS,
    **network_faults.FAULTS,
    **disk_faults.FAULTS,
    **topic_faults.FAULTS,
}
WORKER_FAULTS: Final = {f"worker: {name.replace('_', ' ')}": fault for name, fault in worker_faults.FAULTS.items()}
APP_KILLED: Final = "app killed again and again"

Cell = Callable[[Sequence[int]], Outcome]


def cells(directory: Path, only: str) -> Iterator[tuple[str, Cell]]:
    """The cells whose names contain `only`. Each must be run before the next is asked for."""
    if wanted := {name: fault for name, fault in SINK_FAULTS.items() if only in name}:
        with Lab(directory / "lab") as lab:
            for name, fault in wanted.items():
                yield name, lambda seeds, name=name, fault=fault: survive(lab, name, fault, seeds)  # type: ignore[misc]
    others = [name for name in (APP_KILLED, *WORKER_FAULTS) if only in name]
    if others:
        with KafkaBroker(directory / "kafka") as broker:
            create_topics(broker.bootstrap)
            for name in others:
                kind = _app_survives if name == APP_KILLED else _workers_survive
                yield name, lambda seeds, name=name, kind=kind: kind(broker, directory, name, seeds)  # type: ignore[misc]


def _app_survives(broker: KafkaBroker, directory: Path, name: str, seeds: Sequence[int]) -> Outcome:
    """unaccounted: files that nobody adopted."""
    outcome = Outcome(name, 0, 0, 0, 0, 0, 0)
    for seed in seeds:
        spool = directory / f"spool-{seed}"
        found = sdk_lab.killed_again_and_again(broker.bootstrap, f"sdk-{seed}", spool, random.Random(seed))
        left = len(sdk_lab.files_in(spool))
        outcome += Outcome(name, 1, found.events, found.kills, found.lost, found.doubled, left)
    return outcome


def _workers_survive(broker: KafkaBroker, directory: Path, name: str, seeds: Sequence[int]) -> Outcome:
    """lost: suggestions whose outcome is not the oracle's. unaccounted: those whose last record is behind it."""
    outcome = Outcome(name, 0, 0, 0, 0, 0, 0)
    for seed in seeds:
        arena = worker_faults.Arena(broker, directory / name, seed)
        try:
            worker_faults.survive(arena, WORKER_FAULTS[name])
            wrong, behind = arena.wrong(), arena.behind()
        finally:
            for worker in arena.workers:
                worker.process.kill()
        outcome += Outcome(name, 1, len(arena.records), arena.kills, len(wrong), 0, len(behind))
    return outcome
