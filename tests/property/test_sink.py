"""Whatever fails, and whenever, the sink decides rightly. That a real broker and store are so is for tests/fault.

A world in memory: Kafka's log and offsets, and a store that knows tokens and may die between a token and its rows.
Threads and zombies are real.
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

from hypothesis import given, settings
from hypothesis import strategies as st

from keeprate.schemas.topics import FEEDBACK
from keeprate.sinks.clickhouse import Row, Settings, StoreUnavailableError
from keeprate.sinks.flush import Destination
from keeprate.sinks.kafka import Consumer, End
from keeprate.sinks.kafka_errors import BrokerError, BrokerUnavailableError, FencedError
from keeprate.sinks.partition import FlushPolicy, TopicPartition
from keeprate.sinks.rows import Record
from keeprate.sinks.run import Unobserved
from keeprate.sinks.sink import Sink, SinkPolicy
from tests.unit.sinks.records import FakeRecord

PLACES = [(FEEDBACK.name, number) for number in range(3)]
POLICY = SinkPolicy(FlushPolicy(linger_s=0.02, max_rows=3, held_rows=8), budget_s=0.05)
EVENT = (
    '{"event_id":"0190a000-0000-7000-8000-%012d","schema_version":1,"type":"action","action":"shown",'
    '"occurred_at":1764000000000,"app":"a","generation_id":"0190a000-0000-7000-8000-000000000000"}'
)


@dataclass(frozen=True)
class _Placed(FakeRecord):
    number: int = 0

    def partition(self) -> int:
        return self.number


@dataclass
class World:
    """Kafka's log and offsets, and a store that knows tokens. trouble: how often a call fails, of 1."""

    rng: random.Random
    trouble: float = 0.3
    log: dict[TopicPartition, list[Record]] = field(default_factory=lambda: {at: [] for at in PLACES})
    committed: dict[TopicPartition, tuple[int, str]] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    events: Counter[int] = field(default_factory=Counter)
    ledger: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def append(self, at: TopicPartition) -> None:
        number = sum(map(len, self.log.values()))
        value = (EVENT % number).encode()
        self.log[at].append(cast(Record, _Placed(len(self.log[at]), value, number=at[1])))

    def fails(self) -> bool:
        with self.lock:
            return self.rng.random() < self.trouble

    def insert_bytes(
        self, table: str, columns: Sequence[str], data: bytes, format_name: str, settings: Mapping[str, str | int]
    ) -> None:
        if self.fails():
            raise StoreUnavailableError("away")
        if self.fails():
            time.sleep(0.002)
        dies = self.fails()
        with self.lock:
            token = str(settings.get("insert_deduplication_token") or uuid.uuid4())
            if token not in self.tokens:
                self.tokens.add(token)
                if dies:
                    raise StoreUnavailableError("died after the token")
                if table == "ledger":
                    self.ledger.append(json.loads(data))
                else:
                    self.events.update(int(found) for found in re.findall(rb"8000-(\d{12})\"", data) if int(found))
        if self.fails():
            raise StoreUnavailableError("the reply was lost")

    def query(
        self, statement: str, parameters: Mapping[str, Any] | None = None, settings: Settings | None = None
    ) -> list[Row]:
        if self.fails():
            raise StoreUnavailableError("away")
        place = dict(parameters or {})
        with self.lock:
            if "FROM ledger" in statement:
                wanted = tuple(place[name] for name in ("topic", "partition", "first", "last"))
                columns = ("topic", "partition", "first_offset", "last_offset")
                return [(sum(tuple(row[name] for name in columns) == wanted for row in self.ledger),)]
            log = self.log[place["topic"], place["partition"]][place["first"] : place["last"] + 1]
            return [(record.offset(),) for record in log if _number(record) == 0 or self.events[_number(record)]]


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


def _start(world: World) -> tuple[Sink, Member]:
    """A member as a process of its own would be: it knows nothing but what is committed."""
    began_s, member = time.monotonic(), Member(world)
    to = Destination("sink", cast(Consumer, member), cast(Any, None), world, 3)
    # Ten times as fast as the wall clock, so that what waits is tried soon.
    clock = lambda: began_s + 10 * (time.monotonic() - began_s)  # noqa: E731
    sink = Sink(cast(Consumer, member), to, "1.3", Unobserved(), POLICY, clock=clock)
    member.subscribe((), sink._assigned, sink._revoked)
    member.due.append(partial(member.rebalance, False))
    return sink, member


def _landed(world: World) -> bool:
    return all(world.committed.get(at, (0, "")) == (len(log), "") for at, log in world.log.items())


@settings(max_examples=50, deadline=None)
@given(
    st.integers(0, 2**32),
    st.lists(st.sampled_from(["append", "append", "turn", "turn", "turn", "crash", "revoke", "lose", "fence"])),
)
def test_every_record_lands_once_whatever_fails_and_whenever(seed: int, happenings: list[str]) -> None:
    """Kills, rebalances, fences, refused and unanswered calls, in any order, with former owners' inserts under way."""
    world = World(random.Random(seed))
    sink, member = _start(world)
    for happening in happenings:
        match happening:
            case "append":
                for _ in range(world.rng.randrange(1, 9)):
                    world.append(world.rng.choice(PLACES))
            case "turn":
                sink.turn()
            case "crash":
                # Its threads live on: what they have under way may still arrive.
                sink, member = _start(world)
            case "fence":
                member.fenced = True
            case _:
                member.due.append(partial(member.rebalance, happening == "lose"))
    world.trouble = 0.0
    member.due.append(partial(member.rebalance, False))
    deadline_s = time.monotonic() + 60
    while not _landed(world):
        sink.turn()
        time.sleep(0.0005)
        assert time.monotonic() < deadline_s, (world.committed, member.paused)
    _check(world)


def _check(world: World) -> None:
    offsets: dict[TopicPartition, int] = dict.fromkeys(PLACES, 0)
    for row in sorted(world.ledger, key=lambda row: int(row["first_offset"])):
        at = row["topic"], row["partition"]
        assert row["first_offset"] == offsets[at]
        assert row["rows"] == row["last_offset"] - row["first_offset"] + 1
        offsets[at] = row["last_offset"] + 1
    assert offsets == {at: len(log) for at, log in world.log.items()}
    assert world.events == Counter(range(1, sum(offsets.values())))
