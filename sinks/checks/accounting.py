"""Does the store hold what Kafka held?

    I1  every offset that the ledger accounts for is a row or a dead letter, or its event is a row under another offset
    I2  the ledger's ranges tile each partition without gap or overlap, and their counts sum to their lengths

Offsets without a row are read from Kafka again, in one pass over each partition, and their events are looked for many
at a time.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Final, Protocol

from keeprate.sinks.checks.backwards import SOURCE_NAMES
from keeprate.sinks.checks.conflicts import Conflict, identity_of, rows_of, says_the_same
from keeprate.sinks.checks.finding import Finding
from keeprate.sinks.kafka.records import Record, TopicPartition
from keeprate.sinks.store.clickhouse import Client, to_ms

_STORED_SINCE: Final = "stored_at >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')"
MAX_OFFSETS: Final = 5000
_CHUNK: Final = 200

Gap = tuple[int, int]
"""Offsets without a row, both ends included."""


class RecordReader(Protocol):
    """Reads records again: `kafka_reader.Reader`."""

    def read(self, at: TopicPartition, gaps: Sequence[Gap]) -> Iterator[Record]:
        """What the partition still holds of these ranges, which ascend, in order."""


def check_ledger(store: Client, since: datetime | None = None) -> list[Finding]:
    """I2, for every sink. since: for ranges that were stored from then on."""
    rows = store.query_dicts(
        "SELECT sink, topic, partition, first_offset, last_offset, rows + dead_letters + filtered + absent AS counted, "
        "lagInFrame(last_offset, 1) OVER ranges AS before, row_number() OVER ranges AS number "
        f"FROM (SELECT * FROM ledger FINAL) WHERE {_STORED_SINCE} "
        "WINDOW ranges AS (PARTITION BY sink, topic, partition ORDER BY first_offset "
        "ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) "
        "QUALIFY counted != last_offset - first_offset + 1 OR (number > 1 AND first_offset != before + 1)",
        _since(since),
    )
    return [
        Finding(
            "I2",
            f"{row['sink']} {row['topic']}/{row['partition']} {row['first_offset']}-{row['last_offset']}",
            f"counts {row['counted']} records; the range before ends at {row['before']}",
        )
        for row in rows
    ]


def accounted(store: Client, since: datetime | None = None) -> tuple[int, int]:
    """How many ranges the ledger has, and how many offsets of facts they account for."""
    ((ranges, offsets),) = store.query(
        "SELECT count(), sumIf(last_offset - first_offset + 1, topic IN {sources:Array(String)}) "
        f"FROM (SELECT * FROM ledger FINAL) WHERE {_STORED_SINCE}",
        {"sources": list(SOURCE_NAMES), **_since(since)},
    )
    return int(ranges), int(offsets)


def check_accounting(
    store: Client,
    reader: RecordReader | None,
    since: datetime | None = None,
    max_offsets: int | None = None,
    on_offsets: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Finding], list[Conflict]]:
    """I1, for the topics of facts, and the records whose id a row has with other contents.

    since: for ranges that were stored from then on. max_offsets: so many are looked at in Kafka at most.
    on_offsets: is told how many of those without a row were looked at, and of how many.

    A duplicate of an event merges into one row, so an offset without a row is read from Kafka again and its event is
    looked for. Without a reader, or where Kafka no longer holds it, such offsets are reported as they are.
    """
    gaps = rowless(store, since, max_offsets)
    total, done = sum(last - first + 1 for each in gaps.values() for first, last in each), 0
    findings, conflicts = list[Finding](), list[Conflict]()
    for at, each in gaps.items():
        looked = _Looked(at, each)
        records = reader.read(at, each) if reader is not None else iter(())
        while chunk := list(islice(records, _CHUNK)):
            conflicts += looked.look(store, chunk)
            done += len(chunk)
            on_offsets(done, total)
        findings += looked.findings(reader is not None)
    return findings, conflicts


class _Looked:
    """What was found at the gaps of one partition."""

    def __init__(self, at: TopicPartition, gaps: Sequence[Gap]) -> None:
        self._at = at
        self._gaps = gaps
        self._held = [0] * len(gaps)
        self._lost: list[list[int]] = [[] for _ in gaps]
        self._gap = 0

    def look(self, store: Client, records: Sequence[Record]) -> list[Conflict]:
        """Look for the events of the next records; returns those that another content stands for."""
        identities = [identity_of(record.value()) for record in records]
        rows = rows_of(store, [one for one in identities if one is not None])
        conflicts = []
        for record, identity in zip(records, identities, strict=True):
            while record.offset() > self._gaps[self._gap][1]:
                self._gap += 1
            self._held[self._gap] += 1
            found = rows.get(identity, ()) if identity is not None else ()
            if not found or identity is None:
                self._lost[self._gap].append(record.offset())
                continue
            where = f"{self._at[0]}/{self._at[1]}/{record.offset()}"
            value = record.value() or b""
            if not any(says_the_same(value, row) for row in found):
                conflicts.append(Conflict(*identity, where, value))
        return conflicts

    def findings(self, has_reader: bool) -> Iterator[Finding]:
        for (first, last), held, lost in zip(self._gaps, self._held, self._lost, strict=True):
            where = f"{self._at[0]}/{self._at[1]} {first}-{last}"
            if held < last - first + 1:
                why = "and Kafka no longer holds them all" if has_reader else "give --brokers to look at the records"
                yield Finding("I1", where, f"no row and no dead letter, {why}")
            if lost:
                yield Finding("I1", where, f"{len(lost)} events are nowhere, the first at offset {lost[0]}")


def rowless(
    store: Client, since: datetime | None = None, max_offsets: int | None = None
) -> Mapping[TopicPartition, list[Gap]]:
    """The offsets within the ledger's ranges that have neither a row nor a dead letter, by partition, ascending."""
    found: dict[TopicPartition, list[Gap]] = defaultdict(list)
    for at, gap in _bounded(_unexplained(store, since), max_offsets):
        found[at].append(gap)
    return found


def _bounded(
    gaps: Iterator[tuple[TopicPartition, Gap]], max_offsets: int | None
) -> Iterator[tuple[TopicPartition, Gap]]:
    """The first gaps, of not more than so many offsets together."""
    left = max_offsets
    for at, (first, last) in gaps:
        if left is not None:
            last = min(last, first + left - 1)
            left -= last - first + 1
        yield at, (first, last)
        if left == 0:
            return


def _unexplained(store: Client, since: datetime | None) -> Iterator[tuple[TopicPartition, Gap]]:
    """Offsets within the ledger's ranges at which there is neither a row nor a dead letter, in order."""
    ends = store.query(
        "SELECT topic, partition, min(first_offset), max(last_offset) FROM ledger "
        f"WHERE topic IN {{sources:Array(String)}} AND {_STORED_SINCE} "
        "GROUP BY topic, partition ORDER BY topic, partition",
        {"sources": list(SOURCE_NAMES), **_since(since)},
    )
    for topic, partition, first, last in ends:
        gaps = store.query(
            # A row before the first and behind the last offset make the gaps at the ends look like the others.
            "SELECT before + 1, offset - 1 FROM (SELECT offset, lagInFrame(offset, 1) OVER (ORDER BY offset "
            "ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before, row_number() OVER (ORDER BY offset) AS number FROM ("
            "SELECT arrayJoin([{first:Int64} - 1, {last:Int64} + 1]) AS offset"
            + "".join(
                f" UNION DISTINCT SELECT toInt64(offset) FROM {table} WHERE topic = {{topic:String}} "
                "AND partition = {partition:UInt16} AND offset BETWEEN {first:Int64} AND {last:Int64}"
                for table in ("generations", "feedback", "dead_letters")
            )
            + ")) WHERE number > 1 AND offset > before + 1 ORDER BY offset",
            {"topic": topic, "partition": partition, "first": first, "last": last},
        )
        for begin, end in gaps:
            yield (str(topic), int(partition)), (int(begin), int(end))


def _since(moment: datetime | None) -> dict[str, int]:
    return {"since_ms": to_ms(moment) if moment else 0}
