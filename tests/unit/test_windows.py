"""Windows of a state into which anybody may have written."""

import json
from typing import Any

import pytest

from keeprate.schemas.outcome import Outcome, encode_outcome
from keeprate.schemas.window_record import Form, encode_window
from keeprate.schemas.windows import contribution
from keeprate.streams import windows
from keeprate.streams.expiry import stamp
from keeprate.streams.state import MemoryState
from keeprate.streams.windows import PartitionWindows
from tests.unit.test_feedback_join import GENERATION, NOW_MS
from tests.unit.test_judging import NO_OUTCOME, NOT_MERGEABLE

OTHER = f"chat/{GENERATION.replace('1', '2')}/0"
GENERATED: Outcome = {
    "generation": [0, NOW_MS, "0198c0de-0000-7000-8000-000000000009", *[""] * 19, 5, 7, 1e300, 9, 3, 0, 0, ""],
    "votes": {"u": [0, NOW_MS, "0198c0de-0000-7000-8000-000000000008", 1, -1.0]},
}


def published(state: MemoryState) -> tuple[dict[bytes, Any], PartitionWindows]:
    """The records of windows that a new owner of a state writes, without their versions."""
    counting = PartitionWindows(0, state, Form(), NOW_MS)
    for _ in range(100):
        counting.walk(2, NOW_MS)
    assert counting.is_complete
    records = counting.take(10_000, NOW_MS)
    return {key: json.loads(value)["segments"] for key, value in records.items()}, counting


def state_of(values: dict[bytes, bytes]) -> MemoryState:
    """A state that is recovered."""
    state = MemoryState()
    state.write({key: stamp(value, NOW_MS) for key, value in values.items()}, 7)
    return state


def test_what_is_no_outcome_counts_nothing_and_hides_nothing() -> None:
    """Junk values and junk keys before, between and after the outcomes; the counts are those without them."""
    good = {OTHER.encode(): encode_outcome(OTHER, GENERATED)}
    values = dict(good)
    for number, junk in enumerate([*NOT_MERGEABLE, *NO_OUTCOME]):
        values[f"chat/{GENERATION[:-3]}{number:03d}/0".encode()] = junk
    keys = [b"\x02", b"\xff\xfe", b"chat", b"chat/1", b"chat/x/0", b"/", b"chat/" + b"0" * 36 + b"/0"]
    values |= dict.fromkeys(keys, good[OTHER.encode()])
    records, counting = published(state_of(values))
    expected, _ = published(state_of(good))
    assert {key: segments for key, segments in records.items() if segments} == {
        key: segments for key, segments in expected.items() if segments
    }
    assert any(expected.values())
    assert counting.tally.unreadable == len(values) - 1


def test_an_outcome_whose_counting_raises_counts_nothing_whenever_it_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before and after a change alike, so that nothing is taken back that was not counted."""
    real = contribution

    def faulty(key: str, outcome: Outcome, *rest: Any) -> Any:
        if key.startswith("fault/"):
            raise OverflowError("cannot convert float infinity to integer")
        return real(key, outcome, *rest)

    monkeypatch.setattr(windows, "contribution", faulty)
    counting = PartitionWindows(0, MemoryState(), Form(), NOW_MS)
    counting.walk(10, NOW_MS)
    fault = OTHER.replace("chat", "fault")
    for held, after in (({}, GENERATED), (GENERATED, GENERATED | {"dwell_ms": 3})):
        counting.landed({fault: held, OTHER: held} if held else {}, {fault: after, OTHER: after}, 1, complete=True)
        counting.begin(0)
        counting.count(100)
    records = counting.take(100, NOW_MS)
    assert [key.decode().split("/")[0] for key in records] == ["chat"]
    assert counting.tally.unreadable >= 2
    assert "fault/" in counting.tally.example


def test_a_window_that_cannot_be_written_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other windows of the partition are published, and the fault is counted."""
    real = encode_window

    def faulty(window: Any, *rest: Any) -> bytes:
        if window.app == "fault":
            raise OverflowError("int too big to convert")
        return real(window, *rest)

    monkeypatch.setattr(windows, "encode_window", faulty)
    fault = OTHER.replace("chat", "fault")
    records, counting = published(state_of({key.encode(): encode_outcome(key, GENERATED) for key in (OTHER, fault)}))
    assert {key.decode().split("/")[0] for key in records} == {"chat"}
    assert counting.tally.unreadable > 0
