"""Which partitions begin a flush at the same time, when more than a little comes."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from keeprate.schemas.topics import FEEDBACK, OUTCOMES
from keeprate.sinks.kafka.records import Record, TopicPartition
from keeprate.sinks.landing.flights import Result
from keeprate.sinks.landing.flush import Destination, Flush
from keeprate.sinks.landing.intent import Intent
from keeprate.sinks.landing.partition import FlushPolicy, PartitionBuffer
from keeprate.sinks.landing.run import NoObserver
from keeprate.sinks.landing.sink import Sink, SinkPolicy
from tests.unit.sinks.doubles import Doubles
from tests.unit.sinks.records import FakeRecord

FIRST, SECOND, THIRD = ((OUTCOMES.name, number) for number in range(3))
FACTS = (FEEDBACK.name, 0)
POLICY = FlushPolicy(linger_s=1.0, spacing_s=1.0, max_rows=4, quiet_rows=0)
NOW_S = 100.0


class _Flights:
    """Those that are under way stay so, and those that begin are noted."""

    def __init__(self, under_way: set[TopicPartition], begun: list[Flush]) -> None:
        self.flushes = {at: Flush(at, Intent(0, 0, "1.3"), []) for at in under_way}
        self._begun = begun

    def __contains__(self, at: object) -> bool:
        return at in self.flushes

    def __bool__(self) -> bool:
        return bool(self.flushes)

    def collect(self) -> list[Result]:
        return []

    def begin(self, flushes: Sequence[Flush]) -> list[Result]:
        self._begun.extend(flushes)
        return []


def _begun(since_s: dict[TopicPartition, float], under_way: set[TopicPartition], rows: int = 1) -> set[TopicPartition]:
    """Which partitions begin, given since when each has records, and which have a flush under way."""
    doubles = Doubles()
    to = Destination("sink", doubles, doubles, [], 3)
    sink = Sink(cast(Any, None), to, "1.3", NoObserver(), SinkPolicy(POLICY), clock=lambda: NOW_S)
    for at, since in since_s.items():
        sink._buffers[at] = buffer = PartitionBuffer(0)
        for offset in range(rows):
            buffer.add(cast(Record, FakeRecord(offset, b"{}")), since)
    begun: list[Flush] = []

    sink._flights = cast(Any, _Flights(under_way, begun))
    sink._advance(list(sink._buffers))
    return {flush.at for flush in begun}


def test_outcomes_begin_with_the_first_of_them_that_is_due() -> None:
    """Those that would be due soon go along; what has just come does not, and facts have their own time."""
    since_s = {FIRST: NOW_S - 1.0, SECOND: NOW_S - 0.6, THIRD: NOW_S - 0.1, FACTS: NOW_S - 1.1}
    assert _begun(since_s, under_way=set()) == {FIRST, SECOND}


@pytest.mark.parametrize(("rows", "expected"), [(1, {FACTS}), (POLICY.max_rows, {FACTS, SECOND, THIRD})])
def test_outcomes_wait_for_those_under_way_unless_they_are_a_full_range(
    rows: int, expected: set[TopicPartition]
) -> None:
    """Facts, of which nothing is derived, do not wait."""
    since_s = {FIRST: NOW_S - 9.0, SECOND: NOW_S - 9.0, THIRD: NOW_S - 0.1, FACTS: NOW_S - 9.0}
    assert _begun(since_s, under_way={FIRST}, rows=rows) == expected
