"""What one partition of the sink has in hand and when it is due. Pure: time comes in as an argument.

A partition buffers records until they are a batch; the batch becomes a range of offsets, and the range a flush. After
a crash the range is given (the intent), and the batch is complete when it is reached; so are the parts of a range that
was cut, one after the other.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, takewhile
from typing import Final

from keeprate.sinks.kafka.records import Record, TopicPartition
from keeprate.sinks.landing.intent import Intent


@dataclass(frozen=True)
class FlushPolicy:
    """When a buffer becomes a batch: whichever comes first.

    linger_s: how long the oldest record waits at most. It is most of the time from Kafka to a visible row.
    spacing_s: how far apart the flushes of all partitions are on average: each costs the store the same, however few
    rows it has. So records of few partitions do not wait for linger_s.
    facts_lingers: of facts, by how much longer: what people see is what they are joined to.
    max_rows, max_bytes: a batch must stay below one block of ClickHouse, so that it lands whole or not at all. The
    record that reaches max_bytes is in it.
    quiet_rows, quiet_bytes: while less is in hand of all partitions, their flushes begin together, at a `Cadence`.
    quiet_lingers, quiet_at_once: of that cadence, once in quiet_lingers * linger_s, and so often at once after a pause.
    held_rows, held_bytes: of all that is in hand; beyond, the largest buffers are due, and nothing is read until some
    has landed. This bounds memory, however many partitions a member has to catch up with.
    """

    linger_s: float = 1.0
    spacing_s: float = 0.05
    facts_lingers: float = 3.0
    max_rows: int = 50_000
    max_bytes: int = 32 << 20
    quiet_rows: int = 200
    quiet_bytes: int = 1 << 20
    quiet_lingers: float = 10.0
    quiet_at_once: int = 6
    held_rows: int = 200_000
    held_bytes: int = 128 << 20

    def among(self, partitions: int) -> "FlushPolicy":
        """The policy while so many partitions have records."""
        return replace(self, linger_s=min(self.linger_s, self.spacing_s * partitions))

    def of_facts(self) -> "FlushPolicy":
        """The policy for events as apps sent them."""
        return replace(self, linger_s=self.facts_lingers * self.linger_s)

    def is_quiet(self, buffers: "Collection[PartitionBuffer]") -> bool:
        """Whether so little is in hand that its flushes would cost more than it."""
        rows, size_bytes = sum(len(each.records) for each in buffers), sum(each.size_bytes for each in buffers)
        return rows < self.quiet_rows and size_bytes < self.quiet_bytes


DEFAULT_POLICY: Final = FlushPolicy()


@dataclass
class Cadence:
    """How often something may happen: once in a while on average, and some times at once after a pause. Time is an
    argument. So whoever tries something by hand sees it at once, and what trickles in all day costs little.

    at_once: how often it may happen without a pause; each of them comes back after every_s.
    """

    every_s: float
    at_once: int
    _owed_until_s: float = float("-inf")

    def allows(self, now_s: float) -> bool:
        """Whether it may happen now."""
        return now_s >= self._owed_until_s - (self.at_once - 1) * self.every_s

    def happened(self, now_s: float) -> None:
        """Note that it happened, allowed or not: it is allowed again after every_s at the latest."""
        self._owed_until_s = min(max(self._owed_until_s, now_s) + self.every_s, now_s + self.at_once * self.every_s)


@dataclass
class PartitionBuffer:
    """The records of one partition that are not in a flush yet.

    next_offset: the first offset that is neither landed nor in a flush: that of the next range.
    replay: the range that was begun before, by a former owner or here; nothing else is cut until it is complete.
    """

    next_offset: int
    replay: Intent | None = None
    records: list[Record] = field(default_factory=list)
    size_bytes: int = 0
    since_s: float = 0.0
    seen_to: int = -1

    def add(self, record: Record, now_s: float) -> None:
        """Take the next record of the partition."""
        if not self.records:
            self.since_s = now_s
        self.records.append(record)
        self.size_bytes += _size_bytes(record)

    def reached(self, offset: int) -> None:
        """Know that there is no record before `offset` that was not added: Kafka's end of the partition."""
        self.seen_to = max(self.seen_to, offset - 1)

    def due(self, now_s: float, policy: FlushPolicy, draining: bool = False) -> bool:
        """Whether to cut a range now."""
        if self.replay is not None:
            return self.is_complete
        if not self.records:
            return False
        return draining or self.is_full(policy) or now_s - self.since_s >= policy.linger_s

    def is_full(self, policy: FlushPolicy) -> bool:
        """Whether it holds a batch as large as one may be."""
        return len(self.records) >= policy.max_rows or self.size_bytes >= policy.max_bytes

    @property
    def is_complete(self) -> bool:
        """Whether a range that is given is here as far as the partition has it."""
        # Its last record may have been compacted away meanwhile: then a later one, or the end, tells.
        return self.replay is None or max(self._last_offset(), self.seen_to) >= self.replay.last

    def take_back(self, records: Sequence[Record], replay: Intent) -> None:
        """Take the records of a range that was cut, to be cut again: by this intent, which begins where they do."""
        self.records = [*records, *self.records]
        self.size_bytes += sum(map(_size_bytes, records))
        self.next_offset, self.replay = replay.first, replay

    def cut(self, revision: str, policy: FlushPolicy) -> tuple[Intent, list[Record]]:
        """Take the next range with its records out of the buffer. Call it only when due."""
        intent = self.replay or Intent(self.next_offset, self._batch_end(policy), revision)
        within = [record for record in self.records if record.offset() <= intent.last]
        self.records = self.records[len(within) :]
        self.size_bytes = sum(map(_size_bytes, self.records))
        self.next_offset, self.replay = intent.last + 1, intent.following()
        return replace(intent, revision=revision), within

    def _batch_end(self, policy: FlushPolicy) -> int:
        """The last offset of the next batch: Kafka may have handed out more at once than a batch holds."""
        records = self.records[: policy.max_rows]
        if self.size_bytes > policy.max_bytes:
            totals = accumulate(map(_size_bytes, records))
            records = records[: 1 + sum(1 for _ in takewhile(lambda total: total < policy.max_bytes, totals))]
        return records[-1].offset()

    def _last_offset(self) -> int:
        return self.records[-1].offset() if self.records else -1


def _size_bytes(record: Record) -> int:
    return len(record.value() or b"") + len(record.key() or b"")


def crowding(buffers: Mapping[TopicPartition, PartitionBuffer], policy: FlushPolicy) -> set[TopicPartition]:
    """The largest buffers, to be cut though they are not due, when all together hold too much: down to half of it."""
    rows = sum(len(buffer.records) for buffer in buffers.values())
    size_bytes = sum(buffer.size_bytes for buffer in buffers.values())
    if rows <= policy.held_rows and size_bytes <= policy.held_bytes:
        return set()
    chosen = set()
    for at, buffer in sorted(buffers.items(), key=lambda item: -item[1].size_bytes):
        if rows <= policy.held_rows / 2 and size_bytes <= policy.held_bytes / 2:
            break
        chosen.add(at)
        rows, size_bytes = rows - len(buffer.records), size_bytes - buffer.size_bytes
    return chosen
