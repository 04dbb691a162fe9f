"""Where faults are made: a broker, a store with a front that misbehaves, and trials with a topic and database each."""

import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from keeprate.deploy.broker import KafkaBroker
from keeprate.deploy.process import ChildProcess
from keeprate.deploy.store import StoreProcess
from keeprate.deploy.topics import create_topics
from keeprate.schemas.topics import DEAD_LETTERS, FEEDBACK
from keeprate.sinks.clickhouse import connect
from keeprate.sinks.migrate import migrate
from tests.fault.proxy import FaultyStore
from tests.landing import PARTITIONS, Account, Source, account, committed_offsets, end_offsets, wait_landed


class Lab:
    """A broker and a store of its own, and the front before the store. Trials share them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.broker = KafkaBroker(directory / "kafka")
        self.store = StoreProcess(directory / "store")
        self._running = ExitStack()

    def __enter__(self) -> Self:
        self._running.enter_context(self.broker)
        self._running.enter_context(self.store)
        self.front = self._running.enter_context(FaultyStore(self.store.port))
        create_topics(self.broker.bootstrap, PARTITIONS)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._running.close()

    def trial(self, seed: int) -> "Trial":
        """A topic, a group and a database that nobody used, for one fault with one seed."""
        name = f"t{seed}-{time.monotonic_ns()}"
        topic = f"faults.{name}"
        admin = AdminClient({"bootstrap.servers": self.broker.bootstrap})
        made = admin.create_topics([NewTopic(topic, PARTITIONS, 1, config=FEEDBACK.config)])
        made[topic].result(20)
        database = f"faults_{name.replace('-', '_')}"
        migrate(f"{self.store.url}/{database}")
        with connect(f"{self.store.url}/{database}") as client:
            for table in ("generations", "feedback", "ledger"):
                client.command(f"SYSTEM STOP MERGES {table}")
        return Trial(self, seed, topic, f"group-{name}", database)


@dataclass
class Trial:
    """One fault with one seed: its load, its sinks, and the account at the end."""

    lab: Lab
    seed: int
    topic: str
    group: str
    database: str
    events: int = 0
    kills: int = 0
    sinks: list[ChildProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self._source = Source(self.lab.broker.bootstrap, self.seed, 40, (self.topic, self.topic))

    def load(self, count: int) -> None:
        """Write so many records."""
        self._source.write(count)
        self.events += count

    def sink(self, at: tuple[int, int, str] | None = None, instance: str = "", **more: Any) -> ChildProcess:
        """A sink of this trial's group, started. at: step, which flush, signal (see sink_child)."""
        options = {
            "brokers": self.lab.broker.bootstrap,
            "store_url": f"{self.lab.front.url}/{self.database}",
            "group": self.group,
            "topic": self.topic,
            "at": at,
            "instance": instance,
            **more,
        }
        argv = [sys.executable, "-m", "tests.fault.sink_child", json.dumps(options)]
        child = ChildProcess("the sink", argv, self.lab.directory / f"{self.group}-{len(self.sinks)}.log")
        self.sinks.append(child)
        child.start()
        return child

    def kill(self, child: ChildProcess) -> None:
        """SIGKILL, counted."""
        child.kill()
        self.kills += 1

    def wait(self, condition: Callable[[], bool], timeout_s: float = 60) -> None:
        """Return once it holds."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"not within {timeout_s} s; the sinks' logs:\n{self.logs()}"
            time.sleep(0.05)

    def wait_ended(self, child: ChildProcess, timeout_s: float = 60) -> int:
        """The exit code of a sink that ends by itself."""
        self.wait(lambda: not child.running, timeout_s)
        self.kills += child.returncode == -9
        return int(child.returncode or 0)

    def remove_unread(self) -> None:
        """Remove all that is in the topic now, as retention does."""
        admin = AdminClient({"bootstrap.servers": self.lab.broker.bootstrap})
        ends = end_offsets(self.lab.broker.bootstrap, (self.topic,))
        for removed in admin.delete_records([TopicPartition(*at, end) for at, end in ends.items()]).values():
            removed.result(20)

    def supervise(self, **options: Any) -> None:
        """Start a sink anew whenever it has ended, as its supervisor does, until all is landed."""
        topics = (self.topic, DEAD_LETTERS.name)
        deadline = time.monotonic() + 120
        bootstrap = self.lab.broker.bootstrap
        while committed_offsets(bootstrap, self.group, topics) != end_offsets(bootstrap, topics):
            assert time.monotonic() < deadline, self.logs()
            if not any(child.running for child in self.sinks):
                self.sink(**options)
            time.sleep(0.5)

    def wait_landed(self, timeout_s: float = 90) -> None:
        """Return once the group has committed the end of every partition."""
        try:
            wait_landed(self.lab.broker.bootstrap, self.group, (self.topic, DEAD_LETTERS.name), timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.logs()}") from None

    def account(self) -> Account:
        """End the sinks and account for every record."""
        self.end()
        url = f"{self.lab.store.url}/{self.database}"
        return account(url, self.lab.broker.bootstrap, self.group, (self.topic,))

    def end(self) -> None:
        """End the sinks that still run."""
        for child in self.sinks:
            child.terminate(10)

    def logs(self) -> str:
        """The end of each sink's log."""
        return "\n".join(f"--- {child.log}\n{child.log_tail(8)}" for child in self.sinks)


Fault = Callable[[Trial], None]


@dataclass(frozen=True)
class Outcome:
    """What came of one fault over some seeds: the row of .bench/faults.json."""

    fault: str
    seeds: int
    events: int
    kills: int
    lost: int
    duplicated: int
    unaccounted: int

    @property
    def clean(self) -> bool:
        return not (self.lost or self.duplicated or self.unaccounted)


def survive(lab: Lab, name: str, fault: Fault, seeds: Sequence[int]) -> Outcome:
    """Load, fault, heal and check, once for each seed."""
    events = kills = lost = duplicated = unaccounted = 0
    for seed in seeds:
        trial = lab.trial(seed)
        try:
            fault(trial)
            lab.front.heal()
            trial.wait_landed()
            found = trial.account()
        finally:
            lab.front.heal()
            trial.end()
        events, kills = events + trial.events, kills + trial.kills
        lost, duplicated = lost + len(found.lost), duplicated + len(found.duplicated)
        unaccounted += len(found.unaccounted)
    return Outcome(name, len(seeds), events, kills, lost, duplicated, unaccounted)
