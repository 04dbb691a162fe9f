"""Delivery: from an encoded event to a broker's acknowledgement, with every event accounted for.

    put     (any thread)  numbers the event and appends it to the backlog: no disk, no network, no waiting
    sender  (one thread)  reads the backlog, hands records to librdkafka, settles those that a broker acknowledged

A record that could not be delivered is sent again from the oldest unsettled one on, so that the records of a key stay
in order. A record that a broker refuses for what it is, is dropped and counted.

Invariant: accepted = delivered + pending + spooled + the sum of dropped, at any moment.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from keeprate.producers import kafka
from keeprate.producers.backlog import Backlog
from keeprate.producers.segments import Segment, in_memory
from keeprate.producers.stats import DropReason, Stats
from keeprate.schemas.topics import SOURCES

log = logging.getLogger("keeprate.producers")

BATCH_RECORDS: Final = 500
POLL_S: Final = 0.02
IDLE_S: Final = 1.0
BACKOFF_MAX_S: Final = 5.0
PURGE_S: Final = 5.0
FAULT_PAUSE_S: Final = 1.0

_TOPICS: Final = tuple(topic.name for topic in SOURCES)


class Delivery:
    """Takes events from any thread and sees each to its end.

    open_producer: makes a producer; it is called on the sender's thread, and again after a failure.
    """

    def __init__(self, backlog: Backlog, open_producer: Callable[[Callable[[str], None]], Producer]) -> None:
        self._backlog = backlog
        self._open_producer = open_producer
        self._lock = threading.Lock()
        self._room = threading.Condition(self._lock)
        self._settled = threading.Condition(self._lock)
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._idle = False
        self._thread: threading.Thread | None = None
        self._seq = 0
        self._accepted = 0
        self._delivered = 0
        self._dropped: Counter[DropReason] = Counter()
        self._last_error = ""
        self._closes_at: float | None = None
        self._never_evict = False
        # The sender's own.
        self._producer: Producer | None = None
        self._answers: list[tuple[Segment, int, KafkaError | None]] = []
        self._in_flight = 0
        self._resend = False
        self._backoff_s = 0.0

    def put(self, topic: int, key: bytes, body: bytes, wait_s: float | None = 0.0) -> DropReason | None:
        """Take an event, or say why it was dropped. It waits for room for at most `wait_s`; None waits for ever.

        body: the event as a JSON object without its producer_seq, which is added here.
        """
        with self._lock:
            self._accepted += 1
            if self._closes_at is not None:
                self._dropped["closed"] += 1
                return "closed"
            if self._thread is None:
                self._start()
            taken = self._append(topic, key, body)
            if not taken and wait_s != 0:
                self._never_evict = True
                taken = self._room.wait_for(lambda: self._append(topic, key, body), wait_s)
            if not taken:
                self._seq += 1
                self._dropped["full"] += 1
        if self._idle:
            self._wake.set()
        return None if taken else "full"

    def count_drop(self, reason: DropReason) -> None:
        """Account for an event that was emitted and could not even be encoded."""
        with self._lock:
            self._accepted += 1
            self._dropped[reason] += 1

    def stats(self) -> Stats:
        """The accounts at this moment."""
        with self._lock:
            spooled = self._backlog.waiting_on_disk
            return Stats(
                accepted=self._accepted,
                delivered=self._delivered,
                pending=self._backlog.waiting - spooled,
                spooled=spooled,
                dropped={reason: number for reason, number in self._dropped.items() if number},
                last_error=self._last_error,
            )

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

    def _append(self, topic: int, key: bytes, body: bytes) -> bool:
        value = b'%b,"producer_seq":%d}' % (body[:-1], self._seq + 1)
        if not self._backlog.append(topic, key, value):
            return False
        self._seq += 1
        return True

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="keeprate-sender", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._is_over():
            try:
                self._step()
            except Exception:
                log.exception("the sender failed; it starts over")
                self._resend = True
                self._closing.wait(FAULT_PAUSE_S)
        self._finish()

    def _step(self) -> None:
        if self._producer is None or self._resend:
            self._start_over()
        self._make_room()
        if self._hand_over():
            self._poll(0)
        elif self._in_flight:
            self._poll(POLL_S)
        else:
            self._rest()

    def _is_over(self) -> bool:
        closes_at = self._closes_at
        return closes_at is not None and (not self._backlog.waiting or time.monotonic() >= closes_at)

    def _rest(self) -> None:
        self._idle = True
        # An emitter that looked at the flag before it was raised has left its record for this second look.
        if not self._hand_over() and self._closes_at is None:
            self._wake.wait(IDLE_S)
        self._idle = False
        self._wake.clear()

    def _make_room(self) -> None:
        with self._lock:
            done = self._backlog.retire()
            evicted = self._backlog.evict() if self._backlog.is_over_limit() and not self._never_evict else None
            if evicted is not None:
                self._dropped["evicted"] += evicted.waiting
                done.append(evicted)
            wants_spare = self._backlog.wants_spare()
        for segment in done:
            segment.close()
        if wants_spare:
            spare = in_memory(self._backlog.segment_bytes)
            with self._lock:
                self._backlog.add_spare(spare)
                self._room.notify_all()

    def _hand_over(self) -> int:
        """Give librdkafka the next records; how many it took."""
        assert self._producer is not None
        for taken in range(BATCH_RECORDS):
            if (found := self._backlog.read()) is None:
                return taken
            segment, record = found
            answer = partial(self._answered, segment, record.offset)
            try:
                self._producer.produce(_TOPICS[record.topic], record.value, record.key, on_delivery=answer)
            except BufferError:
                segment.unread(record)
                return 0
            except KafkaException as error:
                self._answers.append((segment, record.offset, error.args[0]))
            segment.in_flight += 1
            self._in_flight += 1
        return BATCH_RECORDS

    def _answered(self, segment: Segment, offset: int, error: KafkaError | None, _: Message) -> None:
        self._answers.append((segment, offset, error))

    def _poll(self, timeout_s: float) -> None:
        assert self._producer is not None
        self._producer.poll(timeout_s)
        if self._answers:
            with self._lock:
                for segment, offset, error in self._answers:
                    self._settle(segment, offset, error)
                self._settled.notify_all()
            self._answers.clear()

    def _settle(self, segment: Segment, offset: int, error: KafkaError | None) -> None:
        self._in_flight -= 1
        segment.in_flight -= 1
        if error is None:
            self._delivered += 1
            self._backoff_s = 0.0
            segment.settle(offset)
        elif kafka.reaction(error) == "refuse":
            self._dropped["refused"] += 1
            self._last_error = error.name()
            segment.settle(offset)
        else:
            self._resend = True
            self._last_error = error.name()

    def _start_over(self) -> None:
        """Open a producer and send everything unsettled through it, in order."""
        if self._producer is not None:
            self._take_back()
            self._backoff_s = min(BACKOFF_MAX_S, 2 * self._backoff_s or 0.1)
            log.warning("sending again in %.1f s: %s", self._backoff_s, self._last_error)
            self._closing.wait(self._backoff_s)
        self._producer = self._open_producer(self._note_error)
        with self._lock:
            self._backlog.rewind()
        self._resend = False

    def _take_back(self) -> None:
        """Have librdkafka give up what it holds, and settle what it already knows to be delivered."""
        if self._producer is None:
            return
        self._poll(0)
        self._producer.purge()
        give_up_at = time.monotonic() + PURGE_S
        while self._in_flight and time.monotonic() < give_up_at:
            self._poll(POLL_S)
        self._producer = None
        self._in_flight = 0

    def _finish(self) -> None:
        self._take_back()
        with self._lock:
            self._dropped["exit"] += self._backlog.waiting
            left = self._backlog.drain()
            self._settled.notify_all()
        for segment in left:
            segment.close()
        if lost := sum(segment.waiting for segment in left):
            log.error("%d events were not delivered before the exit and are lost", lost)

    def _note_error(self, name: str) -> None:
        self._last_error = name
