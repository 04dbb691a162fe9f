"""Where faults are made: a broker, a store with a front that misbehaves, and trials with a topic and database each."""

import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import astuple, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from keeprate.deploy.broker import KafkaBroker
from keeprate.deploy.process import ChildProcess, free_port
from keeprate.deploy.store import StoreProcess
from keeprate.deploy.topics import create_topics
from keeprate.schemas.topics import DEAD_LETTERS, FEEDBACK
from keeprate.sinks.clickhouse import connect
from keeprate.sinks.migrate import migrate
from tests.fault.links import Link
from tests.fault.proxy import FaultyStore
from tests.landing import PARTITIONS, Account, Source, account, committed_offsets, end_offsets, wait_landed


class LinkedBroker(KafkaBroker):
    """A broker with a second door, for clients whose way to it is a link: there it tells them the link's address."""

    def __init__(self, data_dir: Path, link: Link) -> None:
        super().__init__(data_dir)
        self._link = link

    def _configure(self) -> None:
        super()._configure()
        text = self._properties.read_text()
        for setting, more in (
            ("listeners", f"LINK://127.0.0.1:{self._link.target_port}"),
            ("advertised.listeners", f"LINK://{self._link.address}"),
            ("listener.security.protocol.map", "LINK:PLAINTEXT"),
        ):
            text = text.replace(f"\n{setting}=", f"\n{setting}={more},")
        self._properties.write_text(text)


def make_database(url: str) -> None:
    """Make a database whose rows stay as they were inserted."""
    migrate(url)
    stop_merges(url)


def stop_merges(url: str) -> None:
    """Keep a second row of an event from hiding, until the store starts anew."""
    with connect(url) as client:
        for table in ("generations", "feedback", "ledger"):
            client.command(f"SYSTEM STOP MERGES {table}")


class Lab:
    """A broker and a store of its own, and the front before the store. Trials share them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.broker_link = Link(free_port())
        self.broker = LinkedBroker(directory / "kafka", self.broker_link)
        self.store = StoreProcess(directory / "store")
        self._running = ExitStack()

    def __enter__(self) -> Self:
        self._running.enter_context(self.broker)
        self._running.enter_context(self.store)
        self.front = self._running.enter_context(FaultyStore(self.store.port))
        self.store_link = self._running.enter_context(Link(self.store.port))
        self._running.enter_context(self.broker_link)
        create_topics(self.broker.bootstrap, PARTITIONS)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._running.close()

    def trial(self, seed: int) -> "Trial":
        """A topic, a group and a database that nobody used, for one fault with one seed."""
        name = f"t{seed}-{time.monotonic_ns()}"
        topic = f"faults.{name}"
        self.create_topic(topic)
        database = f"faults_{name.replace('-', '_')}"
        make_database(f"{self.store.url}/{database}")
        return Trial(self, seed, topic, f"group-{name}", database)

    def create_topic(self, topic: str) -> None:
        """Make a topic for a trial."""
        admin = AdminClient({"bootstrap.servers": self.broker.bootstrap})
        made = admin.create_topics([NewTopic(topic, PARTITIONS, 1, config=FEEDBACK.config)])
        made[topic].result(20)

    def heal(self) -> None:
        """End what is done to the ways to broker and store."""
        for way in (self.front, self.broker_link, self.store_link):
            way.heal()


@dataclass
class Trial:
    """One fault with one seed: its load, its sinks, and the account at the end.

    merged: the account is of the rows as they merge, for faults that may leave a second row of an event. store: of its
    own, when it is not the lab's. until_end: what is given back at the end.
    """

    lab: Lab
    seed: int
    topic: str
    group: str
    database: str
    events: int = 0
    kills: int = 0
    merged: bool = False
    since_ms: int = 0
    store: StoreProcess | None = None
    sinks: list[ChildProcess] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.until_end = ExitStack()
        self._source = Source(self.lab.broker.bootstrap, self.seed, 40, (self.topic, self.topic))

    @property
    def store_url(self) -> str:
        """The database, reached without a fault on the way."""
        return f"{(self.store or self.lab.store).url}/{self.database}"

    @property
    def way_to_store(self) -> str:
        """The database as sinks reach it: through the lab's front, unless the store is the trial's own."""
        return self.store_url if self.store else f"{self.lab.front.url}/{self.database}"

    def load(self, count: int) -> None:
        """Write so many records."""
        self._source.write(count)
        self.events += count

    def sink(self, at: tuple[int, int, str] | None = None, instance: str = "", **more: Any) -> ChildProcess:
        """A sink of this trial's group, started. at: step, which flush, signal (see sink_child)."""
        options = {
            "brokers": self.lab.broker.bootstrap,
            "store_url": self.way_to_store,
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

    def make_topic_anew(self) -> None:
        """Delete the topic and make it again, empty."""
        admin = AdminClient({"bootstrap.servers": self.lab.broker.bootstrap})
        admin.delete_topics([self.topic])[self.topic].result(20)
        self.lab.create_topic(self.topic)
        self.events, self.since_ms = 0, int(time.time() * 1000)

    def start_over(self) -> None:
        """From here on, another group and another database."""
        self.end()
        self.group, self.database = f"{self.group}-2", f"{self.database}_2"
        make_database(self.store_url)

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

    def intents(self, ending: str) -> list[str]:
        """The metadata of committed offsets that end so."""
        consumer = Consumer({"bootstrap.servers": self.lab.broker.bootstrap, "group.id": self.group})
        try:
            at = [TopicPartition(self.topic, partition) for partition in range(PARTITIONS)]
            found = [each.metadata or "" for each in consumer.committed(at, timeout=10)]
        finally:
            consumer.close()
        return [metadata for metadata in found if metadata.endswith(ending)]

    def wait_some_landed(self) -> None:
        """Return once the group has committed something."""
        bootstrap = self.lab.broker.bootstrap
        self.wait(lambda: any(committed_offsets(bootstrap, self.group, (self.topic,)).values()))

    def wait_landed(self, timeout_s: float = 90) -> None:
        """Return once the group has committed the end of every partition."""
        try:
            wait_landed(self.lab.broker.bootstrap, self.group, (self.topic, DEAD_LETTERS.name), timeout_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.logs()}") from None

    def account(self) -> Account:
        """End the sinks and account for every record."""
        self.end()
        return account(self.store_url, self.lab.broker.bootstrap, self.group, (self.topic,), self.merged, self.since_ms)

    def end(self) -> None:
        """End the sinks that still run."""
        for child in self.sinks:
            child.terminate(10)

    def logs(self) -> str:
        """The end of each sink's log."""
        return "\n".join(f"--- {child.log}\n{child.log_tail(8)}" for child in self.sinks)


Fault = Callable[[Trial], None]


class Skipped(Exception):
    """The fault cannot be made on this machine; the text says why."""


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

    def __add__(self, other: "Outcome") -> "Outcome":
        counts = zip(astuple(self)[1:], astuple(other)[1:], strict=True)
        return Outcome(self.fault, *(mine + more for mine, more in counts))

    @property
    def clean(self) -> bool:
        return not (self.lost or self.duplicated or self.unaccounted)


def survive(lab: Lab, name: str, fault: Fault, seeds: Sequence[int]) -> Outcome:
    """Load, fault, heal and check, once for each seed."""
    outcome = Outcome(name, 0, 0, 0, 0, 0, 0)
    for seed in seeds:
        trial = lab.trial(seed)
        try:
            fault(trial)
            lab.heal()
            trial.wait_landed()
            found = trial.account()
        finally:
            lab.heal()
            trial.end()
            trial.until_end.close()
        counts = (len(found.lost), len(found.duplicated), len(found.unaccounted))
        outcome += Outcome(name, 1, trial.events, trial.kills, *counts)
    return outcome
