"""When a partition cuts a range, and which records are in it."""

from keeprate.sinks.landing.intent import Intent
from keeprate.sinks.landing.partition import Cadence, FlushPolicy, PartitionBuffer, crowding
from tests.unit.sinks.records import FakeRecord

POLICY = FlushPolicy(linger_s=1.0, max_rows=3, max_bytes=1000)


def _with(buffer: PartitionBuffer, *offsets: int, now_s: float = 0.0) -> PartitionBuffer:
    for offset in offsets:
        buffer.add(FakeRecord(offset, b"x"), now_s)
    return buffer


def test_an_empty_buffer_is_never_due() -> None:
    """Time alone makes no batch."""
    assert not PartitionBuffer(5).due(1e9, POLICY)


def test_the_oldest_record_lingers_only_so_long() -> None:
    """A batch is due when its first record has waited for linger_s, however new the last one is."""
    buffer = _with(PartitionBuffer(5), 5, now_s=10.0)
    _with(buffer, 6, now_s=10.9)
    assert not buffer.due(10.99, POLICY)
    assert buffer.due(11.0, POLICY)


def test_records_of_few_partitions_wait_for_less() -> None:
    """Flushes are as far apart as spacing_s on average, and none waits for longer than linger_s."""
    policy = FlushPolicy(linger_s=1.0, spacing_s=0.125)
    assert [policy.among(partitions).linger_s for partitions in (1, 4, 64)] == [0.125, 0.5, 1.0]


def test_a_full_buffer_is_due_at_once() -> None:
    """Rows and bytes each fill a batch."""
    assert _with(PartitionBuffer(0), 0, 1, 2).due(0.0, POLICY)
    big = PartitionBuffer(0)
    big.add(FakeRecord(0, b"x" * 1000), 0.0)
    assert big.due(0.0, POLICY)


def test_ranges_tile_across_the_gaps_of_a_compacted_topic() -> None:
    """A range begins where the last one ended, whatever offsets compaction took in between."""
    buffer = _with(PartitionBuffer(5), 7, 9)
    first, records = buffer.cut("r", POLICY)
    assert (first.first, first.last, len(records)) == (5, 9, 2)
    _with(buffer, 15)
    second, _ = buffer.cut("r", POLICY)
    assert (second.first, second.last) == (10, 15)


def test_a_batch_holds_no_more_than_it_may_however_much_was_read_at_once() -> None:
    """The rest is the next range, and due at once."""
    buffer = _with(PartitionBuffer(0), *range(7))
    assert [len(buffer.cut("r", POLICY)[1]) for _ in range(2)] == [3, 3]
    buffer = PartitionBuffer(0)
    for offset in range(3):
        buffer.add(FakeRecord(offset, b"x" * 600), 0.0)
    intent, _ = buffer.cut("r", POLICY)
    assert (intent.first, intent.last, buffer.size_bytes) == (0, 1, 603)


def test_a_replay_takes_exactly_the_range_of_the_intent() -> None:
    """Neither fewer records than the former owner had, nor more."""
    buffer = _with(PartitionBuffer(5, Intent(5, 7, "r")), 5, 6)
    assert not buffer.due(1e9, POLICY, draining=True)
    _with(buffer, 7, 8)
    assert buffer.due(0.0, POLICY)
    intent, records = buffer.cut("r", POLICY)
    assert (intent.first, intent.last, [record.offset() for record in records]) == (5, 7, [5, 6, 7])
    assert [record.offset() for record in buffer.records] == [8]
    assert buffer.next_offset == 8


def test_a_replay_whose_last_record_was_compacted_away_ends_with_the_partition() -> None:
    """The partition's end, or a later record, tells that the range is complete."""
    buffer = _with(PartitionBuffer(5, Intent(5, 7, "r")), 5)
    assert not buffer.due(0.0, POLICY)
    buffer.reached(8)
    assert buffer.due(0.0, POLICY)
    assert buffer.cut("r", POLICY)[0].last == 7


def test_facts_wait_longer_than_what_they_are_joined_to() -> None:
    """By facts_lingers; and a full batch does not wait at all."""
    facts = FlushPolicy(linger_s=1.0, spacing_s=0.125, facts_lingers=3.0, max_rows=3).among(4).of_facts()
    buffer = _with(PartitionBuffer(0), 0, now_s=10.0)
    assert not buffer.due(11.4, facts)
    assert buffer.due(11.5, facts)
    assert _with(buffer, 1, 2, now_s=10.0).due(10.0, facts)


def test_buffers_that_hold_too_much_together_give_up_the_largest() -> None:
    """Down to half of what may be held, so that memory is bounded and batches stay large."""
    policy = FlushPolicy(held_rows=10, max_rows=100)
    buffers = {("t", n): _with(PartitionBuffer(0), *range(size)) for n, size in enumerate((1, 6, 3))}
    assert crowding(buffers, policy) == set()
    _with(buffers["t", 0], 1)
    assert crowding(buffers, policy) == {("t", 1)}
    assert crowding(buffers, FlushPolicy(held_bytes=43)) == {("t", 1)}


def _times(cadence: Cadence, *asked_s: float) -> list[float]:
    """When it happened, by somebody who asks at these times."""
    found = []
    for now_s in asked_s:
        if cadence.allows(now_s):
            cadence.happened(now_s)
            found.append(now_s)
    return found


def test_what_comes_after_a_pause_lands_at_once_and_what_trickles_lands_seldom() -> None:
    """Some times in a row, then once in a while, and again at once when each of them has come back."""
    cadence = Cadence(10.0, at_once=3)
    assert _times(cadence, *range(100, 140)) == [100, 101, 102, 110, 120, 130]
    assert _times(cadence, *range(160, 175)) == [160, 161, 162, 170]


def test_what_landed_often_under_load_holds_nothing_up_afterwards() -> None:
    """However often it was, the next time is every_s later at most."""
    cadence = Cadence(10.0, at_once=3)
    for now_s in range(50):
        cadence.happened(now_s)
    assert _times(cadence, *range(50, 80)) == [59, 69, 79]
