"""Tracking: look at an accepted text again at each horizon, and say how much of it still stands.

One thread sleeps until the next check is due, reads the text through the app's function and emits a retention check.
Elapsed time is monotonic. A check that comes late, because the machine slept or the app was busy, is still made and
says how late it is; the processor counts it apart.

Checks that are still to come are kept in the spool, so a restarted app makes them, if it can still read the text, or
reports them as unobserved. The accepted text is kept there with them only where content may leave the process at all.
"""

import asyncio
import heapq
import inspect
import itertools
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from keeprate.producers import text as texts
from keeprate.producers.errors import ContractError, ProducerError
from keeprate.producers.sdk.journal import Check, Journal
from keeprate.schemas.kinds import MAX_HORIZON_S

log = logging.getLogger("keeprate.producers")

HORIZONS_S: Final = (30, 120, 300, 600)
READ_TIMEOUT_S: Final = 30.0
"""How long an asynchronous reader may take."""
CLOSE_S: Final = 1.0


class Unobserved(Exception):
    """The text cannot be read. reason: file_closed, file_deleted, …"""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


Read = Callable[[], str | None] | Callable[[], Awaitable[str | None]]
Reread = Callable[[Check], str | None]


@dataclass(frozen=True)
class Clock:
    """Both clocks, so that a test can turn them."""

    monotonic_s: Callable[[], float] = time.monotonic
    wall_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000


def observe(check: Check, read: Callable[[], str | None], elapsed_ms: int) -> dict[str, Any]:
    """The retention check's event: what the reader sees now, against the accepted text."""
    event: dict[str, Any] = {
        **check.origin,
        "type": "retention_check",
        "horizon_s": check.horizon_s,
        "elapsed_ms": elapsed_ms,
        "accept_seq": check.accept_seq,
    }
    if check.original is None:
        return {**event, "status": "unobserved", "reason": "exit"}
    try:
        current = read()
        if current is None:
            return {**event, "status": "unobserved", "reason": "no_text"}
        found = texts.survival(check.original, current)
    except Unobserved as why:
        return {**event, "status": "unobserved", "reason": why.reason}
    except Exception:
        log.exception("reading the text of %s failed", check.origin.get("generation_id"))
        return {**event, "status": "unobserved", "reason": "read_failed"}
    return {**event, "status": "present" if current else "removed", **vars(found), "current_text": current}


class Tracker:
    """Makes checks when they are due.

    reread: reads a text again after a restart, by the check's `ref`; without it those checks are unobserved.
    keeps_text: whether accepted texts may be written to the spool.
    has_thread: whether a thread makes the checks; without one somebody calls `make_due`.
    """

    def __init__(
        self,
        emit: Callable[[Mapping[str, Any]], bool],
        *,
        reread: Reread | None = None,
        keeps_text: bool = True,
        clock: Clock | None = None,
        has_thread: bool = True,
    ) -> None:
        self._emit = emit
        self._has_thread = has_thread
        self._reread = reread
        self._keeps_text = keeps_text
        self._clock = clock or Clock()
        self._due: list[tuple[float, int, float, Check, Callable[[], str | None]]] = []
        self._numbers = itertools.count(1)
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._journal: Journal | None = None

    def keep_in(self, path: Path) -> None:
        """Write checks that are to come to this file."""
        self._journal = Journal(path)

    def track(self, check: Check, read: Read, accepted_s: float, horizons_s: Sequence[int]) -> None:
        """Look at each horizon after the accept, which was at `accepted_s` of the monotonic clock.

        Raises ContractError for a horizon that no check can have.
        """
        reader = _synchronous(read)
        for horizon_s in horizons_s:
            if type(horizon_s) is not int or not 0 < horizon_s <= MAX_HORIZON_S:
                reason = f"whole seconds from 1 to {MAX_HORIZON_S} are wanted, not {horizon_s!r}"
                raise ContractError("invalid", reason, "horizons_s")
        for horizon_s in horizons_s:
            self._schedule(replace(check, horizon_s=horizon_s), reader, accepted_s)

    def resume(self, journal: str) -> None:
        """Take over the checks of a process that ended."""
        for check in Journal.parse(journal):
            if self._reread is None or check.ref is None:
                self._emit(observe(replace(check, original=None), lambda: None, self._since(check)))
            else:
                accepted_s = self._clock.monotonic_s() - self._since(check) / 1000
                self._schedule(check, self._reader_of(check, self._reread), accepted_s)

    def next_due_s(self) -> float | None:
        """When the next check is due, by the monotonic clock."""
        with self._changed:
            return self._due[0][0] if self._due else None

    def make_due(self) -> None:
        """Make every check that is due."""
        while True:
            with self._changed:
                if self._closed or self._wait_s() != 0:
                    return
                _, number, accepted_s, check, read = heapq.heappop(self._due)
            elapsed_ms = round((self._clock.monotonic_s() - accepted_s) * 1000)
            try:
                self._emit(observe(check, read, max(elapsed_ms, check.horizon_s * 1000)))
            except (ProducerError, ContractError):
                # Only of a strict client, and there is no caller to raise it to.
                log.exception("a retention check could not be emitted")
            if self._journal:
                self._journal.done(number)

    def close(self) -> None:
        """Make no more checks. Those to come stay in the spool; without one they are reported as unobserved now."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            left = [] if self._journal else [entry[3] for entry in sorted(self._due)]
            self._changed.notify_all()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            # A check that is being made may still be emitted; a reader that hangs must not keep the process.
            thread.join(CLOSE_S)
        for check in left:
            self._emit(observe(replace(check, original=None), lambda: None, self._since(check)))

    def _wait_s(self) -> float | None:
        return max(0.0, self._due[0][0] - self._clock.monotonic_s()) if self._due else None

    def _since(self, check: Check) -> int:
        return max(0, self._clock.wall_ms() - check.accepted_at_ms)

    def _reader_of(self, check: Check, reread: Reread) -> Callable[[], str | None]:
        return lambda: reread(check)

    def _schedule(self, check: Check, read: Callable[[], str | None], accepted_s: float) -> None:
        number = next(self._numbers)
        if self._journal:
            self._journal.add(number, check if self._keeps_text else replace(check, original=None))
        with self._changed:
            heapq.heappush(self._due, (accepted_s + check.horizon_s, number, accepted_s, check, read))
            if self._has_thread and self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="keeprate-tracker", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _run(self) -> None:
        while not self._closed:
            self.make_due()
            with self._changed:
                if not self._closed and self._wait_s() != 0:
                    self._changed.wait(self._wait_s())


def _synchronous(read: Read) -> Callable[[], str | None]:
    """A reader for our thread. A coroutine function runs on the loop that was running when tracking began."""
    if not inspect.iscoroutinefunction(read):
        return read  # type: ignore[return-value]
    loop = asyncio.get_running_loop()

    def on_the_loop() -> str | None:
        try:
            return asyncio.run_coroutine_threadsafe(read(), loop).result(READ_TIMEOUT_S)  # type: ignore[no-any-return]
        except (RuntimeError, TimeoutError):
            raise Unobserved("loop_closed") from None

    return on_the_loop
