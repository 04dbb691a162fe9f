"""What a user's word for a broker means, where Kafka can run and where not."""

import pytest

from keeprate.deploy.local.broker import Address, LocalKafka, Memory, resolve

_WHY_NOT = "Apache Kafka needs Java."


@pytest.mark.parametrize(
    ("choice", "kafka_missing", "meaning"),
    [
        ("auto", None, LocalKafka()),
        ("auto", _WHY_NOT, Memory(because=_WHY_NOT)),
        ("kafka", None, LocalKafka()),
        ("memory", None, Memory()),
        ("memory", _WHY_NOT, Memory()),
        ("broker:9092", _WHY_NOT, Address("broker:9092")),
        ("a.example:9092,10.0.0.1:9093", None, Address("a.example:9092,10.0.0.1:9093")),
        ("[::1]:9092", None, Address("[::1]:9092")),
    ],
)
def test_a_word_means_one_broker(
    choice: str, kafka_missing: str | None, meaning: LocalKafka | Memory | Address
) -> None:
    """Only `auto` falls back, and it says why."""
    assert resolve(choice, kafka_missing) == meaning


def test_kafka_where_it_cannot_run_is_refused_with_the_remedy() -> None:
    """Who asks for Kafka by name does not get something else."""
    with pytest.raises(ValueError, match=_WHY_NOT):
        resolve("kafka", _WHY_NOT)


@pytest.mark.parametrize("choice", ["", "kafak", "broker", "broker:", "broker:port", "a:1,", "a b:1"])
def test_other_words_are_refused(choice: str) -> None:
    """A typing error is not taken for the name of a host."""
    with pytest.raises(ValueError, match="auto, kafka, memory or HOST:PORT"):
        resolve(choice, None)
