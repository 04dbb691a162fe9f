"""The sink: from Kafka to rows, against a bare insert of the same bytes.

The limit inserts the rows that the sink would make, ready-made, in batches of the same size over the same HTTP door. So
it does not read Kafka, judge events, commit or keep a ledger. Row inserts are what a consumer without batches does.
"""

import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

from confluent_kafka import Producer

from keeprate.deploy.local.broker import KafkaBroker
from keeprate.deploy.store import StoreProcess
from keeprate.deploy.topics import create_topics
from keeprate.schemas.decode import encode
from keeprate.schemas.ids import uuid7
from keeprate.schemas.topics import FEEDBACK, PARTITIONER
from keeprate.sinks.kafka.client import Consumer, DeadLetterProducer
from keeprate.sinks.kafka.records import Record, TopicPartition
from keeprate.sinks.landing.flush import INSERT_SETTINGS, Destination, Flush
from keeprate.sinks.landing.partition import DEFAULT_POLICY
from keeprate.sinks.landing.rows import FEEDBACK_TABLE, sort
from keeprate.sinks.landing.run import NoObserver, sink_revision
from keeprate.sinks.landing.shards import Shard
from keeprate.sinks.landing.sink import Sink, SinkPolicy
from keeprate.sinks.store.clickhouse import Client, connect
from keeprate.sinks.tables.migrate import migrate, revision
from tests.bench.results import Bench, Result, result

NAMES: Final = {
    "sink.keeprate": "Kafka to rows, with intent, ledger and commits",
    "sink.bare_insert": "bare HTTP inserts of the same rows, ready-made",
    "sink.parser": "judging the records and making rows of them, alone",
    "sink.row_inserts": "one HTTP insert for each row",
}

EVENTS: Final = 400_000
ROW_INSERTS: Final = 300
BATCH_ROWS: Final = DEFAULT_POLICY.max_rows


class _Memory:
    """A record that is in memory already."""

    def __init__(self, offset: int, value: bytes) -> None:
        self._offset = offset
        self._value = value

    def topic(self) -> str:
        return FEEDBACK.name

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


def measure(bench: Bench) -> Iterator[Result]:
    """Each contender in turn, in each run, over one broker and one store."""
    taken = values(bench.events(EVENTS))
    found: dict[str, list[float]] = {name: [] for name in NAMES if bench.wants(name)}
    with KafkaBroker(bench.directory / "kafka") as broker, StoreProcess(bench.directory / "store") as store:
        create_topics(broker.bootstrap)
        _produce(broker.bootstrap, taken)
        for run in range(bench.runs):
            for name, rates in found.items():
                bench.say(f"run {run + 1}: {name}")
                url = f"{store.url}/{name.replace('.', '_')}_{run}"
                migrate(url)
                with connect(url) as client:
                    rates.append(_CONTENDERS[name](client, broker.bootstrap, taken))
                    client.command(f"DROP DATABASE {name.replace('.', '_')}_{run}")
    for name, rates in found.items():
        yield result(name, "rows/s", rates)


def _keeprate(client: Client, brokers: str, taken: list[bytes]) -> float:
    watch = _Stopwatch(len(taken))
    group = f"bench-{time.monotonic_ns()}"
    consumer = Consumer(brokers, group)
    to = Destination(group, consumer, DeadLetterProducer(brokers), [Shard(client)], revision())
    watch.sink = Sink(consumer, to, sink_revision(), watch, SinkPolicy())
    watch.sink.run((FEEDBACK.name,))
    return len(taken) / watch.took_s


def _bare_insert(client: Client, _: str, taken: list[bytes]) -> float:
    batches = [_rows(taken[begin : begin + BATCH_ROWS]) for begin in range(0, len(taken), BATCH_ROWS)]
    began_s = time.perf_counter()
    for batch in batches:
        _insert(client, b"".join(batch))
    return len(taken) / (time.perf_counter() - began_s)


def _parser(_: Client, __: str, taken: list[bytes]) -> float:
    records: list[Record] = [_Memory(number, value) for number, value in enumerate(taken)]
    began_s = time.perf_counter()
    for begin in range(0, len(records), BATCH_ROWS):
        sort(FEEDBACK.name, 0, records[begin : begin + BATCH_ROWS])
    return len(taken) / (time.perf_counter() - began_s)


def _row_inserts(client: Client, _: str, taken: list[bytes]) -> float:
    rows = _rows(taken[:ROW_INSERTS])
    began_s = time.perf_counter()
    for row in rows:
        _insert(client, row)
    return len(rows) / (time.perf_counter() - began_s)


_CONTENDERS: Final[dict[str, Any]] = {
    "sink.keeprate": _keeprate,
    "sink.bare_insert": _bare_insert,
    "sink.parser": _parser,
    "sink.row_inserts": _row_inserts,
}


def _rows(taken: list[bytes]) -> list[bytes]:
    records: list[Record] = [_Memory(number, value) for number, value in enumerate(taken)]
    return sort(FEEDBACK.name, 0, records).rows_of(FEEDBACK_TABLE).encoded


def _insert(client: Client, data: bytes) -> None:
    table = FEEDBACK_TABLE
    settings = {**INSERT_SETTINGS, "insert_deduplication_token": uuid7()}
    client.insert_bytes(table.name, table.columns, data, table.format, settings)


def _produce(brokers: str, taken: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": brokers, "partitioner": PARTITIONER, "linger.ms": 20})
    for number, value in enumerate(taken):
        while True:
            try:
                producer.produce(FEEDBACK.name, value, str(number))
                break
            except BufferError:
                producer.poll(0.05)
    producer.flush()
