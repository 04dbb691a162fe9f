"""Delivery: from an encoded event to a broker's or the collector's acknowledgement, with every event accounted for.

    put     (any thread)  numbers the event and appends it to the backlog: no disk, no network, no waiting
    sender  (one thread)  reads the backlog, hands records to the exchange, settles those that were acknowledged

A record that could not be delivered is sent again from the oldest unsettled one on, so that the records of a key stay
in order. A record that is refused for what it is, is dropped and counted.

Invariant: accepted = delivered + pending + spooled + the sum of dropped, at any moment.
"""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from keeprate.producers.sending.accounts import Accounts
from keeprate.producers.sending.backlog import Backlog
from keeprate.producers.sending.exchange import Answer, Exchange
from keeprate.producers.sending.segments import Segment
from keeprate.producers.sending.stats import DropReason, Stats
from keeprate.producers.sending.supply import Supply

log = logging.getLogger("keeprate.producers")

POLL_S: Final = 0.02
IDLE_S: Final = 1.0
BACKOFF_MAX_S: Final = 5.0


class Delivery:
    """Takes events from any thread and sees each to its end.

    exchange: who takes the records; it is used on the sender's thread alone, and opened again after a failure.
    on_checks: takes the retention checks that a former process left, as the text of its file.
    on_refused: takes what a record was refused for, and why.
    """

    def __init__(
        self,
        backlog: Backlog,
        supply: Supply,
        exchange: Exchange,
        on_checks: Callable[[str], None] = lambda _: None,
        on_refused: Callable[[str, str], None] = lambda error, reason: None,
    ) -> None:
        self._backlog = backlog
        self._supply = supply
        self._on_checks = on_checks
        self._on_refused = on_refused
        # Reentrant, and with a queue for what re-enters: an app's signal handler may interrupt a put to emit.
        self._lock = threading.RLock()
        self._putting: set[int] = set()
        self._deferred: deque[tuple[int, bytes, bytes]] = deque()
        self._room = threading.Condition(self._lock)
        self._settled = threading.Condition(self._lock)
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._idle = False
        self._thread: threading.Thread | None = None
        self._seq = 0
        self._accounts = Accounts()
        self._is_prepared = False
        self._closes_at: float | None = None
        self._never_evict = False
        # The sender's own.
        self._exchange = exchange
        self._resend = False
        self._backoff_s = 0.0
        self._is_troubled = False

    def prepare(self) -> None:
        """Have the first segment ready on disk before the first event.

        Where other processes left or have a spool, the sender starts at once, to look for orphans.
        """
        with self._lock:
            self._prepare()
            if self._supply.has_neighbours():
                self._start()

    def put(self, topic: int, key: bytes, body: bytes, wait_s: float | None = 0.0) -> DropReason | None:
        """Take an event, or say why it was dropped. It waits for room for at most `wait_s`; None waits for ever.

        body: the event as a JSON object without its producer_seq, which is added here.
        """
        thread = threading.get_ident()
        with self._lock:
            if thread in self._putting:
                # A signal handler or finaliser emits within this very thread's put: its turn is right after.
                self._deferred.append((topic, key, body))
                return None
            self._putting.add(thread)
            try:
                reason = self._take(topic, key, body, wait_s)
                while self._deferred:
                    self._take(*self._deferred.popleft(), 0.0)
            finally:
                self._putting.discard(thread)
        if self._idle:
            self._wake.set()
        return reason

    def count_drop(self, reason: DropReason) -> None:
        """Account for an event that was emitted and could not even be encoded."""
        with self._lock:
            self._accounts.refuse(reason)

    def stats(self) -> Stats:
        """The accounts at this moment."""
        with self._lock:
            return self._accounts.stats(self._backlog)

    def flush(self, timeout_s: float | None) -> int:
        """Wait until everything taken is settled; the number that is not."""
        self._wake.set()
        with self._lock:
            self._settled.wait_for(lambda: not self._backlog.waiting, timeout_s)
            return self._backlog.waiting

    def close(self, timeout_s: float) -> None:
        """Take no more, deliver for at most `timeout_s`, then count the rest. Closing again does nothing."""
        with self._lock:
            if self._closes_at is not None:
                return
            self._closes_at = time.monotonic() + timeout_s
            self._room.notify_all()
            thread = self._thread
        self._closing.set()
        self._wake.set()
        if thread is not None:
            thread.join()
        else:
            self._finish()

    def abandon(self) -> None:
        """In a forked child: let the parent's thread, producer and files be. This one is of no use after."""
        self._exchange.abandon()
        self._supply.detach()

    def _take(self, topic: int, key: bytes, body: bytes, wait_s: float | None) -> DropReason | None:
        if self._thread is None and self._closes_at is None:
            self._start()
        # From the first call that may wait, not from its wait: by then the sender has evicted what was to wait.
        self._never_evict = self._never_evict or wait_s != 0

        def is_over() -> bool:
            return self._closes_at is not None or self._append(topic, key, body)

        if is_over() or (wait_s != 0 and self._room.wait_for(is_over, wait_s)):
            if self._closes_at is None:
                return None
            self._accounts.refuse("closed")
            return "closed"
        # The number is spent, so that the gap shows in what arrives.
        self._seq += 1
        self._accounts.refuse("full")
        return "full"

    def _append(self, topic: int, key: bytes, body: bytes) -> bool:
        value = b'%b,"producer_seq":%d}' % (body[:-1], self._seq + 1)
        if (segment := self._backlog.append(topic, key, value)) is None:
            return False
        self._seq += 1
        self._accounts.take(segment)
        return True

    def _prepare(self) -> None:
        if not self._is_prepared and (segment := self._supply.make_on_disk()) is not None:
            self._backlog.add_spare(segment)
            self._accounts.keep_in(self._supply.ledger)
        self._is_prepared = True

    def _start(self) -> None:
        # Only after a fork is there something left to prepare, and one emit in the child's life waits for the disk.
        self._prepare()
        thread = threading.Thread(target=self._run, name="keeprate-sender", daemon=True)
        # The interpreter refuses new threads when it is going down; the event then stays in the spool.
        with contextlib.suppress(RuntimeError):
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        while not self._is_over():
            try:
                self._step()
            except Exception:
                log.exception("the sender failed; it starts over")
                self._resend = True
                self._closing.wait(IDLE_S)
        self._finish()

    def _step(self) -> None:
        if self._resend or not self._exchange.is_open:
            self._start_over()
        self._make_room()
        if self._exchange.hand_over(self._backlog):
            self._settle(self._exchange.answers(0))
        elif self._exchange.in_flight:
            self._settle(self._exchange.answers(POLL_S))
        else:
            self._rest()

    def _is_over(self) -> bool:
        return (at := self._closes_at) is not None and (not self._backlog.waiting or time.monotonic() >= at)

    def _rest(self) -> None:
        self._idle = True
        # An emitter that looked at the flag before it was raised has left its record for this second look.
        if not self._exchange.hand_over(self._backlog) and self._closes_at is None:
            self._wake.wait(IDLE_S)
        self._idle = False
        self._wake.clear()

    def _make_room(self) -> None:
        for orphan in self._supply.adopt():
            self._take_over(orphan.segments, orphan.lost)
            self._on_checks(orphan.checks)
        with self._lock:
            done = self._backlog.retire()
            evicted = self._backlog.evict() if self._backlog.is_over_limit() and not self._never_evict else None
            if evicted is not None:
                self._accounts.drop("evicted", evicted, evicted.waiting)
                done.append(evicted)
            wants_spare = self._backlog.wants_spare()
        for segment in done:
            self._supply.discard(segment)
        if wants_spare:
            self._add_spare()

    def _add_spare(self) -> None:
        spare = self._supply.make_on_disk()
        with self._lock:
            self._accounts.keep_in(self._supply.ledger)
            if spare is None and self._backlog.has_memory():
                spare = self._supply.make_in_memory()
            if spare is not None:
                self._backlog.add_spare(spare)
                self._room.notify_all()

    def _take_over(self, segments: list[Segment], lost: int) -> None:
        taken = sum(segment.waiting for segment in segments)
        with self._lock:
            self._backlog.take_over(segments)
            self._accounts.adopt(taken, lost)
        if taken or lost:
            log.info("took over %d events from a former process, which lost %d in its crash", taken, lost)

    def _settle(self, answers: list[Answer]) -> None:
        if answers:
            with self._lock:
                for answer in answers:
                    self._settle_one(answer)
                self._settled.notify_all()
        for answer in answers:
            if answer.fate == "refused":
                self._on_refused(answer.error, answer.reason)

    def _settle_one(self, answer: Answer) -> None:
        if answer.fate == "delivered":
            answer.segment.settle(answer.offset)
            self._accounts.deliver(answer.segment)
            self._backoff_s = 0.0
            self._is_troubled = False
            return
        if answer.error:
            self._accounts.last_error = answer.error
        if answer.fate == "refused":
            answer.segment.settle(answer.offset)
            self._accounts.drop("refused", answer.segment, 1)
        else:
            self._resend = True

    def _start_over(self) -> None:
        """Open the exchange and send everything unsettled through it, in order."""
        if self._exchange.is_open:
            self._settle(self._exchange.take_back())
            self._backoff_s = min(BACKOFF_MAX_S, 2 * self._backoff_s or 0.1)
            log.warning("sending again in %.1f s: %s", self._backoff_s, self._accounts.last_error)
            self._closing.wait(self._backoff_s)
        self._exchange.open(self._note_error)
        with self._lock:
            self._backlog.rewind()
        self._resend = False

    def _finish(self) -> None:
        self._settle(self._exchange.take_back())
        with self._lock:
            kept, lost = self._supply.close(self._backlog.drain())
            self._accounts.close(kept, lost)
            self._settled.notify_all()
        if kept or lost:
            log.warning("closed with %d events spooled for the next start, and %d lost", kept, lost)

    def _note_error(self, error: str, is_passing: bool) -> None:
        self._accounts.last_error = error
        # Once until the next success: a broker that is down for a night must not fill the app's log.
        if not self._is_troubled and not is_passing:
            self._is_troubled = True
            log.warning("nobody takes events (%s); they wait", error)
