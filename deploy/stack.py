"""The local stack: every part of Keeprate as a child of one process, started and ended in an order that loses nothing.

The part started last ends first: what emits, then the processors, which drain what they hold, then what serves people,
then the store. The files of the store and the broker stay for the next start.

**Invariant:** a part that ends by itself is started again or ends the stack; it is never missed.
"""

import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from keeprate.deploy.process import ChildProcess, ProcessError, accepts
from keeprate.deploy.settings import HOST

RESTARTS_PER_MINUTE = 5
_READY_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Part:
    """One process of the stack.

    ready_url: answers 2xx once the part can be used; None when starting is enough.
    drain_s: how long it may take to finish what it holds before it is killed.
    restart: whether it is started again when it ends by itself. Safe for every part, by the delivery protocol.
    foreground: whether its output is shown instead of kept in a log.
    """

    name: str
    argv: tuple[str, ...]
    ready_url: str | None = None
    drain_s: float = 20.0
    restart: bool = True
    foreground: bool = False


@dataclass(frozen=True)
class Ports:
    """Where the parts listen on loopback."""

    broker: int
    store: int
    page: int
    monitor: int
    prometheus: int

    @property
    def worker_metrics(self) -> int:
        return self.monitor + 1

    @property
    def sink_metrics(self) -> int:
        return self.monitor + 2


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
    _ended_at: dict[str, list[float]] = field(default_factory=dict)

    def launch(self, *parts: Part) -> None:
        """Start parts, and return without waiting for them. Must be called from a thread that outlives them."""
        for part in parts:
            log = None if part.foreground else self.logs / f"{part.name}.log"
            child = ChildProcess(part.name, part.argv, log, self.env)
            self._running.append((part, child))
            child.start()

    def wait_ready(self) -> None:
        """Return once every part that was launched is ready. Raises ProcessError with the end of a log."""
        for part, child in self._running:
            if part.ready_url is not None:
                child.wait_ready(partial(answers, part.ready_url), _READY_TIMEOUT_S)

    def check(self, now_s: float) -> None:
        """Start again what ended by itself. Raises ProcessError for a part that ends again and again.

        now_s: a monotonic clock.
        """
        for part, child in self._running:
            if child.running:
                continue
            ended_at = [at for at in self._ended_at.get(part.name, []) if now_s - at < 60] + [now_s]
            self._ended_at[part.name] = ended_at
            reason = f"{part.name} ended by itself with code {child.returncode}"
            if not part.restart or len(ended_at) > RESTARTS_PER_MINUTE:
                raise ProcessError(reason, child.log_tail())
            self.tell(f"{reason}; starting it again, see {child.log or 'above'}")
            child.start()

    def stop(self) -> None:
        """End every part, the last started first, each with its time to drain."""
        while self._running:
            part, child = self._running.pop()
            child.terminate(part.drain_s)
