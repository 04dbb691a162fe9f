"""`make fault SEEDS=n`: every fault with n seeds, a table, and .bench/faults.json."""

import argparse
import random
import sys
import tempfile
from concurrent.futures import Future, as_completed
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Column, Table

from tests.fault.campaign import JOBS, campaign
from tests.fault.cell import Outcome
from tests.fault.cells import CELLS
from tests.fault.filing import file
from tests.fault.skipped import Skipped

_COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())


@dataclass
class Tally:
    """What came of the trials so far."""

    console: Console
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    skipped: set[str] = field(default_factory=set)
    failed: int = 0

    def add(self, fault: str, seed: int, trial: "Future[Outcome]") -> None:
        """Count a trial that is over. One that failed is told of at once, with what makes it again."""
        error = trial.exception()
        if isinstance(error, Skipped):
            if fault not in self.skipped:
                self.console.print(f"{fault}: skipped, {error}", markup=False)
            self.skipped.add(fault)
            return
        if error is None:
            outcome = trial.result()
            self.outcomes[fault] = self.outcomes.get(fault, Outcome(fault)) + outcome
        if error is not None or not outcome.clean:
            self.failed += 1
            what = f"not healed: {type(error).__name__}: {error}" if error else str(outcome)
            again = f'make fault ONLY="{fault}" FIRST_SEED={seed} SEEDS=1'
            self.console.print(f"{fault}, seed {seed}: {what}\n  again: {again}", markup=False, highlight=False)

    def show(self) -> None:
        """Print the table."""
        table = Table(*(Column(each.name, no_wrap=True, overflow="fold") for each in fields(Outcome)))
        total = Outcome("all")
        for name in CELLS:
            if outcome := self.outcomes.get(name):
                table.add_row(*map(str, asdict(outcome).values()))
                total += outcome
        table.add_section()
        table.add_row(*map(str, asdict(total).values()))
        self.console.print(table)


def main() -> int:
    """Run the faults that were asked for; the exit code says whether all were survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how often each fault is made")
    parser.add_argument("--first-seed", type=int, default=None, help="for making a run again; random by default")
    parser.add_argument("--only", default="", help="only faults whose name contains this")
    parser.add_argument("--jobs", type=int, default=JOBS, help="how many trials run side by side")
    options = parser.parse_args()
    first = random.randrange(10**6) if options.first_seed is None else options.first_seed
    # Wide enough for the table also where the output is a file.
    tally = Tally(Console(width=None if sys.stdout.isatty() else 120))
    tally.console.print(f"seeds {first} to {first + options.seeds - 1}, {options.jobs} trials side by side")
    try:
        _run(tally, options.only, range(first, first + options.seeds), options.jobs)
    except KeyboardInterrupt:
        tally.failed += 1
    tally.show()
    return 1 if tally.failed else 0


def _run(tally: Tally, only: str, seeds: range, jobs: int) -> None:
    # All of a seed before the next one: a run that is broken off has made every fault about as often.
    wanted = [(cell, seed) for seed in seeds for name, cell in CELLS.items() if only in name]
    with (
        tempfile.TemporaryDirectory(prefix="keeprate-faults-") as directory,
        Progress(*_COLUMNS, TimeRemainingColumn(), console=tally.console) as progress,
        campaign(Path(directory), wanted, jobs) as trials,
    ):
        bar = progress.add_task("trials", total=len(trials))
        which = {trial: at for at, trial in trials.items()}
        for trial in as_completed(which):
            tally.add(*which[trial], trial)
            file(tally.outcomes, CELLS)
            progress.advance(bar)


if __name__ == "__main__":
    sys.exit(main())
