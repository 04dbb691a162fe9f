"""What a benchmark finds: numbers with a name and a unit, and the file that keeps them."""

import json
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypedDict

DIRECTORY: Final = Path(".bench")
RESULTS: Final = DIRECTORY / "results.json"
MACHINE: Final = DIRECTORY / "machine.json"
BESIDE: Final = "beside."
"""Begins the names of what was measured beside a neighbour that keeps half a core busy."""

GROUPS: Final = ("sdk", "collector", "join", "steps", "scaling", "freshness", "sink", "landing", "read", "idle")
"""The order in which results are shown: the way an event takes."""
OURS: Final = {"sdk": "sdk.emit", "join": "join.keeprate", "sink": "sink.keeprate", "landing": "landing.keeprate"}
"""What the other rates of a group are compared with."""


class Result(TypedDict):
    """One line of `.bench/results.json`. The unit of a rate ends in `/s`: more is better."""

    name: str
    unit: str
    median: float
    min: float
    max: float
    runs: int


@dataclass(frozen=True)
class Bench:
    """What `measure` is told.

    runs: how often each contender is measured; one number comes of them.
    scale: the share of the full amount of events, for a quick look; the numbers that are published have 1.
    directory: an empty one on disk, removed afterwards.
    only: the names asked for; empty means all.
    say: shows what is being done now.
    """

    runs: int
    scale: float
    directory: Path
    only: tuple[str, ...]
    say: Callable[[str], None]

    def wants(self, name: str) -> bool:
        """Whether a result is asked for, by its name or by that of its group."""
        return not self.only or any(name == one or name.startswith(f"{one}.") for one in self.only)

    def events(self, full: int) -> int:
        """The full amount of events at this scale, and never none."""
        return max(1, round(full * self.scale))


def result(name: str, unit: str, values: Sequence[float]) -> Result:
    """The result of several runs."""
    return Result(
        name=name,
        unit=unit,
        median=statistics.median(values),
        min=min(values),
        max=max(values),
        runs=len(values),
    )


def file(results: Iterable[Result], machine: Mapping[str, str]) -> None:
    """Add results to those of earlier runs, by name. Those of another machine are dropped."""
    DIRECTORY.mkdir(exist_ok=True)
    known = {one["name"]: one for one in load()} if _same_machine(machine) else {}
    known |= {one["name"]: one for one in results}
    MACHINE.write_text(json.dumps(machine, indent=2) + "\n", "utf-8")
    RESULTS.write_text(json.dumps(sorted(known.values(), key=order), indent=2) + "\n", "utf-8")


def load() -> list[Result]:
    """The results on file, none when there is no file."""
    results: list[Result] = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else []
    return results


def order(one: Result) -> tuple[bool, int, bool]:
    """The sorting key that puts groups in their order and ours first in each, and leaves the rest as it is."""
    own = one["name"].removeprefix(BESIDE)
    group = own.partition(".")[0]
    place = GROUPS.index(group) if group in GROUPS else len(GROUPS)
    return one["name"].startswith(BESIDE), place, own != OURS.get(group)


def ratio(one: Result, results: Iterable[Result]) -> float | None:
    """How many times as fast ours is; None where there is nothing to compare."""
    beside = BESIDE if one["name"].startswith(BESIDE) else ""
    name = OURS.get(one["name"].removeprefix(BESIDE).partition(".")[0])
    ours = next((other for other in results if name and other["name"] == beside + name), None)
    if ours is None or ours is one or ours["unit"] != one["unit"] or not one["unit"].endswith("/s"):
        return None
    return ours["median"] / one["median"]


def _same_machine(machine: Mapping[str, str]) -> bool:
    if not MACHINE.exists():
        return False
    known = json.loads(MACHINE.read_text("utf-8"))
    return all(known.get(name) == machine[name] for name in ("cpu", "cores", "memory"))
