"""The door to Kafka: the one module of sinks/ that knows confluent_kafka. Its failures leave as `kafka_errors`."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import methodcaller
from typing import Any, Final

from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, Message, Producer, TopicCollection
from confluent_kafka import Consumer as Driver
from confluent_kafka import TopicPartition as Position
from confluent_kafka.admin import AdminClient

from keeprate.schemas.access.brokers import security
from keeprate.schemas.dead_letters import Headers
from keeprate.schemas.topics import DEAD_LETTERS, PARTITIONER
from keeprate.sinks.kafka.errors import BrokerError, BrokerUnavailableError, DeliveryError, FencedError, OffsetLostError
from keeprate.sinks.kafka.records import UNREADABLE, Record, TopicPartition

logger = logging.getLogger(__name__)
_CALL_TIMEOUT_S: Final = 15.0
_PATIENCE_S: Final = 60.0
_DELIVERY_TIMEOUT_S: Final = 60.0

_LOST: Final = (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE)
_NOT_ALLOWED: Final = (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED)
_FENCED: Final = frozenset(
    (
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError._ASSIGNMENT_LOST,
        KafkaError._STATE,
    )
)


@dataclass(frozen=True)
class End:
    """Kafka has no record of the partition before `offset` that was not handed out."""

    topic: str
    partition: int
    offset: int


class Consumer:
    """A member of the sink's group, with the eager protocol.

    Eager on purpose: after every rebalance each partition is assigned anew, with its committed offset and intent read
    anew, so a member that was fenced always learns its place again. It reads nothing that is not assigned, and commits
    only what it is told to.
    """

    def __init__(self, brokers: str, group: str, settings: Mapping[str, Any] | None = None) -> None:
        self._driver = Driver(
            {
                "bootstrap.servers": brokers,
                **security(brokers),
                "group.id": group,
                "client.id": "keeprate-sink",
                "partition.assignment.strategy": "range",
                # Heartbeats have a thread of their own: only a process that died or stands still is silent for so long.
                "session.timeout.ms": 10_000,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                # An offset that is gone must be an error, not a jump.
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                # What librdkafka reads ahead, for each partition.
                "queued.min.messages": 20_000,
                "queued.max.messages.kbytes": 16_384,
                # With enough read ahead it stops fetching for so long, by default for a second, in which it runs dry.
                "fetch.queue.backoff.ms": 10,
                # A fetch that finds little waits for more, so that few records do not make many fetches.
                "fetch.min.bytes": 16_384,
                "fetch.wait.max.ms": 500,
                **(settings or {}),
            },
            logger=logger,
        )
        # It tells of nothing that the consumer does not, and has no logger to tell it to.
        quiet: dict[str, Any] = {"client.id": "keeprate-sink", "log_level": 0}
        self._admin = AdminClient({"bootstrap.servers": brokers, **security(brokers), **quiet})
        self._has_ids: bool | None = None

    def topic_ids(self, topics: Sequence[str]) -> dict[str, str]:
        """Kafka's id of each topic that is there, "" from librdkafka's stand-in. Raises BrokerUnavailableError."""
        if self._has_ids is None:
            cluster = _called(lambda: self._driver.list_topics(timeout=_CALL_TIMEOUT_S)).cluster_id
            self._has_ids = not str(cluster).startswith("mockCluster")
        if not self._has_ids:
            # It never answers the question.
            return dict.fromkeys(topics, "")
        found = {}
        asked = self._admin.describe_topics(TopicCollection(list(topics)), request_timeout=_CALL_TIMEOUT_S)
        for topic, answer in asked.items():
            try:
                found[topic] = str(_called(answer.result).topic_id)
            except BrokerUnavailableError as error:
                if error.code != "UNKNOWN_TOPIC_OR_PART":
                    raise
        return found

    def missing(self, topics: Sequence[str]) -> list[str]:
        """Which of the topics do not exist. Raises BrokerUnavailableError."""
        found = _called(lambda: self._driver.list_topics(timeout=_CALL_TIMEOUT_S)).topics
        return [topic for topic in topics if topic not in found]

    def partitions(self, topics: Sequence[str]) -> list[TopicPartition]:
        """The partitions of those of the topics that exist. Raises BrokerUnavailableError."""
        found = _called(lambda: self._driver.list_topics(timeout=_CALL_TIMEOUT_S)).topics
        return [(topic, number) for topic in topics if topic in found for number in sorted(found[topic].partitions)]

    def subscribe(
        self,
        topics: Sequence[str],
        on_assign: Callable[[list[TopicPartition]], Mapping[TopicPartition, int]],
        on_revoke: Callable[[list[TopicPartition], bool], None],
    ) -> None:
        """Join the group.

        on_assign: called from `poll` with the new partitions; returns the offset at which to begin each.
        on_revoke: called from `poll` with partitions that go, and whether they are lost already.
        """

        def assigned(driver: Driver, positions: list[Position]) -> None:
            starts = on_assign([(position.topic, position.partition) for position in positions])
            driver.assign([Position(topic, partition, offset) for (topic, partition), offset in starts.items()])
            # A pause outlives the assignment that it was for.
            driver.resume(positions)

        def revoked(driver: Driver, positions: list[Position]) -> None:
            on_revoke([(position.topic, position.partition) for position in positions], False)

        def lost(driver: Driver, positions: list[Position]) -> None:
            on_revoke([(position.topic, position.partition) for position in positions], True)

        self._driver.subscribe(list(topics), on_assign=assigned, on_revoke=revoked, on_lost=lost)

    def poll(self, max_records: int, timeout_s: float) -> tuple[list[Record], list[End]]:
        """The next records, in order within each partition, and the ends that were reached.

        Raises OffsetLostError, and BrokerError for what waiting does not heal. Calls back for rebalances.
        """
        messages = self._driver.consume(max_records, timeout_s)
        records: list[Any] = [_readable(message) for message in messages if message.error() is None]
        ends = []
        for message in messages if len(records) < len(messages) else ():
            if (error := message.error()) is None:
                continue
            if error.code() == KafkaError._PARTITION_EOF:
                ends.append(End(message.topic() or "", message.partition() or 0, message.offset() or 0))
            else:
                _raise_or_log(error, f"{message.topic()}/{message.partition()}")
        return records, ends

    def committed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, tuple[int | None, str]]:
        """Committed offset, None where there is none, with its metadata, by partition.

        Waits for a coordinator that is moving. Raises BrokerUnavailableError when that takes long.
        """
        positions = [Position(topic, partition) for topic, partition in partitions]
        found = _patiently(lambda: self._driver.committed(positions, timeout=_CALL_TIMEOUT_S))
        offsets = [None if position.offset == OFFSET_INVALID else position.offset for position in found]
        return {
            (position.topic, position.partition): (offset, position.metadata or "")
            for position, offset in zip(found, offsets, strict=True)
        }

    def watermarks(self, at: TopicPartition, cached: bool = False) -> tuple[int, int]:
        """The first offset that the partition holds, and the one that the next record will get.

        cached: as the last fetch told it, without asking; (-1001, -1001) when there was none.
        """
        timeout_s, ask = (0.0, _called) if cached else (_CALL_TIMEOUT_S, _patiently)
        low, high = ask(lambda: self._driver.get_watermark_offsets(Position(*at), timeout_s, cached=cached))
        return int(low), int(high)

    def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]]) -> dict[TopicPartition, BrokerError]:
        """Commit offset and metadata of each partition in one request, and wait for the answer.

        Returns those that failed: with FencedError, or BrokerUnavailableError, and then it may be committed.
        """
        positions = [Position(*at, offset, metadata=metadata) for at, (offset, metadata) in offsets.items()]
        try:
            answers = _called(lambda: self._driver.commit(offsets=positions, asynchronous=False)) or ()
        except BrokerError as error:
            return dict.fromkeys(offsets, error)
        return {(done.topic, done.partition): _classify(done.error) for done in answers if done.error is not None}

    def assign(self, at: TopicPartition, offset: int) -> None:
        """Read this partition from there on, as a member of no group."""
        self._driver.assign([Position(*at, offset)])

    def assign_all(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read each partition from its offset on, as a member of no group."""
        self._driver.assign([Position(*at, offset) for at, offset in offsets.items()])

    def pause(self, at: TopicPartition) -> None:
        """Hand out no records of the partition until `resume`; membership goes on."""
        self._driver.pause([Position(*at)])

    def resume(self, at: TopicPartition) -> None:
        """Go on after the last record that was handed out."""
        self._driver.resume([Position(*at)])

    def close(self) -> None:
        """Leave the group. Calls back for the partitions that go."""
        self._driver.close()


class DeadLetterProducer:
    """Writes dead letters, or replays them, and knows when they are written. Threads may share it."""

    def __init__(self, brokers: str, settings: Mapping[str, Any] | None = None) -> None:
        self._driver = Producer(
            {
                "bootstrap.servers": brokers,
                **security(brokers),
                "client.id": "keeprate-sink",
                "acks": "all",
                "enable.idempotence": True,
                "partitioner": PARTITIONER,
                "compression.type": "lz4",
                "linger.ms": 5,
                "message.max.bytes": int(DEAD_LETTERS.config["max.message.bytes"]),
                "message.timeout.ms": int(_DELIVERY_TIMEOUT_S * 1000),
                **(settings or {}),
            }
        )
        # The producer waits for all that it holds, whoever wrote it.
        self._turn = threading.Lock()

    def write(
        self, letters: Iterable[tuple[Any, Any, list[tuple[str, bytes | None]]]], topic: str = DEAD_LETTERS.name
    ) -> None:
        """Write key, value and headers of each; on return every one is acknowledged. Raises DeliveryError.

        topic: where to; another one for a replay.
        """
        with self._turn:
            self._write(letters, topic)

    def _write(self, letters: Iterable[tuple[Any, Any, list[tuple[str, bytes | None]]]], topic: str) -> None:
        failed: list[KafkaError] = []

        def delivered(error: KafkaError | None, _: Message) -> None:
            if error is not None:
                failed.append(error)

        for key, value, headers in letters:
            while True:
                try:
                    self._driver.produce(topic, value, key, on_delivery=delivered, headers=list(headers))
                    break
                except BufferError:
                    self._driver.poll(0.1)
                except KafkaException as error:
                    raise DeliveryError(str(error), error.args[0].name()) from error
            self._driver.poll(0)
        waiting = self._driver.flush(_DELIVERY_TIMEOUT_S + _CALL_TIMEOUT_S)
        if failed or waiting:
            code = failed[0].name() if failed else "_TIMED_OUT"
            raise DeliveryError(f"{topic}: {len(failed) + waiting} records were not acknowledged: {code}", code)


class _Headless:
    """A record whose headers cannot be read, without them."""

    def __init__(self, message: Message) -> None:
        self._message = message

    def __getattr__(self, name: str) -> Any:
        return getattr(self._message, name)

    def headers(self) -> Headers:
        return UNREADABLE


_headers_of: Final = methodcaller("headers")


def _readable(message: Message) -> Any:
    # The driver answers with a list and an error at once for a name that is no UTF-8, and the interpreter notices it
    # unless it took a short cut, as it does for a call that it has often made; asked again, the list has holes in it,
    # and whoever touches one ends the process. So it is asked once, here, by a call that has no short cut, and what it
    # keeps is what everybody gets.
    try:
        _headers_of(message)
    except SystemError:
        return _Headless(message)
    return message


def _raise_or_log(error: KafkaError, where: str) -> None:
    if error.code() in _LOST:
        raise OffsetLostError(f"{where}: {error.str()}", error.name())
    # A fatal error of the client comes as a message whose own error is not marked as fatal.
    if error.fatal() or error.code() == KafkaError._FATAL or error.code() in _NOT_ALLOWED:
        raise BrokerError(f"{where}: {error.str()}", error.name())
    logger.warning("%s: %s", where, error.str())


def _patiently(call: Callable[[], Any]) -> Any:
    deadline_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return _called(call)
        except BrokerUnavailableError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.2)


def _called(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except KafkaException as error:
        raise _classify(error.args[0]) from error


def _classify(error: KafkaError) -> BrokerError:
    kind = FencedError if error.code() in _FENCED else BrokerUnavailableError
    return kind(error.str(), error.name())
