"""`make fault SEEDS=n`: every fault with n seeds, a table, and .bench/faults.json."""

import argparse
import json
import random
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.fault.lab import Lab, Outcome, survive
from tests.fault.sink_faults import FAULTS

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
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="keeprate-faults-") as directory, Lab(Path(directory)) as lab:
        for name, fault in FAULTS.items():
            if options.only in name:
                outcomes.append(survive(lab, name, fault, range(first, first + options.seeds)))
                console.print(f"  {name}: {'survived' if outcomes[-1].clean else outcomes[-1]}")
    _show(console, outcomes)
    _file(outcomes)
    return 0 if all(outcome.clean for outcome in outcomes) else 1


def _file(outcomes: list[Outcome]) -> None:
    """Add to what is on file, by name."""
    RESULTS.parent.mkdir(exist_ok=True)
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    by_name = {one["fault"]: one for one in known} | {one.fault: asdict(one) for one in outcomes}
    RESULTS.write_text(json.dumps(list(by_name.values()), indent=1) + "\n")


def _show(console: Console, outcomes: list[Outcome]) -> None:
    table = Table("fault", *(name for name in asdict(outcomes[0]) if name != "fault"))
    for outcome in outcomes:
        table.add_row(*(str(value) for value in asdict(outcome).values()))
    console.print(table)


if __name__ == "__main__":
    sys.exit(main())
