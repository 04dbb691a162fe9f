"""Facts about `keeprate worker` on a real Kafka."""

import random
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from keeprate.deploy.local.broker import KafkaBroker
from keeprate.schemas.dead_letters import decode_headers
from keeprate.schemas.topics import DAY_MS, DEAD_LETTERS, GENERATIONS, PARTITIONER
from tests.streaming import (
    BASE_MS,
    POISON,
    RunningWorker,
    create_topics,
    disordered,
    expected,
    joined,
    outcomes,
    produce,
    read,
    remove_records,
    story,
    wait_joined,
    wait_until,
)

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def bootstrap(emptied: Callable[[], KafkaBroker]) -> str:
    """A broker with topics of these tests' own: event time is shared by all who write to a partition."""
    return _with_topics(emptied)


def _with_topics(emptied: Callable[[], KafkaBroker]) -> str:
    bootstrap = emptied().bootstrap
    create_topics(bootstrap)
    return bootstrap


@pytest.fixture
def own_topics(emptied: Callable[[], KafkaBroker]) -> Iterator[str]:
    """A broker with topics of one test's own, out of which it removes what others would read."""
    yield _with_topics(emptied)
    _with_topics(emptied)


@pytest.fixture
def name() -> str:
    """An app and a group of this test's own: the topics are shared with other tests."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.mark.parametrize("state", ["memory", "rocksdb"])
def test_outcomes_are_those_of_a_single_thread(bootstrap: str, name: str, tmp_path: Path, state: str) -> None:
    """Shuffled, duplicated and with poison between them, events become the outcomes of the oracle."""
    rng = random.Random(7)
    log = story(rng, name, suggestions=400)
    produce(bootstrap, disordered(rng, log))
    with RunningWorker(bootstrap, tmp_path, name, state):
        wait_joined(bootstrap, name)
    assert outcomes(bootstrap, name) == expected(log)


def test_several_processes_are_one_worker(bootstrap: str, name: str, tmp_path: Path) -> None:
    """They divide the partitions, come to the outcomes of the oracle, and end together with code 0."""
    rng = random.Random(19)
    log = story(rng, name, suggestions=200)
    produce(bootstrap, disordered(rng, log))
    with RunningWorker(bootstrap, tmp_path, name, "rocksdb", "--processes", "2") as worker:
        wait_until(lambda: worker.log.read_text().count("partitions that are ours: ") >= 2)
        wait_joined(bootstrap, name)
        worker.process.terminate(deadline_s=30)
        assert worker.process.returncode == 0
        assert worker.log.read_text().count("ended with code 0") == 2
    assert outcomes(bootstrap, name) == expected(log)
    assert sorted(path.name for path in (tmp_path / "state").iterdir()) == ["0", "1"]


def test_every_refused_record_is_a_dead_letter(bootstrap: str, name: str, tmp_path: Path) -> None:
    """A dead letter has the record's bytes, its place and the reason; each refused record has one, or more alike."""
    records = [("keeprate.feedback", name.encode(), value) for value in POISON]
    produce(bootstrap, records)
    with RunningWorker(bootstrap, tmp_path, name):
        wait_joined(bootstrap, name)
    letters = [letter for letter in read(bootstrap, DEAD_LETTERS.name) if letter.key() == name.encode()]
    # At least once: a batch that a rebalance gave back is refused again, and the table keeps one row of a place.
    assert {letter.value() for letter in letters} == set(POISON)
    places = [decode_headers(letter.headers()) for letter in letters]
    assert {(place.stage, place.topic) for place in places} == {("join", "keeprate.feedback")}
    assert len({(place.partition, place.offset) for place in places}) == len(POISON)
    assert all(place.reason for place in places)


@pytest.mark.parametrize("state", ["memory", "rocksdb"])
def test_a_killed_worker_loses_nothing(bootstrap: str, name: str, tmp_path: Path, state: str) -> None:
    """kill -9 in the middle and a restart end in the outcomes of the oracle."""
    rng = random.Random(11)
    log = story(rng, name, suggestions=1500)
    records = disordered(rng, log)
    produce(bootstrap, records[: len(records) // 2])
    with RunningWorker(bootstrap, tmp_path, name, state) as worker:
        wait_until(lambda: len(outcomes(bootstrap, name)) > 0)
        worker.process.kill()
        produce(bootstrap, records[len(records) // 2 :])
        worker.process.start()
        wait_joined(bootstrap, name)
    assert outcomes(bootstrap, name) == expected(log)


def test_an_orphan_is_joined_when_its_generation_arrives(bootstrap: str, name: str, tmp_path: Path) -> None:
    """Feedback without its generation is an outcome without one, until the generation comes."""
    log = story(random.Random(13), name, suggestions=60)
    feedback = [event for event in log if event["type"] != "generation"]
    rng = random.Random(13)
    with RunningWorker(bootstrap, tmp_path, name):
        produce(bootstrap, disordered(rng, feedback))
        wait_joined(bootstrap, name)
        assert outcomes(bootstrap, name) == expected(feedback)
        produce(bootstrap, disordered(rng, log))
        wait_joined(bootstrap, name)
    assert outcomes(bootstrap, name) == expected(log)


def test_what_a_transaction_takes_back_is_not_joined(bootstrap: str, name: str, tmp_path: Path) -> None:
    """As the sink does not land it: outcomes are of what was committed, before, between and after it."""
    rng = random.Random(23)
    logs = [story(rng, name, suggestions=20) for _ in range(4)]
    settings = {"bootstrap.servers": bootstrap, "transactional.id": name, "partitioner": PARTITIONER}
    producer = Producer(settings)
    producer.init_transactions(60)
    for number, log in enumerate(logs):
        is_taken_back = number % 2 == 1
        producer.begin_transaction()
        for topic, key, value in disordered(rng, log):
            producer.produce(topic, value, key)
        producer.flush(60)
        (producer.abort_transaction if is_taken_back else producer.commit_transaction)(60)
    # Some of it in every partition: behind a transaction's mark, which is no record, nobody commits.
    last = story(rng, name, suggestions=60)
    produce(bootstrap, disordered(rng, last))
    with RunningWorker(bootstrap, tmp_path, name):
        wait_joined(bootstrap, name)
    assert outcomes(bootstrap, name) == expected([*logs[0], *logs[2], *last])


def test_sigterm_finishes_the_batch_and_commits(bootstrap: str, name: str, tmp_path: Path) -> None:
    """A worker that is told to stop ends with code 0, and what it wrote is committed."""
    log = story(random.Random(17), name, suggestions=50)
    produce(bootstrap, disordered(random.Random(17), log))
    with RunningWorker(bootstrap, tmp_path, name) as worker:
        wait_until(lambda: outcomes(bootstrap, name) == expected(log))
        worker.process.terminate(deadline_s=30)
        assert worker.process.returncode == 0
    with joined(bootstrap, name) as offsets:
        assert offsets.reached()


@pytest.mark.parametrize(("state", "days"), [("memory", 1), ("rocksdb", 2)])
def test_what_event_time_has_left_behind_leaves_the_state(
    bootstrap: str, name: str, tmp_path: Path, state: str, days: int
) -> None:
    """Outcomes of ten days before get a tombstone once their partition has later events; the later ones stay."""
    rng = random.Random(19)
    old = story(rng, f"{name}-old", suggestions=40, base_ms=BASE_MS - 10 * DAY_MS)
    # Later than what any other test sends, so that event time moves on.
    new = story(rng, f"{name}-new", suggestions=400, base_ms=BASE_MS + days * DAY_MS)
    produce(bootstrap, disordered(rng, old))
    with RunningWorker(bootstrap, tmp_path, name, state):
        wait_joined(bootstrap, name)
        produce(bootstrap, disordered(rng, new))
        wait_until(lambda: set(outcomes(bootstrap, f"{name}-old").values()) == {None})
    assert outcomes(bootstrap, f"{name}-new") == expected(new)
    assert outcomes(bootstrap, f"{name}-old").keys() == expected(old).keys()


def test_records_that_retention_removed_are_not_skipped_in_silence(own_topics: str, name: str, tmp_path: Path) -> None:
    """A worker that comes back after its next records are gone says which, and stops."""
    rng = random.Random(23)
    with RunningWorker(own_topics, tmp_path, name) as worker:
        produce(own_topics, disordered(rng, story(rng, name, suggestions=100)))
        wait_joined(own_topics, name)
        worker.process.terminate(deadline_s=30)
        produce(own_topics, disordered(rng, story(rng, name, suggestions=100)))
        remove_records(own_topics, GENERATIONS.name)
        worker.process.start()
        wait_until(lambda: not worker.process.running)
        assert worker.process.returncode not in (0, None)
        assert "retention removed offsets" in worker.log.read_text()
