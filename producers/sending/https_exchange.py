"""The exchange with a collector, by HTTPS.

One batch is under way at a time, and the next goes when each of its records has an answer: so the events of a
suggestion stay in order, and what was acknowledged is known record by record. A thread of its own waits for the
collector, and for what its Retry-After asks, so that the sender meanwhile has room made for new events.
"""

import queue
import random
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

from keeprate.producers.sending import verdicts
from keeprate.producers.sending.backlog import Backlog
from keeprate.producers.sending.exchange import Answer, OnError
from keeprate.producers.sending.https import Connection, Target
from keeprate.producers.sending.segments import OutgoingRecord, Segment

BATCH_RECORDS: Final = 500
BATCH_BYTES: Final = 1 << 20
BACKOFF_S: Final = 0.2
BACKOFF_MAX_S: Final = 30.0
_LAST_ANSWER_S: Final = 1.0
"""How long the end of a client waits for an answer that is on its way."""


class _Held(NamedTuple):
    segment: Segment
    record: OutgoingRecord


class HttpsExchange:
    """Holds one batch at a time."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._desk: _Desk | None = None
        self.in_flight = 0

    @property
    def is_open(self) -> bool:
        """Whether the thread that talks to the collector runs."""
        return self._desk is not None

    def open(self, on_error: OnError) -> None:
        """Start the thread."""
        self._desk = _Desk(self._target, on_error)

    def hand_over(self, backlog: Backlog) -> int:
        """Take the next batch, once the last has its answers; how many records it has."""
        assert self._desk is not None
        if self.in_flight:
            return 0
        batch: list[_Held] = []
        size_bytes = 0
        while len(batch) < BATCH_RECORDS and size_bytes < BATCH_BYTES and (found := backlog.read()) is not None:
            held = _Held(*found)
            held.segment.in_flight += 1
            size_bytes += len(held.record.value)
            batch.append(held)
        if batch:
            self.in_flight = len(batch)
            self._desk.take(batch)
        return len(batch)

    def answers(self, timeout_s: float) -> list[Answer]:
        """The answers to a batch or a part of it, waiting for at most `timeout_s`."""
        if self._desk is None:
            return []
        try:
            answers = self._desk.done.get(timeout=timeout_s) if timeout_s else self._desk.done.get_nowait()
        except queue.Empty:
            return []
        for answer in answers:
            answer.segment.in_flight -= 1
        self.in_flight -= len(answers)
        return answers

    def take_back(self) -> list[Answer]:
        """End the thread, with an answer that is about to come. What has none stays as it is, to be sent again."""
        if self._desk is None:
            return []
        self._desk.end()
        answers: list[Answer] = []
        while some := self.answers(0):
            answers += some
        self._desk = None
        self.in_flight = 0
        return answers

    def abandon(self) -> None:
        """The parent's thread is not here, and its connection is the parent's: nothing to do."""


class _Desk:
    """The thread that posts batches until each record has an answer. done: answers."""

    def __init__(self, target: Target, on_error: OnError) -> None:
        self.done: queue.SimpleQueue[list[Answer]] = queue.SimpleQueue()
        self._todo: queue.SimpleQueue[list[_Held] | None] = queue.SimpleQueue()
        self._on_error = on_error
        self._ending = threading.Event()
        self._failures = 0
        self._connection = Connection(target)
        self._thread: threading.Thread | None = threading.Thread(target=self._run, name="keeprate-https", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            # The interpreter refuses new threads when it is going down: the little that is left is posted by who asks.
            self._connection = Connection(target, _LAST_ANSWER_S)
            self._thread = None

    def take(self, batch: list[_Held]) -> None:
        """Post these next."""
        if self._thread is None:
            self._deliver(batch)
        else:
            self._todo.put(batch)

    def end(self) -> None:
        """Post nothing more. The request that is under way has a moment left."""
        self._ending.set()
        if self._thread is not None:
            self._todo.put(None)
            self._thread.join(_LAST_ANSWER_S)
            if self._thread.is_alive():
                self._connection.break_off()
                self._thread.join(_LAST_ANSWER_S)

    def _run(self) -> None:
        while (batch := self._todo.get()) is not None:
            self._deliver(batch)
        self._connection.close()

    def _deliver(self, batch: list[_Held]) -> None:
        parts = [batch]
        while parts and not self._ending.is_set():
            parts += self._post(parts.pop())

    def _post(self, part: list[_Held]) -> list[list[_Held]]:
        """Post some records once; what of them is to be posted again, the last first."""
        verdict = self._ask(part)
        match verdict:
            case verdicts.Settled(refused):
                self._settle(part, refused)
                return []
            case verdicts.Smaller(refusal) if len(part) == 1:
                self._settle(part, {0: refusal})
                return []
            case verdicts.Smaller():
                middle = len(part) // 2
                return [part[middle:], part[:middle]]
            case verdicts.Wait(error, after_s):
                self._on_error(error, False)
                self._pause(after_s)
                return [part]

    def _ask(self, part: list[_Held]) -> verdicts.Verdict:
        try:
            reply = self._connection.post(b"\n".join(held.record.value for held in part))
        except Exception as error:  # noqa: BLE001  whatever it is, there is no answer, and so the records wait
            return verdicts.Wait(f"{type(error).__name__}: {error}")
        return verdicts.judge(reply.status, reply.retry_after, reply.body, len(part), datetime.now(UTC))

    def _settle(self, part: list[_Held], refused: Mapping[int, verdicts.Refused]) -> None:
        self._failures = 0
        answers = []
        for index, (segment, record) in enumerate(part):
            if (refusal := refused.get(index)) is None:
                answers.append(Answer(segment, record.offset, "delivered"))
            else:
                answers.append(Answer(segment, record.offset, "refused", *refusal))
        self.done.put(answers)

    def _pause(self, after_s: float | None) -> None:
        self._failures += 1
        backoff_s = min(BACKOFF_MAX_S, BACKOFF_S * 2.0 ** min(self._failures - 1, 20))
        # Spread, because all the clients of a collector that comes back have waited for the same moment.
        self._ending.wait((after_s or backoff_s) * random.uniform(1.0, 1.25))
