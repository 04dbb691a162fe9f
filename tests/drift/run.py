"""`make drift-bench`: simulate, print the targets with what was measured, file the numbers."""

import argparse
import importlib.util
import json
import pickle
import sys
import time
from dataclasses import asdict, is_dataclass, replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.drift import measures, outside, plan, report, targets
from tests.drift.plan import FULL, QUICK, Found, Size

RESULTS: Final = Path(".bench") / "drift.json"
KEPT: Final = Path(".bench") / "drift.pickle"
DOCS: Final = Path("docs") / "drift.md"


def main(arguments: list[str] | None = None) -> int:
    """Run; 1 when a target was missed."""
    options = _parse(arguments)
    size = QUICK if options.quick else FULL
    if not importlib.util.find_spec("river"):
        Console(stderr=True).print(
            "river is not installed: no ADWIN and no labelled series (make drift-bench brings it)"
        )
        size = replace(size, adwin=0)
    found = pickle.loads(KEPT.read_bytes()) if options.again else _measured(size, options)
    rows = targets.rows(found)
    if options.json:
        sys.stdout.write(json.dumps(_plain(found, rows), indent=1) + "\n")
    else:
        Console(width=80, highlight=False).print(*report.terminal(found, rows), sep="\n")
    if not options.quick and not options.again:
        RESULTS.write_text(json.dumps(_plain(found, rows), indent=1) + "\n", "utf-8")
    if options.docs:
        report.into_docs(DOCS, found, rows)
    return int(any(each.passed is False for each in rows))


def _measured(size: Size, options: argparse.Namespace) -> Found:
    started_s = time.monotonic()
    found = _measure(size, options)
    found["run",] = {"seconds": round(time.monotonic() - started_s), "jobs": options.jobs, "seed": options.seed}
    found["size",] = size
    if not options.quick:
        KEPT.parent.mkdir(exist_ok=True)
        KEPT.write_bytes(pickle.dumps(found))
    return found


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make drift-bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a look in a minute or two: too few days to show a target")
    parser.add_argument("--json", action="store_true", help="print the numbers, not the tables")
    parser.add_argument("--again", action="store_true", help="measure nothing, show what the last full run found")
    parser.add_argument("--docs", action="store_true", help=f"write the tables into {DOCS}")
    parser.add_argument("--jobs", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--seed", type=int, default=1, help="another seed, other traffic (default 1)")
    return parser.parse_args(arguments)


def _measure(size: Size, options: argparse.Namespace) -> Found:
    found = Found()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress:
        for name, pieces in (("worlds and rivals", plan.first), ("tuned", plan.second)):
            task = progress.add_task(name)
            for done, total in plan.run(pieces(size, options.seed, found), options.jobs, found):
                progress.update(task, completed=done, total=total)
        if size.adwin:
            found["outside",] = outside.table()
        progress.add_task("cost", total=None)
        # Alone, in this process: it is measured in CPU time, but a busy neighbour costs that too.
        found["cost",] = measures.cost(size.series, options.seed)
    return found


def _plain(found: Found, rows: list[targets.Row]) -> dict[str, Any]:
    """The numbers as JSON has them: of delays the median and the ninth decile, null where it was not found."""
    numbers = {}
    for key, value in found.items():
        if isinstance(value, list) and key[0] != "outside":
            value = measures.Delay.of(value)
        plain = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        if isinstance(plain, dict):
            plain = {name: None if each == float("inf") else each for name, each in plain.items()}
        numbers["/".join(map(str, key))] = plain
    return {"targets": [asdict(each) for each in rows], "numbers": numbers}


if __name__ == "__main__":
    sys.exit(main())
