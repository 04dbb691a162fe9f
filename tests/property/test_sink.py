"""Whatever fails, and whenever, the sink decides rightly. That a real broker and store are so is for tests/fault.

A world in memory: Kafka's log and offsets, and a store that knows tokens and may die between a token and its rows, or
of a row. Threads and zombies are real.
"""

import json
import random
import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeprate.schemas.dead_letters import QUARANTINED, decode_headers
from keeprate.schemas.structs.reading import read
from keeprate.schemas.topics import FEEDBACK
from keeprate.sinks.kafka.client import Consumer, End
from keeprate.sinks.kafka.errors import BrokerError, BrokerUnavailableError, FencedError
from keeprate.sinks.kafka.records import Record, TopicPartition
from keeprate.sinks.landing import rows
from keeprate.sinks.landing.flush import Destination
from keeprate.sinks.landing.intent import LIVES, Intent
from keeprate.sinks.landing.partition import FlushPolicy
from keeprate.sinks.landing.run import NoObserver
from keeprate.sinks.landing.shards import Shard, shard_of
from keeprate.sinks.landing.sink import Sink, SinkPolicy
from keeprate.sinks.store.clickhouse import Row, Settings, StoreUnavailableError
from tests.examples import examples
from tests.unit.sinks.records import FakeRecord

PLACES = [(FEEDBACK.name, number) for number in range(3)]
POLICY = SinkPolicy(FlushPolicy(linger_s=0.02, facts_lingers=1.0, max_rows=3, held_rows=8), budget_s=0.05)
EVENT = (
    '{"event_id":"0190a000-0000-7000-8000-%012d","schema_version":1,"type":"action","action":"shown",'
    '"occurred_at":1764000000000,"app":"a","generation_id":"%s"}'
)
GENERATION = "0190a000-0000-7000-9000-%012d"


@dataclass(frozen=True)
class _Placed(FakeRecord):
    number: int = 0

    def partition(self) -> int:
        return self.number


@dataclass
class World:
    """Kafka's log and offsets, and a store that knows tokens.

    trouble: how often a call fails, of 1. lethal: numbers of events whose rows the store dies of. letters: the offsets
    of the records that were set aside. births: how often the store was started.
    """

    rng: random.Random
    trouble: float = 0.3
    log: dict[TopicPartition, list[Record]] = field(default_factory=lambda: {at: [] for at in PLACES})
    committed: dict[TopicPartition, tuple[int, str]] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    events: Counter[int] = field(default_factory=Counter)
    ledger: list[dict[str, Any]] = field(default_factory=list)
    lethal: frozenset[int] = frozenset()
    letters: list[tuple[str, int, int]] = field(default_factory=list)
    births: int = 0
    under_way: Counter[str] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def append(self, at: TopicPartition) -> None:
        number = sum(map(len, self.log.values()))
        value = (EVENT % (number, GENERATION % number)).encode()
        self.log[at].append(cast(Record, _Placed(len(self.log[at]), value, number=at[1])))

    def ledger_ends(self) -> dict[TopicPartition, int]:
        """As a start reads them."""
        ends: dict[TopicPartition, int] = {}
        for row in self.ledger:
            at = row["topic"], row["partition"]
            ends[at] = max(ends.get(at, 0), row["last_offset"] + 1)
        return ends

    def fails(self) -> bool:
        with self.lock:
            return self.rng.random() < self.trouble

    def insert_bytes(
        self, table: str, columns: Sequence[str], data: bytes, format_name: str, settings: Mapping[str, str | int]
    ) -> None:
        if self.fails():
            raise StoreUnavailableError("away")
        whose = str(settings.get("log_comment"))
        with self.lock:
            self.under_way[whose] += 1
        try:
            self._take(table, data, settings)
        finally:
            with self.lock:
                self.under_way[whose] -= 1

    def _take(self, table: str, data: bytes, settings: Mapping[str, str | int]) -> None:
        if self.fails():
            time.sleep(0.002)
        dies = self.fails()
        if self.lethal & set(_numbers(data)):
            self.births += 1
            error = StoreUnavailableError("died")
            error.was_sent = True
            raise error
        with self.lock:
            token = str(settings.get("insert_deduplication_token") or uuid.uuid4())
            if token not in self.tokens:
                self.tokens.add(token)
                if dies:
                    raise StoreUnavailableError("died after the token")
                if table == "ledger":
                    self.ledger.append(json.loads(data))
                else:
                    self.events.update(number for number in _numbers(data) if number)
        if self.fails():
            raise StoreUnavailableError("the reply was lost")

    def command(self, statement: str, parameters: Mapping[str, Any] | None = None) -> None:
        if self.fails():
            raise StoreUnavailableError("away")

    def query(
        self, statement: str, parameters: Mapping[str, Any] | None = None, settings: Settings | None = None
    ) -> list[Row]:
        if self.fails():
            raise StoreUnavailableError("away")
        if "uptime()" in statement:
            return [("here", self.births * 100)]
        place = dict(parameters or {})
        if "system.processes" in statement:
            with self.lock:
                return [(self.under_way[place["comment"]],)]
        with self.lock:
            if "FROM ledger" in statement:
                rows = [row for row in self.ledger if all(row[name] == place[name] for name in ("topic", "partition"))]
                held = [row["first_offset"] <= place["first"] <= place["last"] <= row["last_offset"] for row in rows]
                return [(sum(held),)]
            log = self.log[place["topic"], place["partition"]][place["first"] : place["last"] + 1]
            return [(record.offset(),) for record in log if _number(record) == 0 or self.events[_number(record)]]

    def write(self, letters: Sequence[tuple[Any, Any, Any]]) -> None:
        """Take dead letters, as their producer does."""
        said = [decode_headers(headers) for _, _, headers in letters]
        self.letters += [(letter.topic, letter.partition, letter.offset) for letter in said]
        assert {letter.error_type for letter in said} == {QUARANTINED}


def _numbers(data: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"8000-(\d{12})\"", data)]


def _number(record: Record) -> int:
    return int(str(json.loads(record.value() or b"")["event_id"]).rpartition("-")[2])


@dataclass
class Member:
    """A consumer of the world. Its partitions go and come when a test says so."""

    world: World
    positions: dict[TopicPartition, int] = field(default_factory=dict)
    paused: set[TopicPartition] = field(default_factory=set)
    fenced: bool = False
    due: list[Callable[[], None]] = field(default_factory=list)

    def subscribe(self, topics: Sequence[str], on_assign: Any, on_revoke: Any) -> None:
        self._on_assign, self._on_revoke = on_assign, on_revoke

    def rebalance(self, lost: bool) -> None:
        if self.positions:
            self._on_revoke(list(self.positions), lost)
        self.paused.clear()
        self.fenced = False
        self.positions = dict(self._on_assign(PLACES))

    def poll(self, max_records: int, timeout_s: float) -> tuple[list[Record], list[End]]:
        while self.due:
            self.due.pop()()
        records: list[Record] = []
        for at, position in self.positions.items():
            if at not in self.paused:
                taken = self.world.log[at][position : position + min(max_records, 2)]
                self.positions[at] += len(taken)
                records += taken
        return records, []

    def committed(self, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, tuple[int | None, str]]:
        return {at: self.world.committed.get(at, (None, "")) for at in partitions}

    def commit(self, offsets: Mapping[TopicPartition, tuple[int, str]]) -> dict[TopicPartition, BrokerError]:
        failed: dict[TopicPartition, BrokerError] = {}
        for at, position in offsets.items():
            if self.fenced:
                failed[at] = FencedError("fenced")
                continue
            taken = not self.world.fails()
            if taken:
                assert position[0] >= self.world.committed.get(at, (0, ""))[0], "a committed offset went back"
                self.world.committed[at] = position
            if not taken or self.world.fails():
                failed[at] = BrokerUnavailableError("no answer")
        return failed

    def watermarks(self, at: TopicPartition, cached: bool = False) -> tuple[int, int]:
        return 0, len(self.world.log[at])

    def topic_ids(self, topics: Sequence[str]) -> dict[str, str]:
        if self.world.fails():
            raise BrokerUnavailableError("away")
        return dict.fromkeys(topics, "id")

    def pause(self, at: TopicPartition) -> None:
        self.paused.add(at)

    def resume(self, at: TopicPartition) -> None:
        self.paused.discard(at)

    def close(self) -> None:
        """Nothing is left to do."""


@dataclass
class _Calm:
    """The world's store, as a start waits for it."""

    world: World

    def query(self, *_: Any) -> list[Row]:
        return [("here", self.world.births * 100)]


def _start(world: World, clock: Callable[[], float] | None = None, stores: Sequence[World] = ()) -> tuple[Sink, Member]:
    """A member as a process of its own would be: it knows nothing but what is committed.

    stores: instead of the world's.
    """
    began_s, member = time.monotonic(), Member(world)
    to = Destination("sink", cast(Consumer, member), world, [Shard(store) for store in stores or (world,)], 3)
    for shard, store in zip(to.shards, stores or (world,), strict=True):
        shard.births.look(cast(Any, _Calm(store)))
    # Ten times as fast as the wall clock, so that what waits is tried soon.
    clock = clock or (lambda: began_s + 10 * (time.monotonic() - began_s))
    ends = {at: end for store in stores or (world,) for at, end in store.ledger_ends().items()}
    sink = Sink(cast(Consumer, member), to, "1.3", NoObserver(), POLICY, ends, clock)
    member.subscribe((), sink._assigned, sink._revoked)
    member.due.append(partial(member.rebalance, False))
    return sink, member


def _live(world: World, happenings: Sequence[str], stores: Sequence[World] = ()) -> tuple[Sink, Member]:
    """Start a member, and let happen what happens; the one that is alive at the end."""
    sink, member = _start(world, stores=stores)
    for happening in happenings:
        match happening:
            case "append":
                for _ in range(world.rng.randrange(1, 9)):
                    world.append(world.rng.choice(PLACES))
            case "turn":
                sink.turn()
            case "crash":
                # Its threads live on: what they have under way may still arrive.
                sink, member = _start(world, stores=stores)
            case "fence":
                member.fenced = True
            case _:
                member.due.append(partial(member.rebalance, happening == "lose"))
    return sink, member


def _landed(world: World) -> bool:
    return all(world.committed.get(at, (0, "")) == (len(log), "") for at, log in world.log.items())


@settings(max_examples=examples(50))
@given(
    st.integers(0, 2**32),
    st.lists(st.sampled_from(["append", "append", "turn", "turn", "turn", "crash", "revoke", "lose", "fence"])),
)
def test_every_record_lands_once_whatever_fails_and_whenever(seed: int, happenings: list[str]) -> None:
    """Kills, rebalances, fences, refused and unanswered calls, in any order, with former owners' inserts under way."""
    world = World(random.Random(seed))
    sink, member = _live(world, happenings)
    world.trouble = 0.0
    member.due.append(partial(member.rebalance, False))
    _land(world, sink)
    _check(world)


@settings(max_examples=examples(20))
@given(st.integers(0, 2**32), st.lists(st.sampled_from(["append", "turn", "turn", "crash", "lose"]), max_size=12))
def test_each_row_lands_once_on_its_shard_whatever_fails_and_whenever(seed: int, happenings: list[str]) -> None:
    """Each shard knows its own tokens, rows and ledger alone, and one of them may be away until the end."""
    world = World(random.Random(seed))
    stores = [World(world.rng, log=world.log) for _ in PLACES]
    stores[seed % 4 % 3].trouble = 1.0 if seed % 4 < 3 else 0.3
    sink, member = _live(world, happenings, stores)
    for store in stores:
        store.trouble = 0.0
    member.due.append(partial(member.rebalance, False))
    _land(world, sink)
    for number, store in enumerate(stores):
        assert {shard_of(GENERATION % event, len(stores)) for event in store.events} <= {number}
        assert {row["partition"] % len(stores) for row in store.ledger} <= {number}
        world.events += store.events
        world.ledger += store.ledger
    _check(world)


def test_a_shard_that_is_away_holds_up_its_own_partitions_alone() -> None:
    """Where producers put records by Kafka's hash, and shards divide the number of partitions."""
    world = World(random.Random(1), trouble=0.0)
    stores = [World(world.rng, 0.0, world.log) for _ in PLACES]
    for number in range(60):
        world.append(PLACES[shard_of(GENERATION % number, len(PLACES))])
    stores[1].trouble = 1.0
    sink, _ = _start(world, stores=stores)
    deadline_s = time.monotonic() + 60
    while sum(world.committed.get(at, (0, ""))[0] == len(world.log[at]) for at in PLACES) < 2:
        sink.turn()
        assert time.monotonic() < deadline_s, world.committed
    assert not stores[1].events
    assert world.committed[PLACES[1]][0] == 0
    stores[1].trouble = 0.0
    _land(world, sink)
    for store in stores:
        world.events += store.events
        world.ledger += store.ledger
    _check(world)


def _land(world: World, sink: Sink) -> None:
    deadline_s = time.monotonic() + 60
    while not _landed(world):
        sink.turn()
        time.sleep(0.0005)
        assert time.monotonic() < deadline_s, world.committed


def test_while_little_comes_all_partitions_land_together_and_not_often() -> None:
    """After a pause, some are landed at once; what follows waits, and then goes with all that has come."""
    world, now_s = World(random.Random(1), trouble=0.0), [100.0]
    sink, _ = _start(world, lambda: now_s[0])

    def turns(after_s: float) -> int:
        """How many ranges are landed when no more happens by itself."""
        now_s[0] += after_s
        for _ in range(3):
            sink.turn()
            while sink._flights:
                sink.turn()
        return len(world.ledger)

    assert turns(0.0) == 0
    for landed in range(at_once := POLICY.flush.quiet_at_once):
        world.append(PLACES[0])
        assert [turns(0.0), turns(0.025)] == [landed, landed + 1]
    for at in PLACES:
        world.append(at)
    assert [turns(0.0), turns(0.03)] == [at_once, at_once]
    world.append(PLACES[0])
    assert turns(0.06) == at_once + len(PLACES)
    assert _landed(world)


def test_a_flush_that_waits_is_finished_when_its_partition_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while little comes: what was begun is landed within the budget, and nobody has to replay it."""
    world, now_s = World(random.Random(1), trouble=0.0), [100.0]

    def clock() -> float:
        now_s[0] += 0.0001
        return now_s[0]

    sink, _ = _start(world, clock)
    sink.turn()
    world.append(PLACES[0])

    def away(*_: Any) -> None:
        raise StoreUnavailableError("away")

    with monkeypatch.context() as patch:
        patch.setattr(world, "insert_bytes", away)
        while not sink._waiting:
            sink.turn()
    # Its pause is over, and so is that between flushes.
    now_s[0] += 60
    sink._revoked(list(PLACES), lost=False)
    assert _landed(world)


class _Ended(BaseException):
    """A process that ends at a record: nothing catches it."""


@settings(max_examples=examples(20))
@given(st.integers(0, 2**32), st.integers(1, 50), st.data())
def test_only_the_records_that_end_processes_are_set_aside(seed: int, count: int, data: st.DataObject) -> None:
    """Some end the sink that judges them, some the store that takes them, with others in flight and calls that fail."""
    world = World(random.Random(seed), trouble=data.draw(st.sampled_from([0.0, 0.03])))
    for _ in range(count):
        world.append(world.rng.choice(PLACES))
    numbers = st.integers(1, max(1, count - 1))
    ends_sink = data.draw(st.frozensets(numbers, max_size=2))
    world.lethal = data.draw(st.frozensets(numbers, max_size=2)) - ends_sink

    def deadly(value: bytes | None, *where: Any) -> Any:
        if set(_numbers(value or b"")) & ends_sink:
            raise _Ended
        return read(value, *where)

    deadline_s = time.monotonic() + 60
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "read", deadly)
        sink, member = _start(world)
        while not _landed(world):
            try:
                sink.turn()
            except _Ended:
                sink, member = _start(world)
            time.sleep(0.0005)
            assert time.monotonic() < deadline_s, (world.committed, ends_sink, world.lethal, member.paused)
    lethal = {number for number in ends_sink | world.lethal if number < count}
    places = {_number(record): (*at, record.offset()) for at, log in world.log.items() for record in log}
    assert set(world.letters) == {places[number] for number in lethal}
    assert world.events == Counter(set(range(1, count)) - lethal)
    _check_ledger(world)


@pytest.mark.parametrize("count", [3, 10])
def test_a_record_that_ended_processes_is_not_tried_again_once_it_is_in_the_ledger(count: int) -> None:
    """All that is missing is its commit, and what follows it in the range that was cut."""
    world, place = World(random.Random(1), trouble=0.0), dict(zip(("topic", "partition"), PLACES[0], strict=True))
    for _ in range(count):
        world.append(PLACES[0])
    world.events[0], world.letters = 1, [(*PLACES[0], 1)]
    world.ledger = [
        {**place, "first_offset": n, "last_offset": n, "rows": 1 - n, "dead_letters": n, "filtered": 0, "absent": 0}
        for n in range(2)
    ]
    world.committed[PLACES[0]] = 1, Intent(1, 1, "1.3", LIVES, (0, 2)).encode()

    def deadly(value: bytes | None, *where: Any) -> Any:
        if 1 in _numbers(value or b""):
            raise _Ended
        return read(value, *where)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "read", deadly)
        sink, _ = _start(world)
        deadline_s = time.monotonic() + 60
        while not _landed(world):
            sink.turn()
            assert time.monotonic() < deadline_s, world.committed
    assert world.letters == [(*PLACES[0], 1)]
    assert world.events == Counter({n: 1 for n in range(count) if n != 1})
    _check_ledger(world)


def _check(world: World) -> None:
    _check_ledger(world)
    # Processes that were killed at one record, and no other, so often that it seems to be its fault.
    aside = {_number(world.log[topic, partition][offset]) for topic, partition, offset in world.letters}
    assert set(world.events) | aside - {0} == set(range(1, sum(map(len, world.log.values()))))
    assert max(world.events.values(), default=1) == 1


def _check_ledger(world: World) -> None:
    offsets: dict[TopicPartition, int] = dict.fromkeys(PLACES, 0)
    for row in sorted(world.ledger, key=lambda row: int(row["first_offset"])):
        at = row["topic"], row["partition"]
        assert row["first_offset"] == offsets[at]
        assert row["rows"] + row["dead_letters"] == row["last_offset"] - row["first_offset"] + 1
        offsets[at] = row["last_offset"] + 1
    assert offsets == {at: len(log) for at, log in world.log.items()}
