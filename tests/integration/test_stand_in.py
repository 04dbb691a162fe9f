"""The stand-in for Kafka, as far as the sink has to know it."""

from pathlib import Path

from keeprate.deploy.local.memory_broker import MemoryBroker
from keeprate.schemas.topics import FEEDBACK
from keeprate.sinks.kafka.client import Consumer


def test_topics_of_the_stand_in_have_no_ids(tmp_path: Path) -> None:
    """It answers at once that it knows none, so that a sink is not held up."""
    with MemoryBroker(tmp_path / "log", {FEEDBACK.name: 1}) as broker:
        consumer = Consumer(broker.bootstrap, "group")
        assert consumer.topic_ids([FEEDBACK.name]) == {FEEDBACK.name: ""}
        consumer.close()
