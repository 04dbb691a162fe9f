"""Writing to Kafka so that it is known to be written: every record's acknowledgement is awaited.

The only module of this package that knows confluent_kafka. librdkafka sends a batch of small records many times faster
than Faust's own producer, which sends them one by one.
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient

from keeprate.schemas.dead_letters import encode_headers
from keeprate.schemas.topics import ALL, DEAD_LETTERS, OUTCOMES, PARTITIONER, SOURCES
from keeprate.streams.feedback_join import Refusal

DELIVERY_TIMEOUT_S: Final = 60.0
"""How long librdkafka tries. It bounds how late a write of a worker that lost its partitions can still arrive."""


class DeliveryError(Exception):
    """The broker did not take a record. The worker stops: it commits nothing that was not acknowledged.

    code: librdkafka's name of the first error.
    failed: how many records were not acknowledged.
    """

    def __init__(self, code: str, failed: int) -> None:
        super().__init__(f"{failed} records were not acknowledged, the first because of {code}")
        self.code = code
        self.failed = failed


class Delivery:
    """One producer for the changelog and the dead letters."""

    def __init__(self, bootstrap: str, settings: Mapping[str, Any] | None = None) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "acks": "all",
                "enable.idempotence": True,
                "compression.type": "lz4",
                "partitioner": PARTITIONER,
                # A batch is flushed at once, so nothing is gained by waiting for more of it.
                "linger.ms": 0,
                "queue.buffering.max.messages": 1_000_000,
                "message.max.bytes": int(DEAD_LETTERS.config["max.message.bytes"]),
                "message.timeout.ms": int(DELIVERY_TIMEOUT_S * 1000),
                **(settings or {}),
            }
        )

    async def write(
        self, partition: int, outcomes: Mapping[bytes, bytes | None], refusals: Iterable[Refusal]
    ) -> int | None:
        """Write a batch's outcomes and dead letters; on return the broker has acknowledged every one.

        Returns the offset of the last outcome, or None when there was none. Raises DeliveryError, and then any part
        of the batch may have been written.
        """
        receipt = _Receipt()
        for key, value in outcomes.items():
            self._produce(receipt, OUTCOMES.name, value, key, partition=partition, on_delivery=receipt.outcome)
        for refusal in refusals:
            record, headers = refusal.record, encode_headers(refusal.letter)
            self._produce(
                receipt, DEAD_LETTERS.name, record.value, record.key, headers=headers, on_delivery=receipt.dead_letter
            )
        await asyncio.get_running_loop().run_in_executor(None, self._producer.flush, DELIVERY_TIMEOUT_S + 5)
        receipt.check()
        return receipt.last_offset

    def _produce(self, receipt: "_Receipt", *args: Any, **kwargs: Any) -> None:
        receipt.expected += 1
        while True:
            try:
                return self._producer.produce(*args, **kwargs)
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                receipt.errors.append(error.args[0])
                return None


class _Receipt:
    """What the broker said of one batch."""

    def __init__(self) -> None:
        self.expected = 0
        self.acknowledged = 0
        self.last_offset: int | None = None
        self.errors: list[KafkaError] = []

    def outcome(self, error: KafkaError | None, message: Message) -> None:
        self.dead_letter(error, message)
        offset = message.offset()
        if error is None and offset is not None:
            self.last_offset = offset if self.last_offset is None else max(self.last_offset, offset)

    def dead_letter(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.acknowledged += 1
        else:
            self.errors.append(error)

    def check(self) -> None:
        if self.acknowledged != self.expected:
            code = self.errors[0].name() if self.errors else "no answer in time"
            raise DeliveryError(code, self.expected - self.acknowledged)


def missing_topics(bootstrap: str, timeout_s: float = 30.0) -> list[str]:
    """What stands in the way of a start: topics that are absent, or whose partitions differ. Empty when nothing."""
    present = AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=timeout_s).topics
    problems = [f"{topic.name} does not exist" for topic in ALL if topic.name not in present]
    joined = [topic.name for topic in (*SOURCES, OUTCOMES) if topic.name in present]
    counts = {name: len(present[name].partitions) for name in joined}
    if len(set(counts.values())) > 1:
        problems.append(f"partition counts differ, and joined topics need the same: {counts}")
    return problems
