"""Faust's Kafka transport, with a batch of records as one Faust message.

Faust spends about 90 µs of asyncio on each message, more than all that Keeprate does with a record. So what was fetched
of one partition number, of all source topics, travels through Faust as one message. For Faust it is a message of one of
these topics, at the offset of its last record. Assignment, recovery, rebalance and commit stay Faust's.

**Invariant:** every record of a source topic is in exactly one batch after a seek, in order, and nothing is left out.
**Invariant:** an offset is committed only when its batch, and every batch before it, was acknowledged.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from aiokafka.errors import IllegalStateError
from faust.transport.consumer import ensure_TP
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from keeprate.streams.join.batches import Batch, Run, align
from keeprate.streams.records import install

logger = logging.getLogger(__name__)

_PAUSED_POLL_S = 0.02
_FETCH_WAIT_MS = 250
_FETCH_AT_LEAST_BYTES = 16_384
"""What a fetch waits for, so long at most: few records do not make many fetches."""
_CAUGHT_UP_RECORDS = 1_000
"""Whoever was so far behind and has no more to do commits at once; less than that waits for the next interval."""
_RECOVERY_PATIENCE_S = 0.1
"""How long to wait for more of a changelog: at its end the sources are resumed, and who waits does not hear of it."""
_ALIGN_PATIENCE_S = 0.3
"""How long fetched records wait for those of another topic. Its leader may be down, or its rest may be no records."""


class RecordsLostError(Exception):
    """Kafka deleted records before they were read: the worker stops, because to go on would hide a loss.

    first_kept: the first offset that is still there.
    """

    def __init__(self, tp: TP, expected: int, first_kept: int) -> None:
        super().__init__(
            f"{tp.topic}/{tp.partition}: retention removed offsets {expected} to {first_kept - 1} before they were "
            "read; keep records longer, and reset the group's offset to go on without them"
        )
        self.tp = tp
        self.expected = expected
        self.first_kept = first_kept


class OutOfOrderError(Exception):
    """A batch was to be acknowledged before its predecessor: a fault in the transport, so nothing is committed."""


@dataclass(frozen=True, slots=True)
class _BatchRecord:
    """A batch in the shape of the record that Faust expects of the driver."""

    topic: str
    partition: int
    offset: int
    timestamp: int | None
    value: Batch
    key: bytes | None = None
    headers: tuple[()] = ()
    timestamp_type: int = 0
    checksum: int | None = None
    serialized_key_size: int = 0
    serialized_value_size: int = 0

    @classmethod
    def of(cls, number: int, runs: dict[str, Run]) -> "_BatchRecord":
        """The record of a batch, in the place of the last record of its first run."""
        topic, run = next(iter(runs.items()))
        last = run.records[-1]
        return cls(topic, number, last.offset, last.timestamp, Batch(runs))


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread that runs aiokafka's consumer."""

    logger = logging.getLogger("faust.keeprate")

    def _create_worker_consumer(self, transport: Any) -> Any:
        install()
        consumer = super()._create_worker_consumer(transport)
        # Requests on one connection wait for each other, and a fetch that finds nothing holds up a start by this much.
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS
        consumer._fetch_min_bytes = _FETCH_AT_LEAST_BYTES
        # Faust asks for it only where it writes in transactions itself. What an app took back is no event, and the
        # sink, whose librdkafka leaves it out, would have outcomes without facts.
        consumer._isolation_level = "read_committed"
        return consumer


class BatchConsumer(driver.Consumer):
    """Faust's consumer, fetching batches.

    Faust keeps a list of acknowledged offsets and finds runs in it. It commits past a message that was never
    acknowledged when that is the first one after the committed offset, so here a counter per partition does that work.
    """

    logger = logging.getLogger("faust.keeprate")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # The next offset to fetch, and the next one to acknowledge.
        self._expected: dict[TP, int] = {}
        self._next: dict[TP, int] = {}
        # By partition number, what was fetched and is in no batch yet, and since when some of it waits.
        self._held: dict[int, dict[str, Run]] = defaultdict(dict)
        self._held_since_s: dict[int, float] = {}
        self._rewind = False
        # A jump in the offsets that was seen twice is Kafka's, not ours.
        self._jumps: dict[TP, tuple[int, int]] = {}
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Mapping[TP, list[Any]]:  # noqa: ASYNC109 - Faust's signature
        if self._rewind:
            await self._rewind_fetches()
        active = active_partitions or set()
        held = {TP(topic, number) for number, runs in self._held.items() for topic in runs}
        # What is held comes first. And to Faust, no partition at all means every one.
        wanted = active - held
        patience_s = _RECOVERY_PATIENCE_S if self.app.in_recovery else _ALIGN_PATIENCE_S if held else timeout
        fetched = await super()._getmany(wanted, patience_s) if wanted else {}
        batches = {}
        for aiokafka_tp, records in fetched.items():
            tp = ensure_TP(aiokafka_tp)
            if records and self._is_changelog_tp(tp):
                batches[tp] = [_BatchRecord.of(tp.partition, {tp.topic: Run(records[0].offset, records)})]
            elif records:
                await self._hold(tp, records)
        for number in list(self._held):
            if runs := self._release(number, active):
                batches[TP(next(iter(runs)), number)] = [_BatchRecord.of(number, runs)]
        if not wanted and not batches:
            # Faust would ask again at once.
            await self.sleep(_PAUSED_POLL_S)
        return batches

    async def _hold(self, tp: TP, records: list[Any]) -> None:
        """Keep what was fetched, unless it is not what comes next."""
        first, next_offset = records[0].offset, records[-1].offset + 1
        expected = self._expected.get(tp)
        # Before the seek to the committed offset, a fetch may start anywhere.
        if expected is None or next_offset <= expected:
            return
        if first > expected and not await self._is_kafkas(tp, expected, first):
            # A fetch crossed a seek, and what it skipped must not be committed past.
            await self._seek_ours({tp: expected})
            return
        self._expected[tp] = next_offset
        held = self._held[tp.partition].get(tp.topic)
        self._held[tp.partition][tp.topic] = Run(held.start, held.records + records) if held else Run(expected, records)

    def _release(self, number: int, active: set[TP]) -> dict[str, Run]:
        """The runs of the next batch of a partition number; empty while they are to wait."""
        held = self._held[number]
        if not all(TP(topic, number) in active for topic in held):
            # Faust would drop the message.
            return {}
        since_s = self._held_since_s.setdefault(number, time.monotonic())
        behind = set() if time.monotonic() - since_s > _ALIGN_PATIENCE_S else self._behind(number, active)
        runs, self._held[number] = align(held, behind)
        if runs or not held:
            del self._held_since_s[number]
        return runs

    def _behind(self, number: int, active: set[TP]) -> set[str]:
        """The topics of which Kafka has more, as far as the last fetch knows."""
        ours = [tp for tp in active if tp.partition == number and tp in self._expected]
        return {tp.topic for tp in ours if (self.highwater(tp) or 0) > self._expected[tp]}

    async def _is_kafkas(self, tp: TP, expected: int, first: int) -> bool:
        """Whether a jump is in the log itself: transaction markers, or compaction by a foreign setting."""
        earliest = (await self.earliest_offsets(tp))[tp]
        if earliest > expected:
            raise RecordsLostError(tp, expected, earliest)
        jump = (expected, first)
        if self._jumps.get(tp) == jump:
            return True
        self._jumps[tp] = jump
        logger.info("%s/%s: offsets %s to %s are missing from a fetch; reading again", *tp, expected, first - 1)
        return False

    async def _wait_next_records(self, timeout: float) -> tuple[Any, set[TP] | None]:  # noqa: ASYNC109 - Faust's
        """Faust's, but it looks again soon when all partitions are paused, where Faust sleeps for a second."""
        while not self._get_active_partitions() and self.flow_active and not self.should_stop:
            await self.sleep(_PAUSED_POLL_S)
        records: tuple[Any, set[TP] | None] = await super()._wait_next_records(timeout)
        return records

    def resume_flow(self) -> None:
        """Go on after a rebalance. Faust empties its queues then, so what was in them is fetched again."""
        self._rewind = True
        super().resume_flow()

    async def _rewind_fetches(self) -> None:
        self._rewind = False
        behind = {tp: offset for tp, offset in self._next.items() if self._expected[tp] != offset}
        self._expected.update(behind)
        self._let_go()
        if behind:
            await self._seek_ours(behind)

    async def _seek_ours(self, offsets: Mapping[TP, int]) -> None:
        """Seek, unless partitions change hands meanwhile: a new assignment seeks by itself."""
        try:
            await self.seek_wait(offsets)
        except IllegalStateError as error:
            logger.info("partitions changed hands while they were read again: %s", error)

    async def perform_seek(self) -> None:
        """Go back to what was committed, or to the beginning. Raises RecordsLostError when that is gone."""
        await super().perform_seek()
        sources = [tp for tp in self.assignment() if not self._is_changelog_tp(tp)]
        beginnings = await self.earliest_offsets(*sources) if sources else {}
        offsets = {}
        for tp in sources:
            committed, beginning = self._committed_offset[tp], beginnings[tp]
            if committed and committed < beginning:
                raise RecordsLostError(tp, committed, beginning)
            offsets[tp] = committed or beginning
        self._expected.update(offsets)
        self._next.update(offsets)
        self._let_go()
        # Faust leaves a partition without a committed offset where the fetches have brought it. And its plain `seek`
        # reaches into aiokafka from the wrong thread, which now and then ends in a KeyError there.
        await self.seek_wait(offsets)

    def _let_go(self) -> None:
        """Hold nothing: fetches begin again after what was acknowledged."""
        self._held.clear()
        self._held_since_s.clear()

    def ack(self, message: Any) -> bool:
        """Mark a batch as done, all its runs. Raises OutOfOrderError when a run before one of them is not."""
        batch = message.value
        if message.acked or not isinstance(batch, Batch):
            return False
        runs = {TP(topic, message.partition): run for topic, run in batch.runs.items()}
        # A partition that was revoked while the batch was in hand: its next owner reads it again and commits.
        ours = {tp: run for tp, run in runs.items() if tp in self._next}
        for tp, run in ours.items():
            if run.start > self._next[tp]:
                raise OutOfOrderError(f"{tp}: run at {run.start}, but the next to be done is {self._next[tp]}")
        message.acked = True
        self._unacked_messages.discard(message)
        for tp, run in ours.items():
            self._next[tp] = max(run.next_offset, self._next[tp])
            self._acked[tp] = [self._next[tp]]
            self._n_acked += len(run.records)
        if self._n_acked >= _CAUGHT_UP_RECORDS and not any(self.lag().values()):
            self._n_acked = 0
            self.add_future(self.commit())
        return bool(ours)

    def lag(self) -> dict[str, int]:
        """By topic, the records of our partitions that are not acknowledged, as far as the last fetch knows."""
        behind: dict[str, int] = {}
        for tp, done in self._next.items():
            behind[tp.topic] = behind.get(tp.topic, 0) + max(0, (self.highwater(tp) or 0) - done)
        return behind

    def _new_offset(self, tp: TP) -> int | None:
        acked = self._acked.pop(tp, None)
        return acked[-1] if acked else None

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing: a batch knows where it starts."""

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Faust forgets what was acknowledged and not yet committed; commit it while the partitions are still ours."""
        await self.commit()
        for tp in revoked:
            self._expected.pop(tp, None)
            self._next.pop(tp, None)
            self._jumps.pop(tp, None)
            self._held[tp.partition].pop(tp.topic, None)
        await super().on_partitions_revoked(revoked)


class Transport(driver.Transport):
    """What `app.conf` names as the transport of the consumer."""

    Consumer: ClassVar[type[BatchConsumer]] = BatchConsumer
