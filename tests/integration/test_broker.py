"""Apache Kafka starts from Maven's artifacts, serves clients, and keeps its records through stop and kill."""

import uuid
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from keeprate.deploy.local.broker import KafkaBroker, answers
from keeprate.deploy.local.memory_broker import MemoryBroker
from keeprate.deploy.local.process import ProcessError


@pytest.fixture
def topic() -> str:
    """A name that no other test has."""
    return f"test-{uuid.uuid4().hex}"


def _create(bootstrap: str, topic: str, partitions: int) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(20)


def _produce(bootstrap: str, topic: str, values: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all"})
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(20) == 0


def _consume(bootstrap: str, topic: str, count: int) -> list[bytes | None]:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, 0, 0)])
    records = consumer.consume(count, timeout=20)
    consumer.close()
    return [record.value() for record in records]


def test_records_go_in_and_come_out(kafka: KafkaBroker, topic: str) -> None:
    """A topic has the partitions it was created with, and an 8 MiB record fits."""
    _create(kafka.bootstrap, topic, partitions=3)
    large = bytes(8 * 1024 * 1024)
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "message.max.bytes": 9 * 1024 * 1024})
    producer.produce(topic, large, partition=0)
    assert producer.flush(20) == 0
    assert _consume(kafka.bootstrap, topic, 1) == [large]
    assert (
        len(AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=10).topics[topic].partitions) == 3
    )


def test_a_topic_nobody_created_does_not_come_into_being(kafka: KafkaBroker, topic: str) -> None:
    """A typing error in a topic's name is an error, not a new topic."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    asked = admin.list_topics(topic, timeout=10).topics[topic]
    assert asked.error is not None
    assert asked.error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert topic not in admin.list_topics(timeout=10).topics


def test_records_survive_a_kill_and_a_stop(kafka: KafkaBroker, topic: str) -> None:
    """Acknowledged records are there again at the same address, whatever ended the broker."""
    _create(kafka.bootstrap, topic, partitions=1)
    values: list[bytes] = []
    for end in (kafka.kill, kafka.stop):
        _produce(kafka.bootstrap, topic, [b"%d" % len(values)])
        values.append(b"%d" % len(values))
        end()
        assert kafka.pid is None
        assert not answers(kafka.bootstrap, timeout_s=0.5)
        kafka.start()
        assert _consume(kafka.bootstrap, topic, len(values)) == values


def test_a_directory_whose_formatting_was_cut_off_is_formatted(kafka: KafkaBroker, tmp_path: Path) -> None:
    """What a start left behind that was killed in it stands in nobody's way."""
    (tmp_path / "data").mkdir()
    with KafkaBroker(tmp_path) as broker:
        assert answers(broker.bootstrap)
    assert (tmp_path / "data" / "meta.properties").exists()


def test_a_port_that_is_taken_is_named(kafka: KafkaBroker, tmp_path: Path) -> None:
    """The error says which port, before any Java has started."""
    with pytest.raises(ProcessError, match=f"port {kafka.port} is taken"):
        KafkaBroker(tmp_path, port=kafka.port).start()


def test_a_broker_that_cannot_start_shows_its_log(kafka: KafkaBroker, tmp_path: Path) -> None:
    """The reason is in the error, not in a file to look for."""
    (tmp_path / "data").write_text("a file where the directory should be")
    with pytest.raises(ProcessError, match="the end of its log"):
        KafkaBroker(tmp_path).start()


def test_the_stand_in_has_the_topics_it_was_given(tmp_path: Path, topic: str) -> None:
    """Several processes share it by its address; it creates no topics on request, so they are named at the start."""
    with MemoryBroker(tmp_path / "log", {topic: 3}) as broker:
        admin = AdminClient({"bootstrap.servers": broker.bootstrap})
        assert len(admin.list_topics(timeout=10).topics[topic].partitions) == 3
        _produce(broker.bootstrap, topic, [b"a", b"b"])
        assert _consume(broker.bootstrap, topic, 2) == [b"a", b"b"]
        assert "look around" in (tmp_path / "log").read_text()


def test_nothing_answers_where_nothing_is() -> None:
    """`answers` waits no longer than it is told and does not raise."""
    assert not answers("127.0.0.1:1", timeout_s=0.3)
