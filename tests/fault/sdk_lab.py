"""What the faults of the SDK share: an app to kill, what Kafka holds of it, and its next start."""

import json
import random
import subprocess
import sys
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from keeprate.producers import Keeprate, Stats
from keeprate.schemas.decode import decode
from keeprate.schemas.ids import uuid7
from keeprate.schemas.topics import DEFAULT_PARTITIONS, SOURCES

Way = Mapping[str, Any]
"""What a client is told of its way to Kafka: brokers, or a collector's url and key."""


class Landed(NamedTuple):
    """What Kafka holds of an app.

    sequences: by producer, every producer_seq as often as it came.
    order: by key, the events' own numbers in the order of their offsets, repetitions left out.
    doubled: numbers that two events share, which no producer may do.
    """

    sequences: dict[str, list[int]]
    order: dict[str, list[int]]
    doubled: int

    @property
    def repeated(self) -> int:
        """Records beyond the first of each event."""
        return sum(len(each) - len(set(each)) for each in self.sequences.values())

    @property
    def gaps(self) -> int:
        """Numbers below a producer's highest that did not arrive."""
        return sum(max(each) - len(set(each)) for each in self.sequences.values())

    def check(self) -> None:
        """Every producer's numbers begin at 1 and have no gap, and every key's events are in order."""
        assert (self.gaps, self.doubled) == (0, 0)
        self.check_order()

    def check_order(self) -> None:
        """Every key's events are in order."""
        for key, numbers in self.order.items():
            assert numbers == sorted(numbers), key


def landed(bootstrap: str, app: str) -> Landed:
    """Read both source topics to their ends."""
    sequences: dict[str, list[int]] = defaultdict(list)
    order: dict[str, list[int]] = defaultdict(list)
    identities: dict[tuple[str, int], set[str]] = defaultdict(set)
    for event in events_of(bootstrap, app):
        producer, sequence = event["producer_id"], event["producer_seq"]
        if (producer, sequence) not in identities:
            order[event["generation_id"]].append(int((event.get("attributes") or {}).get("n", 0)))
        identities[producer, sequence].add(event["event_id"])
        sequences[producer].append(sequence)
    return Landed(sequences, order, sum(len(each) - 1 for each in identities.values()))


def events_of(bootstrap: str, app: str) -> Iterator[Any]:
    """What both source topics hold of an app, partition by partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": str(uuid.uuid4()), "enable.auto.commit": False})
    try:
        for topic in SOURCES:
            for partition in range(DEFAULT_PARTITIONS):
                yield from _read(consumer, topic.name, partition, app)
    finally:
        consumer.close()


def _read(consumer: Consumer, topic: str, partition: int, app: str) -> Iterator[Any]:
    at = TopicPartition(topic, partition)
    read, end = _bounds(consumer, at)
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
    while read < end:
        for message in consumer.consume(10_000, timeout=0.3):
            assert message.error() is None
            read = (message.offset() or 0) + 1
            # Others write to these topics what is no event.
            if app.encode() not in (message.value() or b""):
                continue
            event = decode(message.value())
            if event["app"] == app:
                assert message.key() == event["generation_id"].encode()
                yield event


def start_app(mode: str, app: str, way: Way, spool: Path, count: int) -> "subprocess.Popen[str]":
    """The app of sdk_app.py as a process of its own."""
    command = [sys.executable, "-m", "tests.fault.sdk_app", mode, app, json.dumps(way), str(spool), str(count)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def adopt(app: str, way: Way, spool: Path) -> Stats:
    """Start the app again, emit one event, deliver everything; the accounts after the end."""
    client = Keeprate(app, spool_dir=spool, **way)
    client.feedback(uuid7()).shown()
    # The sender adopts before it sends, so the event's acknowledgement comes after the adoption.
    assert client.flush(60) == 0
    client.close()
    return balanced(client.stats())


def balanced(stats: Stats) -> Stats:
    """The same accounts, once they add up."""
    assert stats.accepted == stats.delivered + stats.pending + stats.spooled + stats.lost
    return stats


@contextmanager
def small_disk(mount: str, directory: Path) -> Iterator[Path]:
    """A file system of ten megabytes; skips the test where none can be mounted."""
    path = directory / "disk"
    path.mkdir()
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=10m", "none", str(path)], check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    try:
        yield path
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)


def files_in(spool: Path) -> list[Path]:
    """What is left in the spool."""
    return [path for path in spool.rglob("*") if path.is_file()]


def emit_until_killed(app: str, way: Way, spool: Path, count: int) -> int:
    """Have the app emit, kill it after about so many events; how many it had emitted at least."""
    process = start_app("kill", app, way, spool, 0)
    assert process.stdout is not None
    last = 0
    for line in process.stdout:
        last = int(line)
        if last >= count:
            process.kill()
            break
    rest, _ = process.communicate()
    return max([last, *(int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n"))])


def _bounds(consumer: Consumer, at: TopicPartition) -> tuple[int, int]:
    """The offset of the first record that is left, and the one behind the last."""
    give_up_at = time.monotonic() + 20
    while True:
        try:
            first, end = consumer.get_watermark_offsets(at, timeout=20)
        except KafkaException as error:
            # For a moment after a topic is created, or its broker restarted, nobody leads the partition.
            if error.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION or time.monotonic() > give_up_at:
                raise
            time.sleep(0.2)
        else:
            return first, end


class Killed(NamedTuple):
    """The account of an app that was killed and started again, several times.

    lost: events that were emitted and did not arrive. doubled: numbers that two events share.
    """

    events: int
    kills: int
    lost: int
    doubled: int


def killed_again_and_again(bootstrap: str, way: Way, app: str, spool: Path, rng: random.Random) -> Killed:
    """Each start adopts what the last ones left, and is killed too, until the last one delivers everything."""
    counts = [emit_until_killed(app, way, spool, rng.randrange(100, 15_000)) for _ in range(rng.randrange(3, 6))]
    lost = adopt(app, way, spool).lost
    found = landed(bootstrap, app)
    found.check()
    # A producer's id begins with its time, so the starts are in this order; the last is the one that was not killed.
    producers = sorted(found.sequences)
    arrived = [max(found.sequences[producer]) for producer in producers]
    lost += sum(max(0, count - highest) for count, highest in zip(counts, arrived, strict=False))
    return Killed(sum(arrived), len(counts), lost + found.gaps, found.doubled)
