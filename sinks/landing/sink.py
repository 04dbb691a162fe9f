"""The sink: a member of a consumer group that lands its partitions in ClickHouse.

It reads, hands records to a buffer per partition, cuts ranges when they are due and begins their flushes (`flush`),
those of several partitions together (`flights`). While the store or the group's coordinator is away it pauses the
partitions whose flush waits and keeps polling, so that it stays a member, and asks again after a while.

    partition assigned   committed offset and intent are read; an intent is replayed, exactly, before anything else, but
                         for one that the ledger accounts for: that is only committed
    a range that ends    its attempts are counted (`intent`); it is tried alone, then in parts, and the record at which
    processes            they ended is set aside
    revoked              its buffer is dropped; a flush that was begun is finished within the budget, else left as it is
    lost, fenced         everything in hand is dropped and nothing is written
    SIGTERM              what is in hand is landed within the budget, then the member leaves

**Invariant:** one flush of a partition at a time.
**Invariant:** one thread reads, commits and decides; others have only flushes that were handed to them.
"""

import gc
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from keeprate.schemas.refusal_alarm import Alarm
from keeprate.schemas.topics import DEAD_LETTERS, FEEDBACK, GENERATIONS, OUTCOMES
from keeprate.sinks.kafka.client import Consumer, End
from keeprate.sinks.kafka.errors import BrokerError, BrokerUnavailableError, FencedError, OffsetLostError
from keeprate.sinks.kafka.records import Record, TopicPartition
from keeprate.sinks.landing.births import StoreDiedError
from keeprate.sinks.landing.flights import Flights, Result
from keeprate.sinks.landing.flush import LANDED, Destination, Flush
from keeprate.sinks.landing.identity import learn
from keeprate.sinks.landing.intent import Intent
from keeprate.sinks.landing.partition import Cadence, FlushPolicy, PartitionBuffer, crowding
from keeprate.sinks.landing.starting import check_shards, first_held, first_offset
from keeprate.sinks.store.clickhouse import StoreError, StoreUnavailableError
from keeprate.sinks.store.retry import delay_s

logger = logging.getLogger(__name__)

TOPICS: Final = (GENERATIONS.name, FEEDBACK.name, OUTCOMES.name, DEAD_LETTERS.name)
_FACTS: Final = (GENERATIONS.name, FEEDBACK.name)
_POLL_S: Final = 0.05
_QUIET_POLL_S: Final = 0.2
"""While little comes and nothing is under way: each look costs the same, whatever it finds."""
_POLL_RECORDS: Final = 10_000
_REASSIGNMENT_TIMEOUT_S: Final = 120


@dataclass(frozen=True)
class SinkPolicy:
    """What an operator decides.

    flush: when to cut a batch. budget_s: how long a revoked or ending sink may take to finish what it began. skip_lost:
    go on after offsets that the topic no longer holds, with a range in the ledger that says they are absent.
    """

    flush: FlushPolicy = field(default_factory=FlushPolicy)
    budget_s: float = 10.0
    skip_lost: bool = False


class Observer(Protocol):
    """Is told what happened, for metrics. Must not raise."""

    def flushed(self, flush: Flush, took_s: float) -> None: ...
    def failed(self, flush: Flush, error: Exception) -> None: ...
    def dropped(self, at: TopicPartition, reason: str) -> None: ...
    def polled(self, positions: Mapping[TopicPartition, int], now_s: float) -> None: ...
    def alarm(self, alarm: Alarm) -> None: ...


class Sink:
    """One member of the group. `run` until `stop` is called, from a signal's handler or another thread."""

    def __init__(
        self,
        consumer: Consumer,
        destination: Destination,
        revision: str,
        observer: Observer,
        policy: SinkPolicy | None = None,
        ledger_ends: Mapping[TopicPartition, int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """ledger_ends: where the ledger ends, for partitions whose committed offset is gone: `starting.ledger_ends`."""
        self._consumer = consumer
        self._to = destination
        self._revision = revision
        self._observer = observer
        self._policy = policy or SinkPolicy()
        self._ledger_ends = dict(ledger_ends or {})
        self._clock = clock
        self._buffers: dict[TopicPartition, PartitionBuffer] = {}
        self._flights = Flights(destination)
        self._waiting: dict[TopicPartition, Flush] = {}
        self._resting: dict[TopicPartition, tuple[int, str]] = {}
        self._fenced_at_s: dict[TopicPartition, float] = {}
        self._unverified = False
        flush = self._policy.flush
        self._quiet = Cadence(flush.quiet_lingers * flush.linger_s, flush.quiet_at_once)
        self._stopping = False

    def stop(self) -> None:
        """Land what is in hand, leave the group and return from `run`."""
        self._stopping = True

    def run(self, topics: Sequence[str] = TOPICS) -> None:
        """Read and land until `stop`.

        Raises SchemaMismatchError, DeliveryError, OffsetLostError and BrokerError: then nothing
        that was not landed is committed, and the next start goes on from there.
        """
        try:
            self._consumer.subscribe(topics, self._assigned, self._revoked)
            while not self._stopping:
                self.turn()
            if self._verified():
                self._finish(list(self._buffers), self._clock() + self._policy.budget_s, draining=True)
        finally:
            # Nothing is begun while leaving: what is in hand is read again by the next owner.
            self._buffers.clear()
            self._waiting.clear()
            self._flights.close()
            self._consumer.close()

    def turn(self) -> None:
        """Read once, conclude what is through and begin what is due."""
        self._read()
        self._advance(list(self._buffers))
        now_s = self._clock()
        self._check_fenced(now_s)
        self._observer.polled({at: buffer.next_offset for at, buffer in self._buffers.items()}, now_s)

    def _read(self) -> None:
        full = self._full()
        with _no_collections():
            # A member must poll, also when it has no room.
            self._buffer(*self._poll(*((1, 0.0) if full else (_POLL_RECORDS, self._patience_s()))))
        if full:
            self._flights.wait(_POLL_S)

    def _patience_s(self) -> float:
        """How long to wait for records: Kafka's client hands out what came in that time at its end."""
        busy = self._flights or self._waiting or not self._policy.flush.is_quiet(self._buffers.values())
        return _POLL_S if busy else _QUIET_POLL_S

    def _buffer(self, records: Sequence[Record], ends: Sequence[End]) -> None:
        now_s = self._clock()
        for record in records:
            buffer = self._buffers.get((record.topic(), record.partition()))
            if buffer is not None:
                buffer.add(record, now_s)
        for end in ends:
            if (buffer := self._buffers.get((end.topic, end.partition))) is not None:
                buffer.reached(end.offset)
        self._unverified = self._unverified or bool(records)

    def _full(self) -> bool:
        """Whether more is in hand than may be, and will be less by itself. A replay needs its last record first."""
        policy, under_way = self._policy.flush, self._waiting | self._flights.flushes
        complete = [buffer for buffer in self._buffers.values() if buffer.is_complete]
        held: list[Flush | PartitionBuffer] = [*under_way.values(), *complete]
        rows, size_bytes = sum(len(each.records) for each in held), sum(each.size_bytes for each in held)
        goes_on = bool(under_way) or any(buffer.replay is not None for buffer in complete)
        return goes_on and (rows > policy.held_rows or size_bytes > policy.held_bytes)

    def _poll(self, max_records: int, timeout_s: float) -> tuple[list[Record], list[End]]:
        try:
            return self._consumer.poll(max_records, timeout_s)
        except OffsetLostError:
            # Of a topic that was made anew, Kafka says no more than that the offset is out of range.
            self._unverified = True
            self._verified()
            raise

    def _verified(self) -> bool:
        """Whether every record in hand is of the topic that the ledger knows by its name. Raises OffsetLostError.

        Kafka is asked after the records came: they are older than the answer.
        """
        topics = sorted({topic for topic, _ in self._buffers})
        if self._unverified and topics:
            try:
                found = self._consumer.topic_ids(topics)
            except BrokerUnavailableError as error:
                logger.warning("whether topics were made anew is not known: %s", error)
                return False
            learn(self._to.topic_ids, found)
            self._unverified = len(found) < len(topics)
        return not self._unverified

    def _advance(self, partitions: Sequence[TopicPartition], draining: bool = False) -> None:
        """Conclude the flushes that are through, and begin the waiting and due ones of these partitions."""
        self._settle(self._flights.collect())
        busy = sum(bool(buffer.records) or at in self._flights for at, buffer in self._buffers.items())
        policy, crowding_ones = self._policy.flush.among(busy), crowding(self._buffers, self._policy.flush)
        due = [at for at in partitions if self._due(at, policy, draining or at in crowding_ones)]
        if not draining:
            due = self._together(due, partitions, policy)
        due = self._apart(due)
        if due and self._verified() and self._rests():
            self._quiet.happened(self._clock())
            self._settle(self._flights.begin([self._next_flush(at) for at in due]))

    def _together(
        self, due: list[TopicPartition], partitions: Sequence[TopicPartition], policy: FlushPolicy
    ) -> list[TopicPartition]:
        """Those that may begin while little comes: all that have records at once, or only what cannot wait."""
        if not policy.is_quiet(self._buffers.values()):
            return self._derived_together(due, partitions, policy)
        if due and self._quiet.allows(self._clock()):
            due = [at for at in partitions if at in due or self._due(at, policy, draining=True)]
            # Those of which suggestions are derived begin at once, so that one derivation is of all of them.
            return sorted(due, key=lambda at: at[0] != OUTCOMES.name)
        return [at for at in due if self._replay(at) is not None]

    def _derived_together(
        self, due: list[TopicPartition], partitions: Sequence[TopicPartition], policy: FlushPolicy
    ) -> list[TopicPartition]:
        """Those that are due, of outcomes all at once: one derivation of all costs little more than one of each.

        What comes while they are under way waits for their end, which is no later than if it took turns with them.
        """
        full = [at for at in due if (buffer := self._buffers.get(at)) is not None and buffer.is_full(policy)]
        if any(topic == OUTCOMES.name for topic, _ in self._flights.flushes):
            return [at for at in due if at[0] != OUTCOMES.name or at in full or self._replay(at) is not None]
        if not any(topic == OUTCOMES.name for topic, _ in due):
            return due
        soon = replace(policy, linger_s=policy.linger_s / 2)
        along = {at for at in partitions if at[0] == OUTCOMES.name and self._due(at, soon, draining=False)}
        return [at for at in partitions if at in due or at in along]

    def _apart(self, due: list[TopicPartition]) -> list[TopicPartition]:
        """Those that may begin: a suspect flies alone, so that what ends the process is not counted against others."""
        if any(flush.intent.is_suspect for flush in self._flights.flushes.values()):
            return []
        suspects = [at for at in due if (intent := self._replay(at)) is not None and intent.is_suspect]
        if not suspects:
            return due
        return [] if self._flights else suspects[:1]

    def _replay(self, at: TopicPartition) -> Intent | None:
        """The range of the partition's next flush, where it is given."""
        return self._waiting[at].intent if at in self._waiting else self._buffers[at].replay

    def _due(self, at: TopicPartition, policy: FlushPolicy, draining: bool) -> bool:
        buffer, waiting = self._buffers.get(at), self._waiting.get(at)
        if at in self._flights:
            return False
        if waiting is not None:
            return self._clock() >= waiting.retry_at_s
        if at[0] in _FACTS:
            policy = policy.of_facts()
        return buffer is not None and buffer.due(self._clock(), policy, draining)

    def _next_flush(self, at: TopicPartition) -> Flush:
        flush = self._waiting.get(at)
        if flush is None:
            buffer = self._buffers[at]
            held_bytes, replayed = buffer.size_bytes, buffer.replay is not None
            intent, records = buffer.cut(self._revision, self._policy.flush)
            flush = Flush(at, intent, records, held_bytes - buffer.size_bytes, replayed)
            if intent.is_suspect:
                what = "setting it aside" if intent.is_set_aside else "trying it alone"
                logger.warning("%s/%d: processes ended at %d to %d: %s", *at, intent.first, intent.last, what)
        flush.began_s = self._clock()
        return flush

    def _settle(self, results: Sequence[Result]) -> None:
        for flush, error in results:
            match error:
                case None:
                    self._landed(flush)
                case StoreDiedError():
                    self._begin_again(flush, error)
                case StoreUnavailableError() | BrokerUnavailableError():
                    self._wait(flush, error)
                case FencedError():
                    logger.warning("%s/%d: fenced at step %d (%s)", *flush.at, flush.step + 1, error.code)
                    self._drop(flush.at, "fenced")
                    self._fenced_at_s[flush.at] = self._clock()
                case StoreError() | BrokerError():
                    self._rest([flush])
                    raise error
                case _:
                    raise error

    def _landed(self, flush: Flush) -> None:
        if self._waiting.pop(flush.at, None) is not None:
            self._consumer.resume(flush.at)
        self._observer.flushed(flush, self._clock() - flush.began_s)

    def _wait(self, flush: Flush, error: StoreUnavailableError | BrokerUnavailableError) -> None:
        code = error.code if isinstance(error, StoreUnavailableError) else None
        pause_s = delay_s(code, flush.attempts)
        flush.retry_at_s = self._clock() + pause_s
        self._waiting[flush.at] = flush
        if flush.attempts == 1:
            self._consumer.pause(flush.at)
        logger.warning(
            "%s/%d: step %d waits %.1f s after attempt %d: %s",
            *flush.at, flush.step + 1, pause_s, flush.attempts, error,
        )  # fmt: skip
        self._observer.failed(flush, error)
        if flush.intent.is_suspect and flush.step < LANDED:
            self._rest([flush])
            # Its next attempt is noted again before it begins.
            again = Flush(flush.at, flush.intent, flush.records, flush.size_bytes, replayed=True)
            again.attempts, again.retry_at_s, again.unanswered = flush.attempts, flush.retry_at_s, flush.unanswered
            self._waiting[flush.at] = again

    def _begin_again(self, flush: Flush, error: StoreDiedError) -> None:
        """Count an attempt as one that did not come back, and make the next one: of a part, where that is due."""
        logger.warning("%s/%d: %d to %d: %s", *flush.at, flush.intent.first, flush.intent.last, error)
        if self._waiting.pop(flush.at, None) is not None:
            self._consumer.resume(flush.at)
        if (buffer := self._buffers.get(flush.at)) is not None:
            buffer.take_back(flush.records, flush.intent.again())
        self._observer.failed(flush, error)

    def _rest(self, flushes: Sequence[Flush]) -> None:
        """Have it noted of suspects that nobody is at them: their attempts came back, and are not counted."""
        for flush in flushes:
            if flush.intent.is_suspect and flush.step < LANDED:
                self._resting[flush.at] = flush.intent.first, flush.intent.resting().encode()
        self._rests()

    def _rests(self) -> bool:
        """Whether all that rests is noted. Nothing is begun before: what ended with it would be counted as theirs."""
        failed = self._consumer.commit(self._resting) if self._resting else {}
        away = {at for at, error in failed.items() if isinstance(error, BrokerUnavailableError)}
        self._resting = {at: position for at, position in self._resting.items() if at in away}
        return not self._resting

    def _check_fenced(self, now_s: float) -> None:
        # With the eager protocol a rebalance follows. A member that it does not reach would be idle for ever.
        for at, fenced_at_s in self._fenced_at_s.items():
            if now_s - fenced_at_s > _REASSIGNMENT_TIMEOUT_S:
                raise BrokerError(f"{at[0]}/{at[1]}: fenced, and not assigned anew for {_REASSIGNMENT_TIMEOUT_S} s")

    def _assigned(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        starts = {}
        self._fenced_at_s.clear()
        self._unverified = True
        for at, (committed, metadata) in self._consumer.committed(partitions).items():
            start = first_offset(self._consumer, at, self._ledger_ends) if committed is None else committed
            intent = Intent.decode(metadata, start)
            if intent is not None and self._ledger_ends.get(at, 0) > intent.last:
                # It was landed whole, whatever ended the process then: its commit is all that is missing.
                self._waiting[at] = Flush(at, intent, [], step=LANDED)
                start, intent = intent.last + 1, intent.following()
            elif intent is not None:
                check_shards(at, intent, self._revision)
                intent = intent.again()
            held = first_held(self._consumer, at, start, self._policy.skip_lost)
            if held != start:
                intent = None
                self._waiting[at] = Flush(at, Intent(start, held - 1, self._revision), [])
            if intent is not None:
                logger.info("%s/%d: replaying %d to %d", *at, intent.first, intent.last)
            self._buffers[at] = PartitionBuffer(held, intent)
            starts[at] = held
        return starts

    def _revoked(self, partitions: list[TopicPartition], lost: bool) -> None:
        going = [at for at in partitions if at in self._buffers]
        finishing = not lost and self._verified()
        for at in going:
            # Nothing more of it is begun.
            del self._buffers[at]
        if finishing:
            self._finish(going, self._clock() + self._policy.budget_s)
        for at in going:
            self._drop(at, "lost" if lost else "revoked")

    def _finish(self, partitions: Sequence[TopicPartition], deadline_s: float, draining: bool = False) -> None:
        """Advance these partitions until none has a flush or the deadline has passed."""
        while True:
            self._advance(partitions, draining)
            left = [at for at in partitions if at in self._waiting or at in self._flights]
            if not left:
                return
            if self._clock() >= deadline_s:
                self._rest([flush for at, flush in self._flights.flushes.items() if at in left])
                return
            self._flights.wait(min(0.2, max(0.0, deadline_s - self._clock())))

    def _drop(self, at: TopicPartition, reason: str) -> None:
        """Forget a partition. Its records are read again by whoever is assigned it next."""
        self._buffers.pop(at, None)
        self._waiting.pop(at, None)
        self._resting.pop(at, None)
        self._flights.release(at)
        self._observer.dropped(at, reason)


@contextmanager
def _no_collections() -> Iterator[None]:
    # Records are many and in no cycles. Looking for some while they come costs more than reading them.
    wanted = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if wanted:
            gc.enable()
