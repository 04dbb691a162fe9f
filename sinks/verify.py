"""Does the store hold what Kafka held, and do the outcomes say what the facts say?

    I1  every offset that the ledger accounts for is a row or a dead letter, or its event is a row under another offset
    I2  the ledger's ranges tile each partition without gap or overlap, and their counts sum to their lengths
    I4  every outcome is the fold of its facts (schemas.outcome)

I4 can be repaired: the recomputed outcome is inserted, and merges, because outcomes are a join-semilattice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from keeprate.schemas.decode import ContractError, decode
from keeprate.schemas.topics import DEAD_LETTERS, OUTCOMES
from keeprate.sinks.clickhouse import Client
from keeprate.sinks.partition import TopicPartition
from keeprate.sinks.recompute import (
    FACTS,
    Difference,
    Page,
    Selection,
    compare,
    events,
    pages,
    recomputed,
    stored,
    write,
)
from keeprate.sinks.rows import Record

Check = Literal["I1", "I2", "I4"]
_NO_FACTS: Final = (OUTCOMES.name, DEAD_LETTERS.name)


@dataclass(frozen=True)
class Finding:
    """One violation. where: the partition and offsets, or the outcome's key."""

    check: Check
    where: str
    detail: str


class RecordReader(Protocol):
    """Reads records again: `kafka.Reader`."""

    def read(self, at: TopicPartition, first: int, last: int) -> list[Record]: ...


def check_ledger(store: Client) -> list[Finding]:
    """I2, for every sink."""
    rows = store.query_dicts(
        "SELECT sink, topic, partition, first_offset, last_offset, rows + dead_letters + filtered + absent AS counted, "
        "lagInFrame(last_offset, 1) OVER ranges AS before, row_number() OVER ranges AS number "
        "FROM (SELECT * FROM ledger FINAL) "
        "WINDOW ranges AS (PARTITION BY sink, topic, partition ORDER BY first_offset "
        "ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) "
        "QUALIFY counted != last_offset - first_offset + 1 OR (number > 1 AND first_offset != before + 1)"
    )
    return [
        Finding(
            "I2",
            f"{row['sink']} {row['topic']}/{row['partition']} {row['first_offset']}-{row['last_offset']}",
            f"counts {row['counted']} records; the range before ends at {row['before']}",
        )
        for row in rows
    ]


def check_accounting(store: Client, reader: RecordReader | None) -> list[Finding]:
    """I1, for the topics of facts.

    A duplicate of an event merges into one row, so an offset without a row is read from Kafka again and its event is
    looked for. Without a reader, or where Kafka no longer holds it, such offsets are reported as they are.
    """
    findings = []
    for topic, partition, first, last in _unexplained(store):
        where = f"{topic}/{partition} {first}-{last}"
        held = reader.read((topic, partition), first, last) if reader is not None else []
        if len(held) < last - first + 1:
            why = (
                "and Kafka no longer holds them all" if reader is not None else "give --brokers to look at the records"
            )
            findings.append(Finding("I1", where, f"no row and no dead letter, {why}"))
        lost = [record.offset() for record in held if not _has_row(store, record)]
        if lost:
            findings.append(Finding("I1", where, f"{len(lost)} events are nowhere, the first at offset {lost[0]}"))
    return findings


def check_outcomes(store: Client, settled_s: int = 60, repair: bool = False) -> tuple[int, list[Finding]]:
    """I4, for every generation that got no fact in the last `settled_s` seconds. Returns how many outcomes it checked.

    repair: insert the recomputed outcome where the stored one lacks something.
    """
    checked, findings = 0, []
    for page in pages(store, Selection()):
        said, held = recomputed(events(store, page)), stored(store, page)
        unsettled = _unsettled(store, page, settled_s)
        checked += sum(key.rpartition("/")[0] not in unsettled for key in said)
        wrong = [one for one in compare(held, said) if one.key.rpartition("/")[0] not in unsettled]
        findings += [Finding("I4", one.key, _detail(one)) for one in wrong]
        if repair:
            write(store, {one.key: one.recomputed for one in wrong if one.lacks})
    return checked, findings


def _detail(one: Difference) -> str:
    if not one.recomputed:
        return "an outcome without facts"
    return f"{'lacks' if one.lacks else 'has more than'} what the facts say in {', '.join(one.fields)}"


def _unexplained(store: Client) -> Iterator[tuple[str, int, int, int]]:
    """Offsets within the ledger's ranges at which there is neither a row nor a dead letter: topic, partition, range."""
    ends = store.query(
        "SELECT topic, partition, min(first_offset), max(last_offset) FROM ledger "
        "WHERE topic NOT IN {others:Array(String)} GROUP BY topic, partition ORDER BY topic, partition",
        {"others": list(_NO_FACTS)},
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
            yield str(topic), int(partition), int(begin), int(end)


def _has_row(store: Client, record: Record) -> bool:
    try:
        event = decode(record.value())
    except ContractError:
        return False
    table = "generations" if event["type"] == "generation" else "feedback"
    identity = {"app": event["app"], "generation_id": event["generation_id"], "event_id": event["event_id"]}
    condition = "app = {app:String} AND generation_id = {generation_id:UUID} AND event_id = {event_id:UUID}"
    return bool(store.query(f"SELECT 1 FROM {table} WHERE {condition} LIMIT 1", identity))


def _unsettled(store: Client, page: Page, settled_s: int) -> set[str]:
    rows: set[str] = set()
    for table in FACTS:
        found = store.query(
            f"SELECT DISTINCT app, toString(generation_id) FROM {table} WHERE {page.condition()} "
            "AND stored_at > now64(3) - toIntervalSecond({settled_s:UInt32})",
            {**page.parameters(), "settled_s": settled_s},
        )
        rows.update(f"{app}/{generation_id}" for app, generation_id in found)
    return rows
