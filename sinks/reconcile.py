"""Does everything that a producer emitted have an end: in the tables, in the dead letters, or dropped by the client?

The SDK numbers what it emits, per producer from 1 on. A number that was dropped after it was given is a gap, so the
highest number that arrived says how much was emitted, and the gaps say what did not arrive. The client's own accounts
(`producers.stats`), where they are given, say how much of that it dropped or still holds.

    emitted = landed + dead-lettered + dropped + waiting + unexplained

A row that was landed twice is seen only until ClickHouse merges it: `sinks.verify` counts those by their offsets.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from keeprate.schemas.forgotten import PRODUCER_ID, PRODUCER_SEQ
from keeprate.sinks.clickhouse import Client
from keeprate.sinks.forget_sql import quoted

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
_EVENTS: Final = " UNION ALL ".join((_FACT.format("generations FINAL"), _FACT.format("feedback FINAL"), _LETTER))
_WANTED: Final = (
    "(empty({producers:Array(String)}) OR producer_id IN {producers:Array(String)})"
    " AND (empty({apps:Array(String)}) OR app IN {apps:Array(String)})"
)
_SUMS: Final = f"""
SELECT producer_id, anyIf(app, app != ''), groupBitmapIf(seq, landed), countIf(landed),
    bitmapAndnotCardinality(groupBitmapStateIf(seq, NOT landed), groupBitmapStateIf(seq, landed)),
    min(seq), max(seq), max(recorded_at)
FROM ({_EVENTS}) WHERE {_WANTED} GROUP BY producer_id ORDER BY producer_id
"""
_COPIES: Final = (
    "SELECT producer_id, count() FROM ("
    + " UNION ALL ".join(_FACT.format(table) for table in ("generations", "feedback"))
    + f") WHERE {_WANTED} GROUP BY producer_id"
)
# Only of producers with gaps: the others need no sorting.
_GAPS: Final = f"""
SELECT producer_id, before + 1, seq - 1
FROM
(
    SELECT producer_id, seq, lagInFrame(seq, 1, 0) OVER (
        PARTITION BY producer_id ORDER BY seq ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS before
    FROM (SELECT DISTINCT producer_id, seq FROM ({_EVENTS}) WHERE producer_id IN {{gapped:Array(String)}})
)
WHERE seq > before + 1
ORDER BY producer_id, seq
LIMIT {{limit:UInt32}} BY producer_id
"""
_GAPPED_PER_QUERY: Final = 500


@dataclass(frozen=True)
class Seen:
    """What arrived of one producer.

    landed, dead_lettered: distinct numbers; one that was refused and later landed is landed. collisions: events
    beyond the first with the same number. copies: rows beyond the first of the same event, not merged yet.
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

    @property
    def missing(self) -> int:
        """How many numbers up to the highest are nowhere. Our SDK counts from 1; others may from 0."""
        return self.highest + (self.lowest == 0) - self.landed - self.dead_lettered


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
    store: Client, apps: Sequence[str] = (), producer_ids: Sequence[str] = (), ranges: int = 20
) -> list[Seen]:
    """What arrived of each producer, of some apps or of some producers, with the first `ranges` gaps of each."""
    wanted = {"apps": list(apps), "producers": list(producer_ids)}
    copies = {producer_id: int(rows) for producer_id, rows in store.query(_COPIES, wanted)}
    seen = []
    for producer_id, app, landed, rows, lettered, lowest, highest, newest_at in store.query(_SUMS, wanted):
        counts = (landed, lettered, rows - landed, max(0, copies.get(producer_id, 0) - rows))
        seen.append(Seen(producer_id, app, *counts, lowest, highest, newest_at))
    gaps = _gaps(store, [one.producer_id for one in seen if one.missing], ranges)
    return [_with_gaps(one, gaps.get(one.producer_id, ())) for one in seen]


def unnumbered(store: Client) -> int:
    """How many facts have no producer and number, so that nothing can be said of their losses."""
    parts = (
        f"SELECT count() AS c FROM {table} WHERE producer_id = '' OR producer_seq IS NULL"
        for table in ("generations", "feedback")
    )
    return int(store.query(f"SELECT sum(c) FROM ({' UNION ALL '.join(parts)})")[0][0])


def balance(
    seen: Iterable[Seen], stats: Mapping[str, Mapping[str, Any]], now: datetime, active: timedelta
) -> list[Balance]:
    """The account of every producer that was seen or whose client's accounts are given, by producer_id. Pure.

    stats: `producers.Stats` as dictionaries, by producer_id. active: how recent the newest event of a producer is that
    may still emit.
    """
    by_id = {one.producer_id: one for one in seen}
    never = datetime.min.replace(tzinfo=now.tzinfo)
    for producer_id in stats:
        by_id.setdefault(producer_id, Seen(producer_id, "", 0, 0, 0, 0, 1, 0, never))
    return [
        _balance(one, stats.get(one.producer_id), one.newest_at != never and now - one.newest_at <= active)
        for one in sorted(by_id.values(), key=lambda one: one.producer_id)
    ]


def _balance(seen: Seen, stats: Mapping[str, Any] | None, is_active: bool) -> Balance:
    if stats is None:
        return Balance(seen, is_active, seen.landed + seen.dead_lettered + seen.missing, unexplained=seen.missing)
    adopted = stats.get("adopted", 0)
    dropped = {reason: number for reason, number in stats.get("dropped", {}).items() if reason != _ADOPTED}
    waiting = stats.get("pending", 0) + stats.get("spooled", 0)
    emitted = stats["accepted"] - adopted
    arrived = seen.landed + seen.dead_lettered
    # What waited when the accounts were made may have arrived since.
    unexplained = max(0, emitted - arrived - sum(dropped.values()) - waiting)
    return Balance(seen, is_active, emitted, dropped, waiting, unexplained, True, not adopted)


def _gaps(store: Client, gapped: Sequence[str], limit: int) -> dict[str, list[tuple[int, int]]]:
    found: dict[str, list[tuple[int, int]]] = {}
    for begin in range(0, len(gapped), _GAPPED_PER_QUERY):
        parameters = {"gapped": list(gapped[begin : begin + _GAPPED_PER_QUERY]), "limit": limit}
        for producer_id, first, last in store.query(_GAPS, parameters):
            found.setdefault(producer_id, []).append((int(first), int(last)))
    return found


def _with_gaps(one: Seen, gaps: Sequence[tuple[int, int]]) -> Seen:
    return Seen(**{**vars(one), "gaps": tuple(gaps)})
