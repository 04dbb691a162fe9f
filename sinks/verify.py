"""Does the store hold what Kafka held, and do the outcomes say what the facts say?

    I1  every offset that the ledger accounts for is a row or a dead letter, or its event is a row under another offset
    I2  the ledger's ranges tile each partition without gap or overlap, and their counts sum to their lengths
    I4  every outcome is the fold of its facts (schemas.outcome), and every window the sum over its outcomes (windows)
    I6  committed offsets, and the versions in the ledger, never go back (backwards)
    I7  every generation with a fact has an outcome, and the other way round (agreement)

Here are the first three; `verification` runs all. I4 can be repaired: the recomputed outcome is inserted, and merges,
because outcomes are a join-semilattice.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from typing import Final, Protocol

from keeprate.schemas.decode import ContractError, decode_stored
from keeprate.schemas.outcome import Outcome, canonical, merge, parse_key
from keeprate.schemas.topics import DEAD_LETTERS, DEFAULT_PARTITIONS, OUTCOMES, WINDOWS
from keeprate.sinks.clickhouse import Client, to_ms
from keeprate.sinks.finding import Finding
from keeprate.sinks.partition import TopicPartition
from keeprate.sinks.recompute import (
    Difference,
    Selection,
    compare,
    events,
    pages,
    recomputed,
    stored,
    unsettled,
    write,
)
from keeprate.sinks.rows import Record

_NO_FACTS: Final = (OUTCOMES.name, WINDOWS.name, DEAD_LETTERS.name)
_STORED_SINCE: Final = "stored_at >= fromUnixTimestamp64Milli({since_ms:Int64}, 'UTC')"
MAX_OFFSETS: Final = 5000
MAX_SUSPECTS: Final = 2000
_CHUNK_IDS: Final = 200


class RecordReader(Protocol):
    """Reads records again: `kafka.Reader`."""

    def read(self, at: TopicPartition, first: int, last: int) -> list[Record]: ...


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
        "SELECT count(), sumIf(last_offset - first_offset + 1, topic NOT IN {others:Array(String)}) "
        f"FROM (SELECT * FROM ledger FINAL) WHERE {_STORED_SINCE}",
        {"others": list(_NO_FACTS), **_since(since)},
    )
    return int(ranges), int(offsets)


def check_accounting(
    store: Client, reader: RecordReader | None, since: datetime | None = None, max_offsets: int | None = None
) -> list[Finding]:
    """I1, for the topics of facts.

    since: for ranges that were stored from then on. max_offsets: so many are looked at in Kafka at most.

    A duplicate of an event merges into one row, so an offset without a row is read from Kafka again and its event is
    looked for. Without a reader, or where Kafka no longer holds it, such offsets are reported as they are.
    """
    findings = []
    for topic, partition, first, last in _bounded(_unexplained(store, since), max_offsets):
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


def check_outcomes(
    store: Client,
    settled_s: int = 60,
    repair: bool = False,
    selection: Selection | None = None,
    second_look: Callable[[Sequence[Difference]], list[Difference]] | None = None,
) -> tuple[int, list[Finding]]:
    """I4, for every generation that got no fact in the last `settled_s` seconds. Returns how many outcomes it checked.

    repair: insert the recomputed outcome where the stored one lacks something.
    second_look: given the first `MAX_SUSPECTS` differences, returns those that last: `look_again`.
    """
    checked = 0
    findings: list[Finding] = []
    suspected: list[Difference] = []
    lost: list[Finding] = []

    def unreadable(fact: str, error: ContractError) -> None:
        lost.append(Finding("I4", fact, f"a stored fact cannot be read any more: {error}"))

    for page in pages(store, selection or Selection()):
        said, held = recomputed(events(store, page, unreadable)), stored(store, page)
        fresh = unsettled(store, page, settled_s)
        checked += sum(key.rpartition("/")[0] not in fresh for key in said)
        wrong = [one for one in compare(held, said) if one.key.rpartition("/")[0] not in fresh]
        if second_look is None:
            findings += _findings(wrong)
        suspected += wrong[: MAX_SUSPECTS - len(suspected)]
        if repair:
            write(store, {one.key: one.recomputed for one in wrong if one.lacks})
    if second_look is not None and suspected:
        findings = _findings(second_look(suspected))
    return checked, lost + findings


def look_again(
    store: Client,
    suspected: Sequence[Difference],
    settled: Callable[[], Collection[int]],
    partitions: int = DEFAULT_PARTITIONS,
) -> list[Difference]:
    """The differences that are none of a pipeline at work.

    settled: waits, and returns the partitions of which all that was written before its call is landed. What facts said
    before must be in the outcomes behind the wait, and what outcomes held before must be in the facts behind it.
    """
    arrived = settled()
    placed = _partitions_of(store, suspected, partitions)
    held, said = _both(store, suspected)
    lasting = []
    for one in suspected:
        now_held, now_said = held.get(one.key, {}), said.get(one.key, {})
        if placed[parse_key(one.key)[1]] not in arrived or now_held == now_said:
            continue
        if canonical(merge(now_held, one.recomputed)) != now_held:
            lasting.append(Difference(one.key, now_held, one.recomputed))
        elif canonical(merge(now_said, one.stored)) != now_said:
            lasting.append(Difference(one.key, one.stored, now_said))
    return lasting


def _both(store: Client, suspected: Sequence[Difference]) -> tuple[dict[str, Outcome], dict[str, Outcome]]:
    by_app: dict[str, set[str]] = defaultdict(set)
    for one in suspected:
        app, generation_id, _ = parse_key(one.key)
        by_app[app].add(generation_id)
    held: dict[str, Outcome] = {}
    said: dict[str, Outcome] = {}
    for app, chosen in by_app.items():
        ids = sorted(chosen)
        for first in range(0, len(ids), _CHUNK_IDS):
            for page in pages(store, Selection(apps=[app], generations=ids[first : first + _CHUNK_IDS])):
                held |= stored(store, page)
                said |= recomputed(events(store, page))
    return held, said


def _partitions_of(store: Client, suspected: Sequence[Difference], partitions: int) -> dict[str, int]:
    """By generation_id, which is the key of its records."""
    ids = sorted({parse_key(one.key)[1] for one in suspected})
    found: dict[str, int] = {}
    for first in range(0, len(ids), _CHUNK_IDS):
        rows = store.query(
            "SELECT arrayJoin({ids:Array(String)}) AS id, kafkaMurmurHash(id) % {partitions:UInt32}",
            {"ids": ids[first : first + _CHUNK_IDS], "partitions": partitions},
        )
        found |= {str(generation_id): int(partition) for generation_id, partition in rows}
    return found


def _findings(differences: Sequence[Difference]) -> list[Finding]:
    return [Finding("I4", one.key, _detail(one)) for one in differences]


def _detail(one: Difference) -> str:
    if not one.recomputed:
        return "an outcome without facts"
    return f"{'lacks' if one.lacks else 'has more than'} what the facts say in {', '.join(one.fields)}"


def _bounded(gaps: Iterator[tuple[str, int, int, int]], max_offsets: int | None) -> Iterator[tuple[str, int, int, int]]:
    """The first gaps, of not more than so many offsets together."""
    left = max_offsets
    for topic, partition, first, last in gaps:
        if left is not None:
            last = min(last, first + left - 1)
            left -= last - first + 1
        yield topic, partition, first, last
        if left == 0:
            return


def _unexplained(store: Client, since: datetime | None) -> Iterator[tuple[str, int, int, int]]:
    """Offsets within the ledger's ranges at which there is neither a row nor a dead letter: topic, partition, range."""
    ends = store.query(
        "SELECT topic, partition, min(first_offset), max(last_offset) FROM ledger "
        f"WHERE topic NOT IN {{others:Array(String)}} AND {_STORED_SINCE} "
        "GROUP BY topic, partition ORDER BY topic, partition",
        {"others": list(_NO_FACTS), **_since(since)},
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
        event = decode_stored(record.value() or b"")
    except ContractError:
        return False
    table = "generations" if event["type"] == "generation" else "feedback"
    identity = {"app": event["app"], "generation_id": event["generation_id"], "event_id": event["event_id"]}
    condition = "app = {app:String} AND generation_id = {generation_id:UUID} AND event_id = {event_id:UUID}"
    return bool(store.query(f"SELECT 1 FROM {table} WHERE {condition} LIMIT 1", identity))


def _since(moment: datetime | None) -> dict[str, int]:
    return {"since_ms": to_ms(moment) if moment else 0}
