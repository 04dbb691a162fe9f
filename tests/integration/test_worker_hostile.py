"""Facts about `keeprate worker` and records that no app of good will sends, on a real Kafka."""

import random
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from keeprate.deploy.broker import KafkaBroker
from keeprate.schemas.dead_letters import DeadLetter, decode_headers
from keeprate.schemas.decode import encode
from keeprate.schemas.topics import DEAD_LETTERS, FEEDBACK, topic_of
from tests.raw_records import RawRecord, produce_raw
from tests.streaming import RunningWorker, create_topics, expected, lag, outcomes, produce, read, story, wait_until

pytestmark = pytest.mark.kafka
ZSTD = 4


@pytest.fixture(scope="module")
def bootstrap(kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker of these tests' own: what is written here would stop the workers of others, if they are not as these."""
    with KafkaBroker(tmp_path_factory.mktemp("kafka")) as broker:
        create_topics(broker.bootstrap)
        yield broker.bootstrap


@pytest.fixture
def name() -> str:
    """An app and a group of this test's own: the topics are shared with other tests."""
    return f"t{uuid.uuid4().hex[:12]}"


def letters(bootstrap: str, key: str) -> list[tuple[DeadLetter, bytes | None]]:
    """The dead letters of records with this key, each place once, with their values."""
    found = {}
    for record in read(bootstrap, DEAD_LETTERS.name):
        if record.key() == key.encode():
            letter = decode_headers(record.headers())
            found[letter.topic, letter.partition, letter.offset] = letter, record.value()
    return [found[place] for place in sorted(found)]


def test_a_header_whose_name_is_no_utf8_hides_no_record(bootstrap: str, name: str, tmp_path: Path) -> None:
    """The event that has it is joined, nonsense that has it is a dead letter, and those around them are as ever."""
    log = [event for event in story(random.Random(3), name, suggestions=9) if topic_of(event["type"]) is FEEDBACK]
    odd = [(b"na\xffme", b"\xfe")]
    records: list[RawRecord] = [
        (event["generation_id"].encode(), encode(event), odd[: n % 2]) for n, event in enumerate(log)
    ]
    records.insert(4, (name.encode(), b"nonsense", odd))
    produce_raw(bootstrap, FEEDBACK.name, 0, records, compression=ZSTD)
    with RunningWorker(bootstrap, tmp_path, name) as worker:
        wait_until(lambda: lag(bootstrap, name) == 0)
        assert worker.process.returncode is None
    assert outcomes(bootstrap, name) == expected(log)
    ((letter, value),) = letters(bootstrap, name)
    assert (letter.headers, value) == ((("na\\xffme", b"\xfe"),), b"nonsense")


def test_a_record_of_any_size_has_a_dead_letter(bootstrap: str, name: str, tmp_path: Path) -> None:
    """20 MB of zeros, some kilobytes in Kafka: the letter has their head and size, and the others are joined."""
    log = story(random.Random(5), name, suggestions=9)
    produce(
        bootstrap, [(topic_of(event["type"]).name, event["generation_id"].encode(), encode(event)) for event in log]
    )
    produce_raw(bootstrap, FEEDBACK.name, 1, [(name.encode(), bytes(20_000_000), [])], compression=ZSTD)
    with RunningWorker(bootstrap, tmp_path, name):
        wait_until(lambda: lag(bootstrap, name) == 0)
    assert outcomes(bootstrap, name) == expected(log)
    ((letter, value),) = letters(bootstrap, name)
    assert (letter.error_type, letter.cut.partition(",")[0]) == ("too_large", "value: 20000000 bytes")
    assert value is not None
    assert bytes(20_000_000).startswith(value)
