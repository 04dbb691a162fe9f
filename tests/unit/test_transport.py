"""Facts about how the batching consumer counts offsets, with a log in the place of Kafka."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import pytest
from aiokafka.errors import IllegalStateError
from faust.types import TP

from keeprate.streams import transport
from keeprate.streams.join.batches import Batch, Run
from keeprate.streams.transport import BatchConsumer, OutOfOrderError, RecordsLostError
from tests.streaming import Stored

SOURCE = TP("keeprate.feedback", 0)
OTHER = TP("keeprate.generations", 0)


class Counting(BatchConsumer):
    """The consumer with only what its counters need; seeks are noted instead of made."""

    def __init__(self, beginning: int = 0) -> None:
        self._expected = {SOURCE: 0, OTHER: 0}
        self._next = {SOURCE: 0, OTHER: 0}
        self._held = defaultdict(dict)
        self._held_since_s = {}
        self.ends: dict[TP, int] = {}
        self._jumps = {}
        self._rewind = False
        self._acked = defaultdict(list)
        self._unacked_messages = set()
        self._n_acked = 0
        self.beginning = beginning
        self.seeks: list[int] = []
        self.commits = 0
        self.given_away = False

    def _is_changelog_tp(self, tp: TP) -> bool:
        return False

    async def earliest_offsets(self, *partitions: TP) -> dict[TP, int]:
        return dict.fromkeys(partitions, self.beginning)

    async def seek_wait(self, partitions: Mapping[TP, int]) -> None:
        if self.given_away:
            raise IllegalStateError(f"No current assignment for partition {min(partitions)}")
        self.seeks += partitions.values()

    def highwater(self, tp: TP) -> int:
        return self.ends.get(tp, 0)

    def add_future(self, coro: Any) -> Any:
        coro.close()
        self.commits += 1

    def fetched(self, first: int, last: int, tp: TP = SOURCE, at_ms: int = 0) -> dict[str, Run]:
        """The runs of the batch that is made after a fetch."""
        records = [Stored(b"", offset, timestamp=at_ms + offset) for offset in range(first, last + 1)]
        asyncio.run(self._hold(tp, records))
        return self._release(0, {SOURCE, OTHER})

    def run(self, first: int, last: int) -> Run | None:
        """The run of the source in that batch."""
        return self.fetched(first, last).get(SOURCE.topic)


class Delivered:
    """A Faust message as far as acknowledging looks at it."""

    def __init__(self, batch: Batch) -> None:
        self.partition, self.value, self.acked = SOURCE.partition, batch, False


def batch(start: int, last: int, *topics: str) -> Any:
    """A message with these offsets."""
    run = Run(start, [Stored(b"", offset) for offset in range(start, last + 1)])
    return Delivered(Batch(dict.fromkeys(topics or (SOURCE.topic,), run)))


def test_batches_follow_each_other_without_a_gap() -> None:
    """Each begins where the one before ended."""
    consumer = Counting()
    first, second = consumer.run(0, 9), consumer.run(10, 14)
    assert first is not None
    assert second is not None
    assert (first.start, first.next_offset, second.start, second.next_offset) == (0, 10, 10, 15)


def test_a_fetch_that_skipped_records_is_made_again() -> None:
    """The records are dropped and the fetch goes back; the same jump a second time is the log's own."""
    consumer = Counting()
    assert consumer.run(5, 9) is None
    assert consumer.seeks == [0]
    again = consumer.run(5, 9)
    assert again is not None
    assert (again.start, again.next_offset) == (0, 10)


def test_a_fetch_from_before_a_seek_is_dropped() -> None:
    """What was read already is not read twice."""
    consumer = Counting()
    consumer.run(0, 9)
    assert consumer.run(0, 9) is None


def test_a_partition_that_goes_while_it_is_read_again_ends_nothing() -> None:
    """Whoever has it then begins where it was committed."""
    consumer = Counting()
    consumer.given_away = True
    assert consumer.run(5, 9) is None
    consumer._expected[SOURCE] = 20
    asyncio.run(consumer._rewind_fetches())
    assert consumer.seeks == []


def test_a_jump_over_removed_records_stops_the_worker() -> None:
    """The error says from where to where."""
    with pytest.raises(RecordsLostError, match="offsets 0 to 4 "):
        Counting(beginning=5).fetched(5, 9)


def test_only_acknowledged_batches_are_committed() -> None:
    """The offset to commit is the one after the last acknowledged record, once."""
    consumer = Counting()
    consumer.ack(batch(0, 9))
    consumer.ack(batch(10, 14))
    assert consumer._new_offset(SOURCE) == 15
    assert consumer._new_offset(SOURCE) is None


def test_who_was_behind_commits_when_it_has_caught_up() -> None:
    """Not while there is more to do, and not for a few records, which would be a commit for each of them."""
    consumer, commits = Counting(), []
    consumer.ends = {SOURCE: 3_000}
    for first, last in ((0, 1_999), (2_000, 2_999), (3_000, 3_000)):
        consumer.ack(batch(first, last))
        commits.append(consumer.commits)
    assert commits == [0, 1, 1]


def test_a_batch_is_not_acknowledged_before_its_predecessor() -> None:
    """Faust would commit past the one that is missing."""
    consumer = Counting()
    consumer.ack(batch(0, 9))
    with pytest.raises(OutOfOrderError):
        consumer.ack(batch(20, 29))
    assert consumer._new_offset(SOURCE) == 10


def test_what_a_resume_threw_away_is_fetched_again() -> None:
    """Faust empties its queues when it resumes: fetches go back to the first batch that was not acknowledged."""
    consumer = Counting()
    consumer.fetched(0, 9)
    consumer.ack(batch(0, 9))
    consumer.fetched(10, 19)
    consumer.can_resume_flow, consumer.suspend_flow = asyncio.Event(), asyncio.Event()
    consumer.resume_flow()
    asyncio.run(consumer._rewind_fetches())
    assert consumer.seeks == [10]
    again = consumer.run(10, 19)
    assert again is not None
    assert again.start == 10


def test_a_batch_that_is_read_again_moves_nothing_back() -> None:
    """A second acknowledgement of old records leaves the offset where it was."""
    consumer = Counting()
    consumer.ack(batch(0, 9))
    consumer.ack(batch(0, 4))
    assert consumer._new_offset(SOURCE) == 10


def test_a_batch_of_a_revoked_partition_commits_nothing() -> None:
    """It was in hand when the partition went: its next owner reads it again, and an offset of ours would mislead it."""
    consumer = Counting()
    consumer.fetched(0, 9)
    consumer._expected.clear()
    consumer._next.clear()
    assert consumer.ack(batch(0, 9)) is False
    assert consumer._new_offset(SOURCE) is None
    asyncio.run(consumer._rewind_fetches())
    assert consumer.seeks == []


def test_what_was_fetched_waits_for_a_topic_that_is_behind() -> None:
    """And comes with its records, up to the same time; the rest waits again, and begins where the first part ended."""
    consumer = Counting()
    consumer.ends = {SOURCE: 30, OTHER: 10}
    assert consumer.fetched(0, 9, OTHER) == {}
    runs = consumer.fetched(0, 4)
    assert {topic: (run.start, run.next_offset) for topic, run in runs.items()} == {
        OTHER.topic: (0, 5),
        SOURCE.topic: (0, 5),
    }
    runs = consumer.fetched(5, 29)
    assert {topic: (run.start, run.next_offset) for topic, run in runs.items()} == {
        OTHER.topic: (5, 10),
        SOURCE.topic: (5, 30),
    }


def test_nothing_waits_for_a_topic_that_has_no_more() -> None:
    """At a low load a record goes its way at once."""
    consumer = Counting()
    consumer.ends = {SOURCE: 0, OTHER: 100}
    assert consumer.fetched(0, 9, OTHER)


def test_nothing_waits_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other topic's leader may be down."""
    consumer = Counting()
    consumer.ends = {SOURCE: 30}
    assert consumer.fetched(0, 9, OTHER) == {}
    monkeypatch.setattr(transport, "_ALIGN_PATIENCE_S", -1)
    assert consumer._release(0, {SOURCE, OTHER})


def test_a_batch_of_a_paused_partition_waits() -> None:
    """Faust drops messages of partitions that are not active, and what is dropped would be a gap."""
    consumer = Counting()
    asyncio.run(consumer._hold(SOURCE, [Stored(b"", 0)]))
    assert consumer._release(0, {OTHER}) == {}
    assert consumer._release(0, {OTHER, SOURCE})


def test_a_resume_lets_go_of_what_waits() -> None:
    """It is fetched again, from the first record that was not acknowledged."""
    consumer = Counting()
    consumer.ends = {SOURCE: 30}
    consumer.fetched(0, 9, OTHER)
    asyncio.run(consumer._rewind_fetches())
    assert consumer.seeks == [0]
    consumer.ends = {}
    assert consumer.fetched(0, 9, OTHER)[OTHER.topic].start == 0


def test_a_batch_is_acknowledged_whole_or_not_at_all() -> None:
    """One of its runs out of order leaves the others where they were."""
    consumer = Counting()
    consumer.ack(batch(0, 9, OTHER.topic))
    with pytest.raises(OutOfOrderError):
        consumer.ack(batch(10, 19, OTHER.topic, SOURCE.topic))
    assert (consumer._new_offset(OTHER), consumer._new_offset(SOURCE)) == (10, None)
    consumer.ack(batch(0, 9, SOURCE.topic))
    consumer.ack(batch(10, 19, OTHER.topic, SOURCE.topic))
    assert (consumer._new_offset(OTHER), consumer._new_offset(SOURCE)) == (20, 20)
