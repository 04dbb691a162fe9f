"""Reading single records from Kafka. Failures leave as `kafka_errors`."""

import logging
from typing import Final, cast

from confluent_kafka import Consumer as Driver
from confluent_kafka import KafkaError
from confluent_kafka import TopicPartition as Position

from keeprate.sinks.kafka import raise_or_log
from keeprate.sinks.kafka_errors import BrokerUnavailableError
from keeprate.sinks.partition import TopicPartition
from keeprate.sinks.rows import Record

logger = logging.getLogger(__name__)
_ANSWER_TIMEOUT_S: Final = 15.0


class Reader:
    """Reads single records, as a member of no group."""

    def __init__(self, brokers: str) -> None:
        self._driver = Driver(
            {
                "bootstrap.servers": brokers,
                "group.id": "keeprate-reader",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "earliest",
            },
            logger=logger,
        )

    def read(self, at: TopicPartition, first: int, last: int) -> list[Record]:
        """The records that the partition still holds at offsets `first` to `last`. Raises BrokerError."""
        self._driver.assign([Position(*at, first)])
        found: list[Record] = []
        while True:
            # One at a time: more would wait for that many, and at the end of a topic for the whole timeout.
            messages = self._driver.consume(1, _ANSWER_TIMEOUT_S)
            if not messages:
                raise BrokerUnavailableError(f"{at[0]}/{at[1]}: no record and no end within {_ANSWER_TIMEOUT_S} s")
            for message in messages:
                error = message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    raise_or_log(error, f"{at[0]}/{at[1]}")
                    continue
                if error is not None or (message.offset() or 0) > last:
                    return found
                found.append(cast(Record, message))
                if message.offset() == last:
                    return found

    def close(self) -> None:
        """Let go of the connections."""
        self._driver.close()
