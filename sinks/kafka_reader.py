"""Reading single records of a partition again, from Kafka."""

import time
from typing import Final

from keeprate.sinks.kafka import Consumer
from keeprate.sinks.kafka_errors import BrokerUnavailableError
from keeprate.sinks.partition import TopicPartition
from keeprate.sinks.rows import Record

_ANSWER_TIMEOUT_S: Final = 15.0


class Reader:
    """Reads single records, as a member of no group."""

    def __init__(self, brokers: str) -> None:
        self._consumer = Consumer(brokers, "keeprate-reader", {"auto.offset.reset": "earliest"})

    def read(self, at: TopicPartition, first: int, last: int) -> list[Record]:
        """The records that the partition still holds at offsets `first` to `last`. Raises BrokerError."""
        self._consumer.assign(at, first)
        found: list[Record] = []
        deadline_s = time.monotonic() + _ANSWER_TIMEOUT_S
        while time.monotonic() < deadline_s:
            # One at a time: more would wait for that many, and at the end of a topic for the whole timeout.
            records, ends = self._consumer.poll(1, _ANSWER_TIMEOUT_S)
            found += [record for record in records if record.offset() <= last]
            if ends or (records and records[0].offset() >= last):
                return found
            if records:
                deadline_s = time.monotonic() + _ANSWER_TIMEOUT_S
        raise BrokerUnavailableError(f"{at[0]}/{at[1]}: no record and no end within {_ANSWER_TIMEOUT_S} s")

    def close(self) -> None:
        """Let go of the connections."""
        self._consumer.close()
