"""What tests of the sink share: records good and bad, the sink as a process, and the account of what became of each."""

import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from keeprate.deploy.local.process import ChildProcess
from keeprate.schemas.decode import encode
from keeprate.schemas.ids import uuid7
from keeprate.schemas.topics import DEAD_LETTERS, FEEDBACK, GENERATIONS, PARTITIONER
from keeprate.sinks.store.clickhouse import Client, Row, connect
from tests.offsets import Offsets

BASE_MS = 1_764_000_000_000
PARTITIONS = 4
# What ClickHouse shows where it could read no id.
NIL_IDENTITY = (
    b'{"event_id":"00000000-0000-0000-0000-000000000000","type":"generation","schema_version":1,"app":"a",'
    b'"occurred_at":1764000000000,"generation_id":"0190a000-0000-7000-8000-0000000000ab"}'
)
BROKEN: tuple[bytes | None, ...] = (
    NIL_IDENTITY,
    b'{"type":"generation","event_id":"0190a000-0000-7000-8000-0000000000aa","schema_version":1,"app":"a",'
    b'"occurred_at":1764000000000,"generation_id":"0190a000-0000-7000-8000-0000000000ab","parameters":{"x":1e999}}',
    b'{"event_id": "cut off',
    b"[1, 2]",
    b"",
    None,
    b'{"x": "\xff\xfe"}',
    b'{"type": "vote", "schema_version": 7}',
    b'{"type": "vote", "schema_version": 1, "occurred_at": "yesterday"}',
    b'{"type": "unheard of"}',
    b"[" * 2000,
    b'{"pad": "' + b"x" * (1 << 20) + b'"}',
)


@dataclass
class Source:
    """Writes events of a seed, generations and actions in turn, every `poison_every`-th record broken."""

    bootstrap: str
    seed: int
    poison_every: int = 23
    topics: tuple[str, str] = (GENERATIONS.name, FEEDBACK.name)
    sent: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._producer = Producer(
            {
                "bootstrap.servers": self.bootstrap,
                "partitioner": PARTITIONER,
                "acks": "all",
                "linger.ms": 20,
                "message.max.bytes": 8 << 20,
                "log_level": 0,
            }
        )

    def write(self, count: int) -> None:
        """Write so many records, alternating between the topics; on return the broker has them."""
        for index in range(count):
            topic = self.topics[index % 2]
            generation_id = uuid7(BASE_MS + self._random.randrange(10**9))
            value: bytes | None
            if self.poison_every and self._random.randrange(self.poison_every) == 0:
                value = self._random.choice(BROKEN)
            else:
                value = encode(event(self._random, index % 2 == 0, generation_id))
            while True:
                try:
                    self._producer.produce(topic, value, generation_id)
                    break
                except BufferError:
                    self._producer.poll(0.05)
            self.sent[topic] += 1
        assert self._producer.flush(60) == 0


def event(rng: random.Random, generation: bool, generation_id: str) -> dict[str, object]:
    """A valid event, a generation or an action, of one of two months: a batch is two parts, and can land by halves.

    A part costs the store some milliseconds, however few rows it has.
    """
    body: dict[str, object] = {
        "event_id": uuid7(BASE_MS + rng.randrange(10**9)),
        "schema_version": 1,
        "occurred_at": BASE_MS + rng.randrange(10**9),
        "app": rng.choice(["editor", "chat"]),
        "generation_id": generation_id,
    }
    if generation:
        return {**body, "type": "generation", "model": "m", "latency_ms": rng.randrange(3000), "tools_called": ["t"]}
    return {**body, "type": "action", "action": "shown", "length": rng.randrange(200), "user": f"u{rng.randrange(50)}"}


def sink_process(
    brokers: str, store_url: str, log: Path, *arguments: str, argv: Sequence[str] | None = None
) -> ChildProcess:
    """`keeprate sink` as a child, not started."""
    command = argv or (sys.executable, "-m", "keeprate.deploy.cli", "sink", "--linger-s", "0.1", *arguments)
    env = {"KEEPRATE_BROKERS": brokers, "KEEPRATE_STORE_URL": store_url}
    return ChildProcess("the sink", command, log, env)


def end_offsets(bootstrap: str, topics: Sequence[str], partitions: int = PARTITIONS) -> dict[tuple[str, int], int]:
    """The end of each partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "reader-of-ends"})
    try:
        return {
            (topic, partition): consumer.get_watermark_offsets(TopicPartition(topic, partition), 10)[1]
            for topic in topics
            for partition in range(partitions)
        }
    finally:
        consumer.close()


def until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Return once it holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s} s"
        time.sleep(0.2)


def wait_landed(bootstrap: str, group: str, topics: Sequence[str], timeout_s: float = 60) -> None:
    """Return once the group has committed the end of every partition."""
    deadline = time.monotonic() + timeout_s
    with Offsets(bootstrap, group, topics, PARTITIONS) as offsets:
        while not offsets.reached():
            late = time.monotonic() > deadline
            assert not late, f"after {timeout_s} s committed {offsets.committed()} of {offsets.ends()}"
            time.sleep(0.1)


@dataclass
class Account:
    """What became of the offsets of the source topics. Every list is empty when all is accounted for, once."""

    lost: list[tuple[str, int, int]] = field(default_factory=list)
    duplicated: list[tuple[str, int, int]] = field(default_factory=list)
    unaccounted: list[str] = field(default_factory=list)
    rows: int = 0
    dead_letters: int = 0

    @property
    def clean(self) -> bool:
        return not (self.lost or self.duplicated or self.unaccounted)


SOURCES = (GENERATIONS.name, FEEDBACK.name)


def account(
    store_url: str | Sequence[str],
    bootstrap: str,
    group: str,
    topics: Sequence[str] = SOURCES,
    merged: bool = False,
    since_ms: int = 0,
    partitions: int = PARTITIONS,
) -> Account:
    """I1 and I2: every offset below the end is a row or a dead letter, once, and the ledger tiles and sums. Of shards,
    over all of them together.

    Reads rows without FINAL: stop merges before the test, so that a second row of an event cannot hide. merged: reads
    them with FINAL, as every view does. since_ms: when the topics were made; older dead letters are of others.
    """
    found = Account()
    ends = end_offsets(bootstrap, topics, partitions)
    seen: Counter[tuple[str, int, int]] = Counter()
    ranges: list[Row] = []
    for url in [store_url] if isinstance(store_url, str) else store_url:
        with connect(url) as store:
            _add_seen(found, seen, store, {"topics": list(topics), "since_ms": since_ms}, "FINAL" * merged)
            ranges += ledger_ranges(store, group, merged)
    for (topic, partition), end in ends.items():
        found.lost += [(topic, partition, n) for n in range(end) if not seen[topic, partition, n]]
    found.duplicated = [where for where, times in seen.items() if times > 1]
    found.unaccounted = ledger_faults(ranges, ends)
    return found


def _add_seen(
    found: Account, seen: Counter[tuple[str, int, int]], store: Client, only: dict[str, Any], final: str
) -> None:
    for table in ("generations", "feedback"):
        rows = store.query(
            f"SELECT topic, partition, offset FROM {table} {final} WHERE topic IN {{topics:Array(String)}}", only
        )
        seen.update((str(topic), int(partition), int(offset)) for topic, partition, offset in rows)
        found.rows += len(rows)
    letters = store.query(
        "SELECT topic, partition, offset FROM dead_letters FINAL "
        "WHERE stage = 'sink' AND topic IN {topics:Array(String)} "
        "AND recorded_at >= fromUnixTimestamp64Milli({since_ms:Int64})",
        only,
    )
    seen.update((str(topic), int(partition), int(offset)) for topic, partition, offset in letters)
    found.dead_letters += len(letters)


def ledger_ranges(store: Client, group: str, merged: bool = False) -> list[Row]:
    """Topic, partition, first and last offset, and counts of each range in a group's ledger."""
    return store.query(
        "SELECT topic, partition, first_offset, last_offset, rows, dead_letters, filtered, absent "
        f"FROM ledger{' FINAL' * merged} WHERE sink = {{sink:String}}",
        {"sink": group},
    )


def ledger_faults(ranges: Sequence[Row], ends: dict[tuple[str, int], int]) -> list[str]:
    """I2: where the ledger's ranges leave a gap, overlap, or do not sum to their length."""
    faults = []
    expected = dict.fromkeys(ends, 0)
    for topic, partition, first, last, *counts in sorted(ranges, key=lambda row: row[:3]):
        if (topic, partition) not in ends:
            continue
        if first != expected[topic, partition]:
            faults.append(f"{topic}/{partition}: range {first}-{last} follows {expected[topic, partition]}")
        if sum(counts) != last - first + 1:
            faults.append(f"{topic}/{partition}: {counts} for range {first}-{last}")
        expected[topic, partition] = last + 1
    faults += [
        f"{at[0]}/{at[1]}: ledger ends at {expected[at]}, topic at {end}"
        for at, end in ends.items()
        if expected[at] != end
    ]
    return faults


ALL_LANDED = (GENERATIONS.name, FEEDBACK.name, DEAD_LETTERS.name)
