"""Offsets and versions never go back (I6): committed offsets against the ledger, the ledger against itself, and
committed offsets against what they were the last time.

A flush inserts the ledger's row before it commits, so a group stands between the first offset of its last range and
that range's end. The ledger is read before and after the commits, which makes that exact while sinks run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from keeprate.schemas.topics import JOIN_GROUP, SOURCES
from keeprate.sinks.checks.finding import Finding
from keeprate.sinks.kafka.positions import Positions
from keeprate.sinks.kafka.records import TopicPartition
from keeprate.sinks.store.clickhouse import Client, to_ms

SOURCE_NAMES: Final = tuple(topic.name for topic in SOURCES)
_CLOCK_S: Final = 60
"""How far the clocks of a cluster's servers may be apart, which write when a range was stored."""

GroupPartition = tuple[str, str, int]


@dataclass(frozen=True)
class Position:
    """Where a group stands in a partition. The ledger's last range is [range_first, range_end); None where unknown.

    committed: None where the group committed nothing, or its offsets have expired. end: None where there is no topic.
    """

    group: str
    topic: str
    partition: int
    range_first: int | None
    range_end: int | None
    committed: int | None
    end: int | None


def check_offsets(store: Client, positions: Positions, join_group: str = JOIN_GROUP) -> list[Position]:
    """Where every sink and the join stand: what `offset_findings` judges."""
    before = _last_ranges(store)
    topics = sorted({*SOURCE_NAMES, *(topic for _, topic, _ in before)})
    groups = sorted({join_group, *(sink for sink, _, _ in before)})
    committed = {group: positions.committed(group, topics) for group in groups}
    ends, after = positions.ends(topics), _last_ranges(store)
    joined = {(join_group, *at) for at in committed[join_group]}
    return [
        Position(
            *at,
            before[at][0] if at in before else None,
            after[at][1] if at in before else None,
            committed[at[0]].get(at[1:]),
            ends.get(at[1:]),
        )
        for at in sorted(before.keys() | joined)
    ]


def offset_findings(found: Sequence[Position], earlier: Mapping[GroupPartition, int] | None = None) -> list[Finding]:
    """I6 of positions. earlier: what was committed when it was looked at before. Pure."""
    findings = []
    for one in found:
        where = f"{one.group} {one.topic}/{one.partition}"
        reasons = [_against_range(one), _against_end(one), _against_earlier(one, earlier or {})]
        findings += [Finding("I6", where, reason) for reason in reasons if reason]
    return findings


def committed_of(found: Sequence[Position]) -> dict[GroupPartition, int]:
    """What was committed, to be compared with the next time."""
    return {(one.group, one.topic, one.partition): one.committed for one in found if one.committed is not None}


def check_history(store: Client, since: datetime | None = None) -> list[Finding]:
    """I6 of the ledger: ranges of a partition were stored in the order of their offsets, by versions that only grow.

    since: look at ranges that were stored from then on.
    """
    rows = store.query_dicts(
        "SELECT sink, topic, partition, first_offset, last_offset, schema_revision AS revision, stored_at, "
        "lagInFrame(schema_revision, 1) OVER ranges AS revision_before, "
        "lagInFrame(stored_at, 1) OVER ranges AS stored_before, row_number() OVER ranges AS number "
        "FROM (SELECT * FROM ledger FINAL) WHERE stored_at >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC') "
        "WINDOW ranges AS (PARTITION BY sink, topic, partition ORDER BY first_offset, last_offset "
        "ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) QUALIFY number > 1 AND (revision < revision_before "
        "OR stored_at < stored_before - toIntervalSecond({clock_s:UInt32}))",
        {"since_ms": to_ms(since) if since else 0, "clock_s": _CLOCK_S},
    )
    return [
        Finding(
            "I6",
            f"{row['sink']} {row['topic']}/{row['partition']} {row['first_offset']}-{row['last_offset']}",
            f"revision {row['revision']}, stored {row['stored_at']:%F %T}; the range before: "
            f"{row['revision_before']}, {row['stored_before']:%F %T}",
        )
        for row in rows
    ]


def ledger_ends(store: Client) -> dict[TopicPartition, int]:
    """The offset after the last one that some sink landed, by partition."""
    ends: dict[TopicPartition, int] = {}
    for (_, topic, partition), (_, end) in _last_ranges(store).items():
        ends[topic, partition] = max(end, ends.get((topic, partition), 0))
    return ends


def _last_ranges(store: Client) -> dict[GroupPartition, tuple[int, int]]:
    rows = store.query(
        "SELECT sink, topic, partition, argMax(first_offset, last_offset), max(last_offset) + 1 FROM ledger "
        "GROUP BY sink, topic, partition"
    )
    return {(str(sink), str(topic), int(number)): (int(first), int(end)) for sink, topic, number, first, end in rows}


def _against_range(one: Position) -> str:
    if one.committed is None or one.range_first is None or one.range_end is None:
        return ""
    if one.committed < one.range_first:
        return f"committed {one.committed} went back: the ledger's last range begins at {one.range_first}"
    ahead = one.committed > one.range_end
    return f"committed {one.committed} skips records: the ledger ends at {one.range_end}" if ahead else ""


def _against_end(one: Position) -> str:
    # The last range may have been stored after the end was read, so its beginning counts.
    reached = max(one.committed or 0, one.range_first or 0)
    shorter = one.end is not None and one.end < reached
    return f"the topic ends at {one.end}, before {reached}: it lost records, or is another one" if shorter else ""


def _against_earlier(one: Position, earlier: Mapping[GroupPartition, int]) -> str:
    before = earlier.get((one.group, one.topic, one.partition), 0)
    back = one.committed is not None and one.committed < before
    return f"committed {one.committed}, and {before} when it was looked at before" if back else ""
