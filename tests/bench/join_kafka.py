"""The Kafka side of the join's benchmark: fresh topics, their records, and how far a group is."""

import time
from collections.abc import Callable, Iterable, Iterator

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from keeprate.schemas.topics import PARTITIONER

Record = tuple[str, bytes, bytes]
TIMEOUT_S = 30.0


class Cluster:
    """A broker, looked at from outside while a contender works."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        # Without a log: the broker goes before the clients do.
        self._client: dict[str, str | int | float | bool] = {"bootstrap.servers": bootstrap, "log_level": 0}
        self._admin = AdminClient(self._client)
        self._eyes = Consumer({**self._client, "group.id": "bench-eyes", "enable.auto.commit": False})

    def delete(self, names: Iterable[str]) -> None:
        """Delete the topics that exist, and return once they are gone."""
        there = sorted(set(names) & set(self.topics()))
        for done in self._admin.delete_topics(there, operation_timeout=TIMEOUT_S).values() if there else ():
            done.result(TIMEOUT_S)
        while set(there) & set(self.topics()):
            time.sleep(0.1)

    def create(self, names: Iterable[str], partitions: int) -> None:
        """Create topics with the settings of the broker, and return once they are seen."""
        new = [NewTopic(name, partitions, 1) for name in names]
        for done in self._admin.create_topics(new, operation_timeout=TIMEOUT_S).values():
            done.result(TIMEOUT_S)
        while {topic.topic for topic in new} - set(self.topics()):
            time.sleep(0.1)

    def topics(self) -> dict[str, int]:
        """Every topic with the number of its partitions."""
        metadata = self._admin.list_topics(timeout=TIMEOUT_S)
        return {name: len(topic.partitions) for name, topic in metadata.topics.items()}

    def produce(self, records: Iterable[Record]) -> None:
        """Write records; on return the broker has them all."""
        producer = Producer(
            {
                **self._client,
                "partitioner": PARTITIONER,
                "compression.type": "lz4",
                "linger.ms": 20,
                "queue.buffering.max.messages": 500_000,
            }
        )
        for topic, key, value in records:
            while True:
                try:
                    producer.produce(topic, value, key)
                    break
                except BufferError:
                    producer.poll(0.1)
        if left := producer.flush(120):
            raise TimeoutError(f"{left} records were not written within two minutes")

    def written(self, *topics: str) -> Callable[[], int]:
        """What tells how many records the topics were given so far."""
        places = self._places(topics)

        def count() -> int:
            while True:
                try:
                    return sum(self._eyes.get_watermark_offsets(place, timeout=TIMEOUT_S)[1] for place in places)
                except KafkaException as error:
                    # A topic that was just created again is still known by its old leader.
                    if error.args[0].code() != KafkaError.NOT_LEADER_FOR_PARTITION:
                        raise
                    time.sleep(0.1)

        return count

    def committed(self, group: str, *topics: str) -> Callable[[], int]:
        """What tells how many records of the topics a group has committed. They must begin at offset 0."""
        places = self._places(topics)
        eyes = Consumer({**self._client, "group.id": group})
        return lambda: sum(max(place.offset, 0) for place in eyes.committed(places, timeout=TIMEOUT_S))

    def read(self, *topics: str) -> Iterator[list[Message]]:
        """Everything that the topics hold now, in runs."""
        consumer = Consumer(
            {**self._client, "group.id": "bench-read", "enable.auto.commit": False, "enable.partition.eof": True}
        )
        places = self._places(topics)
        consumer.assign([TopicPartition(place.topic, place.partition, 0) for place in places])
        open_partitions = len(places)
        while open_partitions:
            run = consumer.consume(10_000, 1.0)
            errors = [error for message in run if (error := message.error())]
            if others := [error for error in errors if error.code() != KafkaError._PARTITION_EOF]:
                raise KafkaException(others[0])
            open_partitions -= len(errors)
            yield [message for message in run if message.error() is None]
        consumer.close()

    def last_values(self, topic: str) -> dict[bytes, bytes]:
        """The last value of every key of a topic."""
        values: dict[bytes, bytes] = {}
        for run in self.read(topic):
            # A record of a compacted topic without a value deletes its key.
            values.update((message.key() or b"", message.value() or b"") for message in run)
        return {key: value for key, value in values.items() if value}

    def _places(self, topics: Iterable[str]) -> list[TopicPartition]:
        counts = self.topics()
        return [TopicPartition(name, number) for name in topics for number in range(counts[name])]
