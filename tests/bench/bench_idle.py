"""What the local stack costs while little comes: the demo, live at five events a second, with its history behind it.

All processes of `keeprate up --demo` together, from what Linux says of them, with nobody at the page.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.bench.results import Bench, Result, result
from tests.up import Up

NAMES: Final = {
    "idle.cpu_share": "`keeprate up --demo` at five events a second: of one core, all processes together",
    "idle.rss_mb": "the same: memory, all processes together",
    "idle.pss_mb": "the same, with pages that several processes share counted once",
}
_SETTLE_S: Final = 240.0
"""After the history, hours and days are summed, baselines fitted and parts merged."""
_LOOK_S: Final = 60.0
_HISTORY_S: Final = 300.0


def measure(bench: Bench) -> Iterator[Result]:
    """One stack, looked at for a minute several times."""
    if not Path("/proc/self/stat").exists():
        bench.say("only Linux says what processes cost: nothing is measured")
        return
    up = Up(bench.directory / "data", "--demo")
    try:
        bench.say("the demo's history")
        up.wait(lambda: "goes on live" in up.said.read_text(), "the history", _HISTORY_S)
        bench.say(f"{_SETTLE_S:.0f} s for what follows a history")
        time.sleep(_SETTLE_S)
        shares, memory, shared = [], [], []
        for run in range(bench.runs):
            bench.say(f"minute {run + 1} of {bench.runs}")
            before_s, began_s = _spent_s(up.process.pid), time.monotonic()
            time.sleep(_LOOK_S)
            shares.append((_spent_s(up.process.pid) - before_s) / (time.monotonic() - began_s))
            memory.append(sum(_resident(pid) for pid in _family(up.process.pid)) / 1e6)
            shared.append(sum(_proportional(pid) for pid in _family(up.process.pid)) / 1e6)
    finally:
        up.interrupt()
    yield result("idle.cpu_share", "cores", shares)
    yield result("idle.rss_mb", "MB", memory)
    yield result("idle.pss_mb", "MB", shared)


def _family(root: int) -> list[int]:
    """A process and all that descend from it."""
    parents = {int(path.name): int(stat[1]) for path in Path("/proc").glob("[0-9]*") if (stat := _stat(path))}
    family = [root]
    for pid in family:
        family += [child for child, parent in parents.items() if parent == pid]
    return family


def _stat(path: Path) -> list[str]:
    """What Linux says of a process, behind its name; nothing of one that has ended."""
    try:
        return (path / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def _spent_s(root: int) -> float:
    """CPU time of a family, with that of children that have ended and were waited for."""
    stats = [_stat(Path("/proc") / str(pid)) for pid in _family(root)]
    return sum(int(ticks) for stat in stats for ticks in stat[11:15]) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> int:
    stat = _stat(Path("/proc") / str(pid))
    return int(stat[21]) * os.sysconf("SC_PAGE_SIZE") if stat else 0


def _proportional(pid: int) -> int:
    """Its own pages, and its part of those that it has with others: eight processes load the same libraries."""
    try:
        said = (Path("/proc") / str(pid) / "smaps_rollup").read_text()
    except OSError:
        return 0
    return 1024 * next(int(line.split()[1]) for line in said.splitlines() if line.startswith("Pss:"))
