"""The sink: from Kafka to rows, against a bare insert of the same bytes.

The limit inserts the rows that the sink would make, ready-made, in batches of the same size over the same HTTP door. So
it does not read Kafka, judge events, commit or keep a ledger. Row inserts are what a consumer without batches does.
Of outcomes, which `landing.…` are about, the sink derives the suggestions too, and the limit does not.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Producer

from keeprate.deploy.local.broker import KafkaBroker
from keeprate.deploy.store import StoreProcess
from keeprate.deploy.topics import create_topics
from keeprate.schemas.decode import decode, encode
from keeprate.schemas.ids import uuid7
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import encode_outcome
from keeprate.schemas.topics import FEEDBACK, OUTCOMES, PARTITIONER
from keeprate.sinks.kafka.client import Consumer, DeadLetterProducer
from keeprate.sinks.kafka.records import Record, TopicPartition
from keeprate.sinks.landing.flush import INSERT_SETTINGS, Destination, Flush
from keeprate.sinks.landing.partition import DEFAULT_POLICY
from keeprate.sinks.landing.rows import FEEDBACK_TABLE, OUTCOMES_TABLE, Table, sort
from keeprate.sinks.landing.run import NoObserver, sink_revision
from keeprate.sinks.landing.shards import Shard
from keeprate.sinks.landing.sink import Sink, SinkPolicy
from keeprate.sinks.store.clickhouse import Client, connect
from keeprate.sinks.tables.migrate import migrate, revision
from tests.bench import join_load
from tests.bench.results import Bench, Result, result

NAMES: Final = {
    "sink.keeprate": "Kafka to rows, with intent, ledger and commits",
    "sink.bare_insert": "bare HTTP inserts of the same rows, ready-made",
    "sink.parser": "judging the records and making rows of them, alone",
    "sink.row_inserts": "one HTTP insert for each row",
    "landing.keeprate": "outcomes from Kafka to rows, and the suggestions derived from them",
    "landing.bare_insert": "bare HTTP inserts of the same outcomes, ready-made; nothing is derived",
}

EVENTS: Final = 400_000
JOINED: Final = 400_000
"""Events of a day of the demo, whose outcomes are landed."""
ROW_INSERTS: Final = 300
BATCH_ROWS: Final = DEFAULT_POLICY.max_rows


@dataclass(frozen=True)
class Taken:
    """Records of a topic, and the table that they are rows of."""

    topic: str
    table: Table
    values: Sequence[bytes]


class _Memory:
    """A record that is in memory already."""

    def __init__(self, topic: str, offset: int, value: bytes) -> None:
        self._topic = topic
        self._offset = offset
        self._value = value

    def topic(self) -> str:
        return self._topic

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return None

    def value(self) -> bytes | None:
        return self._value

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_764_000_000_000

    def headers(self) -> None:
        return None


class _Stopwatch(NoObserver):
    """Stops the sink when all rows are landed, and knows how long it took from the assignment on."""

    def __init__(self, rows: int) -> None:
        self._left = rows
        self._began_s: float | None = None
        self.took_s = 0.0
        self.sink: Sink | None = None

    def polled(self, positions: Mapping[TopicPartition, int], now_s: float) -> None:
        if positions and self._began_s is None:
            self._began_s = now_s

    def flushed(self, flush: Flush, took_s: float) -> None:
        self._left -= flush.rows
        if self._left <= 0 and self._began_s is not None and self.sink is not None:
            self.took_s = time.monotonic() - self._began_s
            self.sink.stop()


def values(count: int) -> list[bytes]:
    """Accepts, of the size that an editor sends."""
    shape = {"schema_version": 1, "type": "action", "action": "accept", "length": 120, "lines": 4, "app": "bench"}
    stamp = {"occurred_at": 1_764_000_000_000, "user": "u-7f3a", "session": "s-1", "producer_id": "p-1"}
    return [
        encode({**shape, **stamp, "event_id": uuid7(), "generation_id": uuid7(), "producer_seq": number})
        for number in range(count)
    ]


def outcomes(directory: Path, events: int) -> list[bytes]:
    """The outcomes of a day of the demo, as records have them."""
    load = join_load.make(directory / "events", events)
    return [encode_outcome(*each) for each in fold(decode(value) for _, _, value in load.records()).items()]


def measure(bench: Bench) -> Iterator[Result]:
    """Each contender in turn, in each run, over one broker and one store."""
    wanted = [name for name in NAMES if bench.wants(name)]
    taken = {
        "sink": Taken(FEEDBACK.name, FEEDBACK_TABLE, values(bench.events(EVENTS))),
        "landing": Taken(OUTCOMES.name, OUTCOMES_TABLE, outcomes(bench.directory, bench.events(JOINED))),
    }
    found: dict[str, list[float]] = {name: [] for name in wanted}
    with KafkaBroker(bench.directory / "kafka") as broker, StoreProcess(bench.directory / "store") as store:
        create_topics(broker.bootstrap)
        for each in taken.values():
            _produce(broker.bootstrap, each)
        for run in range(bench.runs):
            for name, rates in found.items():
                bench.say(f"run {run + 1}: {name}")
                url = f"{store.url}/{name.replace('.', '_')}_{run}"
                migrate(url)
                group, _, contender = name.partition(".")
                with connect(url) as client:
                    rates.append(_CONTENDERS[contender](client, broker.bootstrap, taken[group]))
                    client.command(f"DROP DATABASE {name.replace('.', '_')}_{run}")
    for name, rates in found.items():
        yield result(name, "rows/s", rates)


def _keeprate(client: Client, brokers: str, taken: Taken) -> float:
    watch = _Stopwatch(len(taken.values))
    group = f"bench-{time.monotonic_ns()}"
    consumer = Consumer(brokers, group)
    to = Destination(group, consumer, DeadLetterProducer(brokers), [Shard(client)], revision())
    watch.sink = Sink(consumer, to, sink_revision(), watch, SinkPolicy())
    watch.sink.run((taken.topic,))
    return len(taken.values) / watch.took_s


def _bare_insert(client: Client, _: str, taken: Taken) -> float:
    batches = [_rows(taken, begin, BATCH_ROWS) for begin in range(0, len(taken.values), BATCH_ROWS)]
    began_s = time.perf_counter()
    for batch in batches:
        _insert(client, taken.table, b"".join(batch))
    return len(taken.values) / (time.perf_counter() - began_s)


def _parser(_: Client, __: str, taken: Taken) -> float:
    records: list[Record] = [_Memory(taken.topic, number, value) for number, value in enumerate(taken.values)]
    began_s = time.perf_counter()
    for begin in range(0, len(records), BATCH_ROWS):
        sort(taken.topic, 0, records[begin : begin + BATCH_ROWS])
    return len(taken.values) / (time.perf_counter() - began_s)


def _row_inserts(client: Client, _: str, taken: Taken) -> float:
    rows = _rows(taken, 0, ROW_INSERTS)
    began_s = time.perf_counter()
    for row in rows:
        _insert(client, taken.table, row)
    return len(rows) / (time.perf_counter() - began_s)


_CONTENDERS: Final[dict[str, Any]] = {
    "keeprate": _keeprate,
    "bare_insert": _bare_insert,
    "parser": _parser,
    "row_inserts": _row_inserts,
}


def _rows(taken: Taken, begin: int, count: int) -> list[bytes]:
    records: list[Record] = [
        _Memory(taken.topic, number, value) for number, value in enumerate(taken.values[begin : begin + count])
    ]
    return sort(taken.topic, 0, records).rows_of(taken.table).encoded


def _insert(client: Client, table: Table, data: bytes) -> None:
    settings = {**INSERT_SETTINGS, **dict(table.settings), "insert_deduplication_token": uuid7()}
    client.insert_bytes(table.name, table.columns, data, table.format, settings)


def _produce(brokers: str, taken: Taken) -> None:
    producer = Producer({"bootstrap.servers": brokers, "partitioner": PARTITIONER, "linger.ms": 20})
    for number, value in enumerate(taken.values):
        while True:
            try:
                producer.produce(taken.topic, value, str(number))
                break
            except BufferError:
                producer.poll(0.05)
    producer.flush()
