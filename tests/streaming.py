"""What tests of a running worker share: a seeded log of events, its records in Kafka, and what came of them."""

import random
import sys
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from confluent_kafka import OFFSET_END, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from keeprate.deploy.local.process import ChildProcess
from keeprate.schemas.decode import encode, validate
from keeprate.schemas.events import Event
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import encode_outcome
from keeprate.schemas.topics import ALL, DEFAULT_PARTITIONS, OUTCOMES, PARTITIONER, SOURCES, topic_of
from keeprate.streams.join.batches import Batch, Run
from tests.offsets import Offsets

BASE_MS = 1_764_000_000_000
POISON = (
    None,
    b"",
    b"no JSON",
    b"[]",
    b"\xff\xfe",
    b'{"type": "riddle"}',
    b'{"type": "vote", "schema_version": 99}',
    b'{"type": "vote"}',
    b"[" * 100_000,
)

Sourced = tuple[str, bytes | None, bytes | None]
"""Topic, key and value of one source record."""


@dataclass(frozen=True)
class Stored:
    """A record as Kafka's clients show it."""

    value: bytes | None
    offset: int
    topic: str = "keeprate.feedback"
    partition: int = 0
    timestamp: int = 0
    key: bytes | None = None
    headers: tuple[Any, ...] = ()


@dataclass
class Message:
    """What the transport hands to the pipeline, as far as the pipeline looks at it."""

    value: Batch
    partition: int = 0


def message(records: Iterable[Stored]) -> Message:
    """A message of the transport, with a run for each topic."""
    by_topic: dict[str, list[Stored]] = {}
    for record in records:
        by_topic.setdefault(record.topic, []).append(record)
    runs = {topic: Run(run[0].offset, run) for topic, run in by_topic.items()}
    return Message(Batch(runs))


def create_topics(bootstrap: str) -> None:
    """Have every topic of the registry, each with the partitions and settings it says."""
    topics = [NewTopic(topic.name, DEFAULT_PARTITIONS, 1, config=topic.config) for topic in ALL]
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics(topics).values():
        try:
            future.result(30)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def remove_records(bootstrap: str, topic: str) -> None:
    """Remove all that a topic holds, as its retention would."""
    ends = [TopicPartition(topic, number, OFFSET_END) for number in range(DEFAULT_PARTITIONS)]
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.delete_records(ends).values():
        future.result(30)


def story(rng: random.Random, app: str, suggestions: int, base_ms: int = BASE_MS) -> list[Event]:
    """A log of events about so many suggestions, some of them without a generation."""
    log: list[dict[str, Any]] = []
    for index in range(suggestions):
        generation = _identity(rng)
        bodies: list[dict[str, Any]] = [{"type": "generation", "model": rng.choice(["m1", "m2"])}]
        bodies += [{"type": "action", "action": "shown", "length": rng.randrange(90), "dwell_ms": rng.randrange(900)}]
        bodies += [{"type": "action", "action": "accept", "length": rng.randrange(90)}]
        bodies += [{"type": "vote", "value": rng.choice([-1, 0, 1])} for _ in range(rng.randrange(3))]
        bodies += [{"type": "flag", "label": "wrong", "status": rng.choice(["set", "unset"])}]
        for body in rng.sample(bodies, rng.randrange(1, len(bodies) + 1)):
            envelope = {"event_id": _identity(rng), "schema_version": 1, "app": app, "generation_id": generation}
            when = {"occurred_at": base_ms + index * 100 + rng.randrange(5000), "user": f"u{rng.randrange(3)}"}
            log.append(envelope | when | body)
    return [validate(event) for event in log]


def disordered(rng: random.Random, log: Iterable[Event]) -> list[Sourced]:
    """The log's records, shuffled, a third of them twice, with poison in between."""
    records: list[Sourced] = []
    for event in log:
        record = (topic_of(event["type"]).name, event["generation_id"].encode(), encode(event))
        records += [record] * (1 + (rng.random() < 1 / 3))
    records += [(rng.choice(SOURCES).name, _identity(rng).encode(), value) for value in POISON]
    rng.shuffle(records)
    return records


def produce(bootstrap: str, records: Iterable[Sourced]) -> None:
    """Write records; on return the broker has acknowledged them all."""
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "partitioner": PARTITIONER,
            "compression.type": "zstd",
            "enable.idempotence": True,
            "log_level": 0,
        }
    )
    left = list(records)
    while left:
        failed: list[Sourced] = []
        for record in left:
            topic, key, value = record
            producer.produce(topic, value, key, on_delivery=partial(_keep_failed, failed, record))
            producer.poll(0)
        assert producer.flush(60) == 0
        # A broker that has just started may not know the topic yet, and then librdkafka gives a record up.
        left = failed


def _keep_failed(failed: list[Sourced], record: Sourced, error: KafkaError | None, _: object) -> None:
    if error is not None:
        failed.append(record)


def expected(log: Iterable[Event]) -> dict[str, bytes]:
    """The oracle: what a single thread makes of the log."""
    return {key: encode_outcome(key, outcome) for key, outcome in fold(log).items()}


def read(bootstrap: str, topic: str) -> list[Any]:
    """Every record that a topic holds now."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": str(uuid.uuid4()), "enable.partition.eof": True})
    unread = set(range(DEFAULT_PARTITIONS))
    consumer.assign([TopicPartition(topic, number, 0) for number in unread])
    records = []
    while unread:
        for message in consumer.consume(10_000, 1.0):
            error = message.error()
            if error is None:
                records.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                unread.discard(message.partition())
            else:
                raise KafkaException(error)
    consumer.close()
    return records


def outcomes(bootstrap: str, app: str) -> dict[str, bytes]:
    """An app's outcomes, the last record of each key."""
    prefix = f"{app}/"
    # Tests of junk write keys of any bytes.
    records = ((record.key().decode("utf-8", "replace"), record.value()) for record in read(bootstrap, OUTCOMES.name))
    return {key: value for key, value in records if key.startswith(prefix)}


def joined(bootstrap: str, group: str) -> Offsets:
    """How far a group has come in the source topics."""
    return Offsets(bootstrap, group, [topic.name for topic in SOURCES], DEFAULT_PARTITIONS)


def wait_joined(bootstrap: str, group: str, timeout_s: float = 90.0) -> None:
    """Return when a group has committed all source records that are there."""
    with joined(bootstrap, group) as offsets:
        wait_until(offsets.reached, timeout_s)


def wait_until(condition: Callable[[], bool], timeout_s: float = 90.0) -> None:
    """Return when the condition holds; it is asked again and again."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.1)


class RunningWorker:
    """A `keeprate worker` of its own group and state, to be killed and started again at will."""

    def __init__(self, bootstrap: str, directory: Path, group: str, state: str = "rocksdb", *options: str) -> None:
        self.log = directory / "worker.log"
        arguments = ["--brokers", bootstrap, "--group", group, "--data-dir", str(directory / "state"), "--state", state]
        command = [str(Path(sys.executable).parent / "keeprate"), "worker", *arguments, *options]
        self.process = ChildProcess("keeprate worker", command, self.log)

    def __enter__(self) -> Self:
        self.process.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is not None and self.log.exists():
            print(self.log.read_text()[-4000:])  # noqa: T201 - pytest shows it with the failure
        self.process.kill()


def _identity(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))
