"""Run the benchmarks that are asked for, show what they find and file it."""

import argparse
import importlib
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import ModuleType

from rich.console import Console

from tests.bench import machine, tables
from tests.bench.results import BESIDE, RESULTS, Bench, Result, file, load

HERE = Path(__file__).parent
console = Console(stderr=True, highlight=False, soft_wrap=True)


def modules() -> dict[str, ModuleType]:
    """The benchmarks that there are, by name."""
    names = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    return {name: importlib.import_module(f"tests.bench.bench_{name}") for name in names}


def main(arguments: list[str] | None = None) -> int:
    """Run; 1 when a benchmark failed. The others are run all the same."""
    options = _parse(arguments)
    found = modules()
    meanings: dict[str, str] = {name: text for module in found.values() for name, text in module.NAMES.items()}
    only = tuple(name for name in options.only.split(",") if name)
    if unknown := [name for name in only if not any(f"{known}.".startswith(f"{name}.") for known in meanings)]:
        console.print(f"no benchmark measures {', '.join(unknown)}; there are {', '.join(meanings)}")
        return 2
    if options.markdown or options.readme:
        text = tables.markdown(load(), meanings, machine.describe(), "make bench")
        if options.readme:
            tables.into_readme(Path("README.md"), text)
        else:
            sys.stdout.write(text + "\n")
        return 0
    with machine.neighbour() if options.neighbour else nullcontext():
        results, succeeded = _measure(found, only, options)
    _show(results, meanings, options)
    return int(not succeeded)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure, print a table and file the numbers.")
    parser.add_argument("--only", default="", help="names or beginnings of names, with commas: join,sink or join.quix")
    parser.add_argument("--runs", type=int, default=3, help="of each contender (default 3)")
    parser.add_argument("--scale", type=float, default=1.0, help="of the full amount; other than 1 is not filed")
    parser.add_argument(
        "--neighbour",
        action="store_true",
        help=f"beside a process that keeps half a core busy; the names begin with {BESIDE} then",
    )
    parser.add_argument(
        "--markdown", action="store_true", help="measure nothing, print the table of the numbers on file"
    )
    parser.add_argument("--readme", action="store_true", help="measure nothing, write that table into README.md")
    return parser.parse_args(arguments)


def _measure(
    found: dict[str, ModuleType], only: tuple[str, ...], options: argparse.Namespace
) -> tuple[list[Result], bool]:
    if warning := machine.busy():
        console.print(f"[yellow]{warning}[/]")
    results: list[Result] = []
    succeeded = True
    for name, module in found.items():
        with tempfile.TemporaryDirectory(prefix=f"keeprate-bench-{name}-") as directory, _progress(name) as say:
            bench = Bench(options.runs, options.scale, Path(directory), only, say)
            if not any(map(bench.wants, module.NAMES)):
                continue
            try:
                for one in module.measure(bench):
                    if options.neighbour:
                        one["name"] = BESIDE + one["name"]
                    results.append(one)
                    _keep(one, options)
            except Exception:  # noqa: BLE001 - one benchmark that fails must not cost the others
                console.print(f"{name} failed\n{traceback.format_exc()}", markup=False)
                succeeded = False
    return results, succeeded


def _keep(one: Result, options: argparse.Namespace) -> None:
    """File a number at once: what is known stays known when the rest is interrupted."""
    if options.scale == 1:
        file([one], machine.describe())
    console.print(f"{one['name']}: {tables.number(one['median'])} {one['unit']}")


@contextmanager
def _progress(name: str) -> Iterator[Callable[[str], None]]:
    """A line that changes in a terminal, and a line for each step elsewhere."""
    started_s = time.monotonic()

    def line(text: str) -> str:
        return f"{name} {time.monotonic() - started_s:5.0f} s  {text}"

    if not console.is_terminal:
        yield lambda text: console.print(line(text), markup=False)
        return
    with console.status("") as status:
        yield lambda text: status.update(line(text))


def _show(results: list[Result], meanings: dict[str, str], options: argparse.Namespace) -> None:
    command = "make bench" + (f" ONLY={options.only}" if options.only else "")
    told = ["--neighbour"] if options.neighbour else []
    if (options.runs, options.scale) != (3, 1):
        told.append(f"--runs {options.runs} --scale {options.scale:g}")
    if told:
        command += f' BENCH="{" ".join(told)}"'
    out = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    out.print(tables.terminal(results, meanings))
    out.print("\n" + ", ".join(f"{name} {value}" for name, value in machine.describe().items()))
    out.print(f"{command}\n{f'filed in {RESULTS}' if options.scale == 1 else 'a quick look, not filed'}")


if __name__ == "__main__":
    sys.exit(main())
