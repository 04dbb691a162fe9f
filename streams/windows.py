"""The windows of one partition: counts that are a function of the partition's state, and records of them. Pure.

Reads      what the join changed, as outcomes before and after, and the state itself when it begins
Writes     keeprate.windows: a record for each window that changed, with all its counts (`publishing` sends it)
State      counts by app, window and segment; none of its own, because the partition's state is enough to count again
Late       a window is open until OPEN_MS behind event time; a change of one that is closed is counted as late, and
           `keeprate verify --repair` mends the window from the outcomes in the store
Delivery   a record replaces the one before, and its version says which facts it counts, so publishing again is harmless

Changes wait until they are counted: of a suggestion that changes often, only the first `before` and the last `after`
are. After a start, a rebalance or a recovery the state is walked through, slice by slice, while changes go on: a key
that changes ahead of the walk is counted at that moment, and the walk leaves it out.

When windows close. An outcome leaves the state once its latest fact is KEEP_MS behind event time, and takes nothing out
of the counts then. All that it counts is dated by one of its facts, so its windows are older than that, except where
a later fact brings an outcome back that had left: that one begins anew and knows nothing of before. What it counts is
either dated by an old fact, and its window is closed, or it is an answer ANSWER_MS after its generation, and counts
nowhere (`schemas.windows`). Who takes a state over does not know how far event time had come: at most to the latest
fact in the state, or to the clock less IDLE_MS. Windows that may have been closed by then stay so. A clock that is
ahead dates a window in the future: it is published when no more than AHEAD_MS away, and not counted beyond REACH_MS.
"""

import marshal
import zlib
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from keeprate.schemas.checked_outcome import is_key, read_outcome
from keeprate.schemas.outcome import Outcome
from keeprate.schemas.topics import DAY_MS
from keeprate.schemas.window_names import OPEN_MS, WINDOW_MS, Piece, window_of
from keeprate.schemas.window_record import Form, Segments, WindowId, add, encode_window, fold, version_of
from keeprate.schemas.windows import contribution, read_labels
from keeprate.streams.expiry import IDLE_MS, KEEP_MS, SKEW_MS, stamped_at_ms, value_of
from keeprate.streams.state import PartitionState

AHEAD_MS: Final = DAY_MS
REACH_MS: Final = 30 * DAY_MS
PACK_MS: Final = 3_600_000
"""What is so much older than the newest window changes rarely, and is kept in a tenth of the memory."""
_NEVER_MS: Final = -KEEP_MS

Changes = dict[str, tuple[Outcome | None, Outcome]]
"""By key, an outcome as it is counted and as it shall be."""


@dataclass
class Tally:
    """What happened since it was asked for, for metrics.

    late, ahead: parts of outcomes. folded: segments. unreadable: outcomes that count nothing because they are none, and
    windows that cannot be written; `example` is one of them.
    """

    late: int = 0
    ahead: int = 0
    folded: int = 0
    unreadable: int = 0
    example: str = ""

    def leave_out(self, what: str, why: Exception | str) -> None:
        """Count what is left out."""
        self.unreadable += 1
        self.example = f"{what}: {why!r}"


@dataclass
class _Batch:
    """Changes that wait, with the version that the counts have behind them, and what was closed before them."""

    closed_ms: int
    version: int
    changes: Changes = field(default_factory=dict)


class PartitionWindows:
    """The windows of a partition whose state is recovered. Time is an argument, in ms."""

    def __init__(self, number: int, state: PartitionState, form: Form, now_ms: int) -> None:
        self._number = number
        self._state = state
        self._form = form
        self._labels_of = read_labels(form.labels)
        self._windows: dict[tuple[str, int], Segments | bytes] = {}
        self._latest_at = 0
        self._dirty: set[tuple[str, int]] = set()
        self._cursor: str | None = ""
        self._touched: set[str] = set()
        self._apps: set[str] = set()
        self._newest_ms = 0
        # A changelog that never had a record had no owner who closed anything.
        self._inherited = state.offset is not None
        self._closed_ms = now_ms - IDLE_MS - OPEN_MS if self._inherited else _NEVER_MS
        self._reach_ms = now_ms + REACH_MS
        self._version = version_of(state.offset, complete=True)
        self._queue: deque[_Batch] = deque()
        self._waiting = _Batch(self._closed_ms, self._version)
        self.tally = Tally()

    @property
    def is_complete(self) -> bool:
        """Whether all of the state is counted."""
        return self._cursor is None

    @property
    def waiting(self) -> int:
        """How many suggestions' changes wait to be counted."""
        return len(self._waiting.changes) + sum(len(batch.changes) for batch in self._queue)

    @property
    def open(self) -> int:
        """How many windows are in memory."""
        return len(self._windows)

    def is_stale(self, now_ms: int) -> bool:
        """Whether the clock has come so far that windows within reach were left out: count anew."""
        return now_ms > self._reach_ms - 2 * AHEAD_MS

    def landed(self, held: Mapping[str, Outcome], outcomes: Mapping[str, Outcome], offset: int, complete: bool) -> None:
        """Outcomes came into the state, in place of those that were held.

        offset: of the last of their records in the changelog. complete: whether the state has all up to there.
        """
        changes, cursor = self._waiting.changes, self._cursor
        self._waiting.version = version_of(offset, complete)
        for key, after in outcomes.items():
            known = changes.get(key)
            before = held.get(key) if known is None else known[0]
            if cursor is not None and known is None and key >= cursor and key not in self._touched:
                self._touched.add(key)
                before = None
            changes[key] = (before, after)

    def close(self, expired_before_ms: int) -> None:
        """Outcomes older than this are about to leave the state: what comes from here on changes no old window."""
        closed_ms = expired_before_ms + KEEP_MS - OPEN_MS
        if closed_ms > self._waiting.closed_ms:
            self._cut(closed_ms)

    def _cut(self, closed_ms: int) -> None:
        """Later changes are another batch."""
        self._queue.append(self._waiting)
        self._waiting = _Batch(closed_ms, self._waiting.version)

    def begin(self, expired_before_ms: int) -> None:
        """All that landed so far shall be counted, to be published."""
        self._cut(max(self._waiting.closed_ms, expired_before_ms + KEEP_MS - OPEN_MS))

    def count(self, limit: int) -> bool:
        """Count so many of the changes before the last `begin`; whether none of them is left."""
        while self._queue and limit > 0:
            batch = self._queue[0]
            self._closed_ms = max(self._closed_ms, batch.closed_ms)
            for _ in range(min(limit, len(batch.changes))):
                self._change(*batch.changes.popitem())
                limit -= 1
            if not batch.changes:
                self._version = batch.version
                self._queue.popleft()
        return not self._queue

    def _change(self, key: str, change: tuple[Outcome | None, Outcome]) -> None:
        before, after = change
        app = key[: key.index("/")]
        pieces = self._pieces(key, after)
        if before:
            for piece in self._pieces(key, before):
                if piece in pieces:
                    pieces.remove(piece)
                else:
                    self._count(app, piece, -1)
        for piece in pieces:
            self._count(app, piece, 1)

    def _pieces(self, key: str, outcome: Outcome) -> list[Piece]:
        """What an outcome counts: the same each time, and nothing where it is none."""
        try:
            return contribution(key, outcome, self._labels_of)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this outcome's
            self.tally.leave_out(key, error)
            return []

    def _count(self, app: str, piece: Piece, sign: int) -> None:
        begin_ms = piece[0]
        if begin_ms < self._closed_ms:
            self.tally.late += 1
        elif begin_ms >= self._reach_ms:
            self.tally.ahead += 1
        else:
            at = app, begin_ms
            segments = self._windows.get(at)
            if not isinstance(segments, dict):
                segments = self._windows[at] = _unpack(segments)
            add(segments, piece, sign)
            self._dirty.add(at)
            self._latest_at = max(self._latest_at, begin_ms)

    def walk(self, limit: int, now_ms: int) -> None:
        """Count the next so many outcomes of the state. The last ones make it complete."""
        if self._cursor is None:
            return
        self.begin(_NEVER_MS)
        self.count(self.waiting)
        found = self._state.scan(self._cursor.encode("utf-8", "surrogateescape"), limit)
        for name, stamped in found:
            if is_key(name):
                self._walk_past(name.decode(), stamped, now_ms)
            else:
                self.tally.leave_out(repr(name), "no key of an outcome")
        self._cursor = found[-1][0].decode("utf-8", "surrogateescape") + "\x00" if len(found) == limit else None
        if self._cursor is None:
            self._complete(now_ms)

    def _walk_past(self, key: str, stamped: bytes, now_ms: int) -> None:
        self._apps.add(key[: key.index("/")])
        self._newest_ms = max(self._newest_ms, min(stamped_at_ms(stamped), now_ms + SKEW_MS))
        if key not in self._touched:
            try:
                outcome = read_outcome(key, value_of(stamped))
            except ValueError as error:
                self.tally.leave_out(key, error)
            else:
                self._change(key, (None, outcome))

    def _complete(self, now_ms: int) -> None:
        self._touched.clear()
        self.tally.late = 0
        if self._inherited:
            self._closed_ms = max(self._closed_ms, self._newest_ms - OPEN_MS)
            self._waiting.closed_ms = max(self._waiting.closed_ms, self._closed_ms)
            self._forget_closed()
            # A former owner may have published counts of a window that has none any more, also where nothing of its
            # app counts now.
            first, last = window_of(self._closed_ms) + WINDOW_MS, window_of(now_ms + AHEAD_MS)
            apps = self._apps | {app for app, _ in self._windows}
            self._dirty |= {(app, at) for app in apps for at in range(first, last, WINDOW_MS)}

    def _forget_closed(self) -> None:
        for at in [at for at in self._windows if at[1] < self._closed_ms]:
            del self._windows[at]
        self._dirty = {at for at in self._dirty if at[1] >= self._closed_ms}

    def take(self, limit: int, now_ms: int) -> dict[bytes, bytes]:
        """So many records of windows that changed, to be published before any of later changes."""
        records: dict[bytes, bytes] = {}
        latest_at = now_ms + AHEAD_MS
        for at in list(islice((at for at in self._dirty if at[1] <= latest_at), limit)):
            window = WindowId(*at, self._number)
            self._dirty.discard(at)
            segments = _unpack(self._windows.get(at))
            try:
                kept, folded = fold(segments, self._form.max_segments)
                records[window.key()] = encode_window(window, self._version, kept, folded, self._form)
            except MemoryError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it is, it is this window's
                self.tally.leave_out(str(window), error)
                continue
            self.tally.folded += folded
            if not segments:
                self._windows.pop(at, None)
            elif at[1] < self._latest_at - PACK_MS:
                self._windows[at] = zlib.compress(marshal.dumps(segments), 1)
        if not records:
            # What is closed was published a last time.
            self._forget_closed()
        return records


def _unpack(packed: Segments | bytes | None) -> Segments:
    if isinstance(packed, bytes):
        segments: Segments = marshal.loads(zlib.decompress(packed))
        return segments
    return packed or {}
