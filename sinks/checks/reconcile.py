"""Does everything that a producer emitted have an end: in the tables, in the dead letters, or dropped by the client?

The SDK numbers what it emits, per producer from 1 on. A number that was dropped after it was given is a gap, so the
highest number that arrived says how much was emitted, and the gaps say what did not arrive. The client's own accounts
(`producers.stats`), where they are given, say how much of that it dropped or still holds.

    emitted = landed + merged + dead-lettered + dropped + waiting + unexplained

An account is that of a producer *and* its app: what another app sends under the same producer_id is another account.
An event that was sent again, under a number of its own, merges with its row, which keeps one of the two numbers. The
other one is merged: the row tells it until the engine merges the two, then Kafka's copy of the record, as long as Kafka
has it.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final

from keeprate.schemas.forgotten import PRODUCER_ID, PRODUCER_SEQ
from keeprate.sinks.checks.accounting import Gap, RecordReader
from keeprate.sinks.checks.conflicts import identity_of, rows_of
from keeprate.sinks.erasure.statements import quoted
from keeprate.sinks.kafka.records import TopicPartition
from keeprate.sinks.store.clickhouse import Client

UNNUMBERED: Final = ("invalid", "too_large", "redaction", "closed")
"""Reasons of drops that are given no number: they leave no gap."""
_ADOPTED: Final = "crash"
"""The reason of drops that were another process's."""

_FACT: Final = (
    "SELECT app::String AS app, producer_id, assumeNotNull(producer_seq)::UInt64 AS seq, recorded_at, 1 AS landed "
    "FROM {0} WHERE producer_id != '' AND producer_seq IS NOT NULL"
)
_APP: Final = r'"app"\s*:\s*"([^"\\]*)"'
_LETTER: Final = (
    f"SELECT extract(ifNull(value, ''), {quoted(_APP)}) AS app, extract(ifNull(value, ''), {quoted(PRODUCER_ID)}) "
    f"AS producer_id, toUInt64OrZero(extract(ifNull(value, ''), {quoted(PRODUCER_SEQ)})) AS seq, recorded_at, "
    f"0 AS landed FROM dead_letters FINAL WHERE producer_id != '' AND match(ifNull(value, ''), {quoted(PRODUCER_SEQ)})"
)
# A broken record may not say its app: then it is that of the facts of its producer, where these are of one.
_APPS: Final = (
    "SELECT producer_id, any(name) AS app FROM (SELECT producer_id, app::String AS name FROM generations "
    "UNION ALL SELECT producer_id, app::String FROM feedback) GROUP BY producer_id HAVING uniqExact(name) = 1"
)
_EVENTS: Final = (
    "SELECT if(e.app = '', k.app, e.app) AS app, e.producer_id AS producer_id, e.seq AS seq, "
    "e.recorded_at AS recorded_at, e.landed AS landed FROM ("
    + " UNION ALL ".join((_FACT.format("generations FINAL"), _FACT.format("feedback FINAL"), _LETTER))
    + f") AS e LEFT ANY JOIN ({_APPS}) AS k ON e.producer_id = k.producer_id"
)
_WANTED: Final = (
    "(empty({producers:Array(String)}) OR producer_id IN {producers:Array(String)})"
    " AND (empty({apps:Array(String)}) OR app IN {apps:Array(String)})"
)
_SUMS: Final = f"""
SELECT app, producer_id, groupBitmapIf(seq, landed), countIf(landed),
    bitmapAndnotCardinality(groupBitmapStateIf(seq, NOT landed), groupBitmapStateIf(seq, landed)),
    min(seq), max(seq), max(recorded_at)
FROM ({_EVENTS}) WHERE {_WANTED} GROUP BY app, producer_id ORDER BY producer_id, app
"""
_COPIES: Final = (
    "SELECT app, producer_id, count() FROM ("
    + " UNION ALL ".join(_FACT.format(table) for table in ("generations", "feedback"))
    + f") WHERE {_WANTED} GROUP BY app, producer_id"
)
# A row of the same event, which the engine has not merged yet, has a number that a reader of the merged rows misses.
_UNMERGED: Final = (
    "SELECT app, producer_id, bitmapToArray(bitmapAndnot(groupBitmapState(seq), groupBitmapStateIf(seq, merged))) AS "
    "numbers FROM ("
    + " UNION ALL ".join(
        f"SELECT app, producer_id, seq, {merged} AS merged FROM ({_FACT.format(table + final)})"
        for table in ("generations", "feedback")
        for merged, final in ((0, ""), (1, " FINAL"))
    )
    + ") GROUP BY app, producer_id HAVING notEmpty(numbers)"
)
# Only of producers with gaps: the others need no sorting.
_GAPS: Final = f"""
SELECT app, producer_id, before + 1, seq - 1
FROM
(
    SELECT app, producer_id, seq, lagInFrame(seq, 1, 0) OVER (
        PARTITION BY app, producer_id ORDER BY seq ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before
    FROM (SELECT DISTINCT app, producer_id, seq FROM ({_EVENTS}) WHERE producer_id IN {{gapped:Array(String)}})
)
WHERE seq > before + 1
ORDER BY producer_id, app, seq
LIMIT {{limit:UInt32}} BY app, producer_id
"""
_GAPPED_PER_QUERY: Final = 500
_CHUNK: Final = 200

Producer = tuple[str, str]
"""An app and a producer_id of it."""


@dataclass(frozen=True)
class Seen:
    """What arrived of one producer of one app.

    landed, dead_lettered: distinct numbers; one that was refused and later landed is landed. collisions: events
    beyond the first with the same number. copies: rows beyond the first of the same event, not merged yet.
    merged: numbers of events that were sent again and are rows under another number.
    gaps: ranges of numbers that are nowhere, both ends included, the first of them. newest_at: by Kafka's clock.
    """

    producer_id: str
    app: str
    landed: int
    dead_lettered: int
    collisions: int
    copies: int
    lowest: int
    highest: int
    newest_at: datetime
    gaps: Sequence[tuple[int, int]] = ()
    merged: int = 0

    @property
    def producer(self) -> Producer:
        return self.app, self.producer_id

    @property
    def arrived(self) -> int:
        return self.landed + self.merged + self.dead_lettered

    @property
    def missing(self) -> int:
        """How many numbers up to the highest are nowhere. Our SDK counts from 1; others may from 0."""
        return self.highest + (self.lowest == 0) - self.arrived


@dataclass(frozen=True)
class Balance:
    """One producer's account.

    emitted: by the client's accounts, else the highest number that arrived. dropped, waiting: by the client's accounts.
    unnumbered: of dropped, those that were given no number. unexplained: what is left over.
    is_exact: False where the client took over events of others, whose drops its accounts do not tell apart.
    """

    seen: Seen
    is_active: bool
    emitted: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    waiting: int = 0
    unexplained: int = 0
    has_stats: bool = False
    is_exact: bool = True

    @property
    def is_sound(self) -> bool:
        """Whether nothing is left over, or may still be on its way."""
        return self.is_active or not (self.unexplained or self.seen.collisions)


def producers(
    store: Client,
    apps: Sequence[str] = (),
    producer_ids: Sequence[str] = (),
    ranges: int = 20,
    merged: Mapping[Producer, set[int]] | None = None,
) -> list[Seen]:
    """What arrived of each producer, of some apps or of some producers, with the first `ranges` gaps of each.

    merged: `unmerged_numbers` and `merged_numbers`.
    """
    wanted = {"apps": list(apps), "producers": list(producer_ids)}
    copies = {(app, producer_id): int(rows) for app, producer_id, rows in store.query(_COPIES, wanted)}
    seen = []
    for app, producer_id, landed, rows, lettered, lowest, highest, newest_at in store.query(_SUMS, wanted):
        counts = (landed, lettered, rows - landed, max(0, copies.get((app, producer_id), 0) - rows))
        seen.append(Seen(producer_id, app, *counts, lowest, highest, newest_at))
    known = merged or {}
    limit = ranges + max(map(len, known.values()), default=0)
    gaps = _gaps(store, sorted({one.producer_id for one in seen if one.missing}), limit)
    return [_with_gaps(one, gaps.get(one.producer, ()), known.get(one.producer, set()), ranges) for one in seen]


def unmerged_numbers(store: Client) -> dict[Producer, set[int]]:
    """The numbers of rows that merge with another row of their event, and have not yet.

    Ask before `merged_numbers`: what merges meanwhile is then in the one or in the other.
    """
    return {(app, producer_id): set(numbers) for app, producer_id, numbers in store.query(_UNMERGED)}


def merged_numbers(
    store: Client, reader: RecordReader, offsets: Mapping[TopicPartition, Sequence[Gap]]
) -> dict[Producer, set[int]]:
    """The numbers of records that merged with another row of their event. offsets: those without a row, `rowless`."""
    found: dict[Producer, set[int]] = defaultdict(set)
    for at, gaps in offsets.items():
        records = reader.read(at, gaps)
        while values := [record.value() for record in islice(records, _CHUNK)]:
            identities = [identity_of(value) for value in values]
            rows = rows_of(store, [one for one in identities if one is not None])
            for value, identity in zip(values, identities, strict=True):
                event = json.loads(value or b"{}") if identity in rows else {}
                number = event.get("producer_seq")
                if identity is not None and isinstance(number, int):
                    found[identity[0], str(event.get("producer_id"))].add(number)
    return found


def unnumbered(store: Client) -> int:
    """How many facts have no producer and number, so that nothing can be said of their losses."""
    parts = (
        f"SELECT count() AS c FROM {table} WHERE producer_id = '' OR producer_seq IS NULL"
        for table in ("generations", "feedback")
    )
    return int(store.query(f"SELECT sum(c) FROM ({' UNION ALL '.join(parts)})")[0][0])


def balance(
    seen: Iterable[Seen], stats: Mapping[Producer, Mapping[str, Any]], now: datetime, active: timedelta
) -> list[Balance]:
    """The account of every producer that was seen or whose client's accounts are given, by producer_id. Pure.

    stats: `producers.Stats` as dictionaries, by app and producer_id. Where the app is '', they are of the one app that
    has this producer; raises ValueError where several have. active: how recent the newest event of a producer is that
    may still emit.
    """
    found = {one.producer: one for one in seen}
    given = {_owner(producer, found): one for producer, one in stats.items()}
    never = datetime.min.replace(tzinfo=now.tzinfo)
    for app, producer_id in given:
        found.setdefault((app, producer_id), Seen(producer_id, app, 0, 0, 0, 0, 1, 0, never))
    return [
        _balance(one, given.get(one.producer), one.newest_at != never and now - one.newest_at <= active)
        for one in sorted(found.values(), key=lambda one: (one.producer_id, one.app))
    ]


def _owner(producer: Producer, seen: Iterable[Producer]) -> Producer:
    app, producer_id = producer
    apps = sorted(each for each, name in seen if name == producer_id) if not app else []
    if len(apps) > 1:
        raise ValueError(f'--stats: {producer_id} is a producer of {" and ".join(apps)}: say which with "app"')
    return (apps[0], producer_id) if apps else producer


def _balance(seen: Seen, stats: Mapping[str, Any] | None, is_active: bool) -> Balance:
    if stats is None:
        return Balance(seen, is_active, seen.arrived + seen.missing, unexplained=seen.missing)
    adopted = stats.get("adopted", 0)
    dropped = {reason: number for reason, number in stats.get("dropped", {}).items() if reason != _ADOPTED}
    waiting = stats.get("pending", 0) + stats.get("spooled", 0)
    emitted = stats["accepted"] - adopted
    # What waited when the accounts were made may have arrived since.
    unexplained = max(0, emitted - seen.arrived - sum(dropped.values()) - waiting)
    return Balance(seen, is_active, emitted, dropped, waiting, unexplained, True, not adopted)


def _gaps(store: Client, gapped: Sequence[str], limit: int) -> dict[Producer, list[Gap]]:
    found: dict[Producer, list[Gap]] = defaultdict(list)
    for begin in range(0, len(gapped), _GAPPED_PER_QUERY):
        parameters = {"gapped": list(gapped[begin : begin + _GAPPED_PER_QUERY]), "limit": limit}
        for app, producer_id, first, last in store.query(_GAPS, parameters):
            found[app, producer_id].append((int(first), int(last)))
    return found


def _with_gaps(one: Seen, gaps: Sequence[Gap], merged: set[int], ranges: int) -> Seen:
    """Without the numbers that merged. Of the last event sent again, the number may be higher than any that landed."""
    inside = {number for number in merged if any(first <= number <= last for first, last in gaps)}
    beyond = {number for number in merged if number > one.highest}
    highest = max(beyond, default=one.highest)
    wide = [*gaps, (one.highest + 1, highest)] if beyond else gaps
    left = list(islice(_without(wide, sorted(inside | beyond)), ranges))
    return replace(one, gaps=tuple(left), merged=len(inside | beyond), highest=highest)


def _without(gaps: Iterable[Gap], numbers: Sequence[int]) -> Iterator[Gap]:
    """What is left of ranges that ascend without some numbers, which ascend too."""
    at = 0
    for first, last in gaps:
        while at < len(numbers) and numbers[at] <= last:
            if first < numbers[at]:
                yield first, numbers[at] - 1
            first, at = numbers[at] + 1, at + 1
        if first <= last:
            yield first, last
