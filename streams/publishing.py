"""Publishing the windows of a worker's partitions, now and then, without holding up the join.

For each partition, round after round:

    1  walk      count the state, slice by slice, once after each rebalance: nothing is published before that is done
    2  begin     what landed so far shall be counted: `interval_s` after the round before
    3  count     slice by slice
    4  take      the records of windows that changed
    5  prove     wait until Kafka has taken a commit of what was acknowledged at 2, or at the end of 1
    6  write     the records, acknowledged; then the next ones of 4

A partition whose position is not known is between two owners: after its revocation, or before the first seek. Nothing
is done for it.

**Invariant:** a record counts only what this worker had joined when the partition was still its own. Kafka takes no
commit of a worker that lost its partitions, so what is committed was in the changelog before the next owner read it,
and the next owner's records have versions that are not lower. Step 6 may come late, and changes nothing then.
**Invariant:** a record that the broker did not take stops the worker, as an outcome does.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from keeprate.schemas.outcome import Outcome
from keeprate.schemas.window_record import Form
from keeprate.streams.state import NotOursError, Offsets, PartitionState
from keeprate.streams.windows import PartitionWindows, Tally

logger = logging.getLogger(__name__)

SLICE_S: Final = 0.02
"""Of each turn, for all partitions together: what the join waits at most."""
_SLICE: Final = 100
_RECORDS: Final = 500

Records = Mapping[bytes, bytes]


@dataclass(frozen=True)
class WindowSettings:
    """How windows are published: how often, with which labels, and how many segments there may be."""

    interval_s: float = 5.0
    form: Form = field(default_factory=Form)


class Proof(Protocol):
    """What Kafka knows of a partition's sources: `transport.Consumer`."""

    def acknowledged(self, partition: int) -> Mapping[Any, int]: ...

    def is_committed(self, offsets: Mapping[Any, int]) -> bool: ...


class WindowsObserver(Protocol):
    """Whoever counts."""

    def windows_published(self, records: int) -> None: ...

    def windows_counted(self, tally: Tally) -> None: ...

    def windows_open(self, windows: int, rebuilding: int) -> None: ...

    def windows_rebuilt(self, took_s: float) -> None: ...


@dataclass
class _Partition:
    """A partition on its way through a round. proof: what must be committed before the records are written."""

    windows: PartitionWindows
    began_s: float
    expired_before_ms: int = 0
    counting: bool = False
    records: Records = field(default_factory=dict)
    proof: Mapping[Any, int] = field(default_factory=dict)
    written: "asyncio.Future[Offsets] | None" = None
    next_s: float = 0.0


class Publishing:
    """The windows of all partitions that are ours and recovered.

    write: writes records to a partition of keeprate.windows, see `delivery`. fail: is told of an error.
    """

    def __init__(
        self,
        state: Callable[[int], PartitionState],
        write: Callable[[int, Records], "asyncio.Future[Offsets]"],
        proof: Callable[[], Proof],
        fail: Callable[[BaseException], Awaitable[Any]],
        observer: WindowsObserver,
        now_ms: Callable[[], int],
        settings: WindowSettings,
    ) -> None:
        self._state = state
        self._write = write
        self._proof = proof
        self._fail = fail
        self._observer = observer
        self._now_ms = now_ms
        self._form = settings.form
        self._interval_s = settings.interval_s
        self._partitions: dict[int, _Partition] = {}
        self._failed = False

    def recovered(self, number: int) -> None:
        """A partition's state is whole: begin to count it. No batch of before may still be on its way."""
        windows = PartitionWindows(number, self._state(number), self._form, self._now_ms())
        self._partitions[number] = _Partition(windows, time.monotonic())

    def landed(
        self, number: int, held: Mapping[str, Outcome], outcomes: Mapping[str, Outcome], written: Offsets
    ) -> None:
        """A batch's outcomes are in the state, in place of those that were held."""
        if written is not None and (partition := self._partitions.get(number)) is not None:
            complete = self._state(number).offset == written[1]
            partition.windows.landed(held, outcomes, written[1], complete)

    def swept(self, number: int, expired_before_ms: int, expired: bool) -> None:
        """Event time has come so far. expired: outcomes are about to leave the state."""
        if (partition := self._partitions.get(number)) is not None:
            partition.expired_before_ms = expired_before_ms
            if expired:
                partition.windows.close(expired_before_ms)

    def forget(self) -> None:
        """Partitions may have changed hands."""
        for partition in self._partitions.values():
            if partition.written is not None:
                # Whether it arrives does not matter any more.
                partition.written.add_done_callback(lambda written: written.cancelled() or written.exception())
        self._partitions.clear()

    async def turn(self) -> None:
        """Go on with what is to do, for a slice of time."""
        until_s = time.monotonic() + SLICE_S
        try:
            for number, partition in list(self._partitions.items()):
                # What was joined since would have nothing to prove that it was ours.
                if position := self._proof().acknowledged(number):
                    self._go_on(number, partition, position, until_s)
        except NotOursError:
            # The rebalance that took it away says so to `forget` soon.
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, windows would stand still in silence
            if not self._failed:
                self._failed = True
                await self._fail(error)

    async def drain(self, deadline_s: float) -> None:
        """Publish what landed, as far as a deadline of the monotonic clock allows; the next owner does the rest."""
        for partition in self._partitions.values():
            partition.next_s = 0.0
        while (
            not self._failed
            and time.monotonic() < deadline_s
            and not all(map(self._is_idle, self._partitions.values()))
        ):
            await self.turn()
            await asyncio.sleep(0.01)

    def _is_idle(self, partition: _Partition) -> bool:
        busy = partition.counting or partition.records or partition.written or partition.windows.waiting
        return not busy or not partition.windows.is_complete

    def _go_on(self, number: int, partition: _Partition, position: Mapping[Any, int], until_s: float) -> None:
        now_s = time.monotonic()
        if partition.written is not None:
            if partition.written.done():
                partition.written.result()
                partition.written = None
                self._observer.windows_published(len(partition.records))
                self._take(partition)
        elif partition.records:
            if self._proof().is_committed(partition.proof):
                partition.written = self._write(number, partition.records)
        elif not partition.windows.is_complete:
            self._walk(partition, position, until_s)
        elif partition.counting:
            self._count(partition, until_s)
        elif now_s >= partition.next_s:
            partition.next_s = now_s + self._interval_s
            if partition.windows.is_stale(self._now_ms()):
                self.recovered(number)
            else:
                partition.windows.begin(partition.expired_before_ms)
                partition.proof, partition.counting = position, True

    def _walk(self, partition: _Partition, position: Mapping[Any, int], until_s: float) -> None:
        while not partition.windows.is_complete and time.monotonic() < until_s:
            partition.windows.walk(_SLICE, self._now_ms())
        if partition.windows.is_complete:
            partition.proof = position
            self._observer.windows_rebuilt(time.monotonic() - partition.began_s)
            self._take(partition)

    def _count(self, partition: _Partition, until_s: float) -> None:
        while not (counted := partition.windows.count(_SLICE)) and time.monotonic() < until_s:
            pass
        if counted:
            partition.counting = False
            self._take(partition)
            self._tell(partition.windows.tally)
            partition.windows.tally = Tally()
            parts = [each.windows for each in self._partitions.values()]
            rebuilding = sum(not each.is_complete for each in parts)
            self._observer.windows_open(sum(each.open for each in parts), rebuilding)

    def _tell(self, tally: Tally) -> None:
        if tally.unreadable:
            logger.warning("%s outcomes or windows are not counted, for example %s", tally.unreadable, tally.example)
        self._observer.windows_counted(tally)

    def _take(self, partition: _Partition) -> None:
        partition.records = partition.windows.take(_RECORDS, self._now_ms())
