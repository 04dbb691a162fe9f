"""Writing to Kafka so that it is known to be written: every record's acknowledgement is awaited.

Acknowledgements are heard on the event loop. A thread of their own would take the interpreter away from it, or wait for
it, once for every record.

The only module of this package that knows confluent_kafka. librdkafka sends a batch of small records many times faster
than Faust's own producer, which sends them one by one.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient

from keeprate.schemas.access.brokers import security
from keeprate.schemas.dead_letters import encode_letter
from keeprate.schemas.topics import ALL, DEAD_LETTERS, OUTCOMES, PARTITIONER, SOURCES
from keeprate.streams.join.feedback_join import RefusedRecord
from keeprate.streams.state.partition import Changes, Offsets

DELIVERY_TIMEOUT_S: Final = 60.0
"""How long librdkafka tries. It bounds how late a write of a worker that lost its partitions can still arrive."""

_POLL_S: Final = 0.002
"""Between two looks for acknowledgements, while some are awaited."""
_FULL_POLL_S: Final = 0.1


class UndeliveredError(Exception):
    """The broker did not take a record. The worker stops: it commits nothing that was not acknowledged.

    code: librdkafka's name of the first error.
    failed: how many records were not acknowledged.
    """

    def __init__(self, code: str, failed: int) -> None:
        super().__init__(f"{failed} records were not acknowledged, the first because of {code}")
        self.code = code
        self.failed = failed


class WorkerDelivery:
    """One producer for the changelog and the dead letters, which hears what became of each record."""

    def __init__(self, bootstrap: str, settings: Mapping[str, Any] | None = None) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                **security(bootstrap),
                "acks": "all",
                "enable.idempotence": True,
                "compression.type": "lz4",
                "partitioner": PARTITIONER,
                "linger.ms": 2,
                "queue.buffering.max.messages": 1_000_000,
                "message.max.bytes": int(DEAD_LETTERS.config["max.message.bytes"]),
                "message.timeout.ms": int(DELIVERY_TIMEOUT_S * 1000),
                # Through our own log, and heard when polled.
                "logger": logging.getLogger("rdkafka"),
                **(settings or {}),
            }
        )
        self._awaited: set[asyncio.Future[Offsets]] = set()
        self._listening: asyncio.Task[None] | None = None

    def write(self, partition: int, outcomes: Changes, refusals: Iterable[RefusedRecord]) -> "asyncio.Future[Offsets]":
        """Hand a batch's outcomes and dead letters to librdkafka, which keeps their order; needs a running loop.

        The future is done when the broker has acknowledged every one: with where the outcomes are, None when
        there were none. It raises DeliveryError, and then any part of the batch may have been written.
        """
        receipt = _Receipt(asyncio.get_running_loop().create_future(), len(outcomes))
        produce, on_delivery = self._producer.produce, receipt.outcome
        for key, value in outcomes.items():
            try:
                produce(OUTCOMES.name, value, key, partition, on_delivery)
            except (BufferError, KafkaException):
                self._produce(receipt, OUTCOMES.name, value, key, partition, on_delivery)
        for refusal in refusals:
            name, content, headers = encode_letter(refusal.letter, refusal.record.key, refusal.record.value)
            receipt.expected += 1
            self._produce(receipt, DEAD_LETTERS.name, content, name, headers=headers, on_delivery=receipt.dead_letter)
        receipt.seal()
        self._await(receipt.future)
        return receipt.future

    def poll(self) -> None:
        """Hear what librdkafka has to say: acknowledgements, and its log. To be called now and then."""
        self._producer.poll(0)

    def _produce(self, receipt: "_Receipt", *args: Any, **kwargs: Any) -> None:
        while True:
            try:
                return self._producer.produce(*args, **kwargs)
            except BufferError:
                self._producer.poll(_FULL_POLL_S)
            except KafkaException as error:
                receipt.refused(error.args[0])
                return None

    def _await(self, future: "asyncio.Future[Offsets]") -> None:
        if future.done():
            return
        self._awaited.add(future)
        future.add_done_callback(self._awaited.discard)
        if self._listening is None or self._listening.done():
            self._listening = asyncio.ensure_future(self._listen())

    async def _listen(self) -> None:
        while self._awaited:
            self.poll()
            await asyncio.sleep(_POLL_S)


class _Receipt:
    """What the broker said of one batch."""

    def __init__(self, future: "asyncio.Future[Offsets]", expected: int) -> None:
        self.future = future
        self.expected = expected
        self._sealed = False
        self._answered = 0
        self._offsets: list[int] = []
        self._errors: list[KafkaError] = []

    def outcome(self, error: KafkaError | None, message: Message) -> None:
        # Called for each outcome, so it does what `dead_letter` does, too.
        self._answered += 1
        if error is not None:
            self._errors.append(error)
        elif (offset := message.offset()) is not None:
            self._offsets.append(offset)
        if self._answered == self.expected:
            self._finish_when_complete()

    def dead_letter(self, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            self._errors.append(error)
        self._answered += 1
        if self._answered == self.expected:
            self._finish_when_complete()

    def refused(self, error: KafkaError) -> None:
        """A record that librdkafka did not take, and so will not answer for."""
        self._errors.append(error)
        self._answered += 1

    def seal(self) -> None:
        """All records are handed over."""
        self._sealed = True
        self._finish_when_complete()

    def _finish_when_complete(self) -> None:
        if not self._sealed or self._answered < self.expected or self.future.done():
            return
        if self._errors:
            self.future.set_exception(UndeliveredError(self._errors[0].name(), len(self._errors)))
        else:
            offsets = self._offsets
            self.future.set_result((min(offsets), max(offsets), len(offsets)) if offsets else None)


def missing_topics(bootstrap: str, timeout_s: float = 30.0) -> list[str]:
    """What stands in the way of a start: topics that are absent, or whose partitions differ. Empty when nothing."""
    present = AdminClient({"bootstrap.servers": bootstrap, **security(bootstrap)}).list_topics(timeout=timeout_s).topics
    problems = [f"{topic.name} does not exist" for topic in ALL if topic.name not in present]
    joined = [topic.name for topic in (*SOURCES, OUTCOMES) if topic.name in present]
    counts = {name: len(present[name].partitions) for name in joined}
    if len(set(counts.values())) > 1:
        problems.append(f"partition counts differ, and joined topics need the same: {counts}")
    return problems
