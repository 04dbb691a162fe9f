"""Facts about `keeprate worker` and records that no app of good will sends, on a real Kafka."""

import json
import random
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from keeprate.deploy.local.broker import KafkaBroker
from keeprate.deploy.local.process import ChildProcess
from keeprate.schemas.dead_letters import DeadLetter, decode_headers
from keeprate.schemas.decode import encode, validate
from keeprate.schemas.events import Event
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import encode_outcome
from keeprate.schemas.topics import DEAD_LETTERS, DEFAULT_PARTITIONS, FEEDBACK, OUTCOMES, topic_of
from tests.raw_records import RawRecord, produce_raw
from tests.streaming import (
    BASE_MS,
    RunningWorker,
    Sourced,
    create_topics,
    expected,
    joined,
    outcomes,
    produce,
    read,
    story,
    wait_joined,
    wait_until,
)

pytestmark = pytest.mark.kafka
ZSTD = 4


@pytest.fixture(scope="module")
def bootstrap(emptied: Callable[[], KafkaBroker]) -> str:
    """A broker with topics of these tests' own: what is written here would stop the workers of others, if they are not
    as these.
    """
    bootstrap = emptied().bootstrap
    create_topics(bootstrap)
    return bootstrap


@pytest.fixture
def name() -> str:
    """An app and a group of this test's own: the topics are shared with other tests."""
    return f"t{uuid.uuid4().hex[:12]}"


def sourced(log: list[Event]) -> list[Sourced]:
    """The records of a log."""
    return [(topic_of(event["type"]).name, event["generation_id"].encode(), encode(event)) for event in log]


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
        wait_joined(bootstrap, name)
        assert worker.process.returncode is None
    assert outcomes(bootstrap, name) == expected(log)
    ((letter, value),) = letters(bootstrap, name)
    assert (letter.headers, value) == ((("na\\xffme", b"\xfe"),), b"nonsense")


def test_a_record_of_any_size_has_a_dead_letter(bootstrap: str, name: str, tmp_path: Path) -> None:
    """20 MB of zeros, some kilobytes in Kafka: the letter has their head and size, and the others are joined."""
    log = story(random.Random(5), name, suggestions=9)
    produce(bootstrap, sourced(log))
    produce_raw(bootstrap, FEEDBACK.name, 1, [(name.encode(), bytes(20_000_000), [])], compression=ZSTD)
    with RunningWorker(bootstrap, tmp_path, name):
        wait_joined(bootstrap, name)
    assert outcomes(bootstrap, name) == expected(log)
    ((letter, value),) = letters(bootstrap, name)
    assert (letter.error_type, letter.cut.partition(",")[0]) == ("too_large", "value: 20000000 bytes")
    assert value is not None
    assert bytes(20_000_000).startswith(value)


def _vote(name: str, generation: str, value: int, **more: object) -> Event:
    """A vote of this test's user."""
    envelope = {"event_id": str(uuid.uuid4()), "schema_version": 1, "app": name, "generation_id": generation}
    what = {"type": "vote", "occurred_at": BASE_MS, "user": "u1", "value": value}
    return validate({**envelope, **what, **more})


def test_junk_in_the_changelog_costs_nobody_else_anything(bootstrap: str, name: str, tmp_path: Path) -> None:
    """A worker starts over junk, before and after whole outcomes; what it meets begins anew or is put right."""
    log = story(random.Random(7), name, suggestions=40)
    whole, other = [_vote(f"{name}-x", str(uuid.uuid4()), 1) for _ in range(2)]
    ((key, outcome),) = fold([whole]).items()
    ((junk_key, _),) = fold([other]).items()
    register = [0, BASE_MS, other["event_id"], 1, None]
    huge = {"generation": [0, BASE_MS, other["event_id"], *[""] * 19, 5, 7, 1e300, 9, 3, 0, 0, ""]}
    # The version before wrote NaN as null, and a cost of 1e300 as it was.
    _, generation, _ = junk_key.split("/")
    nan = json.dumps({"app": f"{name}-x", "generation_id": generation, "choice_index": 0, "votes": {"u1": register}})
    huge_key = f"{name}-x/{uuid.uuid4()}/0"
    junk: list[RawRecord] = [
        (b"\xff\xfe", b"\x00", []),
        (b"no key", encode_outcome(key, outcome), []),
        (junk_key.encode(), nan.encode(), []),
        (key.encode(), encode_outcome(key, outcome), []),
        (key.encode(), b"junk", [(b"\xff", b"")]),
        (huge_key.encode(), encode_outcome(huge_key, huge), []),
        (f"{name}-x/{uuid.uuid4()}/0".encode(), b"junk", []),
    ]
    for partition in range(DEFAULT_PARTITIONS):
        produce_raw(bootstrap, OUTCOMES.name, partition, junk, timestamp_ms=-1)
    produce(bootstrap, [*sourced(log), *sourced([other])])
    with RunningWorker(bootstrap, tmp_path, name) as worker:
        wait_joined(bootstrap, name)
        assert worker.process.running
        said = worker.log.read_text()
    last = {(record.key(), record.partition()): record.value() for record in read(bootstrap, OUTCOMES.name)}
    assert outcomes(bootstrap, name) == expected(log)
    ends = [last[junk_key.encode(), number] for number in range(DEFAULT_PARTITIONS)]
    assert sorted(set(ends)) == sorted({nan.encode(), expected([other])[junk_key]})
    assert {last[key.encode(), number] for number in range(DEFAULT_PARTITIONS)} == {encode_outcome(key, outcome)}
    assert "records of the changelog are no outcomes" in said
    assert f"{junk_key}: no outcome" in said


def test_an_app_that_is_refused_stops_no_other(bootstrap: str, name: str, tmp_path: Path) -> None:
    """10,000 votes with the nil UUID: each is a dead letter, an alarm names the app, and the others are joined."""
    log = story(random.Random(11), name, suggestions=40)
    nil = _vote(f"{name}-x", str(uuid.uuid4()), 1) | {"generation_id": str(uuid.UUID(int=0))}
    produce(bootstrap, [(FEEDBACK.name, name.encode(), json.dumps(nil).encode())] * 10_000 + sourced(log))
    with RunningWorker(bootstrap, tmp_path, name) as worker:
        wait_joined(bootstrap, name)
        assert worker.process.running
        assert f"app {name}-x: " in worker.log.read_text()
    assert outcomes(bootstrap, name) == expected(log)
    found = letters(bootstrap, name)
    assert (len(found), {letter.app for letter, _ in found}) == (10_000, {f"{name}-x"})


_DYING = """
import os, sys
from keeprate.deploy import cli
from keeprate.schemas.structs.reading import read
from keeprate.streams.join import feedback_join
from keeprate.streams.join import judging

mark = sys.argv.pop(1).encode()

def dying(value, *rest):
    if mark in (value or b""):
        os.abort()
    return read(value, *rest)

feedback_join.read = judging.read = dying
cli.main()
"""


@pytest.mark.timeout(400)
def test_a_record_that_ends_the_process_is_set_aside_in_the_end(bootstrap: str, name: str, tmp_path: Path) -> None:
    """No exception says so: the process is gone, three times, at a record in the middle of others; then it goes on."""
    log = story(random.Random(13), name, suggestions=60)
    poison = _vote(f"{name}-x", str(uuid.uuid4()), 1, comment=f"{name} ends it")
    records = sourced(log)
    produce(bootstrap, [*records[:90], (FEEDBACK.name, name.encode(), encode(poison)), *records[90:]])
    worker = RunningWorker(bootstrap, tmp_path, name)
    program = [sys.executable, "-c", _DYING, f"{name} ends it", *worker.process.argv[1:]]
    worker.process = ChildProcess("a worker that dies", program, worker.log)
    endings = 0
    with worker, joined(bootstrap, name) as offsets:
        while not offsets.reached():
            wait_until(lambda: not worker.process.running or offsets.reached())
            if not worker.process.running:
                endings += 1
                assert endings <= 3
                worker.process.start()
    assert endings == 3
    ((letter, value),) = letters(bootstrap, name)
    assert (letter.error_type, letter.app, value) == ("quarantined", f"{name}-x", encode(poison))
    assert outcomes(bootstrap, name) == expected(log)
