"""Reading single records of a partition again, from Kafka."""

import time
from collections.abc import Iterator, Sequence
from typing import Final

from keeprate.schemas.topics import READER_GROUP
from keeprate.sinks.kafka.client import Consumer
from keeprate.sinks.kafka.errors import BrokerUnavailableError
from keeprate.sinks.kafka.records import Record, TopicPartition

_ANSWER_TIMEOUT_S: Final = 15.0
_AT_ONCE: Final = 1000
_SOON_S: Final = 0.2
"""How long to wait for all of these: fewer come where offsets are missing, as of records that Kafka compacted."""
_NEAR: Final = 5000

Ranges = Sequence[tuple[int, int]]
"""Of offsets, both ends included; they ascend."""


class Reader:
    """Reads single records, as a member of no group."""

    def __init__(self, brokers: str) -> None:
        self._consumer = Consumer(brokers, READER_GROUP, {"auto.offset.reset": "earliest", "log_level": 0})

    def read(self, at: TopicPartition, gaps: Ranges) -> Iterator[Record]:
        """The records that the partition still holds at ranges of offsets, in order. Raises BrokerError."""
        for stretch in stretches(gaps):
            ranges = iter(stretch)
            first, last = next(ranges)
            for record in self._between(at, first, stretch[-1][1]):
                while record.offset() > last:
                    first, last = next(ranges)
                if record.offset() >= first:
                    yield record

    def _between(self, at: TopicPartition, first: int, last: int) -> Iterator[Record]:
        """All that the partition holds from one offset to another."""
        self._consumer.assign(at, first)
        following, heard_s = first, time.monotonic()
        while following <= last:
            records, ends = self._consumer.poll(min(_AT_ONCE, last - following + 1), _SOON_S)
            for record in records:
                # Retention may have moved the beginning.
                if record.offset() > last:
                    return
                yield record
                following = record.offset() + 1
            if ends:
                return
            if records:
                heard_s = time.monotonic()
            elif time.monotonic() - heard_s > _ANSWER_TIMEOUT_S:
                raise BrokerUnavailableError(f"{at[0]}/{at[1]}: no record and no end within {_ANSWER_TIMEOUT_S} s")

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()


def stretches(gaps: Ranges) -> Iterator[Ranges]:
    """Ranges that are near each other, together: to read on costs less than to seek. Pure."""
    begin = 0
    for number in range(1, len(gaps) + 1):
        if number == len(gaps) or gaps[number][0] - gaps[number - 1][1] >= _NEAR:
            yield gaps[begin:number]
            begin = number
