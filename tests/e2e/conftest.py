"""The whole path as processes of its own: a broker, the store, a worker and a sink."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from keeprate.deploy.local.broker import KafkaBroker
from keeprate.deploy.local.process import ChildProcess
from keeprate.deploy.local.stack import keeprate
from keeprate.deploy.store import StoreProcess
from keeprate.deploy.topics import create_topics
from keeprate.schemas.topics import DEAD_LETTERS, OUTCOMES, SOURCES
from tests.databases import make_migrated
from tests.landing import wait_landed

SOURCE_NAMES = [topic.name for topic in SOURCES]


@dataclass
class Pipeline:
    """A worker and a sink between a broker and a database, to be killed and started again at will."""

    brokers: str
    store_url: str
    worker: ChildProcess
    sink: ChildProcess

    @property
    def env(self) -> dict[str, str]:
        """What another command needs to reach it."""
        return {"KEEPRATE_BROKERS": self.brokers, "KEEPRATE_STORE_URL": self.store_url}

    def settle(self, timeout_s: float = 90) -> None:
        """Return once all that was emitted is joined, and all of that is landed."""
        wait_landed(self.brokers, "keeprate-join", SOURCE_NAMES, timeout_s)
        wait_landed(self.brokers, "keeprate-sink", [*SOURCE_NAMES, OUTCOMES.name, DEAD_LETTERS.name], timeout_s)


@pytest.fixture
def pipeline(empty_broker: KafkaBroker, store: StoreProcess, tmp_path: Path) -> Iterator[Pipeline]:
    """A running pipeline with topics and tables of its own."""
    brokers = empty_broker.bootstrap
    create_topics(brokers)
    store_url = f"{store.url}/path_{random.randrange(10**9)}"
    make_migrated(store_url)
    env = {"KEEPRATE_BROKERS": brokers, "KEEPRATE_STORE_URL": store_url, "KEEPRATE_DATA_DIR": str(tmp_path)}
    worker = ChildProcess("the worker", keeprate("worker"), tmp_path / "worker.log", env)
    sink = ChildProcess("the sink", keeprate("sink", "--linger-s", "0.1"), tmp_path / "sink.log", env)
    with worker, sink:
        yield Pipeline(brokers, store_url, worker, sink)
