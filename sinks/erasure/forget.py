"""Forgetting a person: what is stored of them is rewritten, and the sink rewrites what still comes.

    1  note who        from then on every sink rewrites what it lands (`watch`), within REFRESH_S
    2  note what       their sessions and generations, by which events that name nobody are told
    3  wait            until no sink can have a batch in hand that it prepared before 1
    4  rewrite         table by table, where the rows are; again from 2 as long as something is found
    5  write a receipt

A process that dies anywhere leaves 1 standing, and the same command again does the rest. Twice changes nothing.

Where the store has shards, 1, 2 and 5 are the store's own, which looks through all shards: whose a session is, no shard
knows alone. 4 is done on each of them, with a copy of what was noted there. One that is away ends it with an error.

A session or generation that only a later event tells to be the person's is noted by the sink that lands the event, and
a sink does 2 to 5 again for whom something was noted since (`Rewriter`).
"""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from keeprate.schemas.forgotten import NOBODY, Forgotten, PersonTrace, digest
from keeprate.sinks.erasure.statements import LEARN, SHARED, TABLES, UNFINISHED, Statements
from keeprate.sinks.reading.hours import touch
from keeprate.sinks.store.clickhouse import Client, StoreError
from keeprate.sinks.store.servers import Servers

logger = logging.getLogger(__name__)

REFRESH_S: Final = 5.0
"""How old a sink's knowledge of who is forgotten may be."""
SETTLE_S: Final = 2 * REFRESH_S
REWRITE_S: Final = 600.0
"""How often a sink looks whether more was noted of somebody."""
REWRITE_TIMEOUT_S: Final = 6 * 3600
"""Rewriting a table reads all of it."""
_PASSES: Final = 3
_NOTE: Final = ("kind", "app", "key", "pseudonym", "person")
_NOTES_OF: Final = "FROM forgotten WHERE person = {person:String}"
_RECEIPTS_OF: Final = (
    "SELECT 1 FROM forget_receipts WHERE person = {person:String} AND app IN ({app:String}, '') LIMIT 1"
)


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
    """How many rows of each table hold something of the person, on all shards. Writes nothing."""
    return _count(store, Statements(looks=True), person)


def forget(
    store: Client,
    person: Person,
    version: str,
    settle_s: float = SETTLE_S,
    sleep: Callable[[float], None] = time.sleep,
    servers: Servers | None = None,
) -> Receipt | None:
    """Rewrite everything stored of the person; None when there was nothing left to do and a receipt says so.

    settle_s: how long sinks may take to know of it. servers: those that hold the rows, where `store` does not.
    Raises StoreError; doing it again is the remedy.
    """
    servers = servers or Servers([store])
    is_new = not person.pseudonym
    if is_new:
        person = _note(store, person)
    for statement in LEARN:
        store.command(statement, person.parameters)
    if is_new:
        sleep(settle_s)
    rows = dict.fromkeys(TABLES, 0)
    for _ in range(_PASSES):
        found = _rewrite(store, servers, person)
        for table, number in found.items():
            rows[table] += number
        if not any(found.values()):
            break
    if not is_new and not any(rows.values()) and store.query(_RECEIPTS_OF, person.parameters):
        return None
    return _receipt(store, person, rows, version)


def receipts(store: Client) -> list[Receipt]:
    """Everything that was done, the newest first."""
    query = "SELECT toString(receipt_id), forgotten_at, person, app, rows, version FROM forget_receipts"
    return [Receipt(*row) for row in store.query(f"{query} ORDER BY forgotten_at DESC, receipt_id")]


def load(store: Client) -> Forgotten:
    """Everybody who is forgotten. Of two notes of one, the older counts."""
    users: dict[tuple[str, str], str] = {}
    sessions: dict[tuple[str, str], str] = {}
    generations: dict[tuple[str, str], str] = {}
    by_kind = {"user": users, "session": sessions, "generation": generations}
    query = "SELECT kind::String, app, key, pseudonym FROM forgotten ORDER BY forgotten_at DESC, pseudonym"
    for kind, app, key, pseudonym in store.query(query):
        by_kind[kind][app, key] = pseudonym
    return Forgotten(users, sessions, generations) if users else NOBODY


def unfinished(store: Client, looked: Mapping[Person, datetime]) -> dict[Person, datetime]:
    """Of whom something was noted since their rows were rewritten, so that `forget` has to go over them; with the time.

    looked: when that was done and nothing was found, because then no receipt says so.
    """
    found = {}
    for app, key, pseudonym, noted, done, now in store.query(UNFINISHED):
        person = Person(app, key, pseudonym)
        # What landed while not every sink had read the note may hold them still.
        if noted + timedelta(seconds=SETTLE_S) > max(done, looked.get(person, done)):
            found[person] = now
    return found


class Watch:
    """Who is forgotten, for a sink. Any thread may call it.

    It raises StoreError where the store does not answer: a sink that does not know whom to forget lands nothing.
    """

    def __init__(self, store: Client, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._known = NOBODY
        self._stamp: tuple[int, datetime | None] = (0, None)
        self._asked_at_s = -REFRESH_S
        self._shared: set[PersonTrace] = set()
        self._turn = threading.Lock()

    def __call__(self) -> Forgotten:
        """Who is, never older than REFRESH_S; the same object while nothing changed."""
        with self._turn:
            if self._clock() - self._asked_at_s >= REFRESH_S:
                self._refresh()
            return self._known

    def learn(self, traces: Iterable[PersonTrace]) -> Forgotten:
        """Note sessions and generations that turned out to be a forgotten person's; returns who is forgotten then.

        A session that somebody else's events have too is not noted.
        """
        with self._turn:
            own = [trace for trace in traces if not self._is_shared(trace)]
            if own:
                rows = [(trace.kind, trace.app, trace.key, trace.noted_as, trace.person) for trace in own]
                self._store.insert("forgotten", _NOTE, rows)
                self._refresh()
            return self._known

    def _is_shared(self, trace: PersonTrace) -> bool:
        if trace.kind == "session" and trace not in self._shared:
            parameters = {"of": trace.app, "key": trace.key, "person": trace.person, "pseudonym": trace.pseudonym}
            if self._store.query(SHARED, parameters)[0][0]:
                self._shared.add(trace)
        return trace in self._shared

    def _refresh(self) -> None:
        now_s = self._clock()
        ((number, newest),) = self._store.query("SELECT count(), max(forgotten_at) FROM forgotten")
        if (number, newest) != self._stamp:
            self._known = load(self._store) if number else NOBODY
        self._stamp, self._asked_at_s = (number, newest), now_s


class Rewriter:
    """Goes over the stored rows of forgotten people again when more of them was noted, in a thread of its own."""

    def __init__(
        self,
        connected: Callable[[], Client],
        servers: Callable[[Client], AbstractContextManager[Servers]],
        version: str,
        every_s: float = REWRITE_S,
    ) -> None:
        self._connected = connected
        self._servers = servers
        self._version = version
        self._every_s = every_s
        self._looked: dict[Person, datetime] = {}

    def start(self) -> None:
        """Begin. Returns at once; the thread ends with the process, and what it leaves is done by the next one."""
        threading.Thread(target=self._run, name="forget", daemon=True).start()

    def rewrite(self) -> None:
        """Go over the rows of those of whom something was noted. Raises StoreError."""
        with self._connected() as store:
            if not (people := unfinished(store, self._looked)):
                return
            with self._servers(store) as servers:
                self._rewrite(store, servers, people)

    def _rewrite(self, store: Client, servers: Servers, people: Mapping[Person, datetime]) -> None:
        for person, now in people.items():
            receipt = forget(store, person, self._version, servers=servers)
            self._looked[person] = now
            if receipt:
                logger.info("rewrote what was noted later of a forgotten person: %s", receipt)

    def _run(self) -> None:
        while True:
            try:
                self.rewrite()
            except StoreError as error:
                logger.warning("rows of forgotten people cannot be rewritten now: %s", error)
            except Exception:
                # Landing goes on: the same is tried again.
                logger.exception("rows of forgotten people were not rewritten")
            time.sleep(self._every_s)


def _note(store: Client, person: Person) -> Person:
    pseudonym = f"forgotten-{uuid.uuid4().hex[:16]}"
    store.insert("forgotten", _NOTE, [("user", person.app, person.digest, pseudonym, person.digest)])
    return Person(person.app, person.digest, pseudonym)


def _rewrite(store: Client, servers: Servers, person: Person) -> dict[str, int]:
    """One pass over all tables; how many rows it found in each."""
    for statement in LEARN:
        store.command(statement, person.parameters)
    for client in servers.clients:
        if client is not store:
            _copy_notes(store, client, person)
    # Each copy of a table asks its own server who is forgotten.
    servers.sync("forgotten")
    statements = Statements()
    counted = [_count(client, statements, person) for client in servers.clients]
    if any(found["dead_letters"] for found in counted):
        store.command(statements.close_letters(), person.parameters)
    for client, found in zip(servers.clients, counted, strict=True):
        _rewrite_rows(client, statements, person, [table for table, number in found.items() if number])
    return {table: sum(found[table] for found in counted) for table in TABLES}


def _rewrite_rows(client: Client, statements: Statements, person: Person, tables: Sequence[str]) -> None:
    # Sums of hours hold people as sets: those of the person's hours are not believed any more.
    counted = f"SELECT DISTINCT app::String, hour FROM suggestions WHERE {statements.where('suggestions')}"
    hours = [(str(app), int(hour)) for app, hour in client.query(counted, person.parameters)]
    touch(client, hours)
    for table in tables:
        client.command(statements.rewrite(table), person.parameters)
    touch(client, hours)


def _copy_notes(store: Client, shard: Client, person: Person) -> None:
    """Note on a shard what is noted of the person and not there yet: its statements look it up where they run."""
    known = set(shard.query(f"SELECT {', '.join(_NOTE)} {_NOTES_OF}", person.parameters))
    columns = (*_NOTE, "forgotten_at")
    noted = store.query(f"SELECT {', '.join(columns)} {_NOTES_OF}", person.parameters)
    shard.insert("forgotten", columns, [row for row in noted if row[:-1] not in known])


def _count(client: Client, statements: Statements, person: Person) -> dict[str, int]:
    return {table: int(client.query(statements.count(table), person.parameters)[0][0]) for table in TABLES}


def _receipt(store: Client, person: Person, rows: dict[str, int], version: str) -> Receipt:
    now = datetime.now(UTC)
    # As exact as the column is, so that the receipt that is returned is the one that is listed.
    at = now.replace(microsecond=now.microsecond // 1000 * 1000)
    receipt = Receipt(str(uuid.uuid4()), at, person.digest, person.app, rows, version)
    columns = ("receipt_id", "forgotten_at", "person", "app", "rows", "version")
    values = (receipt.receipt_id, receipt.forgotten_at, receipt.person, receipt.app, rows, version)
    store.insert("forget_receipts", columns, [values])
    return receipt
