"""Forgetting a person: what is stored of them is rewritten, and the sink rewrites what still comes.

    1  note who        from then on every sink rewrites what it lands (`watch`), within REFRESH_S
    2  note what       their sessions and generations, by which events that name nobody are told
    3  wait            until no sink can have a batch in hand that it prepared before 1
    4  rewrite         table by table, where the rows are; again from 2 as long as something is found
    5  write a receipt

A process that dies anywhere leaves 1 standing, and the same command again does the rest. Twice changes nothing.
"""

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from keeprate.schemas.forgotten import NOBODY, Forgotten, digest
from keeprate.sinks.clickhouse import Client
from keeprate.sinks.forget_sql import CLOSE_LETTERS, LEARN, TABLES, Statements

REFRESH_S: Final = 5.0
"""How old a sink's knowledge of who is forgotten may be."""
SETTLE_S: Final = 2 * REFRESH_S
_PASSES: Final = 3


@dataclass(frozen=True)
class Person:
    """Somebody in one app, or in every app where `app` is ''. digest: of their hash. pseudonym: '' for nobody noted."""

    app: str
    digest: str
    pseudonym: str = ""

    @property
    def parameters(self) -> dict[str, str]:
        # No mark begins with this, so a look at somebody new finds what is marked for others.
        return {"app": self.app, "person": self.digest, "pseudonym": self.pseudonym or "nobody"}


@dataclass(frozen=True)
class Receipt:
    """What was done about one person: rows rewritten, by table. person: the digest of the user."""

    receipt_id: str
    forgotten_at: datetime
    person: str
    app: str
    rows: Mapping[str, int]
    version: str


def find(store: Client, user: str, app: str = "") -> Person:
    """The person, with their pseudonym where they are noted for this app or for every one."""
    rows = store.query(
        "SELECT argMin(pseudonym, forgotten_at) FROM forgotten WHERE kind = 'user' AND key = {key:String} "
        "AND app IN ({app:String}, '') GROUP BY app ORDER BY app = '' LIMIT 1",
        {"key": digest(user), "app": app},
    )
    return Person(app, digest(user), rows[0][0] if rows else "")


def count(store: Client, person: Person) -> dict[str, int]:
    """How many rows of each table hold something of the person. Writes nothing."""
    look = Statements(looks=True)
    return {table: int(store.query(look.count(table), person.parameters)[0][0]) for table in TABLES}


def forget(
    store: Client,
    person: Person,
    version: str,
    settle_s: float = SETTLE_S,
    sleep: Callable[[float], None] = time.sleep,
) -> Receipt | None:
    """Rewrite everything stored of the person; None when there was nothing left to do and they were noted before.

    settle_s: how long sinks may take to know of it. Raises StoreError; doing it again is the remedy.
    """
    is_new = not person.pseudonym
    if is_new:
        person = _note(store, person)
    for statement in LEARN:
        store.command(statement, person.parameters)
    if is_new:
        sleep(settle_s)
    rows = dict.fromkeys(TABLES, 0)
    for _ in range(_PASSES):
        found = _rewrite(store, person)
        for table, number in found.items():
            rows[table] += number
        if not any(found.values()):
            break
    if not is_new and not any(rows.values()):
        return None
    return _receipt(store, person, rows, version)


def receipts(store: Client) -> list[Receipt]:
    """Everything that was done, the newest first."""
    query = "SELECT toString(receipt_id), forgotten_at, person, app, rows, version FROM forget_receipts"
    return [Receipt(*row) for row in store.query(f"{query} ORDER BY forgotten_at DESC, receipt_id")]


def load(store: Client) -> Forgotten:
    """Everybody who is forgotten. Of two notes of one, the older counts."""
    users: dict[tuple[str, str], str] = {}
    sessions: dict[str, str] = {}
    generations: dict[tuple[str, str], str] = {}
    query = "SELECT kind::String, app, key, pseudonym FROM forgotten ORDER BY forgotten_at DESC, pseudonym"
    for kind, app, key, pseudonym in store.query(query):
        if kind == "session":
            sessions[key] = pseudonym
        else:
            (users if kind == "user" else generations)[app, key] = pseudonym
    return Forgotten(users, sessions, generations) if users else NOBODY


def watch(store: Client, clock: Callable[[], float] = time.monotonic) -> Callable[[], Forgotten]:
    """A function that gives who is forgotten, never older than REFRESH_S; the same object while nothing changed.

    It raises StoreError where the store does not answer: a sink that does not know whom to forget lands nothing.
    Any thread may call it.
    """
    known, stamp, asked_at_s, turn = NOBODY, (0, None), -REFRESH_S, threading.Lock()

    def current() -> Forgotten:
        nonlocal known, stamp, asked_at_s
        with turn:
            now_s = clock()
            if now_s - asked_at_s >= REFRESH_S:
                ((number, newest),) = store.query("SELECT count(), max(forgotten_at) FROM forgotten")
                if (number, newest) != stamp:
                    known = load(store) if number else NOBODY
                stamp, asked_at_s = (number, newest), now_s
            return known

    return current


def _note(store: Client, person: Person) -> Person:
    pseudonym = f"forgotten-{uuid.uuid4().hex[:16]}"
    columns = ("kind", "app", "key", "pseudonym", "person")
    store.insert("forgotten", columns, [("user", person.app, person.digest, pseudonym, person.digest)])
    return Person(person.app, person.digest, pseudonym)


def _rewrite(store: Client, person: Person) -> dict[str, int]:
    """One pass over all tables; how many rows it found in each."""
    for statement in LEARN:
        store.command(statement, person.parameters)
    statements = Statements()
    found = {table: int(store.query(statements.count(table), person.parameters)[0][0]) for table in TABLES}
    if found["dead_letters"]:
        store.command(CLOSE_LETTERS, person.parameters)
    for table, number in found.items():
        if number:
            store.command(statements.rewrite(table), person.parameters)
    return found


def _receipt(store: Client, person: Person, rows: dict[str, int], version: str) -> Receipt:
    now = datetime.now(UTC)
    # As exact as the column is, so that the receipt that is returned is the one that is listed.
    at = now.replace(microsecond=now.microsecond // 1000 * 1000)
    receipt = Receipt(str(uuid.uuid4()), at, person.digest, person.app, rows, version)
    columns = ("receipt_id", "forgotten_at", "person", "app", "rows", "version")
    values = (receipt.receipt_id, receipt.forgotten_at, receipt.person, receipt.app, rows, version)
    store.insert("forget_receipts", columns, [values])
    return receipt
