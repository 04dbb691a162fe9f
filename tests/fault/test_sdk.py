"""The SDK against real Kafka and real faults: an event taken is delivered, kept or counted, and keys stay in order."""

import random
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from keeprate.deploy.local.broker import KafkaBroker
from keeprate.deploy.local.process import free_port
from keeprate.deploy.topics import create_topics
from keeprate.producers import Check, Keeprate
from keeprate.producers.sdk.client import SEGMENT_BYTES
from keeprate.schemas.ids import uuid7
from keeprate.schemas.topics import SOURCES
from tests.fault.lab import LinkedBroker
from tests.fault.links import Link
from tests.fault.sdk_lab import (
    Way,
    adopt,
    balanced,
    emit_until_killed,
    events_of,
    files_in,
    landed,
    small_disk,
    start_app,
)
from tests.streaming import remove_records

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture(scope="module")
def broker(emptied: Callable[[], KafkaBroker]) -> KafkaBroker:
    """The file's, which these tests kill and start again."""
    broker = emptied()
    create_topics(broker.bootstrap)
    return broker


@pytest.fixture(autouse=True)
def _empty_topics(broker: KafkaBroker) -> Iterator[None]:
    """What a test left is not read by the next one."""
    yield
    for topic in SOURCES:
        remove_records(broker.bootstrap, topic.name)


@pytest.fixture
def way(broker: KafkaBroker) -> Way:
    """To that broker."""
    return {"brokers": broker.bootstrap}


@pytest.fixture
def app() -> str:
    """A name that no other test emits under."""
    return f"sdk-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    """Where this test's clients spool."""
    return tmp_path / "spool"


def test_a_broker_killed_under_load_costs_nothing(broker: KafkaBroker, app: str, spool: Path) -> None:
    """The broker dies and comes back while four threads emit: all is delivered, once, in order per key."""
    client = Keeprate(app, brokers=broker.bootstrap, spool_dir=spool)
    stop = threading.Event()
    counts = [0] * 4

    def load(thread: int) -> None:
        key = uuid7()
        while not stop.wait(0.003):
            assert client.emit(
                {"type": "vote", "value": 1, "generation_id": key, "attributes": {"n": str(counts[thread])}}
            )
            counts[thread] += 1

    threads = [threading.Thread(target=load, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    broker.kill()
    broker.start()
    stop.set()
    for thread in threads:
        thread.join()
    assert client.flush(60) == 0
    client.close()
    stats = balanced(client.stats())
    assert (stats.delivered, stats.lost) == (sum(counts), 0)
    found = landed(broker.bootstrap, app)
    found.check()
    assert found.repeated == 0
    assert sum(map(len, found.sequences.values())) == sum(counts)
    assert files_in(spool) == []


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_app_loses_nothing_that_emit_took(
    broker: KafkaBroker, way: Way, app: str, spool: Path, seed: int
) -> None:
    """kill -9 at a random moment: the next start delivers the rest; nothing taken is missing, keys stay in order."""
    rng = random.Random(seed)
    last = emit_until_killed(app, way, spool, rng.randrange(100, 20_000))
    stats = adopt(app, way, spool)
    assert stats.lost == 0
    found = landed(broker.bootstrap, app)
    found.check()
    assert max(max(each) for each in found.sequences.values()) >= last
    assert files_in(spool) == []


def test_an_app_killed_while_the_brokers_are_down_keeps_its_events(
    broker: KafkaBroker, way: Way, app: str, spool: Path
) -> None:
    """Nobody was there to take them: the next start takes over every event, and the accounts say how many."""
    last = emit_until_killed(app, {"brokers": "127.0.0.1:1"}, spool, 30_000)
    # The brokers have moved meanwhile: who adopts is found by the app and its brokers, so the spool is moved with them.
    (old,) = spool.iterdir()
    with Keeprate(app, brokers=broker.bootstrap, spool_dir=spool):
        (home,) = (path for path in spool.iterdir() if path != old)
    home.rmdir()
    old.rename(home)
    stats = adopt(app, way, spool)
    assert stats.adopted >= last
    assert stats.lost == 0
    found = landed(broker.bootstrap, app)
    found.check()
    assert found.repeated == 0
    assert sum(map(len, found.sequences.values())) == stats.delivered


def test_an_app_that_exits_without_close_delivers(broker: KafkaBroker, way: Way, app: str, spool: Path) -> None:
    """The exit of the interpreter closes the client."""
    process = start_app("exit", app, way, spool, 5_000)
    process.communicate()
    assert process.returncode == 0
    found = landed(broker.bootstrap, app)
    found.check()
    assert [len(each) for each in found.sequences.values()] == [5_000]
    assert files_in(spool) == []


def test_every_process_of_a_fork_has_its_own_events(broker: KafkaBroker, way: Way, app: str, spool: Path) -> None:
    """A parent, a child that exits and a child that vanishes: three producers, each without a gap or a repetition."""
    process = start_app("fork", app, way, spool, 500)
    process.communicate()
    assert process.returncode == 0
    adopt(app, way, spool)
    found = landed(broker.bootstrap, app)
    found.check()
    assert sorted(len(set(each)) for each in found.sequences.values()) == [1, 500, 500, 1_000]
    assert files_in(spool) == []


def test_events_are_held_in_memory_while_no_file_can_be_made(
    broker: KafkaBroker, way: Way, app: str, spool: Path
) -> None:
    """A disk that refuses every segment costs nothing as long as the brokers are there."""
    process = start_app("no_disk", app, way, spool, 5_000)
    out, _ = process.communicate()
    assert process.returncode == 0
    assert "delivered=5000" in out
    landed(broker.bootstrap, app).check()


@pytest.fixture
def disk(tmp_path: Path, require: Callable[[str], str]) -> Iterator[Path]:
    """A file system of ten megabytes."""
    with small_disk(require("mount"), tmp_path) as path:
        yield path


def test_a_full_disk_drops_only_what_memory_cannot_hold(broker: KafkaBroker, app: str, disk: Path) -> None:
    """With brokers away and the disk full, each event is kept or counted; after the heal the kept ones arrive."""
    client = Keeprate(app, brokers=broker.bootstrap, spool_dir=disk)
    broker.kill()
    pad = {"pad": "x" * 2_000}
    event = {"type": "action", "action": "shown", "generation_id": uuid7(), "attributes": pad}
    taken = sum(client.emit(event) for _ in range(30_000))
    stats = balanced(client.stats())
    assert stats.accepted == 30_000
    assert stats.dropped == {"full": 30_000 - taken}
    assert 0 < taken < 30_000
    broker.start()
    assert client.flush(60) == 0
    client.close()
    assert balanced(client.stats()).delivered == taken
    (sequence,) = landed(broker.bootstrap, app).sequences.values()
    assert len(sequence) == len(set(sequence)) == taken


def test_a_spool_at_its_limit_drops_the_oldest_and_counts_them(broker: KafkaBroker, app: str, spool: Path) -> None:
    """While the brokers are away the newest events stay; the gap in the numbers is the number evicted."""
    client = Keeprate(app, brokers=broker.bootstrap, spool_dir=spool, spool_bytes=4 * SEGMENT_BYTES)
    broker.kill()
    pad = {"pad": "x" * 20_000}
    event = {"type": "action", "action": "shown", "generation_id": uuid7(), "attributes": pad}
    last_taken = 0
    for number in range(1, 5_001):
        if client.emit(event):
            last_taken = number
    broker.start()
    assert client.flush(60) == 0
    client.close()
    stats = balanced(client.stats())
    assert set(stats.dropped) <= {"evicted", "full"}
    assert stats.dropped["evicted"] > 0
    (sequence,) = landed(broker.bootstrap, app).sequences.values()
    assert 5_000 - len(set(sequence)) == stats.lost
    assert max(sequence) == last_taken


def test_an_app_whose_spool_directory_is_deleted_goes_on(broker: KafkaBroker, app: str, spool: Path) -> None:
    """A directory that somebody deletes costs nothing while the process lives."""
    client = Keeprate(app, brokers=broker.bootstrap, spool_dir=spool)
    client.feedback(uuid7()).shown()
    shutil.rmtree(spool)
    for _ in range(20_000):
        client.feedback(uuid7()).shown()
    assert client.flush(60) == 0
    client.close()
    assert balanced(client.stats()).delivered == 20_001


def test_a_record_that_the_broker_refuses_is_counted_and_holds_up_nothing(
    broker: KafkaBroker, app: str, spool: Path
) -> None:
    """Where the broker's limit is below ours, the record is dropped[refused] and the next ones arrive."""
    with Keeprate(app, brokers=broker.bootstrap, spool_dir=spool, kafka={"message.max.bytes": 20_000}) as client:
        key = client.feedback(uuid7())
        key.shown().action("shown", attributes={"pad": "x" * 50_000}).shown()
        assert client.flush(60) == 0
        assert (client.stats().delivered, client.stats().dropped) == (2, {"refused": 1})


def test_an_import_waits_for_brokers_and_drops_nothing(broker: KafkaBroker, app: str, spool: Path) -> None:
    """With `block=True` an outage longer than the spool is only a pause: no event is evicted or refused."""
    client = Keeprate(app, brokers=broker.bootstrap, spool_dir=spool, spool_bytes=4 * SEGMENT_BYTES)
    broker.kill()
    event = {"type": "action", "action": "shown", "generation_id": uuid7(), "attributes": {"pad": "x" * 20_000}}

    def importing() -> None:
        for _ in range(5_000):
            client.emit(event, block=True)

    thread = threading.Thread(target=importing)
    thread.start()
    broker.start()
    thread.join()
    assert client.flush(60) == 0
    client.close()
    stats = balanced(client.stats())
    assert (stats.delivered, stats.dropped) == (5_000, {})
    found = landed(broker.bootstrap, app)
    found.check()
    assert found.repeated == 0


def test_events_wait_for_topics_that_do_not_exist_yet(
    broker: KafkaBroker, emptied: Callable[[], KafkaBroker], app: str, spool: Path
) -> None:
    """A record that no topic takes is sent again, in order, until the topics are there."""
    assert emptied() is broker
    client = Keeprate(app, brokers=broker.bootstrap, spool_dir=spool, kafka={"topic.metadata.propagation.max.ms": 500})
    key = client.feedback(uuid7())
    for number in range(200):
        key.action("shown", attributes={"n": str(number)})
    while client.stats().last_error != "UNKNOWN_TOPIC_OR_PART":
        assert client.flush(0.1) == 200
    create_topics(broker.bootstrap)
    assert client.flush(60) == 0
    client.close()
    assert balanced(client.stats()).delivered == 200
    found = landed(broker.bootstrap, app)
    found.check()
    assert found.repeated == 0


def test_records_without_an_answer_go_out_through_a_new_producer(
    tmp_path: Path, kafka_runs: None, app: str, spool: Path
) -> None:
    """A producer that hears nothing for `message.timeout.ms` is made anew, and what it held arrives."""
    link = Link(free_port())
    with LinkedBroker(tmp_path / "linked", [link]) as broker, link:
        create_topics(broker.bootstrap)
        client = Keeprate(app, brokers=link.address, spool_dir=spool, kafka={"message.timeout.ms": 2_000})
        key = client.feedback(uuid7()).shown()
        assert client.flush(60) == 0
        link.cut()
        for number in range(100):
            key.action("shown", attributes={"n": str(number)})
        while client.stats().last_error != "_MSG_TIMED_OUT":
            assert client.flush(0.1) == 100
        link.heal()
        assert client.flush(60) == 0
        client.close()
        assert balanced(client.stats()).delivered == 101
        landed(broker.bootstrap, app).check()


def test_an_app_killed_while_it_tracks_makes_its_checks_after_the_restart(
    broker: KafkaBroker, way: Way, app: str, spool: Path
) -> None:
    """The checks that were to come are read again by their ref, and come late rather than never."""
    process = start_app("track", app, way, spool, 0)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.communicate()

    def reread(check: Check) -> str | None:
        return "return a - b" if check.ref == "cell 3" else None

    with Keeprate(app, brokers=broker.bootstrap, spool_dir=spool, reread=reread):
        checks: dict[int, Any] = {}
        while len(checks) < 2:
            found = [event for event in events_of(broker.bootstrap, app) if event["type"] == "retention_check"]
            checks = {event["horizon_s"]: event for event in found}
    assert [(check["status"], check["distance"]) for check in checks.values()] == [("present", 1)] * 2
    assert files_in(spool) == []
