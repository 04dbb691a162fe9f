"""Whatever judging a record raises sets that record aside, and no other."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from keeprate.schemas import lift as lifting
from keeprate.schemas.lift import lift
from keeprate.schemas.outcome import absorb, decode_outcome, encode_outcome, merge
from keeprate.schemas.structs.reading import read
from keeprate.streams.join import feedback_join, judging
from keeprate.streams.join.expiry import stamp, value_of
from keeprate.streams.state.partition import MemoryState
from tests.unit.test_feedback_join import GENERATION, NOW_MS, Recorder, batch, vote

KEY = f"chat/{GENERATION}/0"
OTHER = GENERATION.replace("1", "2")
MARK = b"0" * 197 + b"666"
"""In the user of vote(666)."""


def run(values: list[bytes], state: MemoryState | None = None) -> Recorder:
    """Everything through a pipeline, one batch."""

    async def scenario() -> Recorder:
        recorder = Recorder()
        pipeline = recorder.pipeline(state or MemoryState())
        await pipeline.take(batch(values))
        await pipeline.drain()
        return recorder

    return asyncio.run(scenario())


def raising(kind: type[BaseException], real: Callable[..., Any], marked: Callable[..., bool]) -> Callable[..., Any]:
    """A function that raises for what is marked."""

    def called(*args: Any) -> Any:
        if marked(*args):
            raise kind("a fault of ours")
        return real(*args)

    return called


def _in_decode(patch: pytest.MonkeyPatch, kind: type[BaseException]) -> None:
    for module in (feedback_join, judging):
        patch.setattr(module, "read", raising(kind, read, lambda value, *_: MARK in value))


def _in_lift(patch: pytest.MonkeyPatch, kind: type[BaseException]) -> None:
    for module in (lifting, judging):
        patch.setattr(module, "lift", raising(kind, lift, lambda event: MARK.decode() in event.user))


def _in_merge(patch: pytest.MonkeyPatch, kind: type[BaseException]) -> None:
    marked = lambda a, b: MARK.decode() in json.dumps(b)  # noqa: E731
    for module in (feedback_join, judging):
        patch.setattr(module, "merge", raising(kind, merge, marked))
    patch.setattr(lifting, "absorb", raising(kind, absorb, marked))


def _in_encoding(patch: pytest.MonkeyPatch, kind: type[BaseException]) -> None:
    marked = lambda key, outcome: MARK.decode() in json.dumps(outcome)  # noqa: E731
    patch.setattr(judging, "encode_outcome", raising(kind, encode_outcome, marked))


PLACES = [_in_decode, _in_lift, _in_merge, _in_encoding]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", [ValueError, OverflowError, TypeError, RecursionError, AssertionError])
def test_what_a_record_raises_sets_that_record_aside(
    monkeypatch: pytest.MonkeyPatch, place: Callable[..., None], kind: type[Exception]
) -> None:
    """The outcomes are those of the same batch without it, and its dead letter names the fault."""
    state, whole = MemoryState(), MemoryState()
    good = [vote(1), vote(2, OTHER), b"nonsense", vote(3)]
    without = run(good, whole)
    place(monkeypatch, kind)
    recorder = run([*good[:2], vote(666), *good[2:], vote(666, OTHER)], state)
    assert recorder.written == without.written
    assert [value for _, value in state.scan(b"", 9)] == [value for _, value in whole.scan(b"", 9)]
    assert (recorder.failed, recorder.acknowledged) == ([], [6])
    letters = {refusal.record.offset: refusal.letter for refusal in recorder.refused}
    assert {offset: letter.error_type for offset, letter in letters.items()} == {
        2: "quarantined",
        3: "not_json",
        5: "quarantined",
    }
    assert (letters[2].reason, letters[2].app) == (f"{kind.__name__}: a fault of ours", "chat")
    assert letters[2].trace == letters[5].trace != ""
    assert dict(recorder.done[0].sifted.accepted) == {"chat": 3}


@pytest.mark.parametrize("place", PLACES)
def test_no_memory_is_no_records_fault(monkeypatch: pytest.MonkeyPatch, place: Callable[..., None]) -> None:
    """Every record would be set aside then: the process stops, and is started again."""

    async def scenario() -> Recorder:
        recorder = Recorder()
        taking = asyncio.ensure_future(recorder.pipeline(MemoryState()).take(batch([vote(1), vote(666)])))
        await asyncio.sleep(0.01)
        taking.cancel()
        return recorder

    place(monkeypatch, MemoryError)
    recorder = asyncio.run(scenario())
    assert [type(error) for error in recorder.failed] == [MemoryError]
    assert (recorder.refused, recorder.acknowledged) == ([], [])


class _Broken(MemoryState):
    def get_many(self, keys: Any) -> Any:
        raise OSError("the disk is gone")


def test_a_state_that_fails_concerns_all_records() -> None:
    """Nothing is set aside and nothing is acknowledged: the worker stops."""

    async def scenario() -> Recorder:
        recorder = Recorder()
        taking = asyncio.ensure_future(recorder.pipeline(_Broken()).take(batch([vote(1)])))
        await asyncio.sleep(0.01)
        taking.cancel()
        return recorder

    recorder = asyncio.run(scenario())
    assert [str(error) for error in recorder.failed] == ["the disk is gone"]
    assert (recorder.refused, recorder.acknowledged) == ([], [])


def _outcome(**fields: Any) -> bytes:
    return json.dumps({"app": "chat", "generation_id": GENERATION, "choice_index": 0, **fields}).encode()


USER = f"{2:0200d}"
NOT_MERGEABLE = [
    # A vote's share of a scale of ±1e308, as the version before wrote it: its NaN is null in JSON.
    _outcome(votes={USER: [0, NOW_MS, "0198c0de-0000-7000-8000-000000000002", 1, None]}),
    _outcome(votes={USER: [0, NOW_MS, "0198c0de-0000-7000-8000-000000000002", "1", 0.5]}),
    _outcome(votes={USER: [0, NOW_MS, "0198c0de-0000-7000-8000-000000000002", True, 0.5]}),
    _outcome(votes={USER: [0, NOW_MS, "0198c0de-0000-7000-8000-000000000002", 1, 0.5, 0]}),
    _outcome(dwell_ms=10**30),
    _outcome(first_at={"shown": NOW_MS}, last_at={"shown": [NOW_MS]}),
    _outcome(generation=[0, NOW_MS, "0198c0de-0000-7000-8000-000000000002"]),
    _outcome(votes={USER: ["0", NOW_MS, "", 1, 0.5]}),
    _outcome(votes={USER: [0]}, first_at={"shown": "yesterday"}),
    _outcome(votes="none"),
    _outcome(votes={USER: 7}),
    _outcome(votes=[1, 2]),
]
NO_OUTCOME = [
    b"",
    b"junk",
    b"\xff",
    b"[]",
    b"null",
    b"{}",
    b"[" * 10_000,
    _outcome(app="other"),
    _outcome(generation_id=7),
    _outcome(choice_index="0"),
]


@pytest.mark.parametrize("held", [*NOT_MERGEABLE, *NO_OUTCOME])
def test_what_is_held_and_is_no_outcome_begins_anew(held: bytes) -> None:
    """A fact that meets it writes a fresh outcome; no record is set aside for it, and other suggestions are as ever."""
    state = MemoryState()
    state.write({KEY.encode(): stamp(held, NOW_MS)}, None)
    recorder = run([vote(2), vote(1, OTHER)], state)
    fresh = run([vote(2), vote(1, OTHER)])
    assert (recorder.refused, recorder.failed) == ([], [])
    assert recorder.left_out == {"state": 1}
    assert recorder.written == fresh.written
    assert value_of(state.get_many([KEY.encode()])[0] or b"") == fresh.written[KEY.encode()]


def test_an_outcome_that_merges_is_not_taken_for_junk() -> None:
    """A fault elsewhere in its batch has all of the batch judged anew, and what is held stays held."""
    state = MemoryState()
    run([vote(1), vote(7, OTHER)], state)
    state.write({KEY.encode().replace(b"chat", b"junk"): stamp(b"junk", NOW_MS)}, None)
    junk = json.loads(vote(5))
    junk["app"] = "junk"
    recorder = run([vote(2), json.dumps(junk).encode(), vote(8, OTHER)], state)
    votes = [len(decode_outcome(value or b"")[1]["votes"]) for value in recorder.written.values()]
    assert sorted(votes) == [1, 2, 2]
