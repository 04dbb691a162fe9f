"""Who has what: reservations and what is done, in a file of SQLite. Pages of one machine may share it.

Each change is one transaction that begins with the file's lock, so that two pages cannot give out the same place. What
was said is not in it: that is events. Where the file is lost, the store still knows who judged what, as soon as the
events have landed, and reservations are forgotten.
"""

import json
import math
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from keeprate.deploy.review.choosing import Candidate, Item, Slot, choose, may_hold

_WAIT_S: Final = 10.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS slots (
  app TEXT NOT NULL, generation_id TEXT NOT NULL, choice_index INTEGER NOT NULL, reviewer TEXT NOT NULL,
  queue TEXT NOT NULL, state TEXT NOT NULL CHECK (state IN ('reserved', 'done', 'skipped')),
  until_ms INTEGER NOT NULL, at_ms INTEGER NOT NULL, standing TEXT NOT NULL DEFAULT '{}',
  PRIMARY KEY (app, generation_id, choice_index, reviewer)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS held ON slots (reviewer, state);
CREATE TABLE IF NOT EXISTS readings (
  app TEXT NOT NULL, generation_id TEXT NOT NULL, reviewer TEXT NOT NULL, at_ms INTEGER NOT NULL,
  PRIMARY KEY (app, generation_id, reviewer)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reviewers (reviewer TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
"""
_COLUMNS: Final = "app, generation_id, choice_index, reviewer, queue, state, until_ms, at_ms"
_ONE: Final = "app = ? AND generation_id = ? AND choice_index = ?"

Standing = Mapping[str, Any]
"""What of a reviewer's word on a suggestion stands, as `saying` has it. No text."""


class TakenError(Exception):
    """There is no place for this reviewer any more: others took it after the reservation had ended."""


@dataclass(frozen=True)
class ReviewDone:
    """A reviewer's finished suggestion, and what stands of it."""

    slot: Slot
    standing: Standing


class ReviewProgress(NamedTuple):
    """How many suggestions a reviewer has done, of them lately, and skipped."""

    queue: str
    app: str
    reviewer: str
    done: int
    today: int
    skipped: int


class Book:
    """The slots of all queues. Threads may share it. `now_ms` is given, so that no clock is read here."""

    def __init__(self, path: Path | str) -> None:
        """path: of the file; ":memory:" for one that nobody shares and that ends with this."""
        if path != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._file = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
        self._file.executescript(_SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._file.close()

    def slots(self, items: Sequence[Item]) -> list[Slot]:
        """All slots of some suggestions."""
        with self._reading() as file:
            return _slots(file, items)

    def claim(
        self, queue: str, candidates: Sequence[Candidate], reviewer: str, wanted: int, now_ms: int, until_ms: int
    ) -> list[Item]:
        """Reserve so many for the reviewer, those that they hold already among them, until a time."""
        with self._changing() as file:
            slots = _slots(file, [each.item for each in candidates])
            chosen = [each.item for each in choose(candidates, slots, reviewer, wanted, now_ms)]
            # What they hold by another queue is still that one's: it may hide more.
            by = {slot.item: slot.queue for slot in slots if slot.reviewer == reviewer and slot.is_reserved(now_ms)}
            for item in chosen:
                _write(file, Slot(item, reviewer, by.get(item, queue), "reserved", until_ms, now_ms))
            return chosen

    def hold(
        self, queue: str, candidate: Candidate, reviewer: str, now_ms: int, until_ms: int
    ) -> tuple[Slot | None, Standing]:
        """Keep the reviewer's place for what they are about to say; the slot as it was, and what stands.

        Raises TakenError where it is gone.
        """
        with self._changing() as file:
            slots = _slots(file, [candidate.item])
            if not may_hold(candidate, slots, reviewer, now_ms):
                raise TakenError
            # Of who has read of it there is none: they may not hold it.
            before = next((slot for slot in slots if slot.reviewer == reviewer), None)
            if before is None or before.state != "done":
                _write(file, Slot(candidate.item, reviewer, queue, "reserved", until_ms, now_ms))
            return before, _standing(file, candidate.item, reviewer)

    def finish(self, slot: Slot, standing: Standing) -> None:
        """The reviewer has spoken, or goes on without a word: the slot as it is from now on, and what stands."""
        with self._changing() as file:
            _write(file, slot, standing)

    def release(self, item: Item, reviewer: str) -> None:
        """Give a reservation back."""
        with self._changing() as file:
            file.execute(f"DELETE FROM slots WHERE {_ONE} AND reviewer = ? AND state = 'reserved'", (*item, reviewer))

    def read(self, app: str, generation_id: str, reviewer: str, now_ms: int) -> list[str]:
        """The queues by which the reviewer holds a suggestion of a generation.

        Where they hold none, it is remembered that they read all that is said of it: of what they have not judged
        before, they know what others say, also where they skipped it or judged another choice.
        """
        with self._changing() as file:
            return _read(file, app, generation_id, reviewer, now_ms)

    def read_all(self, generations: Iterable[tuple[str, str]], reviewer: str, now_ms: int) -> None:
        """The same of many, each as its app and its id."""
        with self._changing() as file:
            for app, generation_id in generations:
                _read(file, app, generation_id, reviewer, now_ms)

    def held(self, reviewer: str, now_ms: int) -> frozenset[str]:
        """The ids of the generations of which the reviewer holds a suggestion, in any queue."""
        with self._reading() as file:
            rows = file.execute(
                "SELECT generation_id FROM slots WHERE reviewer = ? AND state = 'reserved' AND until_ms > ?",
                (reviewer, now_ms),
            ).fetchall()
        return frozenset(row[0] for row in rows)

    def last(self, queue: str, reviewer: str) -> ReviewDone | None:
        """What the reviewer finished or skipped last in a queue."""
        with self._reading() as file:
            row = file.execute(
                f"SELECT {_COLUMNS}, standing FROM slots WHERE queue = ? AND reviewer = ? AND state != 'reserved' "
                "ORDER BY at_ms DESC LIMIT 1",
                (queue, reviewer),
            ).fetchone()
        return None if row is None else ReviewDone(_slot(row), json.loads(row[8]))

    def name(self, reviewer: str, name: str) -> None:
        """Remember what a reviewer is called."""
        with self._changing() as file:
            file.execute("INSERT OR REPLACE INTO reviewers VALUES (?, ?)", (reviewer, name))

    def names(self) -> dict[str, str]:
        """What reviewers are called."""
        with self._reading() as file:
            return dict(file.execute("SELECT reviewer, name FROM reviewers").fetchall())

    def progress(self, since_ms: int) -> list[ReviewProgress]:
        """Of each queue, app and reviewer: how many are done, done since a time, and skipped."""
        with self._reading() as file:
            rows = file.execute(
                "SELECT queue, app, reviewer, sum(state = 'done'), sum(state = 'done' AND at_ms >= ?), "
                "sum(state = 'skipped') FROM slots GROUP BY queue, app, reviewer ORDER BY queue, reviewer, app",
                (since_ms,),
            ).fetchall()
        return [ReviewProgress(*row) for row in rows]

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield self._file

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction that nobody else's overlaps."""
        with self._lock:
            self._file.execute("BEGIN IMMEDIATE")
            try:
                yield self._file
            except BaseException:
                self._file.execute("ROLLBACK")
                raise
            self._file.execute("COMMIT")


def _slots(file: sqlite3.Connection, items: Sequence[Item]) -> list[Slot]:
    # Few queues hold more than some hundred, and a key is found at once: a statement for each needs no limit of theirs.
    return [slot for item in items for slot in _slots_of(file, item)]


def _slots_of(file: sqlite3.Connection, item: Item) -> list[Slot]:
    """Those that reviewers took, and one of each who has read what others say before they spoke."""
    found = [_slot(row) for row in file.execute(f"SELECT {_COLUMNS} FROM slots WHERE {_ONE}", tuple(item))]
    # Who takes a word back has spoken, and may say it anew.
    since = {slot.reviewer: math.inf if slot.state == "done" else slot.at_ms for slot in found}
    readings = file.execute("SELECT reviewer, at_ms FROM readings WHERE app = ? AND generation_id = ?", item[:2])
    return found + [Slot(item, who, "", "read", 0, at_ms) for who, at_ms in readings if at_ms >= since.get(who, 0)]


def _read(file: sqlite3.Connection, app: str, generation_id: str, reviewer: str, now_ms: int) -> list[str]:
    slots = file.execute(
        "SELECT queue FROM slots WHERE app = ? AND generation_id = ? AND reviewer = ? AND state = 'reserved' "
        "AND until_ms > ?",
        (app, generation_id, reviewer, now_ms),
    ).fetchall()
    if not slots:
        values = (app, generation_id, reviewer, now_ms)
        file.execute("INSERT OR REPLACE INTO readings VALUES (?, ?, ?, ?)", values)
    return [row[0] for row in slots]


def _slot(row: Sequence[Any]) -> Slot:
    app, generation_id, choice_index, reviewer, queue, state, until_ms, at_ms = row[:8]
    return Slot(Item(app, generation_id, choice_index), reviewer, queue, state, until_ms, at_ms)


def _standing(file: sqlite3.Connection, item: Item, reviewer: str) -> Standing:
    row = file.execute(f"SELECT standing FROM slots WHERE {_ONE} AND reviewer = ?", (*item, reviewer)).fetchone()
    return {} if row is None else json.loads(row[0])


def _write(file: sqlite3.Connection, slot: Slot, standing: Standing | None = None) -> None:
    """Put a slot in the place of the reviewer's one. standing: what stands from now on; None for what stood."""
    said = _standing(file, slot.item, slot.reviewer) if standing is None else standing
    values = (*slot.item, slot.reviewer, slot.queue, slot.state, slot.until_ms, slot.at_ms, json.dumps(said))
    file.execute(f"INSERT OR REPLACE INTO slots VALUES ({', '.join('?' * len(values))})", values)
