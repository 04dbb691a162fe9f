"""Where faults are made: a broker, a store and a nest of children, which trials share."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Final, Self

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from keeprate.deploy.local.broker import KafkaBroker
from keeprate.deploy.local.process import free_port
from keeprate.deploy.store import StoreProcess
from keeprate.deploy.topics import create_topics
from keeprate.sinks.store.clickhouse import connect
from tests.databases import make_migrated
from tests.fault.before import Before
from tests.fault.links import Link
from tests.fault.nest import Nest
from tests.landing import PARTITIONS

NESTLINGS: Final = ("tests.fault.sink_child", "tests.fault.worker_child", "tests.fault.reading.children")
_LINKS: Final = 4
_PATIENCE_S: Final = 180.0


class LinkedBroker(KafkaBroker):
    """A broker with more doors, for clients whose way to it is a link: there it tells them that link's address."""

    def __init__(self, data_dir: Path, links: Sequence[Link]) -> None:
        super().__init__(data_dir)
        self._links = links

    def _configure(self) -> None:
        super()._configure()
        text = self._properties.read_text()
        for setting, more in (
            ("listeners", [f"LINK{n}://127.0.0.1:{link.target_port}" for n, link in enumerate(self._links)]),
            ("advertised.listeners", [f"LINK{n}://{link.address}" for n, link in enumerate(self._links)]),
            ("listener.security.protocol.map", [f"LINK{n}:PLAINTEXT" for n, _ in enumerate(self._links)]),
        ):
            text = text.replace(f"\n{setting}=", f"\n{setting}={','.join(more)},")
        self._properties.write_text(text)


class Lab:
    """A broker, a store and a nest. Trials that run side by side meet only there: all else is a trial's own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._links = [Link(free_port()) for _ in range(_LINKS)]
        self.broker = LinkedBroker(directory / "kafka", self._links)
        self.store = StoreProcess(directory / "store")
        self._more_stores = [StoreProcess(directory / f"store-{number}") for number in (2, 3)]
        self._opening = threading.Lock()
        self.nest = Nest(directory, NESTLINGS)
        self.broker_links: SimpleQueue[Link] = SimpleQueue()
        self.one_app = threading.Lock()
        self.breaking_off = threading.Event()
        self._running = ExitStack()
        self._one_before = threading.Lock()
        self._before: Before | None = None

    def __enter__(self) -> Self:
        # Children end with the thread that started them, and a trial that starts the broker anew ends before others.
        self._keeper = self._running.enter_context(ThreadPoolExecutor(1))
        self._keeper.submit(self._running.enter_context, self.nest).result()
        for child in (self.store, self.broker):
            self.start(child)
            self._running.callback(child.stop)
        for link in self._links:
            self.broker_links.put(self._running.enter_context(link))
        self.admin = AdminClient({"bootstrap.servers": self.broker.bootstrap, "log_level": 0})
        create_topics(self.broker.bootstrap, PARTITIONS)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._running.close()

    def start(self, child: KafkaBroker | StoreProcess) -> None:
        """Start it for as long as the lab is there, whichever thread asks for it."""
        self._keeper.submit(child.start, _PATIENCE_S).result()

    def doors(self) -> list[StoreProcess]:
        """Three stores, for trials whose store has shards. The second and third are started for the first of them."""
        with self._opening:
            for store in self._more_stores:
                if store.pid is None:
                    self.start(store)
                    self._running.callback(store.stop)
        return [self.store, *self._more_stores]

    def before(self) -> Before:
        """The version before this one, made at the first call. Raises Skipped."""
        with self._one_before:
            if self._before is None:
                self._before = Before(self.directory)
                self._keeper.submit(self._running.enter_context, self._before.nest).result()
            return self._before

    def create_topics(self, configs: dict[str, dict[str, str]], partitions: int = PARTITIONS) -> None:
        """Make topics, by name with their settings."""
        topics = [NewTopic(name, partitions, 1, config=config) for name, config in configs.items()]
        for made in self.admin.create_topics(topics).values():
            made.result(60)
        # The controller has them; the broker hears of them a moment later, and clients must find them.
        while not self.admin.list_topics(timeout=60).topics.keys() >= configs.keys():
            time.sleep(0.1)


def make_database(url: str) -> None:
    """Make a database whose rows stay as they were inserted."""
    make_migrated(url)
    stop_merges(url)


def stop_merges(url: str) -> None:
    """Keep a second row of an event from hiding, until the store starts anew."""
    with connect(url) as client:
        for table in ("generations", "feedback", "ledger"):
            client.command(f"SYSTEM STOP MERGES {table}")
