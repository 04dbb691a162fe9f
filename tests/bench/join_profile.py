"""Where an event's time goes in the contest, thread by thread, as the kernel counts it: parts that sum up.

The threads are looked at when the clock of the contest starts and when it ends, so that looking costs nothing. Of the
main thread each moment is told: it runs, it could run but others have the cores, or it waits. It waits for the
interpreter, which the thread that fetches has meanwhile, or for something to do.
"""

import os
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from tests.bench.join_pace import WARM_UP

OURS: Final = {
    "join.main": "CPU time of an event in the contest: the main thread, with all `steps` but the first, and Faust",
    "join.fetching": "the same: the thread that fetches, with the first of the `steps`",
    "join.librdkafka": "the same: the threads that write the changelog",
    "join.rocksdb": "the same: the threads of the state's files",
}
"""With `join.start` they sum up to `join.cpu`."""
PARTS: Final = {
    **OURS,
    "join.main_ready": "time of an event in which the main thread could run, and others have the cores",
    "join.main_waits": "the same in which it waits: for the interpreter, which the thread that fetches has, or records",
    "join.broker": "CPU time of an event in the contest: the broker, which is no part of `join.cpu`",
}
"""`join.main` and the two times of the main thread sum up to the time of an event, of which the rate is the inverse."""

_THREADS: Final = {"rdk:": "join.librdkafka", "rocksdb:": "join.rocksdb"}
"""By the beginning of a thread's name, the part it is; all others that are not the main thread run Python."""

Usage = Mapping[str, float]
"""Seconds by part."""


class Look(NamedTuple):
    """What was seen at one moment: when, how many events were done, and what had been used by then."""

    at_s: float
    events: int
    used: Usage


class Profile:
    """What the threads of a worker and its broker do while the contest's clock runs; nothing without Linux's /proc."""

    def __init__(self, events: int, broker: int) -> None:
        """broker: its process."""
        self._events = events
        self._broker = broker
        self._count = 0
        self._looks: list[Look] = []

    def watching(self, done: Callable[[], int], worker: int) -> Callable[[], int]:
        """The same count, during which the threads are looked at when `join_pace.rate` starts and stops its clock."""

        def count() -> int:
            before, self._count = self._count, done()
            begins = not self._looks and before < self._count >= WARM_UP * self._events
            if begins or (len(self._looks) == 1 and self._count >= self._events):
                self._looks.append(Look(time.monotonic(), self._count, _used(worker, self._broker)))
            return self._count

        return count

    def parts_us(self) -> dict[str, float]:
        """By part, µs of an event; empty where the kernel does not tell."""
        if len(self._looks) < 2 or not all(look.used for look in self._looks):
            return {}
        return parts_us(*self._looks)


def parts_us(began: Look, ended: Look) -> dict[str, float]:
    """By part, µs of an event between two looks."""
    spent_s = {name: ended.used.get(name, 0.0) - began.used.get(name, 0.0) for name in PARTS}
    spent_s["join.main_waits"] = ended.at_s - began.at_s - spent_s["join.main"] - spent_s["join.main_ready"]
    return {name: value_s / (ended.events - began.events) * 1e6 for name, value_s in spent_s.items()}


def _used(worker: int, broker: int) -> Usage:
    used: dict[str, float] = defaultdict(float)
    for home in Path(f"/proc/{worker}/task").glob("*"):
        name, ran_s, ready_s = _thread(home)
        is_main = int(home.name) == worker
        part = next((part for beginning, part in _THREADS.items() if name.startswith(beginning)), "join.fetching")
        used["join.main" if is_main else part] += ran_s
        used["join.main_ready"] += ready_s * is_main
    if used:
        used["join.broker"] = _process_s(broker)
    return used


def _process_s(pid: int) -> float:
    """CPU time of a process, those of its threads that have ended included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _thread(home: Path) -> tuple[str, float, float]:
    """Name, seconds on a core, and seconds ready for one; nothing of a thread that has ended."""
    try:
        name, (ran_ns, ready_ns, _) = (home / "comm").read_text(), (home / "schedstat").read_text().split()
    except FileNotFoundError:
        return "", 0.0, 0.0
    return name, int(ran_ns) / 1e9, int(ready_ns) / 1e9
