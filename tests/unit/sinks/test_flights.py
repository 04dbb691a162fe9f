"""Flushes of several partitions on their way together: what they share, and what stays each one's own."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from keeprate.sinks.kafka.errors import BrokerUnavailableError, FencedError
from keeprate.sinks.kafka.records import TopicPartition
from keeprate.sinks.landing.flights import _THREADS, Flights
from keeprate.sinks.landing.flush import Destination, Flush
from keeprate.sinks.store.clickhouse import StoreUnavailableError
from tests.unit.sinks.doubles import GOOD, Doubles, flush_of

ONE, TWO, THREE = (("keeprate.feedback", number) for number in range(3))


@dataclass
class Gated(Doubles):
    """A store whose inserts of rows wait for the gate to be opened."""

    gate: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def insert_bytes(
        self, table: str, columns: Sequence[str], data: bytes, format_name: str, settings: Mapping[str, str | int]
    ) -> None:
        if table != "ledger":
            self.arrived.release()
            assert self.gate.wait(60)
        super().insert_bytes(table, columns, data, format_name, settings)


@contextmanager
def _flights(to: Destination) -> Iterator[Flights]:
    flights = Flights(to)
    try:
        yield flights
    finally:
        flights.close()


def _flushes(doubles: Doubles, *places: TopicPartition) -> tuple[list[Flush], Destination]:
    made = [flush_of(doubles, GOOD % n, first=10 * n, at=at) for n, at in enumerate(places, 1)]
    return [flush for flush, _ in made], made[0][1]


def _all(flights: Flights) -> dict[TopicPartition, BaseException | None]:
    found: dict[TopicPartition, BaseException | None] = {}
    while flights:
        flights.wait(30)
        found |= {flush.at: error for flush, error in flights.collect()}
    return found


def test_a_group_shares_its_commits() -> None:
    """All intents go in one request, before anything is inserted; so do the ends of those that are through by then."""
    doubles = Gated()
    flushes, to = _flushes(doubles, ONE, TWO)
    with _flights(to) as flights:
        assert flights.begin(flushes) == []
        for _ in flushes:
            assert doubles.arrived.acquire(timeout=60)
        doubles.gate.set()
        for _, future in flights._running.values():
            future.result(60)
        assert _all(flights) == {ONE: None, TWO: None}
    assert doubles.commits == [{ONE: 10, TWO: 20}, {ONE: 11, TWO: 21}]


def test_a_fenced_partition_of_a_group_inserts_nothing_and_the_others_land() -> None:
    """Each partition's answer in the shared commit is its own."""
    doubles = Doubles(fail={"commit 20 intent": [FencedError("fenced")]})
    flushes, to = _flushes(doubles, ONE, TWO, THREE)
    with _flights(to) as flights:
        ((refused, error),) = flights.begin(flushes)
        assert (refused.at, type(error)) == (TWO, FencedError)
        assert _all(flights) == {ONE: None, THREE: None}
    assert sorted(row["partition"] for row in doubles.ledger) == [0, 2]
    assert refused.step == 0


def test_an_end_that_is_not_taken_keeps_its_own_flush_back() -> None:
    """The others of the shared commit are landed."""
    doubles = Doubles(fail={"commit 21": [BrokerUnavailableError("away")]})
    flushes, to = _flushes(doubles, ONE, TWO)
    with _flights(to) as flights:
        flights.begin(flushes)
        found = _all(flights)
    assert found[ONE] is None
    assert isinstance(found[TWO], BrokerUnavailableError)
    assert [flush.step for flush in flushes] == [6, 5]


def test_a_failed_insert_commits_no_end() -> None:
    """What the store did not take is not committed past, and goes on at the insert."""
    doubles = Doubles(fail={"insert feedback": [StoreUnavailableError("away")]})
    flushes, to = _flushes(doubles, ONE)
    with _flights(to) as flights:
        flights.begin(flushes)
        assert isinstance(_all(flights)[ONE], StoreUnavailableError)
        assert doubles.commits == [{ONE: 10}]
        flights.begin(flushes)
        assert _all(flights) == {ONE: None}
    assert doubles.commits == [{ONE: 10}, {ONE: 11}]


def test_one_partition_lands_while_another_waits_for_the_store() -> None:
    """An insert that hangs holds up its own partition alone."""
    doubles = Gated()
    flushes, to = _flushes(doubles, ONE, TWO)
    flushes[1].records = []
    with _flights(to) as flights:
        flights.begin(flushes)
        flights._running[TWO][1].result(60)
        assert [(flush.at, error) for flush, error in flights.collect()] == [(TWO, None)]
        assert ONE in flights
        doubles.gate.set()
        assert _all(flights) == {ONE: None}


def test_nothing_is_committed_for_a_flush_that_was_forgotten() -> None:
    """Its insert may still arrive; its end is the next owner's to commit."""
    doubles = Gated()
    flushes, to = _flushes(doubles, ONE)
    with _flights(to) as flights:
        flights.begin(flushes)
        assert doubles.arrived.acquire(timeout=60)
        inserting = flights._running[ONE][1]
        flights.release(ONE)
        doubles.gate.set()
        inserting.result(60)
        assert not flights
        assert flights.collect() == []
    assert doubles.commits == [{ONE: 10}]
    assert doubles.data


def test_a_flush_that_is_forgotten_before_a_thread_has_it_writes_nothing() -> None:
    """Those that queue behind a store that hangs leave without a trace but their intents."""
    doubles = Gated()
    places = [("keeprate.feedback", number) for number in range(_THREADS + 1)]
    flushes, to = _flushes(doubles, *places)
    with _flights(to) as flights:
        flights.begin(flushes)
        queued = flights._running[places[-1]][1]
        flights.release(places[-1])
        assert queued.cancelled()
        doubles.gate.set()
        assert set(_all(flights)) == set(places[:-1])
    assert places[-1][1] not in [row["partition"] for row in doubles.ledger]
