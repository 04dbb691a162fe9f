"""Rebuild outcomes from facts: into `outcomes`, where they merge, or into a table beside it.

What is inserted never makes an outcome wrong that was right, because a merge adds and takes nothing away. For the same
reason it cannot mend an outcome that holds more than its facts say: that takes a table of its own, and an exchange.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from keeprate.schemas.events import Event
from keeprate.schemas.outcome import FIELDS, KEY_COLUMNS
from keeprate.sinks.landing.rows import OUTCOMES_TABLE
from keeprate.sinks.store.clickhouse import Client
from keeprate.sinks.store.servers import Servers
from keeprate.sinks.store.topology import has_copies, without_copies
from keeprate.sinks.upkeep.recompute import (
    GenerationFilter,
    OutcomeDifference,
    Unread,
    compare,
    events,
    pages,
    recomputed,
    stored,
    write,
)

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


@dataclass
class Replayed:
    """What a replay found and did.

    events: read, unmerged duplicates included. unread: facts that this version does not take, so that they are in no
    recomputed outcome. outcomes: recomputed from the events.
    equal, lacking, more: of the outcomes on either side, how many are equal, lack what their facts say, and hold what
    no fact says; one may do both. fields: how many outcomes differ in each field.
    written: inserted into the table. differences: the first of them.
    """

    events: int = 0
    unread: list[Unread] = field(default_factory=list)
    outcomes: int = 0
    equal: int = 0
    lacking: int = 0
    more: int = 0
    written: int = 0
    fields: Counter[str] = field(default_factory=Counter)
    differences: list[OutcomeDifference] = field(default_factory=list)

    @property
    def differing(self) -> bool:
        return bool(self.lacking or self.more)


def replay(
    servers: Servers,
    selection: GenerationFilter,
    table: str = OUTCOMES_TABLE.name,
    writes: bool = False,
    keep: int = 20,
    on_page: Callable[[int], None] = lambda events: None,
) -> Replayed:
    """Recompute what is selected and compare it with a table, page by page, on one server after the other.

    Each holds the facts of its outcomes. One that is away ends it, and what was written to others stays: replaying
    again is the remedy.
    writes: insert what the table lacks. keep: how many differences to return. on_page: is told how many events a page
    had. A table that is not there is empty.
    """
    done = Replayed()
    for store in servers.clients:
        is_there = has_table(store, table)
        for page in pages(store, selection):
            before = done.events
            said = recomputed(_counted(events(store, page, done.unread.append), done))
            held = stored(store, page, table) if is_there else {}
            found = compare(held, said)
            _note(done, len(said), len(held.keys() | said.keys()), found, keep)
            if writes:
                lacking = {one.key: one.recomputed for one in found if one.lacks}
                write(store, lacking, table)
                done.written += len(lacking)
            on_page(done.events - before)
    return done


def make_table(servers: Servers, table: str) -> None:
    """Make a table for outcomes as this version declares them, stored, divided and copied as `outcomes` is; one that is
    there stays.

    Raises ValueError for a name that cannot be one, for a table of something else, and where `outcomes` has copies of
    which the settings say nothing.
    """
    if not _NAME.fullmatch(table):
        raise ValueError(f"{table}: a table's name has letters, digits and _, and begins with no digit")
    columns = [*KEY_COLUMNS, *(one.column() for one in FIELDS)]
    made = [_is_made(client, table, columns) for client in servers.clients]
    if all(made):
        return
    outcomes = {"table": OUTCOMES_TABLE.name}
    ((engine,),) = servers.clients[0].query(f"SELECT engine_full FROM system.tables WHERE {_HERE}", outcomes)
    if has_copies(engine) and not servers.topology.replicated:
        raise ValueError(
            f"outcomes has copies, and {table} would have none: "
            "set KEEPRATE_STORE_REPLICATED and KEEPRATE_STORE_CLUSTER as for keeprate migrate"
        )
    statement = f"CREATE TABLE IF NOT EXISTS `{table}` ({', '.join(columns)}) ENGINE = {without_copies(engine)}"
    servers.define(statement, like=OUTCOMES_TABLE.name)


def _is_made(store: Client, table: str, columns: list[str]) -> bool:
    if not has_table(store, table):
        return False
    names = [name.split()[0] for name in columns]
    found = [name for (name,) in store.query(f"SELECT name FROM system.columns WHERE {_NAMED}", {"table": table})]
    if found != names:
        raise ValueError(f"{table} is there and is no table of outcomes of this version: take another name")
    return True


def has_table(store: Client, table: str) -> bool:
    """Whether the database has a table of this name."""
    return bool(store.query(f"SELECT 1 FROM system.tables WHERE {_HERE}", {"table": table}))


_HERE: Final = "database = currentDatabase() AND name = {table:String}"
_NAMED: Final = "database = currentDatabase() AND table = {table:String} ORDER BY position"


def _counted(log: Iterator[Event], done: Replayed) -> Iterator[Event]:
    for event in log:
        done.events += 1
        yield event


def _note(done: Replayed, said: int, keys: int, found: list[OutcomeDifference], keep: int) -> None:
    done.outcomes += said
    done.equal += keys - len(found)
    done.lacking += sum(one.lacks for one in found)
    done.more += sum(one.has_more for one in found)
    done.fields.update(name for one in found for name in one.fields)
    done.differences += found[: max(0, keep - len(done.differences))]


def explain(one: OutcomeDifference) -> Iterator[tuple[str, Any, Any]]:
    """Field by field: its name, what is stored and what the facts say; of a map, only the keys that differ."""
    for name in one.fields:
        held, said = one.stored.get(name), one.recomputed.get(name)
        if isinstance(held, dict) or isinstance(said, dict):
            held, said = held or {}, said or {}
            for key in sorted(key for key in held.keys() | said.keys() if held.get(key) != said.get(key)):
                yield f"{name}[{key!r}]", held.get(key), said.get(key)
        else:
            yield name, held, said
