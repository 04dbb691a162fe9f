"""Records that end whatever reads them, on a real broker and the real engine: no record stops the sink for good."""

import random
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from keeprate.deploy.local.broker import KafkaBroker
from keeprate.deploy.local.process import ChildProcess, ProcessError, accepts
from keeprate.deploy.store import StoreProcess
from keeprate.deploy.topics import create_topics
from keeprate.schemas.decode import encode
from keeprate.schemas.ids import uuid7
from keeprate.schemas.topics import ALL, DEAD_LETTERS, FEEDBACK, OUTCOMES
from keeprate.sinks.facts.dead_letters import Filter, newest
from keeprate.sinks.landing.intent import LIVES
from keeprate.sinks.store.clickhouse import connect
from tests import deadly_sink
from tests.databases import make_migrated
from tests.fault.content.grammar import Hostile
from tests.fault.content.wire import Wire
from tests.fault.proxy import Behaviour, FaultyStore
from tests.landing import BASE_MS, PARTITIONS, Source, account, event, sink_process, wait_landed
from tests.offsets import Offsets

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

GROUP = "keeprate-sink"
TOPICS = [topic.name for topic in ALL]


@pytest.fixture
def broker(empty_broker: KafkaBroker) -> KafkaBroker:
    """With nothing but what the test writes: the sink reads topics by their names."""
    create_topics(empty_broker.bootstrap, 4)
    return empty_broker


def _prepare(url: str) -> None:
    make_migrated(url)
    with connect(url) as client:
        for table in ("generations", "feedback", "ledger"):
            client.command(f"SYSTEM STOP MERGES {table}")


def _marked(mark: bytes) -> Hostile:
    body = event(random.Random(3), False, uuid7(BASE_MS)) | {"session": mark.decode()}
    return Hostile("marked", FEEDBACK.name, b"marked", encode(body))


def _write(bootstrap: str, *records: Hostile) -> list[tuple[int, int]]:
    with Wire(bootstrap, "") as wire:
        return [wire.write(record) for record in records]


def _supervised(process: ChildProcess, bootstrap: str, care: Callable[[], None] = lambda: None) -> int:
    """Start it again whenever it ended, until all is landed. Returns how often it ended."""
    ended = -1
    deadline_s = time.monotonic() + 100
    with Offsets(bootstrap, GROUP, TOPICS, PARTITIONS) as offsets:
        while not offsets.reached():
            if not process.running:
                ended += 1
                process.start()
            care()
            time.sleep(0.1)
            assert time.monotonic() < deadline_s
    assert process.terminate(20) == 0
    return ended


def _deadly(broker: KafkaBroker, url: str, log: Path) -> ChildProcess:
    argv = (sys.executable, "-m", deadly_sink.__name__, broker.bootstrap, url)
    return ChildProcess("the sink", argv, log)


def test_the_record_that_ends_the_sink_is_set_aside(broker: KafkaBroker, store: StoreProcess, tmp_path: Path) -> None:
    """In the middle of a range, it alone, after a few deaths; all else is a row, once, and the account has both."""
    url = f"{store.url}/poison_{random.randrange(10**9)}"
    _prepare(url)
    source = Source(broker.bootstrap, seed=4, poison_every=0)
    source.write(600)
    ((partition, offset),) = _write(broker.bootstrap, _marked(deadly_sink.MARK))
    source.write(600)
    ended = _supervised(_deadly(broker, url, tmp_path / "sink.log"), broker.bootstrap)
    # Of a range of at most 64 times 64 records.
    assert LIVES <= ended <= LIVES + 2
    found = account(url, broker.bootstrap, GROUP)
    assert found.clean, found
    assert (found.rows, found.dead_letters) == (1200, 1)
    with connect(url) as client:
        (letter,) = newest(client, Filter(), 10)
    assert (letter["topic"], letter["partition"], letter["offset"]) == (FEEDBACK.name, partition, offset)
    assert letter["error_type"] == "quarantined"
    assert letter["app"] in ("editor", "chat")
    assert "3 times, the sink or the store ended while it had this record" in letter["reason"]


class _DeadlyStore(FaultyStore):
    """A front whose store is killed by each insert into `feedback` that has the mark."""

    def __init__(self, store: StoreProcess) -> None:
        super().__init__(store.port)
        self._store = store
        self.deaths = 0

    def take(self, body: bytes) -> Behaviour:
        if deadly_sink.STORE_MARK in body and b"INTO `feedback`" in body[:200].replace(
            b"INTO feedback", b"INTO `feedback`"
        ):
            if accepts(self._store.port):
                self._store.kill()
                self.deaths += 1
            return Behaviour("refuse")
        return Behaviour()


def test_the_row_that_ends_the_store_is_set_aside(broker: KafkaBroker, tmp_path: Path) -> None:
    """The sink outlives the store each time, halves in on the row, and lands the rest around it."""
    store = StoreProcess(tmp_path / "store" / "data")
    with store, _DeadlyStore(store) as front:
        database = f"poison_{random.randrange(10**9)}"
        _prepare(f"{store.url}/{database}")
        source = Source(broker.bootstrap, seed=5, poison_every=0)
        source.write(300)
        ((partition, offset),) = _write(broker.bootstrap, _marked(deadly_sink.STORE_MARK))
        source.write(300)

        def care() -> None:
            if store.pid is None:
                # It may be killed before it is known to be there.
                with suppress(ProcessError):
                    store.start()

        url = f"{store.url}/{database}".replace(f":{store.port}/", f":{front.port}/")
        process = _deadly(broker, url, tmp_path / "sink.log")
        assert _supervised(process, broker.bootstrap, care) == 0
        # Three more for the parts; an attempt whose connection broke before all of it was sent is no attempt.
        assert LIVES <= front.deaths <= 2 * LIVES + 3
        found = account(f"{store.url}/{database}", broker.bootstrap, GROUP)
        assert found.clean, found
        assert (found.rows, found.dead_letters) == (600, 1)
        with connect(f"{store.url}/{database}") as client:
            (letter,) = newest(client, Filter(), 10)
        assert (letter["partition"], letter["offset"], letter["error_type"]) == (partition, offset, "quarantined")


def test_what_no_client_would_write_is_landed(broker: KafkaBroker, store: StoreProcess, tmp_path: Path) -> None:
    """Header names that are no UTF-8, 20 MB of zeros, junk in every topic: the sink that meets it goes on."""
    url = f"{store.url}/hostile_{random.randrange(10**9)}"
    _prepare(url)
    body = encode(event(random.Random(6), False, uuid7(BASE_MS)))
    headers = ((b"\xff\xfe", b"v"), (b"plain", None))
    zeros = Hostile("zeros", FEEDBACK.name, b"k", bytes(20 << 20), compressed=True)
    # Often enough for the interpreter to know the call that reads headers, and to take its short cut.
    plain = [Hostile("an event", FEEDBACK.name, b"k", body, ((b"plain", None),)) for _ in range(50)]
    places = _write(
        broker.bootstrap,
        *plain,
        Hostile("an event whose headers cannot be read", FEEDBACK.name, b"k", body, headers),
        Hostile("no event, and headers that cannot be read", FEEDBACK.name, b"k", b"junk", headers),
        zeros,
        Hostile("a key of zeros", FEEDBACK.name, bytes(20 << 20), b"junk", compressed=True),
        *(Hostile("junk", topic.name, b"k", b"junk", headers) for topic in (OUTCOMES, DEAD_LETTERS)),
        Hostile("zeros among the dead letters", DEAD_LETTERS.name, b"k", bytes(20 << 20), headers, compressed=True),
    )
    sink = sink_process(broker.bootstrap, url, tmp_path / "sink.log")
    with sink:
        wait_landed(broker.bootstrap, GROUP, TOPICS, 90)
        assert sink.running
    with connect(url) as client:
        letters = {(row["topic"], row["partition"], row["offset"]): row for row in newest(client, Filter(), 100)}
    topics = [FEEDBACK.name] * 3 + [OUTCOMES.name] + [DEAD_LETTERS.name] * 2
    wanted = [(topic, *place) for topic, place in zip(topics, places[len(plain) + 1 :], strict=True)]
    assert set(letters) == set(wanted)
    assert [letters[at]["cut"].split(":")[0] for at in wanted] == [
        *("headers", "value", "key", "headers", "headers", "headers"),
    ]
    assert "20971520 bytes" in letters[wanted[1]]["cut"]
