"""The one place that knows confluent-kafka: how a producer is opened, and what each of its errors asks for."""

import ctypes
import logging
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Final, Literal, Self

import confluent_kafka
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from keeprate.producers.errors import SettingsError
from keeprate.schemas.access.brokers import security
from keeprate.schemas.events import MAX_EVENT_BYTES
from keeprate.schemas.topics import PARTITIONER, READER_GROUP

log = logging.getLogger("keeprate.producers")

_METADATA_S: Final = 5.0

Reaction = Literal["resend", "refuse"]

# librdkafka's own queue stays small: what waits, waits in the spool, where it survives the process.
QUEUE_MESSAGES: Final = 20_000
QUEUE_KBYTES: Final = 32_768

_FIXED: Final[dict[str, Any]] = {
    "enable.idempotence": True,
    "acks": "all",
    "partitioner": PARTITIONER,
}
_DEFAULTS: Final[dict[str, Any]] = {
    "compression.codec": "lz4",
    "linger.ms": 20,
    # A record without an answer by then is sent again through a new producer, because librdkafka's may wait for a
    # partition's leader for ever (its issue 5430). The time decides nothing else: only a broker refuses a record.
    "message.timeout.ms": 600_000,
    "message.max.bytes": 8 * MAX_EVENT_BYTES,
    "queue.buffering.max.messages": QUEUE_MESSAGES,
    "queue.buffering.max.kbytes": QUEUE_KBYTES,
    "reconnect.backoff.max.ms": 2_000,
    "log.connection.close": False,
    # Critical only: it repeats a refused connection every two seconds, and we say once that the brokers are away.
    "log_level": 2,
}

# What a broker says about a record itself, so that sending the same bytes again cannot help.
_REFUSALS: Final = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.RECORD_LIST_TOO_LARGE,
    }
)

_PURGED: Final = frozenset({KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT})

PASSING: Final = frozenset({"_TRANSPORT", "_TIMED_OUT", "_RESOLVE"})
"""Errors of one connection, which librdkafka mends by itself; `_ALL_BROKERS_DOWN` follows where it cannot."""

# From Kafka's own UtilsTest: the Java client, aiokafka and librdkafka must agree on these or a join finds nothing.
_MURMUR2: Final = ((b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536))


def reaction(error: KafkaError) -> Reaction:
    """What to do about a record that was not delivered: send it again, or count it as refused."""
    return "refuse" if error.code() in _REFUSALS else "resend"


def is_purge(error: KafkaError) -> bool:
    """Whether we ourselves took the record back."""
    return error.code() in _PURGED


def open_producer(
    brokers: str, client_id: str, settings: Mapping[str, Any], on_error: Callable[[str], None]
) -> Producer:
    """A producer that is idempotent, waits for every replica and partitions as the Java client does.

    settings: librdkafka's own, for TLS and SASL. Raises SettingsError for those that would break delivery.
    on_error: takes the name of an error that is not one record's, such as _ALL_BROKERS_DOWN.
    """
    for name in settings:
        if name in _FIXED:
            raise SettingsError(f"kafka[{name!r}]", f"is fixed to {_FIXED[name]!r}; leave it out")
    check_partitioner()
    config = {
        **_DEFAULTS,
        **security(brokers),
        **settings,
        **_FIXED,
        "bootstrap.servers": brokers,
        "client.id": client_id,
        "error_cb": lambda error: on_error(error.name()),
        "logger": log,
    }
    try:
        return Producer(config)
    except (KafkaException, TypeError, ValueError) as error:
        raise SettingsError("brokers, kafka", f"librdkafka refuses the configuration: {error}") from error


def check_partitioner() -> None:
    """Known-answer test: the loaded librdkafka hashes keys as Kafka's Java client does. Raises SettingsError if not."""
    library = ctypes.CDLL(confluent_kafka.cimpl.__file__)
    try:
        partition = library[f"rd_kafka_msg_partitioner_{PARTITIONER}"]
    except AttributeError:
        # A librdkafka linked in statically hides the symbol; the setting is then taken at its word.
        log.info("the partitioner %s could not be tested on this platform", PARTITIONER)
        return
    partition.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_int32,
        ctypes.c_void_p,
        ctypes.c_void_p,
    ]
    partition.restype = ctypes.c_int32
    for key, murmur2 in _MURMUR2:
        found = partition(None, key, len(key), 1000, None, None)
        if found != (murmur2 & 0x7FFFFFFF) % 1000:
            raise SettingsError("partitioner", f"librdkafka puts the key {key!r} elsewhere than Kafka's Java client")


def leak(producer: Producer) -> None:
    """Never destroy this one: in a forked child its threads are gone, and to destroy it would wait for them."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(producer))


class TopicReader:
    """A topic's values from a time on, of every partition, without a group: nothing is committed.

    caught_up: everything that was there when the reader was opened has been given.
    """

    def __init__(self, consumer: Consumer, ends: dict[int, int], positions: dict[int, int]) -> None:
        self._consumer = consumer
        self._behind = {partition: end for partition, end in ends.items() if positions[partition] < end}

    @property
    def caught_up(self) -> bool:
        return not self._behind

    def values(self, count: int, timeout_s: float) -> Iterator[bytes]:
        """At most so many values; none when there are none in time."""
        for message in self._consumer.consume(count, timeout_s):
            partition, offset, value = message.partition(), message.offset(), message.value()
            if message.error() or partition is None or offset is None:
                continue
            if offset + 1 >= self._behind.get(partition, offset + 2):
                del self._behind[partition]
            if value is not None:
                yield value

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._consumer.close()


def open_reader(brokers: str, topic: str, since_ms: int, settings: Mapping[str, Any]) -> TopicReader:
    """A reader of a topic from the first record at or after a time. Raises ConnectionError without broker or topic."""
    config = {
        "bootstrap.servers": brokers,
        "group.id": READER_GROUP,
        "enable.auto.commit": False,
        "enable.partition.eof": False,
        "logger": log,
        # Critical only: it repeats a refused connection twenty times a second, and who reads says once what is away.
        "log_level": 2,
    }
    consumer = Consumer({**security(brokers), **settings, **config})
    try:
        metadata = consumer.list_topics(topic, _METADATA_S).topics[topic]
        if metadata.error is not None:
            raise ConnectionError(f"{topic}: {metadata.error}")
        since = [TopicPartition(topic, partition, since_ms) for partition in metadata.partitions]
        starts = consumer.offsets_for_times(since, _METADATA_S)
        ends = {part.partition: consumer.get_watermark_offsets(part, _METADATA_S)[1] for part in since}
        # Without a record that late the offset is -1, the end.
        positions = {part.partition: part.offset if part.offset >= 0 else ends[part.partition] for part in starts}
        consumer.assign([TopicPartition(topic, partition, offset) for partition, offset in positions.items()])
    except (KafkaException, ConnectionError) as error:
        consumer.close()
        raise ConnectionError(str(error)) from error
    return TopicReader(consumer, ends, positions)
