"""Reading single records of a partition again, from Kafka."""

from collections.abc import Iterator, Sequence
from typing import Final

from keeprate.sinks.kafka.client import Consumer
from keeprate.sinks.kafka.errors import BrokerUnavailableError
from keeprate.sinks.kafka.records import Record, TopicPartition

_ANSWER_TIMEOUT_S: Final = 15.0
_NEAR: Final = 5000


class Reader:
    """Reads single records, as a member of no group."""

    def __init__(self, brokers: str) -> None:
        self._consumer = Consumer(brokers, "keeprate-reader", {"auto.offset.reset": "earliest"})

    def read(self, at: TopicPartition, gaps: Sequence[tuple[int, int]]) -> Iterator[Record]:
        """The records that the partition still holds at ranges of offsets that ascend, in order. Raises BrokerError."""
        ahead: Record | None = None
        for first, last in gaps:
            # Reading on costs less than a seek does, unless the next range is far away.
            if ahead is None or first - ahead.offset() >= _NEAR:
                self._consumer.assign(at, first)
                ahead = self._next(at)
            while ahead is not None and ahead.offset() <= last:
                if ahead.offset() >= first:
                    yield ahead
                ahead = self._next(at)
            if ahead is None:
                return

    def _next(self, at: TopicPartition) -> Record | None:
        """The next record of the partition; None at its end."""
        # One at a time: more would wait for that many, and at the end of a topic for the whole timeout.
        records, ends = self._consumer.poll(1, _ANSWER_TIMEOUT_S)
        if not records and not ends:
            raise BrokerUnavailableError(f"{at[0]}/{at[1]}: no record and no end within {_ANSWER_TIMEOUT_S} s")
        return records[0] if records else None

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()
