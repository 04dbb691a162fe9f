"""Batches through the steps of the join, in order, while the batches before still wait for their acknowledgements.

What happens to a batch, and what a crash after each step means:

    1  sift      decode the records                         read again (and what `crashes` says)
    2  look up   the outcomes they speak of                 read again
    3  join      merge                                      as 1
    4  write     outcomes and dead letters, acknowledged    read again; nothing is new then, and dead letters repeat
    5  store     into the partition's state                 recovered from the changelog
    6  ack       Faust commits the offset soon after        as after 4

After a rebalance, Faust reads again from what is committed once the states are recovered. So what was taken before is
left where it is then: it would be joined with a state that is recovered in part, or land on top of what was recovered.

**Invariant:** steps 5 and 6 of a batch come after those of every batch before it.
**Invariant:** all steps of a batch lie between a recovery and the next rebalance.
**Invariant:** after a step has failed, nothing is stored or acknowledged any more.
**Invariant:** what a record raises in 1 and 3 is the record's (`judging`); whatever else fails concerns all.
"""

import asyncio
import logging
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from keeprate.schemas.checked_outcome import read_outcome
from keeprate.schemas.outcome import Outcome
from keeprate.schemas.refusal_alarm import Alarm, RefusalAlarm
from keeprate.streams.crashes import CrashJournal
from keeprate.streams.join.batches import Batch
from keeprate.streams.join.expiry import SKEW_MS, Watermark, ahead, late, stamp_all, stamped_at_ms, value_of
from keeprate.streams.join.feedback_join import MAX_OUTCOME_BYTES, RefusedRecord, Sifted, Step, refuse_overflow
from keeprate.streams.join.judging import Judged, judge, judge_each
from keeprate.streams.state.partition import Changes, NotOursError, Offsets, PartitionState, reached
from keeprate.streams.state.sweep import SWEEP_OUTCOMES, Sweep

logger = logging.getLogger(__name__)

MAX_UNACKNOWLEDGED: Final = 2
"""Batches that wait for acknowledgements while the next one is worked on."""
MAX_RECENT: Final = 2_500
"""Outcomes per partition that are kept decoded, roughly: nothing of an unacknowledged batch is dropped."""

_Known = tuple[Outcome, int]
"""An outcome, and its stamp."""

Place = Literal["state", "changelog"]
"""Where an outcome was found that cannot be read."""


@dataclass(frozen=True, slots=True)
class Done:
    """One batch that is through, for whoever counts."""

    batch: Batch
    sifted: Sifted
    step: Step
    late: int
    ahead: int
    took_s: float


class JoinObserver(Protocol):
    """Whoever counts."""

    def batch_done(self, done: Done) -> None: ...

    def expired(self, count: int) -> None: ...

    def alarm(self, alarm: Alarm) -> None: ...

    def unreadable(self, place: Place, count: int) -> None: ...


class Writer(Protocol):
    """What `delivery.WorkerDelivery` offers."""

    def write(
        self, partition: int, outcomes: Changes, refusals: Iterable[RefusedRecord]
    ) -> "asyncio.Future[Offsets]": ...


class Pipeline:
    """The way of batches from Kafka to Kafka.

    partition: gives the state of a partition.
    acknowledge: marks a message as done.
    fail: is told of the error that stopped everything; it should end the process.
    journal: knows at which records processes ended before.
    """

    def __init__(
        self,
        delivery: Writer,
        partition: Callable[[int], PartitionState],
        acknowledge: Callable[[Any], Any],
        fail: Callable[[BaseException], Any],
        observer: JoinObserver,
        now_ms: Callable[[], int],
        refusal_alarm: RefusalAlarm,
        journal: CrashJournal | None = None,
    ) -> None:
        self._delivery = delivery
        self._partition = partition
        self._acknowledge = acknowledge
        self._fail = fail
        self._observer = observer
        self._now_ms = now_ms
        self._refusal_alarm = refusal_alarm
        self._journal = journal or CrashJournal(None)
        self._watermarks: dict[int, Watermark] = defaultdict(Watermark)
        self._sweeps: dict[int, Sweep] = defaultdict(Sweep)
        self._recent: dict[int, dict[str, _Known]] = {}
        self._waiting: deque[asyncio.Task[None]] = deque()
        # By partition, how many outcomes wait for their acknowledgement.
        self._unacknowledged: Counter[int] = Counter()
        self._stopped = asyncio.Event()
        self._rebalances = 0
        self._recovering = False

    async def take(self, message: Any) -> None:
        """Do steps 1 to 4 of a batch, without waiting for the acknowledgements. Never returns after a failure."""
        rebalances = self._rebalances
        await self._until_waiting(MAX_UNACKNOWLEDGED - 1)
        recent = self._recent.setdefault(message.partition, {})
        # What is not acknowledged is in no state yet. It came last, so it stands last.
        if len(recent) > 2 * (kept := max(MAX_RECENT, self._unacknowledged[message.partition])):
            for key in list(recent)[:-kept]:
                del recent[key]
        if self._stopped.is_set():
            await _forever()
        try:
            self._check_ours(message.partition, rebalances)
            flight = self._depart(message, recent)
        except NotOursError as error:
            logger.info("%s; its new owner reads the batch", error)
        except Exception as error:  # noqa: BLE001 - whatever it is, going on would skip the batch
            await self._stop(error)
            await _forever()
        else:
            self._await(flight)

    async def drain(self) -> None:
        """Take no more batches, and finish those that were taken."""
        await self._until_waiting(0)
        self._stopped.set()

    def release(self) -> None:
        """Partitions may have changed hands: leave what was taken, and take nothing before they are recovered."""
        self._rebalances += 1
        self._recovering = True
        self._recent.clear()
        self._watermarks.clear()
        self._sweeps.clear()

    async def recovered(self) -> None:
        """The states are whole: take batches again, unless partitions change hands once more meanwhile."""
        rebalances = self._rebalances
        await self._until_waiting(0)
        if rebalances == self._rebalances:
            self._recovering = False

    def sweep(self, limit: int = SWEEP_OUTCOMES) -> bool:
        """Look at the next outcomes of each partition, and let those go that have expired. Returns whether more are to
        be looked at."""
        if self._stopped.is_set():
            return False
        for number, watermark in self._watermarks.items():
            before_ms = watermark.expired_before_ms(self._now_ms())
            keys = self._sweeps[number].look(self._partition(number), before_ms, limit)
            expired = [key for key in keys if self._is_over(number, key, before_ms)]
            if expired:
                gone: Changes = dict.fromkeys(expired)
                written = self._delivery.write(number, gone, ())
                self._await(_Flight(number, None, gone, written, time.monotonic(), self._rebalances))
        return any(self._sweeps[number].is_under_way for number in self._watermarks)

    async def _until_waiting(self, count: int) -> None:
        while len(self._waiting) > count and not self._stopped.is_set():
            await asyncio.wait([self._waiting[0]])

    def _check_ours(self, number: int, rebalances: int) -> None:
        if self._recovering or rebalances != self._rebalances:
            raise NotOursError(f"partition {number} was assigned anew")

    def _await(self, flight: "_Flight") -> None:
        previous = self._waiting[-1] if self._waiting else None
        self._unacknowledged[flight.number] += len(flight.changes)
        self._waiting.append(asyncio.ensure_future(self._land(flight, previous)))

    def _is_over(self, number: int, key: bytes, before_ms: int) -> bool:
        """Whether an outcome that has expired in the state has so in fact; then it is also forgotten."""
        recent = self._recent.get(number, {})
        name = key.decode("utf-8", "replace")
        if name in recent and recent[name][1] >= before_ms:
            return False
        recent.pop(name, None)
        return True

    def _depart(self, message: Any, recent: dict[str, _Known]) -> "_Flight":
        one_by_one = self._journal.begin(message.value.runs, message.partition)
        try:
            return self._joined(message, recent, one_by_one)
        finally:
            self._journal.end()

    def _joined(self, message: Any, recent: dict[str, _Known], one_by_one: bool) -> "_Flight":
        started_s, number = time.monotonic(), message.partition
        records, known = message.value.records, dict[str, _Known]()
        judged = self._judge(number, records, recent, known, one_by_one)
        sifted, held, step, encoded = judged.sifted, judged.held, judged.step, judged.encoded
        self._tell_alarms(sifted)
        if max(map(len, encoded.values()), default=0) > MAX_OUTCOME_BYTES:
            _keep_small(encoded, step, sifted, records)
        now_ms, watermark = self._now_ms(), self._watermarks[number]
        times_ms = {key: sifted.times_ms[key] for key in step.outcomes}
        late_count = late(times_ms, held, watermark.expired_before_ms(now_ms))
        ahead_count = ahead(times_ms.values(), now_ms)
        watermark.hear(times_ms.values(), now_ms)
        stamps_ms = _stamps_ms(times_ms, known, now_ms + SKEW_MS)
        stamped = stamp_all(encoded, stamps_ms.values())
        written = self._delivery.write(number, encoded, sifted.refusals)
        # The next batch has to see what this one found, before it is in the state.
        for key, outcome in step.outcomes.items():
            recent.pop(key, None)
            recent[key] = outcome, stamps_ms[key]
        batch = _Joined(message, sifted, step, late_count, ahead_count)
        return _Flight(number, batch, stamped, written, started_s, self._rebalances)

    def _judge(
        self, number: int, records: list[Any], recent: dict[str, _Known], known: dict[str, _Known], one_by_one: bool
    ) -> Judged:
        """Steps 1 to 3. known: takes in what is looked up, with its stamps."""
        state = self._partition(number)

        def look_up(keys: list[str]) -> dict[str, Outcome]:
            found = self._look_up(recent, state, keys)
            known.update(found)
            return {key: outcome for key, (outcome, _) in found.items()}

        return judge_each(records, look_up, self._journal) if one_by_one else judge(records, look_up)

    def _look_up(self, recent: dict[str, _Known], state: PartitionState, keys: list[str]) -> dict[str, _Known]:
        known = {key: recent[key] for key in keys if key in recent}
        absent = [key for key in keys if key not in known]
        for key, value in zip(absent, state.get_many([key.encode() for key in absent]), strict=True):
            if value is not None:
                try:
                    known[key] = read_outcome(key, value_of(value)), stamped_at_ms(value)
                except ValueError as error:
                    logger.warning("%s; it begins anew", error)
                    self._observer.unreadable("state", 1)
        return known

    def _tell_alarms(self, sifted: Sifted) -> None:
        letters = [refusal.letter for refusal in sifted.refusals]
        for alarm in self._refusal_alarm.judge(sifted.accepted, letters):
            logger.warning("%s", alarm)
            self._observer.alarm(alarm)

    async def _land(self, flight: "_Flight", previous: asyncio.Task[None] | None) -> None:
        try:
            written = await flight.written
            if previous is not None:
                await asyncio.wait([previous])
            if self._stopped.is_set():
                return
            self._check_ours(flight.number, flight.rebalances)
            state = self._partition(flight.number)
            state.write(flight.changes, reached(state.offset, written))
            if flight.joined is not None:
                self._acknowledge(flight.joined.message)
        except NotOursError as error:
            logger.info("%s; its new owner reads the batch again", error)
        except Exception as error:  # noqa: BLE001 - as in take
            await self._stop(error)
        else:
            self._count(flight)
        finally:
            self._waiting.popleft()
            self._unacknowledged[flight.number] -= len(flight.changes)

    def _count(self, flight: "_Flight") -> None:
        if (joined := flight.joined) is None:
            self._observer.expired(len(flight.changes))
            return
        took_s = time.monotonic() - flight.started_s
        counts = joined.late, joined.ahead, took_s
        self._observer.batch_done(Done(joined.message.value, joined.sifted, joined.step, *counts))

    async def _stop(self, error: BaseException) -> None:
        if not self._stopped.is_set():
            self._stopped.set()
            logger.error("a batch failed, so the worker stops: %s", error, exc_info=error)
            await self._fail(error)


@dataclass(frozen=True, slots=True)
class _Joined:
    message: Any
    sifted: Sifted
    step: Step
    late: int
    ahead: int


@dataclass(frozen=True, slots=True)
class _Flight:
    """What is written and not acknowledged yet: a batch, or else tombstones.

    changes: as they go into the state. rebalances: how many there had been when it departed.
    """

    number: int
    joined: _Joined | None
    changes: Changes
    written: "asyncio.Future[Offsets]"
    started_s: float
    rebalances: int


def _keep_small(encoded: dict[bytes, bytes], step: Step, sifted: Sifted, records: list[Any]) -> None:
    """Take outcomes that are too large out of a batch again, and refuse the records that would have made them so."""
    large = {key.decode() for key, value in encoded.items() if len(value) > MAX_OUTCOME_BYTES}
    for key in large:
        del encoded[key.encode()], step.outcomes[key]
    sifted.refusals.extend(refuse_overflow(records, sifted.refusals, large))


async def _forever() -> None:
    """Not acknowledged, not failed: Faust would restart an agent that ends, and go on with the next batch."""
    await asyncio.Event().wait()


def _stamps_ms(times_ms: dict[str, int], known: dict[str, _Known], limit_ms: int) -> dict[str, int]:
    """The event time of the latest fact in each outcome that changed, and never later than the limit."""
    stamps_ms = {}
    for key, at_ms in times_ms.items():
        before = known.get(key)
        latest_ms = at_ms if before is None or before[1] <= at_ms else before[1]
        stamps_ms[key] = latest_ms if latest_ms <= limit_ms else limit_ms
    return stamps_ms
