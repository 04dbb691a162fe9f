"""Facts about what the join does at its edges."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from keeprate.schemas.decode import encode
from keeprate.schemas.outcome import decode_outcome
from keeprate.schemas.refusal_alarm import FEWEST_RECORDS, Alarm, RefusalAlarm
from keeprate.schemas.topics import DAY_MS
from keeprate.streams.crashes import CrashJournal
from keeprate.streams.join.expiry import SKEW_MS, stamp, stamped_at_ms, value_of
from keeprate.streams.join.feedback_join import MAX_OUTCOME_BYTES
from keeprate.streams.join.pipeline import Done, Pipeline
from keeprate.streams.state.partition import MemoryState, Offsets
from tests.streaming import Message, Stored, message

GENERATION = "0198c0de-0000-7000-8000-000000000001"
NOW_MS = 1_764_000_000_000


def vote(number: int, generation: str = GENERATION) -> bytes:
    """One user's vote; each makes the outcome some hundred bytes larger."""
    envelope = {"schema_version": 1, "occurred_at": NOW_MS, "app": "chat", "generation_id": generation}
    event_id = f"0198c0de-0000-7000-8000-{number:012d}"
    return encode(envelope | {"event_id": event_id, "type": "vote", "value": 1, "user": f"{number:0200d}"})


class Recorder:
    """Takes the place of Kafka and of the counters, and answers at once."""

    def __init__(self) -> None:
        self.written: dict[bytes, bytes | None] = {}
        self.refused: list[Any] = []
        self.acknowledged: list[int] = []
        self.done: list[Done] = []
        self.gone = 0
        self.failed: list[BaseException] = []
        self.alarms: list[Alarm] = []
        self.left_out: Counter[str] = Counter()
        self.error: Exception | None = None

    def write(self, partition: int, outcomes: Any, refusals: Any) -> "asyncio.Future[Offsets]":
        future: asyncio.Future[Offsets] = asyncio.get_running_loop().create_future()
        if self.error is not None:
            future.set_exception(self.error)
            return future
        self.written |= outcomes
        self.refused += refusals
        future.set_result(None)
        return future

    async def fail(self, error: BaseException) -> None:
        self.failed.append(error)

    def batch_done(self, done: Done) -> None:
        self.done.append(done)

    def expired(self, count: int) -> None:
        self.gone += count

    def alarm(self, alarm: Alarm) -> None:
        self.alarms.append(alarm)

    def unreadable(self, place: str, count: int) -> None:
        self.left_out[place] += count

    def pipeline(self, state: MemoryState, now_ms: int = NOW_MS, journal: CrashJournal | None = None) -> Pipeline:
        acknowledge = self.acknowledged.append
        return Pipeline(
            self,
            lambda number: state,
            lambda m: acknowledge(m.value.runs["keeprate.feedback"].next_offset),
            self.fail,
            self,
            lambda: now_ms,
            RefusalAlarm(),
            journal=journal,
        )


def batch(values: list[bytes], start: int = 0) -> Message:
    """A message of the transport."""
    return message(Stored(value, start + place) for place, value in enumerate(values))


def test_an_outcome_that_would_be_too_large_stays_as_it_was() -> None:
    """The records that would have made it so are refused; others of the same batch are joined."""

    async def scenario() -> Recorder:
        recorder, state = Recorder(), MemoryState()
        pipeline = recorder.pipeline(state)
        count = MAX_OUTCOME_BYTES // 250
        await pipeline.take(batch([vote(number) for number in range(count // 2)]))
        other = GENERATION.replace("1", "2")
        more = [vote(number) for number in range(count // 2, count * 2)]
        await pipeline.take(batch([*more, vote(0, other)], start=count))
        await pipeline.drain()
        assert len(recorder.refused) == len(more)
        return recorder

    recorder = asyncio.run(scenario())
    assert {refusal.letter.error_type for refusal in recorder.refused} == {"too_large"}
    assert all(len(value or b"") <= MAX_OUTCOME_BYTES for value in recorder.written.values())
    assert len(recorder.written) == 2
    assert len(recorder.acknowledged) == 2


def test_after_a_failure_nothing_is_acknowledged() -> None:
    """Neither the batch that failed nor one after it, and the process is told once."""

    async def scenario() -> Recorder:
        recorder, state = Recorder(), MemoryState()
        pipeline = recorder.pipeline(state)
        await pipeline.take(batch([vote(1)]))
        await asyncio.sleep(0.01)
        recorder.error = RuntimeError("the broker did not take it")
        await pipeline.take(batch([vote(2)], start=1))
        await asyncio.sleep(0.01)
        recorder.error = None
        waiting = asyncio.ensure_future(pipeline.take(batch([vote(3)], start=2)))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        waiting.cancel()
        return recorder

    recorder = asyncio.run(scenario())
    assert recorder.acknowledged == [1]
    assert [str(error) for error in recorder.failed] == ["the broker did not take it"]


class Late(Recorder):
    """Kafka takes its time: what is written is acknowledged when a test says so, and is in the changelog by then."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[asyncio.Future[Offsets]] = []

    def write(self, partition: int, outcomes: Any, refusals: Any) -> "asyncio.Future[Offsets]":
        self.written |= outcomes
        self.waiting.append(asyncio.get_running_loop().create_future())
        return self.waiting[-1]

    async def arrive(self) -> None:
        for number, future in enumerate(self.waiting):
            future.set_result((number, number, 1))
        self.waiting.clear()
        await asyncio.sleep(0.01)


def test_what_was_on_its_way_does_not_land_on_what_was_recovered() -> None:
    """A batch from before a rebalance may be written after it. Nor is it acknowledged: it is read again."""

    async def scenario() -> None:
        late, state = Late(), MemoryState()
        pipeline = late.pipeline(state)
        await pipeline.take(batch([vote(1)]))
        pipeline.release()
        recovered = {key: stamp(b"what the other worker wrote", NOW_MS) for key in late.written}
        state.write(recovered, 7)
        opening = asyncio.ensure_future(pipeline.recovered())
        await late.arrive()
        await opening
        assert dict(state.scan(b"", 10)) == recovered
        assert (state.offset, late.acknowledged, late.failed) == (7, [], [])

    asyncio.run(scenario())


def test_nothing_is_joined_with_a_state_that_is_recovered_in_part() -> None:
    """Neither a batch that waited for its turn when the partitions changed hands, nor one that comes meanwhile."""

    async def scenario() -> None:
        late, state = Late(), MemoryState()
        pipeline = late.pipeline(state)
        first, second = batch([vote(1)]), batch([vote(2, GENERATION.replace("1", "2"))], start=1)
        third = asyncio.ensure_future(_all(pipeline, [first, second, batch([vote(3)], start=2)]))
        await asyncio.sleep(0.01)
        assert not third.done()
        before = dict(late.written)
        pipeline.release()
        await late.arrive()
        await third
        await pipeline.take(batch([vote(4)], start=3))
        assert late.written == before
        await pipeline.recovered()
        again = asyncio.ensure_future(pipeline.take(batch([vote(1), vote(3), vote(4)])))
        await asyncio.sleep(0.01)
        await late.arrive()
        await again
        assert late.acknowledged == [3]

    asyncio.run(scenario())


def test_a_recovery_that_was_overtaken_opens_nothing() -> None:
    """Partitions change hands while what was on its way is waited for: their own recovery is yet to come."""

    async def scenario() -> None:
        late, state = Late(), MemoryState()
        pipeline = late.pipeline(state)
        await pipeline.take(batch([vote(1)]))
        pipeline.release()
        opening = asyncio.ensure_future(pipeline.recovered())
        await asyncio.sleep(0.01)
        pipeline.release()
        await late.arrive()
        await opening
        late.written.clear()
        await pipeline.take(batch([vote(1)]))
        assert late.written == {}

    asyncio.run(scenario())


def test_what_is_not_acknowledged_is_not_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all that is kept decoded only what is in the state goes, and no batch waits for that."""
    monkeypatch.setattr("keeprate.streams.join.pipeline.MAX_RECENT", 0)

    async def scenario() -> bytes:
        late = Late()
        pipeline = late.pipeline(MemoryState())
        await pipeline.take(batch([vote(number, GENERATION.replace("1", str(number))) for number in range(2, 9)]))
        await late.arrive()
        for number in range(2):
            await pipeline.take(batch([vote(number)], start=7 + number))
        assert [len(recent) for recent in pipeline._recent.values()] == [1]
        return late.written[f"chat/{GENERATION}/0".encode()] or b""

    assert len(decode_outcome(asyncio.run(scenario()))[1]["votes"]) == 2


async def _all(pipeline: Pipeline, messages: list[Message]) -> None:
    for each in messages:
        await pipeline.take(each)


def test_an_app_that_sends_only_nonsense_raises_an_alarm_and_stops_nobody() -> None:
    """Its records are dead letters; another app's event, in the same batch, is joined."""
    nonsense = b'{"app": "nonsense", "type": "vote"}'

    async def scenario() -> Recorder:
        recorder = Recorder()
        pipeline = recorder.pipeline(MemoryState())
        await pipeline.take(batch([*[nonsense] * FEWEST_RECORDS, vote(1)]))
        await pipeline.drain()
        return recorder

    recorder = asyncio.run(scenario())
    assert [(alarm.app, alarm.raised) for alarm in recorder.alarms] == [("nonsense", True)]
    assert (len(recorder.refused), len(recorder.written), recorder.failed) == (FEWEST_RECORDS, 1, [])
    assert recorder.acknowledged == [FEWEST_RECORDS + 1]


def test_a_fact_that_comes_after_its_outcome_expired_begins_a_partial_one() -> None:
    """What has expired is removed by a tombstone; a late fact is counted, and is not lost."""

    async def scenario() -> Recorder:
        recorder, state = Recorder(), MemoryState()
        pipeline = recorder.pipeline(state, now_ms=NOW_MS + 30 * 86_400_000)
        await pipeline.take(batch([vote(1)]))
        later = vote(2, GENERATION.replace("1", "2")).replace(
            str(NOW_MS).encode(), str(NOW_MS + 20 * 86_400_000).encode()
        )
        await pipeline.take(batch([later], start=1))
        await asyncio.sleep(0.01)
        pipeline.sweep()
        await asyncio.sleep(0.01)
        assert (recorder.gone, len(state.scan(b"", 10))) == (1, 1)
        assert list(recorder.written.values()).count(None) == 1
        await pipeline.take(batch([vote(3)], start=2))
        await pipeline.drain()
        assert len(state.scan(b"", 10)) == 2
        return recorder

    assert [done.late for done in asyncio.run(scenario()).done] == [0, 0, 1]


def test_a_walk_for_what_has_expired_says_whether_it_goes_on() -> None:
    """So that nothing looks ten times a second while no walk is under way."""

    async def scenario() -> list[bool]:
        state = MemoryState()
        pipeline = Recorder().pipeline(state)
        await pipeline.take(batch([vote(1), vote(2, GENERATION.replace("1", "2"))]))
        await asyncio.sleep(0.01)
        looked = [pipeline.sweep(limit=1) for _ in range(4)]
        await pipeline.drain()
        return [*looked, pipeline.sweep(limit=1)]

    assert asyncio.run(scenario()) == [True, True, False, False, False]


def test_a_clock_that_is_ahead_is_counted_and_does_not_drive_event_time() -> None:
    """A fact from ten years ahead expires nothing, and is stamped with the worker's time."""
    ten_years_ms = 3_650 * DAY_MS

    async def scenario() -> Recorder:
        recorder, state = Recorder(), MemoryState()
        pipeline = recorder.pipeline(state)
        wrong = vote(2, GENERATION.replace("1", "2")).replace(str(NOW_MS).encode(), str(NOW_MS + ten_years_ms).encode())
        await pipeline.take(batch([vote(1), wrong]))
        await asyncio.sleep(0.01)
        pipeline.sweep()
        await pipeline.drain()
        assert sorted(stamped_at_ms(value) for _, value in state.scan(b"", 10)) == [NOW_MS, NOW_MS + SKEW_MS]
        return recorder

    recorder = asyncio.run(scenario())
    assert recorder.gone == 0
    assert [done.ahead for done in recorder.done] == [1]


def test_a_stamp_of_a_recovery_says_nothing_of_event_time() -> None:
    """It is the time at which the record was written: a replay of old events after it lets nothing go."""

    async def scenario() -> Recorder:
        recorder, state = Recorder(), MemoryState()
        await recorder.pipeline(state).take(batch([vote(1)]))
        await asyncio.sleep(0.01)
        written_at_ms = NOW_MS + 30 * DAY_MS
        state.write({key: stamp(value_of(value), written_at_ms) for key, value in state.scan(b"", 10)}, None)
        pipeline = recorder.pipeline(state, now_ms=written_at_ms)
        await pipeline.take(batch([vote(2), vote(3, GENERATION.replace("1", "2"))], start=1))
        await asyncio.sleep(0.01)
        pipeline.sweep()
        await pipeline.drain()
        assert sorted(stamped_at_ms(value) for _, value in state.scan(b"", 10)) == [NOW_MS, written_at_ms]
        return recorder

    assert asyncio.run(scenario()).gone == 0
