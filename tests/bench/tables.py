"""The results for people: a table in the terminal, and the one in the README."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.table import Table

from tests.bench.results import BESIDE, Result, order, ratio

BEGIN: Final = "<!-- bench: begin -->"
END: Final = "<!-- bench: end -->"


def number(value: float) -> str:
    """Three significant digits, as a person would write them: a benchmark knows no more."""
    digits = f"{value:.3g}"
    return f"{float(digits):,.0f}" if abs(value) >= 100 else f"{float(digits):g}"


def terminal(results: Sequence[Result], meanings: Mapping[str, str]) -> Table:
    """A table for rich."""
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("name", no_wrap=True)
    table.add_column("what")
    for column in ("median", "min", "max", "runs"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    table.add_column("ours is", justify="right", no_wrap=True)
    for one in _ordered(results, meanings):
        table.add_row(one["name"], _what(one, meanings), *_cells(one), one["unit"], _times(one, results))
    return table


def markdown(results: Sequence[Result], meanings: Mapping[str, str], machine: Mapping[str, str], command: str) -> str:
    """What stands between the README's marks."""
    lines = ["| what | median | min - max | unit | ours is |", "|---|--:|--:|---|--:|"]
    for one in _ordered(results, meanings):
        median, least, most, _ = _cells(one)
        what = f"{_what(one, meanings)} (`{one['name']}`)"
        lines.append(f"| {what} | {median} | {least} - {most} | {one['unit']} | {_times(one, results)} |")
    runs = sorted({one["runs"] for one in results})
    said = "; ".join(f"{name} {value}" for name, value in machine.items())
    lines += ["", *textwrap.wrap(f"Medians of {' or '.join(map(str, runs))} runs, by `{command}`. {said}.", 120)]
    return "\n".join(lines)


def _what(one: Result, meanings: Mapping[str, str]) -> str:
    name = one["name"].removeprefix(BESIDE)
    return meanings.get(name, name) + (", beside a process that keeps half a core busy" if name != one["name"] else "")


def _ordered(results: Sequence[Result], meanings: Mapping[str, str]) -> list[Result]:
    """In the order in which the benchmarks declare what they measure, ours first."""
    place = {name: number for number, name in enumerate(meanings)}
    return sorted(results, key=lambda one: (order(one), place.get(one["name"].removeprefix(BESIDE), len(place))))


def into_readme(path: Path, text: str) -> None:
    """Replace what stands between the marks. Raises ValueError when the file has none, and leaves it as it is."""
    readme = path.read_text("utf-8")
    if BEGIN not in readme or END not in readme:
        raise ValueError(f"{path} has no {BEGIN} … {END} to write between")
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    path.write_text(pattern.sub(lambda _: f"{BEGIN}\n{text}\n{END}", readme), "utf-8")


def _cells(one: Result) -> tuple[str, str, str, str]:
    return number(one["median"]), number(one["min"]), number(one["max"]), str(one["runs"])


def _times(one: Result, results: Sequence[Result]) -> str:
    times = ratio(one, results)
    return "" if times is None else f"{number(times)} x"
