"""The exchange with Kafka, by librdkafka."""

import time
from collections.abc import Callable
from functools import partial
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from keeprate.producers.sending import kafka
from keeprate.producers.sending.backlog import Backlog
from keeprate.producers.sending.exchange import Answer, Fate, OnError
from keeprate.producers.sending.segments import Segment
from keeprate.schemas.topics import SOURCES

BATCH_RECORDS: Final = 500
PURGE_S: Final = 5.0
_POLL_S: Final = 0.02

_TOPICS: Final = tuple(topic.name for topic in SOURCES)


class KafkaExchange:
    """Holds one producer at a time. open_producer: makes it, with who is told of errors that are not one record's."""

    def __init__(self, open_producer: Callable[[Callable[[str], None]], Producer]) -> None:
        self._open_producer = open_producer
        self._producer: Producer | None = None
        self._answers: list[Answer] = []
        self.in_flight = 0

    @property
    def is_open(self) -> bool:
        """Whether there is a producer."""
        return self._producer is not None

    def open(self, on_error: OnError) -> None:
        """Get a producer."""
        self._producer = self._open_producer(lambda name: on_error(name, name in kafka.PASSING))

    def hand_over(self, backlog: Backlog) -> int:
        """Give the producer the next records of the backlog; how many it took."""
        assert self._producer is not None
        for taken in range(BATCH_RECORDS):
            if (found := backlog.read()) is None:
                return taken
            segment, record = found
            answered = partial(self._answered, segment, record.offset)
            try:
                self._producer.produce(_TOPICS[record.topic], record.value, record.key, on_delivery=answered)
            except BufferError:
                segment.unread(record)
                return 0
            except KafkaException as error:
                answered(error.args[0], None)
            segment.in_flight += 1
            self.in_flight += 1
        return BATCH_RECORDS

    def answers(self, timeout_s: float) -> list[Answer]:
        """What has become of records meanwhile, waiting for the first answer for at most `timeout_s`."""
        if self._producer is not None:
            self._producer.poll(timeout_s)
        answers, self._answers = self._answers, []
        for answer in answers:
            answer.segment.in_flight -= 1
        self.in_flight -= len(answers)
        return answers

    def take_back(self) -> list[Answer]:
        """Have the producer give up what it holds, and let it go; what it already knew, and what it gave up."""
        if self._producer is None:
            return []
        answers = self.answers(0)
        self._producer.purge()
        give_up_at = time.monotonic() + PURGE_S
        while self.in_flight and time.monotonic() < give_up_at:
            answers += self.answers(_POLL_S)
        self._producer = None
        self.in_flight = 0
        return answers

    def abandon(self) -> None:
        """In a forked child: never touch the parent's producer again."""
        if self._producer is not None:
            kafka.leak(self._producer)

    def _answered(self, segment: Segment, offset: int, error: KafkaError | None, _: Message | None) -> None:
        if error is None:
            self._answers.append(Answer(segment, offset, "delivered"))
            return
        fate: Fate = "refused" if kafka.reaction(error) == "refuse" else "resend"
        name = "" if kafka.is_purge(error) else error.name()
        self._answers.append(Answer(segment, offset, fate, name, error.str()))
