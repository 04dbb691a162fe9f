"""Records to Kafka, awaited per request: one producer for all requests of an event loop, and no thread.

Acknowledgements are heard on the event loop, many at a time. A thread of their own would take the interpreter away from
it, or wait for it, once for every record.

    await publish(records)      returns once every record is acknowledged, with those that the broker refused
    RequestError 503            too much is waiting already, or the acknowledgements did not come in time

After a 503 some of the records may still reach Kafka. The client sends the request again, and `event_id` makes the
second copy a duplicate.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaException, Producer

from keeprate.producers.collector.batches import AcceptedEvent
from keeprate.producers.collector.errors import UNAVAILABLE, RequestError
from keeprate.producers.sending.kafka import open_producer, reaction
from keeprate.schemas.events import EVENT_TYPES
from keeprate.schemas.topics import SOURCES, topic_of

RETRY_AFTER_S: Final = 2
_POLL_S: Final = 0.001
"""Between two looks for acknowledgements, while some are awaited."""
_IDLE_POLL_S: Final = 0.5
"""Between two looks for what librdkafka has to say besides: its log, and errors of a connection."""
_ASK_EVERY_S: Final = 1.0
_ANEW_AFTER_S: Final = 5.0
"""From the end of librdkafka's client, such as for want of a right, to the next one that is tried."""
_TUNING: Final[Mapping[str, Any]] = {
    # Requests wait for the acknowledgement, so the queue lingers only to let requests of one moment share a batch.
    "linger.ms": 2,
    "queue.buffering.max.messages": 400_000,
    "queue.buffering.max.kbytes": 524_288,
}
_TOPICS: Final = {kind: topic_of(kind).name for kind in EVENT_TYPES}

log = logging.getLogger(__name__)

Failures = list[tuple[bytes, Any]]


class _Batch:
    """The records of one request on their way. Its `left` reaches zero once.

    future: the failures once every record was answered; None once the time is over.
    """

    __slots__ = ("count", "crowded_out", "failed", "future", "left", "size_bytes")

    def __init__(self, future: "asyncio.Future[Failures | None]", count: int, size_bytes: int) -> None:
        self.future = future
        self.count = self.left = count
        self.size_bytes = size_bytes
        self.crowded_out = False
        self.failed: Failures = []

    def end(self, failed: Failures | None) -> None:
        """Let the request go on, unless it does already."""
        if not self.future.done():
            self.future.set_result(failed)


class Publisher:
    """One producer for all requests of an event loop.

    max_waiting: records that may await their acknowledgement; beyond it, and beyond `max_waiting_bytes`, requests are
    refused at once instead of queueing. ack_timeout_s: how long one request waits.
    """

    def __init__(
        self,
        brokers: str,
        *,
        max_waiting: int = 100_000,
        max_waiting_bytes: int = 128 << 20,
        ack_timeout_s: float = 10.0,
        kafka: Mapping[str, Any] | None = None,
        on_error: Callable[[str], None] = lambda name: None,
    ) -> None:
        settings = {**_TUNING, **(kafka or {})}
        self._open = partial(open_producer, brokers, "keeprate-collector", settings, on_error)
        self._producer = self._open()
        self._ended: list[Producer] = []
        self._fatal: tuple[float, str] = (float("-inf"), "")
        self.loop = asyncio.get_running_loop()
        self._max_waiting = max_waiting
        self._max_waiting_bytes = max_waiting_bytes
        self._ack_timeout_s = ack_timeout_s
        self._refusing = False
        self._idle = asyncio.Event()
        self._asking = asyncio.Lock()
        self._asked: tuple[float, str] = (float("-inf"), "")
        self.waiting = 0
        self.waiting_bytes = 0
        self._next_poll = self.loop.call_later(_IDLE_POLL_S, self._poll)

    async def publish(self, records: Sequence[AcceptedEvent]) -> list[tuple[int, str]]:
        """Send records and wait for their acknowledgement.

        Returns the index and error of each record that the broker refused for good. Raises RequestError 503 when the
        records were not taken or not acknowledged in time; the same request may then be sent again.
        """
        size_bytes = sum(len(record.value) for record in records)
        self._check_room(len(records), size_bytes)
        batch = _Batch(self.loop.create_future(), len(records), size_bytes)
        if not self.waiting:
            self._poll_in(_POLL_S)
        self._idle.clear()
        self.waiting += len(records)
        self.waiting_bytes += size_bytes
        self._enqueue(records, batch)
        late = self.loop.call_later(self._ack_timeout_s, batch.end, None)
        try:
            failed = await batch.future
        finally:
            late.cancel()
        if failed is None:
            raise _unavailable(f"Kafka did not acknowledge within {self._ack_timeout_s:g} s")
        if batch.crowded_out or any(reaction(error) == "resend" for _, error in failed):
            raise _unavailable("Kafka did not take every record")
        return _refused(records, failed) if failed else []

    def _check_room(self, count: int, size_bytes: int) -> None:
        if self._refusing:
            raise _unavailable("the collector is shutting down")
        if self._producer in self._ended:
            raise _unavailable(self._fatal[1])
        # A single request may be larger than the room: it then waits until it is alone.
        if self.waiting and (
            self.waiting + count > self._max_waiting or self.waiting_bytes + size_bytes > self._max_waiting_bytes
        ):
            raise _unavailable(f"{self.waiting} events are waiting for Kafka already")

    def _enqueue(self, records: Sequence[AcceptedEvent], batch: _Batch) -> None:
        """Hand records over, a call per topic. What librdkafka had no room for counts as done, and not queued."""
        by_topic: dict[str, list[dict[str, Any]]] = {}
        for record in records:
            by_topic.setdefault(_TOPICS[record.type], []).append({"key": record.key, "value": record.value})

        def report(error: Any, message: Any) -> None:
            if error is not None:
                batch.failed.append((message.value(), error))
            batch.left -= 1
            if not batch.left:
                self._finish(batch)

        for topic, entries in by_topic.items():
            try:
                queued = self._producer.produce_batch(topic, entries, on_delivery=report)
            except BufferError:
                queued = 0
            if queued < len(entries):
                batch.crowded_out = True
                batch.left -= len(entries) - queued
        if not batch.left:
            self._finish(batch)

    def _poll(self) -> None:
        """Hear what librdkafka has to say, and come again: soon while something waits."""
        try:
            for producer in (self._producer, *self._ended):
                self._hear(producer)
            self._ended = [each for each in self._ended if each is self._producer or len(each)]
        finally:
            self._poll_in(_POLL_S if self.waiting else _IDLE_POLL_S)

    def _hear(self, producer: Producer) -> None:
        try:
            producer.poll(0)
        except KafkaException as error:
            found = error.args[0]
            if not found.fatal():
                raise
            self._give_up(producer, f"Kafka's client ended: {found.str()}")

    def _give_up(self, producer: Producer, reason: str) -> None:
        """Let go of a client that will deliver nothing more: what it holds is answered, and sent again."""
        if producer in self._ended:
            return
        log.error("%s; another one is tried in %g s", reason, _ANEW_AFTER_S)
        self._fatal = (self.loop.time(), reason)
        self._ended.append(producer)
        producer.purge()
        self.loop.call_later(_ANEW_AFTER_S, self._renew)

    def _renew(self) -> None:
        self._producer = self._open()

    def _poll_in(self, seconds: float) -> None:
        self._next_poll.cancel()
        self._next_poll = self.loop.call_later(seconds, self._poll)

    def _finish(self, batch: _Batch) -> None:
        self.waiting -= batch.count
        self.waiting_bytes -= batch.size_bytes
        batch.end(batch.failed)
        if not self.waiting:
            self._idle.set()

    async def problem(self) -> str:
        """What keeps records from being delivered, as far as a broker says within a second; empty when nothing does.

        Brokers are asked once a second however often this is. A client that has just been made anew has not shown yet
        that it fares better than the one before.
        """
        if self.loop.time() - self._fatal[0] < 2 * _ANEW_AFTER_S:
            return self._fatal[1]
        async with self._asking:
            if self.loop.time() - self._asked[0] > _ASK_EVERY_S:
                problem = await self._ask()
                self._asked = (self.loop.time(), problem)
            return self._asked[1]

    async def _ask(self) -> str:
        try:
            metadata = await asyncio.to_thread(self._producer.list_topics, timeout=1.0)
        except Exception:  # noqa: BLE001 - whatever it is, the answer to "is a broker there" is no
            return "no broker answers"
        missing = [topic.name for topic in SOURCES if topic.name not in metadata.topics]
        return f"no topic {', '.join(missing)}: keeprate topics create" if missing else ""

    async def close(self, timeout_s: float) -> int:
        """Refuse new records and wait for those on their way. Returns how many were never acknowledged."""
        self._refusing = True
        if self.waiting:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), timeout_s)
        self._next_poll.cancel()
        return self.waiting


def _refused(records: Sequence[AcceptedEvent], failed: Sequence[tuple[bytes, Any]]) -> list[tuple[int, str]]:
    """Which records the broker refused. Reports carry no index, so a record is known by its bytes."""
    errors = {value: error.name() for value, error in failed}
    return [(record.index, errors[record.value]) for record in records if record.value in errors]


def _unavailable(reason: str) -> RequestError:
    return RequestError(UNAVAILABLE, "unavailable", f"{reason}; send it again", retry_after_s=RETRY_AFTER_S)
