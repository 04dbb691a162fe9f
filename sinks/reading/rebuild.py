"""All suggestions anew: built beside the table, compared with it, swapped in.

For a definition that changed, and for a store of a version that had none. Sinks may land meanwhile: what they derive
after the beginning is derived here again, before the swap and once more behind it, when no statement is at work any
more that began before: it writes into the table that was there when it began.
"""

import hashlib
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from keeprate.sinks.reading.derive import TABLE, definition, derive, derive_between
from keeprate.sinks.reading.hours import NOW_NS, marking
from keeprate.sinks.store.clickhouse import Client
from keeprate.sinks.store.servers import Servers

ROWS_AT_ONCE: Final = 200_000
_NOT_COMPARED: Final = ("derived_at",)
_PAUSE_S: Final = 0.05


@dataclass(frozen=True)
class Rebuilt:
    """suggestions: how many there are now. before: how many there were.

    changed: of those in both, how many differ, by column; none where nothing was there before.
    """

    suggestions: int
    before: int
    changed: Mapping[str, int]


def checksum() -> str:
    """Of the definition: what a store was derived by."""
    return hashlib.sha256(definition().encode()).hexdigest()[:32]


def rebuild(servers: Servers, on_page: Callable[[int], None] = lambda rows: None) -> Rebuilt:
    """Derive everything into a table of its own, and put it in the place of `suggestions`. Raises StoreError; doing it
    again is the remedy, and two at a time do no harm. Of shards, the table is changed on all of them at once.

    on_page: is told how many outcomes another page had.
    """
    beside = f"suggestions_{uuid.uuid4().hex[:8]}"
    servers.define(f"CREATE TABLE {beside} AS {TABLE}")
    began = [_derive_into(store, beside, on_page) for store in servers.clients]
    done = _added([_compared(store, beside) for store in servers.clients])
    servers.define(f"EXCHANGE TABLES {TABLE} AND {beside}")
    for store, began_at in zip(servers.clients, began, strict=True):
        # From here on the old table has the name of the new one.
        _wait_for_writers(store)
        _catch_up(store, began_at, beside, TABLE)
        for table in (TABLE, beside):
            store.command(marking(table))
    servers.define(f"DROP TABLE {beside}")
    return done


def _derive_into(store: Client, beside: str, on_page: Callable[[int], None]) -> int:
    """Derive all of a server's suggestions; returns when that was begun, by its clock."""
    ((began_at,),) = store.query(f"SELECT {NOW_NS}")
    for app, first, last, rows in _pages(store):
        derive_between(store, app, first, last, beside)
        on_page(rows)
    _catch_up(store, began_at, TABLE, beside)
    return int(began_at)


def _compared(store: Client, beside: str) -> Rebuilt:
    return Rebuilt(_number(store, beside), _number(store, TABLE), _compare(store, beside))


def _added(parts: Sequence[Rebuilt]) -> Rebuilt:
    changed: Counter[str] = Counter()
    for part in parts:
        changed.update(part.changed)
    return Rebuilt(sum(part.suggestions for part in parts), sum(part.before for part in parts), dict(changed))


def _pages(store: Client) -> Iterator[tuple[str, int, int, int]]:
    """App, first and last id as numbers, and how many outcomes: in the order of the table."""
    for (app,) in store.query("SELECT DISTINCT app FROM outcomes ORDER BY app"):
        after = -1
        while True:
            ((first, last, rows),) = store.query(
                "SELECT min(id), max(id), count() FROM (SELECT toUInt128(generation_id) AS id FROM outcomes "
                "WHERE app = {app:String} AND id >= {from:UInt128} ORDER BY app, id LIMIT {limit:UInt32})",
                {"app": app, "from": after + 1, "limit": ROWS_AT_ONCE},
            )
            if not rows:
                break
            yield app, int(first), int(last), int(rows)
            after = int(last)


def _catch_up(store: Client, began_at: int, seen_in: str, target: str) -> None:
    """Derive again what was derived into a table since the beginning."""
    rows = store.query(
        f"SELECT DISTINCT app::String, toString(generation_id) FROM {seen_in} WHERE derived_at >= {{began_at:Int64}}",
        {"began_at": began_at},
    )
    derive(store, [(str(app), str(generation_id)) for app, generation_id in rows], target)


def _wait_for_writers(store: Client, clock: Callable[[], float] = time.monotonic) -> None:
    """Return when every derivation that was at work at the call has ended."""
    began_s = clock()
    while True:
        ((longest_s,),) = store.query(
            "SELECT max(elapsed) FROM system.processes WHERE current_database = currentDatabase() "
            f"AND startsWith(query, 'INSERT INTO {TABLE} ')"
        )
        if longest_s < clock() - began_s:
            return
        time.sleep(_PAUSE_S)


def _number(store: Client, table: str) -> int:
    return int(store.query(f"SELECT count() FROM {table} FINAL")[0][0])


def _compare(store: Client, beside: str) -> dict[str, int]:
    names = [
        str(name)
        for (name,) in store.query(
            "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String}",
            {"table": TABLE},
        )
        if name not in _NOT_COMPARED
    ]
    differing = ", ".join(f"countIf(toString(tuple(a.`{name}`)) != toString(tuple(b.`{name}`)))" for name in names)
    identity = "app, generation_id, choice_index"
    (counts,) = store.query(
        f"SELECT {differing} FROM (SELECT * FROM {TABLE} FINAL) AS a INNER JOIN (SELECT * FROM {beside} FINAL) AS b "
        f"USING ({identity})"
    )
    return {name: int(number) for name, number in zip(names, counts, strict=True) if number}
