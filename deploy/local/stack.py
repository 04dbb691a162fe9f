"""The local stack: every part of Keeprate as a child of one process, started and ended in an order that loses nothing.

The part started last ends first: what emits, then the processors, which drain what they hold, then what serves people,
then the store. The files of the store and the broker stay for the next start.

**Invariant:** a part that ends by itself is started again, and the others go on. Only what all stand on, the store and
the broker, ends the stack, when it ends again and again.
"""

import sys
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from keeprate.deploy.local.process import FRUGAL, ChildProcess, ProcessError, accepts, private_directory
from keeprate.deploy.settings import HOST

ATTEMPTS = 5
"""How often in a row the store or the broker may end by itself before the stack does."""
PARTITIONS = 1
"""Of each topic that the stack makes. One worker and one sink read them all, and land each by itself, however little it
has: of more than one, nothing here is faster."""
STEADY_S = 60.0
"""What ran for so long had started well: what ends it afterwards is a new failure."""
LONGEST_PAUSE_S = 60.0
_READY_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Part:
    """One process of the stack.

    ready_url: answers 2xx once the part can be used; None when starting is enough.
    drain_s: how long it may take to finish what it holds before it is killed.
    essential: whether the stack ends when this part ends again and again. Every part is started again when it ends by
        itself, which is safe by the delivery protocol.
    foreground: whether its output is shown instead of kept in a log.
    """

    name: str
    argv: tuple[str, ...]
    ready_url: str | None = None
    drain_s: float = 20.0
    essential: bool = False
    foreground: bool = False


@dataclass(frozen=True)
class Ports:
    """Where the parts listen on loopback."""

    broker: int
    store: int
    page: int
    monitor: int
    prometheus: int
    alertmanager: int
    alerts: int

    @property
    def worker_metrics(self) -> int:
        return self.monitor + 1

    @property
    def sink_metrics(self) -> int:
        return self.monitor + 2

    @property
    def collector_metrics(self) -> int:
        """Not a part of the stack: where one that is started beside it is looked for."""
        return self.monitor + 3


def keeprate(*arguments: str) -> tuple[str, ...]:
    """The command line of this very installation."""
    return (sys.executable, "-m", "keeprate.deploy.cli", *arguments)


def url(port: int, path: str = "") -> str:
    """An address on loopback."""
    return f"http://{HOST}:{port}{path}"


def taken(ports: Ports, names: Iterable[str]) -> list[str]:
    """Of the named ports, the ones that something else already listens at, as `name port`."""
    return [f"{name} {getattr(ports, name)}" for name in names if accepts(getattr(ports, name))]


def answers(ready_url: str) -> bool:
    """Whether an address answers with success."""
    try:
        with urllib.request.urlopen(ready_url, timeout=2) as response:
            return bool(200 <= response.status < 300)
    except (urllib.error.URLError, OSError):
        return False


@dataclass
class Failures:
    """When what ends by itself is started again: at once, then after pauses that double. Time is an argument."""

    in_a_row: int = 0
    started_at_s: float = 0.0
    due_at_s: float | None = None

    def ended(self, now_s: float) -> float:
        """Note an end, and return the seconds until it is to be started again."""
        steady = now_s - self.started_at_s >= STEADY_S
        self.in_a_row = 1 if steady else self.in_a_row + 1
        pause_s = 0.0 if self.in_a_row == 1 else min(LONGEST_PAUSE_S, 2.0 ** (self.in_a_row - 2))
        self.due_at_s = now_s + pause_s
        return pause_s

    def started(self, now_s: float) -> None:
        """Note a start."""
        self.started_at_s, self.due_at_s = now_s, None


@dataclass
class Stack:
    """Running parts, in the order of their start.

    logs: the directory of their logs, a file each.
    env: what is added to every part's environment.
    tell: called with a sentence when a part ended by itself.
    """

    logs: Path
    env: dict[str, str]
    tell: Callable[[str], None]
    _running: list[tuple[Part, ChildProcess]] = field(default_factory=list)
    _failures: defaultdict[str, Failures] = field(default_factory=lambda: defaultdict(Failures))

    def launch(self, *parts: Part) -> None:
        """Start parts, and return without waiting for them. Must be called from a thread that outlives them."""
        private_directory(self.logs)
        for part in parts:
            log = None if part.foreground else self.logs / f"{part.name}.log"
            child = ChildProcess(part.name, part.argv, log, FRUGAL | self.env)
            self._running.append((part, child))
            self._start(part, child, time.monotonic())

    def wait_ready(self) -> None:
        """Return once every part that was launched is ready, or has failed and been told of.

        Raises ProcessError, with the end of its log, for an essential one.
        """
        for part, child in self._running:
            if part.ready_url is None:
                continue
            try:
                child.wait_ready(partial(answers, part.ready_url), _READY_TIMEOUT_S)
            except ProcessError as error:
                if part.essential:
                    raise
                self.tell(f"{error.reason}; the others go on, see {child.log}")

    def check(self, now_s: float) -> None:
        """Start again what ended by itself, when its pause is over. Raises ProcessError for an essential part that ends
        again and again.

        now_s: a monotonic clock.
        """
        for part, child in self._running:
            failures = self._failures[part.name]
            if child.running:
                continue
            if failures.due_at_s is None:
                self._note_end(part, child, failures, now_s)
            if failures.due_at_s is not None and now_s >= failures.due_at_s:
                self._start(part, child, now_s)

    def _note_end(self, part: Part, child: ChildProcess, failures: Failures, now_s: float) -> None:
        pause_s = failures.ended(now_s)
        reason = f"{part.name} ended by itself with code {child.returncode}"
        if part.essential and failures.in_a_row > ATTEMPTS:
            raise ProcessError(
                f"{reason}, {failures.in_a_row} times in a row, and nothing goes on without it", child.log_tail()
            )
        again = f"in {pause_s:g} s" if pause_s else "now"
        self.tell(f"{reason}; it starts again {again}, see {child.log or 'above'}")

    def _start(self, part: Part, child: ChildProcess, now_s: float) -> None:
        child.start()
        self._failures[part.name].started(now_s)

    def running(self, name: str) -> bool:
        """Whether the part of this name runs at this moment."""
        return any(child.running for part, child in self._running if part.name == name)

    def stop(self) -> None:
        """End every part, the last started first, each with its time to drain."""
        while self._running:
            part, child = self._running.pop()
            child.terminate(part.drain_s)
