"""One fault with one seed: topics, a group, a database and a front of its own, sinks, and the account at the end."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

from confluent_kafka import Consumer, TopicPartition

from keeprate.deploy.local.process import ChildProcess
from keeprate.deploy.store import StoreProcess
from keeprate.schemas.topics import DEAD_LETTERS, FEEDBACK
from keeprate.sinks.store.clickhouse import connect
from tests.fault.lab import Lab, make_database
from tests.fault.links import Link
from tests.fault.proxy import FaultyStore
from tests.landing import PARTITIONS, Account, Source, account, end_offsets
from tests.offsets import Offsets

_PATIENCE_S: Final = 180.0
"""How long anything may take on a machine that does much else."""
_LOOK_EVERY_S: Final = 0.1


class Together:
    """Trials with other seeds that share a fault: what is done to the broker or the store is done to all at once."""

    def __init__(self, trials: int = 1) -> None:
        self._barrier = threading.Barrier(trials, timeout=_PATIENCE_S)

    def do(self, action: Callable[[], None]) -> None:
        """Return when all have come here and one of them has done it. Raises BrokenBarrierError when one has left."""
        if self._barrier.wait() == 0:
            try:
                action()
            except BaseException:
                self.leave()
                raise
        self._barrier.wait()

    def leave(self) -> None:
        """Let nobody wait for this trial any more."""
        self._barrier.abort()


class Trial:
    """Its load, its sinks, and what is done to them.

    KIND: what its topic is called. merged: the account is of the rows as they merge, for faults that may leave a second
    row of an event. store: of its own, when it is not the lab's. front: what stands before the store. nest: of which
    version the next sinks are. until_end: what is given back at the end.
    """

    KIND: ClassVar[str] = "records"
    partitions = PARTITIONS

    def __init__(self, lab: Lab, seed: int, together: Together | None = None) -> None:
        self.lab, self.seed, self.together = lab, seed, together or Together()
        self.nest = lab.nest
        self.rng = random.Random(seed)
        self.events = self.kills = 0
        self.merged, self.since_ms = False, 0
        self.store: StoreProcess | None = None
        self.sinks: list[ChildProcess] = []
        self.name = f"t{seed}-{time.monotonic_ns()}"
        self.topic, self.dead_letters = f"{self.name}.{self.KIND}", f"{self.name}.{DEAD_LETTERS.name}"
        self.group, self.database = f"group-{self.name}", f"faults_{self.name.replace('-', '_')}"
        self.until_end = ExitStack()
        self.front = self.until_end.enter_context(FaultyStore(lab.store.port))
        self.make_topics({self.topic: FEEDBACK.config, self.dead_letters: DEAD_LETTERS.config})
        self.make_databases()
        self._source = Source(lab.broker.bootstrap, seed, 40, (self.topic, self.topic))

    @property
    def store_url(self) -> str:
        """The database, reached without a fault on the way."""
        return f"{(self.store or self.lab.store).url}/{self.database}"

    @property
    def way_to_store(self) -> str:
        """The database as sinks reach it: through the front."""
        return self.store_url_at(self.front.port)

    def store_url_at(self, port: int) -> str:
        """The database, reached through another port of this machine."""
        at = urlsplit(self.store_url)
        return at._replace(netloc=at.netloc.replace(f":{at.port}", f":{port}")).geturl()

    def own_store(self, path: Path) -> StoreProcess:
        """From here on, a store that no other trial uses."""
        log = self.lab.directory / f"{self.group}-store.log"
        self.store = self.until_end.enter_context(StoreProcess(path, log=log))
        self.front.target_port = self.store.port
        self.make_databases()
        return self.store

    def make_topics(self, configs: dict[str, dict[str, str]]) -> None:
        """Make topics of this trial."""
        self.lab.create_topics(configs, self.partitions)

    def make_databases(self) -> None:
        """Make what this trial lands in, where it is not there."""
        make_database(self.store_url)

    def broker_link(self) -> Link:
        """A way to the broker that no other trial uses until this one ends."""
        link = self.lab.broker_links.get()
        self.until_end.callback(self.lab.broker_links.put, link)
        self.until_end.callback(link.heal)
        return link

    def store_link(self) -> Link:
        """Another way to the store, beside the front."""
        return self.until_end.enter_context(Link(self.lab.store.port))

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
            "prefix": f"{self.name}.",
            "at": at,
            "instance": instance,
            **more,
        }
        log = self.lab.directory / f"{self.group}-{len(self.sinks)}.log"
        child = self.nest.child("the sink", "tests.fault.sink_child", options, log)
        self.sinks.append(child)
        child.start()
        return child

    def kill(self, child: ChildProcess) -> None:
        """SIGKILL, counted."""
        child.kill()
        self.kills += 1

    def wait(self, condition: Callable[[], bool], timeout_s: float = _PATIENCE_S) -> None:
        """Return once it holds."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert not self.lab.breaking_off.is_set(), "broken off"
            assert time.monotonic() < deadline, f"not within {timeout_s} s; the sinks' logs:\n{self.logs()}"
            time.sleep(_LOOK_EVERY_S)

    def wait_ended(self, child: ChildProcess) -> int:
        """The exit code of a sink that ends by itself."""
        self.wait(lambda: not child.running)
        self.kills += child.returncode == -9
        return int(child.returncode or 0)

    def remove_unread(self) -> None:
        """Remove all that is in the topic now, as retention does."""
        ends = end_offsets(self.lab.broker.bootstrap, (self.topic,), self.partitions)
        for removed in self.lab.admin.delete_records([TopicPartition(*at, end) for at, end in ends.items()]).values():
            removed.result(60)

    def make_topic_anew(self) -> None:
        """Delete the topic and make it again, empty."""
        self.lab.admin.delete_topics([self.topic])[self.topic].result(60)
        self.make_topics({self.topic: FEEDBACK.config})
        self.events, self.since_ms = 0, int(time.time() * 1000)
        # For a moment the broker still takes records into the old one, which nobody will see again.
        with self._offsets() as offsets:
            self.wait(lambda: _is_empty(self.topic, offsets.ends()))

    def start_over(self) -> None:
        """From here on, another group and another database."""
        self.end()
        self.group, self.database = f"{self.group}-2", f"{self.database}_2"
        self.make_databases()

    def supervise(self, **options: Any) -> None:
        """Start a sink anew whenever it has ended, as its supervisor does, until all is landed."""

        def landed() -> bool:
            if not any(child.running for child in self.sinks):
                self.sink(**options)
            return offsets.reached()

        with self._offsets() as offsets:
            self.wait(landed)

    def intents(self, ending: str) -> list[str]:
        """The metadata of committed offsets that end so."""
        consumer = Consumer({"bootstrap.servers": self.lab.broker.bootstrap, "group.id": self.group})
        try:
            at = [TopicPartition(self.topic, partition) for partition in range(self.partitions)]
            found = [each.metadata or "" for each in consumer.committed(at, timeout=30)]
        finally:
            consumer.close()
        return [metadata for metadata in found if metadata.endswith(ending)]

    def wait_some_landed(self) -> None:
        """Return once the group has committed something."""
        with self._offsets() as offsets:
            self.wait(lambda: any(offsets.committed().values()))

    def wait_landed(self) -> None:
        """Return once the group has committed the end of every partition."""
        with self._offsets() as offsets:
            self.wait(offsets.reached)

    def _offsets(self) -> Offsets:
        return Offsets(self.lab.broker.bootstrap, self.group, self.topics, self.partitions)

    @property
    def topics(self) -> tuple[str, ...]:
        """What the sinks land."""
        return self.topic, self.dead_letters

    def heal(self) -> None:
        """End what is done to the ways to broker and store, and give back what was borrowed for it."""
        self.front.heal()

    def account(self) -> Account:
        """End the sinks and account for every record."""
        self.end()
        return account(self.store_url, self.lab.broker.bootstrap, self.group, (self.topic,), self.merged, self.since_ms)

    def end(self) -> None:
        """End the sinks that still run."""
        for child in self.sinks:
            child.terminate(10)

    def close(self) -> None:
        """End everything, and leave nothing that would make the next trial slower."""
        self.end()
        self.lab.admin.delete_topics(list(self.topics))
        self.drop_databases(self.lab.store, self.database, self.database.removesuffix("_2"))
        self.until_end.close()

    def drop_databases(self, store: StoreProcess, *names: str) -> None:
        """Drop some of a store's. One that a fault left unwell says so in the account."""
        with suppress(Exception), connect(f"{store.url}/default") as client:
            for name in names:
                client.command(f"DROP DATABASE IF EXISTS {name}")

    def logs(self, lines: int = 8) -> str:
        """The end of each sink's log."""
        return "\n".join(f"--- {child.log}\n{child.log_tail(lines)}" for child in self.sinks)


def _is_empty(topic: str, ends: dict[tuple[str, int], int]) -> bool:
    return bool(ends) and not any(end for (name, _), end in ends.items() if name == topic)


Fault = Callable[[Trial], None]
