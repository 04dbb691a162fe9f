"""Facts about the join's steps, for any events in any order, batches and crashes."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from keeprate.schemas.decode import encode
from keeprate.schemas.events import Event
from keeprate.schemas.lift import fold, lift
from keeprate.schemas.outcome import decode_outcome, encode_outcome, merge_all
from keeprate.schemas.refusal_alarm import Alarm, RefusalAlarm
from keeprate.schemas.topics import FEEDBACK, topic_of
from keeprate.streams.join.expiry import SKEW_MS, stamp, stamped_at_ms, value_of
from keeprate.streams.join.feedback_join import RefusedRecord, join, sift
from keeprate.streams.join.pipeline import Done, Pipeline
from keeprate.streams.state.changelog import replay
from keeprate.streams.state.partition import Changes, MemoryState, Offsets, reached
from tests.examples import examples
from tests.strategies import logs, shuffled_with_duplicates
from tests.streaming import POISON, Stored, message


def stored(events: Iterable[Event]) -> list[Stored]:
    """Records in the order in which they came, each at its offset in its own topic."""
    ends: Counter[str] = Counter()
    records = []
    for event in events:
        topic = topic_of(event["type"]).name
        records.append(Stored(encode(event), ends[topic], topic))
        ends[topic] += 1
    return records


def encoded(events: Iterable[Event]) -> dict[bytes, bytes]:
    return {key.encode(): encode_outcome(key, outcome) for key, outcome in fold(events).items()}


deliveries = logs().flatmap(lambda log: st.tuples(st.just(log), shuffled_with_duplicates(log)))


@st.composite
def cut(draw: st.DrawFn, records: Sequence[Stored]) -> list[list[Stored]]:
    """The records in batches, cut anywhere."""
    places = sorted(draw(st.sets(st.integers(1, max(1, len(records) - 1)))))
    return [list(records[a:b]) for a, b in zip([0, *places], [*places, len(records)], strict=True) if records[a:b]]


@given(st.data(), deliveries)
def test_any_order_duplicates_and_batches_give_the_recomputed_outcomes(
    data: st.DataObject, delivery: tuple[list[Event], list[Event]]
) -> None:
    """Joining batch by batch ends where folding the log once does."""
    log, arrived = delivery
    held: dict[str, Any] = {}
    for batch in data.draw(cut(stored(arrived))):
        held |= join(held, sift(batch).facts).outcomes
    assert {key.encode(): encode_outcome(key, outcome) for key, outcome in held.items()} == encoded(log)


@given(logs())
def test_a_batch_that_is_read_again_changes_nothing(log: list[Event]) -> None:
    """The second time, every suggestion is counted as unchanged."""
    facts = sift(stored(log)).facts
    first = join({}, facts)
    second = join(first.outcomes, facts)
    assert second.outcomes == {}
    assert second.unchanged == len(first.outcomes)


@given(st.data(), deliveries)
def test_orphans_that_are_joined_were_held(data: st.DataObject, delivery: tuple[list[Event], list[Event]]) -> None:
    """Held less joined is the number of outcomes that have no generation yet."""
    held: dict[str, Any] = {}
    pending = 0
    for batch in data.draw(cut(stored(delivery[1]))):
        step = join(held, sift(batch).facts)
        held |= step.outcomes
        pending += step.orphans_held - step.orphans_joined
        assert pending == sum("generation" not in outcome for outcome in held.values())


@given(st.data(), deliveries, st.integers(0, 2))
def test_a_state_knows_the_time_of_its_latest_fact(
    data: st.DataObject, delivery: tuple[list[Event], list[Event]], ahead: int
) -> None:
    """Whatever the batches; but no client's clock that is ahead of ours by more than its share counts."""
    log, arrived = delivery
    times_ms: dict[str, set[int]] = {}
    for event in log:
        for key, _ in lift(event):
            times_ms.setdefault(key, set()).add(event["occurred_at"])
    now_ms = max(max(all_ms) for all_ms in times_ms.values()) - ahead * SKEW_MS
    world = World()
    asyncio.run(live(Process(world, 10**9, True), data.draw(cut(stored(arrived))), now_ms))
    for name, value in world.state.scan(b"", 1_000):
        key, outcome = decode_outcome(value_of(value))
        assert name == key.encode()
        assert stamped_at_ms(value) in {min(at_ms, now_ms + SKEW_MS) for at_ms in times_ms[key]}
        # No action is without effect.
        acted_ms = outcome.get("last_at", {}).values()
        assert stamped_at_ms(value) >= min(max(acted_ms, default=0), now_ms + SKEW_MS)


@given(logs(), st.lists(st.sampled_from(POISON), max_size=5), st.randoms())
def test_every_record_is_a_fact_or_a_refusal(log: list[Event], poison: list[bytes | None], rng: Any) -> None:
    """Poison among the records costs no event and is refused at its own place."""
    values = [*map(encode, log), *poison]
    rng.shuffle(values)
    sifted = sift([Stored(value, offset) for offset, value in enumerate(values)])
    assert sifted.facts == fold(log)
    assert [refusal.letter.offset for refusal in sifted.refusals] == [n for n, v in enumerate(values) if v in POISON]


@given(st.data(), logs())
def test_a_changelog_with_late_writes_recovers_to_all_that_is_known(data: st.DataObject, log: list[Event]) -> None:
    """Whatever older outcomes a former owner writes in between, nothing is lost, and what is behind is named."""
    versions = [(key, value) for end in range(1, len(log) + 1) for key, value in encoded(log[:end]).items()]
    changelog = data.draw(st.lists(st.sampled_from(versions), max_size=20).map(lambda late: versions + late))
    recovered = replay({}, changelog)
    assert recovered.values == encoded(log)
    last = dict(changelog)
    assert recovered.behind == {key for key, value in encoded(log).items() if last[key] != value}


@given(st.none() | st.integers(0, 50), st.integers(0, 50), st.integers(0, 9), st.integers(0, 2))
@example(None, 0, 3, 0)
@example(None, 300, 3, 0)
def test_an_offset_never_passes_what_another_worker_wrote(
    offset: int | None, first: int, more: int, foreign: int
) -> None:
    """It moves on only over records that are all ours, and of a state that never read any, only from the beginning."""
    assert reached(offset, None) is None
    last = first + more + foreign
    moved = reached(offset, (first, last, more + 1))
    assert moved == (last if first == (0 if offset is None else offset + 1) and not foreign else None)


class Crash(Exception):
    """The process ends here."""


@dataclass
class World:
    """What outlives a process: the changelog, the dead letters, the state on disk and what is committed by topic."""

    changelog: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    state: MemoryState = field(default_factory=MemoryState)
    committed: Counter[str] = field(default_factory=Counter)


@dataclass
class Process:
    """One life of a worker over a world: it ends after so many effects."""

    world: World
    effects_left: int
    on_disk: bool

    def __post_init__(self) -> None:
        if not self.on_disk:
            self.world.state = MemoryState()
        state = self.world.state
        missing = self.world.changelog[(-1 if state.offset is None else state.offset) + 1 :]
        keys = [key for key, _ in missing]
        kept = zip(keys, state.get_many(keys), strict=True)
        held = {key: value_of(value) for key, value in kept if value is not None}
        recovered = replay(held, missing).values
        state.write(
            {key: value and stamp(value, 0) for key, value in recovered.items()},
            len(self.world.changelog) - 1 if missing else None,
        )

    def effect(self) -> None:
        if self.effects_left == 0:
            raise Crash
        self.effects_left -= 1

    # What the pipeline asks of its surroundings, each with a crash before every single effect.

    def write(self, partition: int, outcomes: Changes, refusals: Iterable[RefusedRecord]) -> "asyncio.Future[Offsets]":
        future: asyncio.Future[Offsets] = asyncio.get_running_loop().create_future()
        for item in outcomes.items():
            self.effect()
            self.world.changelog.append(item)
        for refusal in refusals:
            self.effect()
            self.world.refused.append(refusal.letter.offset)
        end = len(self.world.changelog)
        future.set_result((end - len(outcomes), end - 1, len(outcomes)) if outcomes else None)
        return future

    def partition(self, number: int) -> "Process":
        return self

    def get_many(self, keys: Sequence[bytes]) -> list[bytes | None]:
        return self.world.state.get_many(keys)

    def store(self, changes: Changes, offset: int | None) -> None:
        self.effect()
        self.world.state.write(changes, offset)

    def acknowledge(self, message: Any) -> None:
        for topic, run in message.value.runs.items():
            self.effect()
            assert run.start == self.world.committed[topic]
            self.world.committed[topic] = run.next_offset

    async def fail(self, error: BaseException) -> None:
        assert isinstance(error, Crash)

    def batch_done(self, done: Done) -> None:
        """Nobody counts here."""

    def expired(self, count: int) -> None:
        """Nothing is so old here."""

    def alarm(self, alarm: Alarm) -> None:
        """Nobody is told."""

    def unreadable(self, place: str, count: int) -> None:
        raise AssertionError(f"{count} in {place}")


class Disk:
    """A partition's state whose writes may be the process's last act."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.get_many = process.get_many
        self.write = process.store
        self.scan = process.world.state.scan
        self.close = process.world.state.close

    @property
    def offset(self) -> int | None:
        return self.process.world.state.offset


async def live(process: Process, batches: list[list[Stored]], now_ms: int = 0) -> None:
    """Process what is not committed yet, until it is done or the process ends."""
    disk = Disk(process)
    steps = process.acknowledge, process.fail, process, lambda: now_ms, RefusalAlarm()
    pipeline = Pipeline(process, lambda number: disk, *steps)
    committed = Counter(process.world.committed)
    for batch in batches:
        records = [record for record in batch if record.offset >= committed[record.topic]]
        if not records:
            continue
        taking = asyncio.ensure_future(pipeline.take(message(records)))
        # A pipeline that has failed takes no more, and never returns.
        await asyncio.wait([taking], timeout=0.005)
        if not taking.done():
            taking.cancel()
            break
    await pipeline.drain()


@settings(max_examples=examples(60))
@given(st.data(), deliveries, st.lists(st.integers(0, 12), max_size=4), st.booleans())
def test_a_crash_between_any_two_effects_loses_nothing(
    data: st.DataObject, delivery: tuple[list[Event], list[Event]], lives: list[int], on_disk: bool
) -> None:
    """After crashes and a last undisturbed life, state and changelog hold the recomputed outcomes."""
    log, arrived = delivery
    records = stored(arrived)
    ends = Counter(record.topic for record in records)
    batches = data.draw(cut([*records, Stored(b"no JSON", poison := ends[FEEDBACK.name])]))
    ends[FEEDBACK.name] += 1
    world = World()
    for effects in [*lives, 10**9]:
        asyncio.run(live(Process(world, effects, on_disk), batches))
    assert world.committed == ends
    kept = world.state.scan(b"", 1_000)
    assert {key: value_of(value) for key, value in kept} == encoded(log)
    facts: dict[bytes, list[Any]] = {}
    for key, value in world.changelog:
        facts.setdefault(key, []).append(decode_outcome(value or b"")[1])
    assert {key: encode_outcome(key.decode(), merge_all(all_)) for key, all_ in facts.items()} == encoded(log)
    assert dict(world.changelog) == encoded(log)
    assert set(world.refused) == {poison}
