"""Judging records: each in a place of its own, and the same in every process."""

import json
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeprate.schemas.checked_outcome import read_row
from keeprate.schemas.dead_letters import HEAD_BYTES, NAMES, QUARANTINED, encode_letter
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import encode_outcome
from keeprate.schemas.structs.reading import read
from keeprate.sinks.kafka.records import UNREADABLE
from keeprate.sinks.landing import rows
from keeprate.sinks.landing.rows import DEAD_LETTERS_TABLE, FEEDBACK_TABLE, OUTCOMES_TABLE, set_aside, sort
from tests.strategies import logs
from tests.unit.sinks.doubles import GOOD
from tests.unit.sinks.records import FakeRecord

OUTCOME = b'{"app":"a","generation_id":"0190a000-0000-7000-8000-000000000001","choice_index":0,"dwell_ms":3}'


@pytest.mark.parametrize("error", [ZeroDivisionError, RecursionError, MemoryError, KeyError, OverflowError])
def test_what_a_record_raises_is_its_own_alone(monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    """It is quarantined with a hash of where the code raised, and its neighbours are rows."""

    def raising(value: bytes | None, *where: Any) -> Any:
        if b"000000000002" in (value or b""):
            raise error("of this record")
        return read(value, *where)

    monkeypatch.setattr(rows, "read", raising)
    batch = sort("keeprate.feedback", 2, [FakeRecord(n, GOOD % n) for n in range(1, 4)])
    assert [record.offset() for record in batch.tables[FEEDBACK_TABLE].records] == [1, 3]
    ((record, letter),) = batch.rejects
    assert (record.offset(), letter.offset, letter.error_type, letter.app) == (2, 2, QUARANTINED, "a")
    assert letter.trace
    again = sort("keeprate.feedback", 2, [FakeRecord(2, GOOD % 2)])
    assert again.rejects[0][1] == letter


def test_a_row_that_cannot_be_made_leaves_no_half_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records and their bytes stay side by side when the last step of one raises."""
    monkeypatch.setattr(rows, "_fact_tail", _raising_once(rows._fact_tail))
    batch = sort("keeprate.feedback", 2, [FakeRecord(n, GOOD % n) for n in range(1, 4)])
    facts = batch.tables[FEEDBACK_TABLE]
    assert len(facts.records) == len(facts.encoded) == 2
    assert len(batch.rejects) == 1


def _raising_once(call: Callable[..., bytes]) -> Callable[..., bytes]:
    left = [struct.error("once")]

    def wrapped(*args: Any) -> bytes:
        if left:
            raise left.pop()
        return call(*args)

    return wrapped


@pytest.mark.parametrize(
    "change",
    [
        {"choice_index": -1},
        {"choice_index": 70_000},
        {"app": "a/b"},
        {"generation_id": "no id"},
        {"dwell_ms": "3"},
        {"dwell_ms": float("nan")},
        {"dwell_ms": 2**63},
        {"accept": [1, 2]},
        {"accept": {"accept_seq": 1}},
        {"votes": {"u": [0, 1, "x", 1, float("inf")]}},
        {"votes": [[0, 1, "x", 1, 0.5]]},
        {"first_at": {"shown": None}},
    ],
)
def test_what_cannot_be_an_outcome_is_refused(change: dict[str, Any]) -> None:
    """Anybody may write into the topic: a row that the table takes another way than the law is none."""
    junk = json.dumps(json.loads(OUTCOME) | change).encode()
    batch = sort("keeprate.outcomes", 0, [FakeRecord(0, OUTCOME), FakeRecord(1, junk), FakeRecord(2, None)])
    assert [record.offset() for record in batch.tables[OUTCOMES_TABLE].records] == [0]
    ((_, letter),) = batch.rejects
    assert letter.error_type == "invalid"
    assert letter.reason.startswith("not an outcome: ")
    assert batch.filtered == 1


@pytest.mark.parametrize("value", [b'{"a":' * 100_000, b"[" * 100_000, b'{"first_at":' * 100_000])
def test_an_outcome_nested_too_deep_is_none(value: bytes) -> None:
    """The reader's own error of depth is no ValueError: a worker's recovery stood still at such a record."""
    with pytest.raises(ValueError, match=r"nested too deep|malformed|Expected"):
        read_row(value)


@given(logs())
def test_every_outcome_of_the_join_is_one(log: list[Any]) -> None:
    """What `lift` and the merge make is read back as it was."""
    for key, outcome in fold(log).items():
        assert read_row(encode_outcome(key, outcome)) == (key, outcome)


@given(st.binary() | st.text().map(str.encode), st.data())
def test_junk_is_refused_and_raises_nothing(value: bytes, data: st.DataObject) -> None:
    """Bytes of any kind, and JSON of any shape; whatever is let through is a row's bytes."""
    shape = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists)
    names = st.sampled_from(["app", "generation_id", "choice_index", "first_at", "votes", "accept"])
    jsons = data.draw(st.lists(st.dictionaries(names | st.text(), shape), max_size=3))
    values = [value, *(json.dumps(each).encode() for each in jsons)]
    batch = sort("keeprate.outcomes", 0, [FakeRecord(n, each) for n, each in enumerate(values)])
    assert sum(map(len, batch.tables.values())) + len(batch.rejects) + batch.filtered == len(values)
    assert not [letter for _, letter in batch.rejects if letter.error_type == QUARANTINED]


HEADERS = st.lists(
    st.tuples(st.sampled_from([*NAMES, "x"]) | st.text(), st.none() | st.binary() | st.sampled_from([b"sink", b"7"])),
    max_size=14,
)


@given(st.none() | st.binary(), st.none() | st.binary(), st.none() | HEADERS, st.integers(-(2**63), 2**63 - 1))
def test_every_dead_letter_is_a_row(key: Any, value: Any, headers: Any, time_ms: int) -> None:
    """Whatever key, value, headers and time are: nothing is refused, because nothing would take it then."""
    batch = sort("keeprate.dead-letters", 3, [FakeRecord(1, value, key, time_ms, headers)])
    assert len(batch.tables[DEAD_LETTERS_TABLE]) == 1
    assert not batch.rejects


def test_headers_that_cannot_be_read_are_not_whole() -> None:
    """The letter of a record whose header names are no UTF-8 has none of them and says so; its event is a row."""
    good, bad = FakeRecord(1, GOOD % 1, own_headers=UNREADABLE), FakeRecord(2, b"junk", own_headers=UNREADABLE)
    batch = sort("keeprate.feedback", 0, [good, bad])
    assert len(batch.tables[FEEDBACK_TABLE]) == 1
    ((_, letter),) = batch.rejects
    assert (letter.headers, letter.cut) == ((), "headers: a name is no UTF-8")


def test_a_record_set_aside_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is quarantined with its bytes; a dead letter is a row that has its size and digest alone."""
    monkeypatch.setattr(rows, "read", None)
    batch = set_aside("keeprate.feedback", 0, [FakeRecord(7, GOOD % 1)], TimeoutError("died"))
    assert [(letter.offset, letter.error_type) for _, letter in batch.rejects] == [(7, QUARANTINED)]
    aside = set_aside("keeprate.dead-letters", 0, [FakeRecord(7, b"poison" * 9)], TimeoutError("died"))
    (row,) = aside.tables[DEAD_LETTERS_TABLE].encoded
    assert b"poison" not in row
    assert b"value: 54 bytes, sha256 " in row


def test_a_record_of_any_size_has_a_letter_that_fits() -> None:
    """20 MB of zeros, which Kafka took compressed: the letter has the head, and the digest of all."""
    ((record, letter),) = sort("keeprate.feedback", 0, [FakeRecord(1, bytes(20 << 20))]).rejects
    _, value, headers = encode_letter(letter, record.key(), record.value())
    assert value == bytes(HEAD_BYTES)
    assert b"value: 20971520 bytes, sha256 " in (dict(headers)["keeprate-cut"] or b"")
