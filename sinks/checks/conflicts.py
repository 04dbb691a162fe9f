"""Two events under one id: the same event, sent twice, or two that say different things.

The first is what a retry does, and merges into one row. The second is an app's mistake, or an intruder's try: one of
the two is a row, and the outcome, which only grows, may have both. It is told and not repaired, because nobody but the
app knows which one it meant.
"""

import json
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from uuid import UUID

from keeprate.schemas.decode import ContractError, decode_stored
from keeprate.schemas.events import Event
from keeprate.schemas.forgotten import KEPT, MARK
from keeprate.sinks.store.clickhouse import Client
from keeprate.sinks.upkeep.recompute import FACTS, GenerationFilter, count_facts

_NUMBERS: Final = frozenset(("producer_id", "producer_seq"))
"""They say who sent it and when in his order, and not what: whoever sends an event again gives it another number."""

_FACTS_AT_ONCE: Final = 5_000_000
_MAX_REPEATED: Final = 2000
_CHUNK: Final = 100

Identity = tuple[str, str, str]
"""App, generation_id and event_id, by which rows of facts merge."""


@dataclass(frozen=True)
class Conflict:
    """A record whose event_id another content stands for. where: topic/partition/offset. value: the record's."""

    app: str
    generation_id: str
    event_id: str
    where: str
    value: bytes = b""

    def event(self) -> Event | None:
        """What it says; None where this version does not take it."""
        try:
            return decode_stored(self.value)
        except ContractError:
            return None


def identity_of(value: bytes | None) -> Identity | None:
    """Which event a record is; also one that this version refuses, and an earlier one took."""
    try:
        event = json.loads(value or b"")
        app, ids = event["app"], [str(UUID(event[name])) for name in ("generation_id", "event_id")]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return (app, ids[0], ids[1]) if isinstance(app, str) else None


def rows_of(store: Client, identities: Sequence[Identity]) -> Mapping[Identity, Sequence[str]]:
    """The events in the store that have these identities, not yet merged copies included."""
    found: dict[Identity, list[str]] = defaultdict(list)
    if not identities:
        return found
    parameters = {
        "apps": sorted({app for app, _, _ in identities}),
        "generations": sorted({generation for _, generation, _ in identities}),
        "events": sorted({event for _, _, event in identities}),
    }
    for table in FACTS:
        rows = store.query(
            f"SELECT app, toString(generation_id), toString(event_id), event FROM {table} "
            "WHERE app IN {apps:Array(String)} "
            "AND toUInt128(generation_id) IN (SELECT toUInt128(toUUID(arrayJoin({generations:Array(String)})))) "
            "AND event_id IN (SELECT toUUID(arrayJoin({events:Array(String)})))",
            parameters,
        )
        for *identity, event in rows:
            found[identity[0], identity[1], identity[2]].append(event)
    return found


def says_the_same(value: bytes | str, row: str) -> bool:
    """Whether a row says what a record says, but for its number. Of a person who is forgotten, a row says less."""
    said, held = _read(value), _read(row)
    if any(MARK in (one.get("attributes") or {}) for one in (said, held)):
        return _content(said, KEPT) == _content(held, KEPT)
    return _content(said) == _content(held)


def repeated(store: Client, selection: GenerationFilter) -> list[Conflict]:
    """The ids in the store that two events have which say different things: of one generation, or of two."""
    conflicts = []
    parts = max(1, -(-count_facts(store, selection) // _FACTS_AT_ONCE))
    facts = " UNION ALL ".join(
        f"SELECT app::String AS app, generation_id, event_id FROM {table} WHERE {selection.condition()} "
        f"AND {selection.in_span()} AND cityHash64(event_id) % {{parts:UInt64}} = {{part:UInt64}}"
        for table in FACTS
    )
    for part in range(parts):
        found = store.query(
            "SELECT app, toString(event_id), arrayMap(g -> toString(g), groupUniqArray(10)(generation_id)) "
            f"FROM ({facts}) GROUP BY app, event_id HAVING count() > 1 ORDER BY app, event_id LIMIT {_MAX_REPEATED}",
            {**selection.parameters(), "parts": parts, "part": part},
        )
        for first in range(0, len(found), _CHUNK):
            chunk = found[first : first + _CHUNK]
            rows = rows_of(store, [(app, each, event_id) for app, event_id, of in chunk for each in of])
            conflicts += [one for row in chunk if (one := _told_apart(rows, *row)) is not None]
    return conflicts


def _told_apart(
    rows: Mapping[Identity, Sequence[str]], app: str, event_id: str, generations: Sequence[str]
) -> Conflict | None:
    held = [row for generation in generations for row in rows.get((app, generation, event_id), ())]
    other = next((row for row in held[1:] if not says_the_same(row, held[0])), None)
    return Conflict(app, generations[0], event_id, "both are rows", other.encode()) if other is not None else None


def _read(value: bytes | str) -> Mapping[str, Any]:
    """In the one form that the gate gives an event; as it was sent, where it does not pass the gate any more."""
    try:
        return cast(Mapping[str, Any], decode_stored(value.encode() if isinstance(value, str) else value))
    except ContractError:
        return cast(Mapping[str, Any], json.loads(value))


def _content(event: Mapping[str, Any], kept: Container[str] | None = None) -> dict[str, Any]:
    return {
        name: value
        for name, value in event.items()
        if value is not None and name not in _NUMBERS and (kept is None or name in kept)
    }
