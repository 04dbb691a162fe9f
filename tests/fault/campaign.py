"""Trials side by side: most of one is waiting for sessions, back-offs and brokers, so many of them fit on few cores."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from tests.fault.cell import Cell, Outcome
from tests.fault.lab import Lab
from tests.fault.trial import Together

JOBS: Final = min(12, 4 * (os.cpu_count() or 1))
"""Trials at once: four keep a core busy, and more than a dozen one broker and one store."""
_TOGETHER: Final = 4

Trials = dict[tuple[str, int], "Future[Outcome]"]
"""By the cell's name and the seed. A trial that did not heal has its exception, one that cannot be made Skipped."""


_Unit = tuple[Cell, dict[int, "Future[Outcome]"]]
"""A cell and the seeds with which it is made at once."""


@contextmanager
def campaign(directory: Path, wanted: Sequence[tuple[Cell, int]], jobs: int = JOBS) -> Iterator[Trials]:
    """Begin a trial of each cell with each seed, in this order; at the end those that still run are broken off."""
    trials: Trials = {(cell.name, seed): Future() for cell, seed in wanted}
    shared = [(cell, {seed: trials[cell.name, seed]}) for cell, seed in wanted if not cell.alone]
    with ExitStack() as running:
        labs = [
            (running.enter_context(Lab(directory / name)), units, threads)
            for name, units, threads in (("shared", shared, jobs), ("alone", _together(wanted, trials), 1))
            if units
        ]
        for lab, units, threads in labs:
            pool = ThreadPoolExecutor(threads)
            running.callback(pool.shutdown, cancel_futures=True)
            running.callback(lab.breaking_off.set)
            for cell, some in units:
                pool.submit(_make, lab, cell, some)
        yield trials


def _together(wanted: Sequence[tuple[Cell, int]], trials: Trials) -> list[_Unit]:
    """Of the cells that need a lab of their own, because nobody else should meet the harm: some seeds at once."""
    units: list[_Unit] = []
    for cell in {cell.name: cell for cell, _ in wanted if cell.alone}.values():
        own = [(seed, trial) for (name, seed), trial in trials.items() if name == cell.name]
        units += [(cell, dict(own[begin : begin + _TOGETHER])) for begin in range(0, len(own), _TOGETHER)]
    return units


def _make(lab: Lab, cell: Cell, some: dict[int, "Future[Outcome]"]) -> None:
    """Make one fault with some seeds at once."""
    together = Together(len(some))
    with ThreadPoolExecutor(len(some)) as threads:
        for seed, trial in some.items():
            threads.submit(_survive, lab, cell, seed, together, trial)


def _survive(lab: Lab, cell: Cell, seed: int, together: Together, trial: "Future[Outcome]") -> None:
    try:
        trial.set_result(cell.survive(lab, seed, together))
    except BaseException as error:  # noqa: BLE001 - it is raised where the trial is asked for
        together.leave()
        trial.set_exception(error)
