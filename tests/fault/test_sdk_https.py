"""What the SDK's tests over Kafka say of its spool holds over HTTPS too, through a real collector over TLS.

The faults of the collector itself (killed, slow, cut off, refusing), of an app that is killed again and again, and of
one that can make no file, are cells of `https_faults`.
"""

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from keeprate.deploy.local.broker import KafkaBroker
from keeprate.deploy.topics import create_topics
from keeprate.producers import Check, Keeprate
from keeprate.producers.sdk.client import SEGMENT_BYTES
from keeprate.schemas.ids import uuid7
from keeprate.schemas.topics import SOURCES
from tests.collecting import CollectorProcess, certificate_in
from tests.fault.links import Link
from tests.fault.sdk_lab import (
    Landed,
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

APP = "sdk-https"
LARGE = {"type": "action", "action": "shown", "generation_id": uuid7(), "attributes": {"pad": "x" * 20_000}}
MANY = 1_500
"""More of the large ones than a spool of four segments holds."""


@pytest.fixture(scope="module")
def link(kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Link, Way]]:
    """A way to a collector that can be cut off, and what a client is told of it."""
    directory = tmp_path_factory.mktemp("https")
    create_topics(kafka.bootstrap)
    tls = certificate_in(directory)
    with CollectorProcess(directory, kafka.bootstrap, APP, tls=tls) as collector, Link(collector.port) as link:
        yield link, {"url": f"https://{link.address}", "key": collector.key, "ca": str(tls[0])}


@pytest.fixture
def cable(link: tuple[Link, Way]) -> Link:
    return link[0]


@pytest.fixture
def way(link: tuple[Link, Way], kafka: KafkaBroker) -> Iterator[Way]:
    """What a test left is not read by the next one."""
    yield link[1]
    link[0].heal()
    for topic in SOURCES:
        remove_records(kafka.bootstrap, topic.name)


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def arrived(kafka: KafkaBroker) -> Landed:
    """What Kafka holds, of which no number has two events and no key another order."""
    found = landed(kafka.bootstrap, APP)
    found.check_order()
    assert found.doubled == 0
    return found


def test_an_app_killed_while_the_collector_is_away_keeps_its_events(
    kafka: KafkaBroker, cable: Link, way: Way, spool: Path
) -> None:
    """The next start takes over every event, and the accounts say how many."""
    cable.cut()
    last = emit_until_killed(APP, way, spool, 8_000)
    cable.heal()
    stats = adopt(APP, way, spool)
    assert (stats.adopted >= last, stats.lost) == (True, 0)
    found = arrived(kafka)
    assert (found.gaps, sum(len(set(each)) for each in found.sequences.values())) == (0, stats.delivered)
    assert files_in(spool) == []


def test_every_process_of_a_fork_has_its_own_events(kafka: KafkaBroker, way: Way, spool: Path) -> None:
    """A parent that exits without a close, a child that does, and one that vanishes: none has a gap."""
    process = start_app("fork", APP, way, spool, 500)
    process.communicate()
    assert process.returncode == 0
    adopt(APP, way, spool)
    found = arrived(kafka)
    assert (found.gaps, sorted(len(set(each)) for each in found.sequences.values())) == (0, [1, 500, 500, 1_000])
    assert files_in(spool) == []


def test_a_full_disk_drops_only_what_memory_cannot_hold(
    kafka: KafkaBroker, cable: Link, way: Way, tmp_path: Path, require: Callable[[str], str]
) -> None:
    """With the collector away and the disk full, each event is kept or counted; the kept ones arrive."""
    with small_disk(require("mount"), tmp_path) as disk:
        client = Keeprate(APP, spool_dir=disk, **way)
        cable.cut()
        taken = sum(client.emit(LARGE) for _ in range(2 * MANY))
        stats = balanced(client.stats())
        assert (stats.accepted, stats.dropped) == (2 * MANY, {"full": 2 * MANY - taken})
        assert 0 < taken < 2 * MANY
        cable.heal()
        assert client.flush(60) == 0
        client.close()
        assert balanced(client.stats()).delivered == taken
        (sequence,) = arrived(kafka).sequences.values()
        assert len(set(sequence)) == taken


def test_a_spool_at_its_limit_drops_the_oldest_and_counts_them(
    kafka: KafkaBroker, cable: Link, way: Way, spool: Path
) -> None:
    """The newest events stay; the gap in the numbers is the number evicted."""
    client = Keeprate(APP, spool_dir=spool, spool_bytes=4 * SEGMENT_BYTES, **way)
    cable.cut()
    last = max(number for number in range(1, MANY + 1) if client.emit(LARGE))
    cable.heal()
    assert client.flush(60) == 0
    client.close()
    stats = balanced(client.stats())
    assert set(stats.dropped) <= {"evicted", "full"}
    assert stats.dropped["evicted"] > 0
    (sequence,) = arrived(kafka).sequences.values()
    assert (MANY - len(set(sequence)), max(sequence)) == (stats.lost, last)


def test_an_import_waits_for_the_collector_and_drops_nothing(
    kafka: KafkaBroker, cable: Link, way: Way, spool: Path
) -> None:
    """With `block=True` an outage longer than the spool is only a pause."""
    client = Keeprate(APP, spool_dir=spool, spool_bytes=4 * SEGMENT_BYTES, **way)
    cable.cut()

    def importing() -> None:
        for _ in range(MANY):
            client.emit(LARGE, block=True)

    thread = threading.Thread(target=importing)
    thread.start()
    thread.join(0.5)
    cable.heal()
    thread.join()
    assert client.flush(60) == 0
    client.close()
    stats = balanced(client.stats())
    assert (stats.delivered, stats.dropped) == (MANY, {})
    (sequence,) = arrived(kafka).sequences.values()
    assert len(set(sequence)) == MANY


def test_an_app_whose_spool_directory_is_deleted_goes_on(kafka: KafkaBroker, way: Way, spool: Path) -> None:
    """It costs nothing while the process lives."""
    with Keeprate(APP, spool_dir=spool, **way) as client:
        client.feedback(uuid7()).shown()
        shutil.rmtree(spool)
        for _ in range(5_000):
            client.feedback(uuid7()).shown()
        assert client.flush(60) == 0
        assert balanced(client.stats()).delivered == 5_001
    (sequence,) = arrived(kafka).sequences.values()
    assert len(set(sequence)) == 5_001


def test_an_app_killed_while_it_tracks_makes_its_checks_after_the_restart(
    kafka: KafkaBroker, way: Way, spool: Path
) -> None:
    """The checks that were to come are read again by their ref, and come late rather than never."""
    process = start_app("track", APP, way, spool, 0)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.communicate()

    def reread(check: Check) -> str | None:
        return "return a - b" if check.ref == "cell 3" else None

    with Keeprate(APP, spool_dir=spool, reread=reread, **way):
        checks: dict[int, Any] = {}
        while len(checks) < 2:
            found = [event for event in events_of(kafka.bootstrap, APP) if event["type"] == "retention_check"]
            checks = {event["horizon_s"]: event for event in found}
    assert [(check["status"], check["distance"]) for check in checks.values()] == [("present", 1)] * 2
    assert files_in(spool) == []
