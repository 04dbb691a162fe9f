"""Where Kafka stands: the ends of partitions, and what groups have committed.

**Invariant:** it joins no group and commits nothing.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from keeprate.schemas.topics import READER_GROUP
from keeprate.sinks.kafka.client import Consumer
from keeprate.sinks.kafka.records import TopicPartition

Offsets = dict[TopicPartition, int]


class Positions(Protocol):
    """Kafka's offsets, as the checks ask for them."""

    def ends(self, topics: Sequence[str]) -> Offsets:
        """The offset that the next record will get, by partition. Topics that do not exist are left out."""

    def committed(self, group: str, topics: Sequence[str]) -> Offsets:
        """What a group has committed, which is the next offset to read; partitions it never committed are left out."""


class KafkaPositions:
    """Positions of a broker. Every call raises BrokerUnavailableError."""

    def __init__(self, brokers: str) -> None:
        self._brokers = brokers
        self._consumers: dict[str, Consumer] = {}

    def ends(self, topics: Sequence[str]) -> Offsets:
        """See Positions."""
        consumer = self._of(READER_GROUP)
        return {at: consumer.watermarks(at)[1] for at in consumer.partitions(topics)}

    def committed(self, group: str, topics: Sequence[str]) -> Offsets:
        """See Positions."""
        consumer = self._of(group)
        found = consumer.committed(consumer.partitions(topics))
        return {at: offset for at, (offset, _) in found.items() if offset is not None}

    def close(self) -> None:
        """Let go of the connections."""
        for consumer in self._consumers.values():
            consumer.close()
        self._consumers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _of(self, group: str) -> Consumer:
        # A client asks for the offsets of one group only: that of its settings.
        if group not in self._consumers:
            self._consumers[group] = Consumer(self._brokers, group, {"log_level": 0})
        return self._consumers[group]
