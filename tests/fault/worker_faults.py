"""What is done to workers while records arrive, and what must come of it: the oracle's outcomes."""

import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from keeprate.deploy.broker import KafkaBroker
from keeprate.schemas.events import Event
from keeprate.schemas.outcome import Outcome, decode_outcome, encode_outcome, merge_all
from keeprate.schemas.topics import OUTCOMES
from tests.streaming import (
    RunningWorker,
    Sourced,
    disordered,
    expected,
    lag,
    outcomes,
    produce,
    read,
    story,
    wait_until,
)

SUGGESTIONS: Final = 3_000
PARTS: Final = 12
# Past the session timeout of six seconds, so that the group goes on without the member.
SUSPENDED_S: Final = 9.0


@dataclass
class Arena:
    """One fault with one seed: an app and a group of its own, two workers, and records that arrive all the while."""

    broker: KafkaBroker
    directory: Path
    seed: int
    rng: random.Random = field(init=False)
    name: str = field(init=False)
    log: list[Event] = field(init=False)
    records: list[Sourced] = field(init=False)
    workers: list[RunningWorker] = field(init=False)
    exits: int = 0
    kills: int = 0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.name = f"fault{self.seed}x{time.monotonic_ns()}"
        self.log = story(self.rng, self.name, SUGGESTIONS)
        self.records = disordered(self.rng, self.log)
        state = self.rng.choice(["memory", "rocksdb"])
        self.workers = [self._worker(number, state) for number in range(2)]

    def _worker(self, number: int, state: str) -> RunningWorker:
        home = self.directory / f"{self.name}-{number}"
        home.mkdir(parents=True)
        return RunningWorker(self.broker.bootstrap, home, self.name, state)

    def arrive(self) -> threading.Thread:
        """Records begin to arrive, part by part."""
        size = len(self.records) // PARTS + 1
        parts = [self.records[at : at + size] for at in range(0, len(self.records), size)]

        def send() -> None:
            for part in parts:
                produce(self.broker.bootstrap, part)
                time.sleep(0.5)

        thread = threading.Thread(target=send)
        thread.start()
        return thread

    def kill(self, worker: RunningWorker) -> None:
        """SIGKILL, counted."""
        worker.process.kill()
        self.kills += 1

    def pause(self) -> None:
        """A moment of work."""
        time.sleep(self.rng.uniform(0.3, 2.0))

    def at_work(self) -> None:
        """Return when outcomes are being written."""
        wait_until(lambda: len(outcomes(self.broker.bootstrap, self.name)) > 0)

    def settle(self) -> None:
        """Return when everything is joined. A worker that ended is started again, as any supervisor would."""

        def settled() -> bool:
            for worker in self.workers:
                if not worker.process.running:
                    self.exits += 1
                    worker.process.start()
            return lag(self.broker.bootstrap, self.name) == 0

        wait_until(settled, timeout_s=150)

    def wrong(self) -> list[str]:
        """The keys whose outcome is not the oracle's, merged from all that was written, as the store merges it."""
        written: dict[str, list[Outcome]] = {}
        for record in read(self.broker.bootstrap, OUTCOMES.name):
            key, outcome = decode_outcome(record.value())
            if key.startswith(f"{self.name}/"):
                written.setdefault(key, []).append(outcome)
        merged = {key: encode_outcome(key, merge_all(all_)) for key, all_ in written.items()}
        wanted = expected(self.log)
        return sorted(key for key in merged.keys() | wanted.keys() if merged.get(key) != wanted.get(key))

    def behind(self) -> list[str]:
        """The keys whose last record holds less than the oracle, after a worker has recovered alone."""
        for worker in self.workers:
            worker.process.kill()
        self.workers = self.workers[:1]
        shutil.rmtree(self.workers[0].log.parent / "state", ignore_errors=True)
        wanted = expected(self.log)
        self.workers[0].process.start()
        marker = story(self.rng, f"{self.name}-after", 1)
        produce(self.broker.bootstrap, disordered(self.rng, marker))
        wait_until(lambda: len(outcomes(self.broker.bootstrap, f"{self.name}-after")) > 0)
        last = outcomes(self.broker.bootstrap, self.name)
        return sorted(key for key in wanted if last.get(key) != wanted[key])


Fault = Callable[[Arena], None]


def worker_killed(arena: Arena) -> None:
    """kill -9 of one of two workers, again and again, each time started again."""
    for _ in range(3):
        victim = arena.rng.choice(arena.workers)
        arena.kill(victim)
        arena.pause()
        victim.process.start()
        arena.pause()


def both_killed(arena: Arena) -> None:
    """kill -9 of both at once."""
    for worker in arena.workers:
        arena.kill(worker)
    arena.pause()
    for worker in arena.workers:
        worker.process.start()


def rebalance_storm(arena: Arena) -> None:
    """Workers leave and come back in order, faster than they settle."""
    for _ in range(4):
        worker = arena.rng.choice(arena.workers)
        worker.process.terminate(deadline_s=30)
        arena.pause()
        worker.process.start()


def worker_suspended(arena: Arena) -> None:
    """SIGSTOP past the session timeout: the other takes over, and then there are two who think it is theirs."""
    pid = arena.workers[0].process.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    time.sleep(SUSPENDED_S)
    os.kill(pid, signal.SIGCONT)


def broker_killed(arena: Arena) -> None:
    """kill -9 of the only broker, and its return."""
    arena.broker.kill()
    arena.kills += 1
    arena.pause()
    arena.broker.start()


def state_deleted(arena: Arena) -> None:
    """The state's directory is gone when the worker comes back."""
    worker = arena.workers[0]
    arena.kill(worker)
    shutil.rmtree(worker.log.parent / "state", ignore_errors=True)
    worker.process.start()


FAULTS: Final[dict[str, Fault]] = {
    "worker_killed": worker_killed,
    "both_workers_killed": both_killed,
    "rebalance_storm": rebalance_storm,
    "worker_suspended": worker_suspended,
    "broker_killed": broker_killed,
    "state_deleted": state_deleted,
}


def survive(arena: Arena, fault: Fault) -> None:
    """Load, fault, heal."""
    for worker in arena.workers:
        worker.process.start()
    try:
        arriving = arena.arrive()
        arena.at_work()
        fault(arena)
        arriving.join()
        arena.settle()
    finally:
        for worker in arena.workers:
            worker.process.kill()
