"""`make fault SEEDS=n`: every fault with n seeds, a table, and .bench/faults.json."""

import argparse
import json
import random
import sys
import tempfile
from dataclasses import asdict, fields
from pathlib import Path

from rich.console import Console
from rich.table import Table

from keeprate.deploy.process import ProcessError
from tests.fault.cells import cells
from tests.fault.lab import Outcome, Skipped

RESULTS = Path(".bench") / "faults.json"


def main() -> int:
    """Run the faults that were asked for; the exit code says whether all were survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="how often each fault is made")
    parser.add_argument("--first-seed", type=int, default=None, help="for making a run again; random by default")
    parser.add_argument("--only", default="", help="only faults whose name contains this")
    options = parser.parse_args()
    first = random.randrange(10**6) if options.first_seed is None else options.first_seed
    console = Console()
    console.print(f"seeds {first} to {first + options.seeds - 1}")
    outcomes: list[Outcome] = []
    try:
        unhealed = _run(console, options.only, range(first, first + options.seeds), outcomes)
    finally:
        # Also of a run that is broken off.
        _show(console, outcomes)
    return 0 if not unhealed and all(outcome.clean for outcome in outcomes) else 1


def _run(console: Console, only: str, seeds: range, outcomes: list[Outcome]) -> list[str]:
    """Add each cell's outcome. Returns the cells that did not heal in time, and so have none."""
    unhealed = []
    with tempfile.TemporaryDirectory(prefix="keeprate-faults-") as directory:
        for name, cell in cells(Path(directory), only):
            try:
                outcomes.append(cell(seeds))
            except Skipped as reason:
                console.print(f"  {name}: skipped, {reason}")
            except (AssertionError, ProcessError) as error:
                console.print(f"  {name}: not healed: {error}", markup=False)
                unhealed.append(name)
            else:
                console.print(f"  {name}: {'survived' if outcomes[-1].clean else outcomes[-1]}")
                _file(outcomes)
    return unhealed


def _file(outcomes: list[Outcome]) -> None:
    """Add to what is on file, by name."""
    RESULTS.parent.mkdir(exist_ok=True)
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    by_name = {one["fault"]: one for one in known} | {one.fault: asdict(one) for one in outcomes}
    RESULTS.write_text(json.dumps(list(by_name.values()), indent=1) + "\n")


def _show(console: Console, outcomes: list[Outcome]) -> None:
    table = Table(*(each.name for each in fields(Outcome)))
    for outcome in outcomes:
        table.add_row(*(str(value) for value in asdict(outcome).values()))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
