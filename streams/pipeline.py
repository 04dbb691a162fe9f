"""Batches through the steps of the join, in order, while the batches before still wait for their acknowledgements.

What happens to a batch, and what a crash after each step means:

    1  sift      decode the records                         read again
    2  look up   the outcomes they speak of                 read again
    3  join      merge                                      read again
    4  write     outcomes and dead letters, acknowledged    read again; nothing is new then, and dead letters repeat
    5  store     into the partition's state                 recovered from the changelog
    6  ack       Faust commits the offset soon after        as after 4

**Invariant:** steps 5 and 6 of a batch come after those of every batch before it.
**Invariant:** after a step has failed, nothing is stored or acknowledged any more.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from keeprate.schemas.outcome import Outcome, decode_outcome, encode_outcome
from keeprate.streams.feedback_join import Refusal, Sifted, Step, join, sift
from keeprate.streams.state import Changes, PartitionState
from keeprate.streams.transport import Batch

logger = logging.getLogger(__name__)

MAX_UNACKNOWLEDGED: Final = 2
"""Batches that wait for acknowledgements while the next one is worked on."""
MAX_RECENT: Final = 20_000
"""Outcomes per partition that are kept decoded, roughly: nothing of an unacknowledged batch is dropped."""


@dataclass(frozen=True, slots=True)
class Done:
    """One batch that is through, for whoever counts."""

    batch: Batch
    sifted: Sifted
    step: Step
    took_s: float


class Observer(Protocol):
    """Whoever counts."""

    def batch_done(self, done: Done) -> None: ...


class Writer(Protocol):
    """What `delivery.Delivery` offers."""

    def write(self, partition: int, outcomes: Changes, refusals: Iterable[Refusal]) -> "asyncio.Future[int | None]": ...


class Pipeline:
    """The way of batches from Kafka to Kafka.

    partition: gives the state of a partition.
    acknowledge: marks a message as done.
    fail: is told of the error that stopped everything; it should end the process.
    """

    def __init__(
        self,
        delivery: Writer,
        partition: Callable[[int], PartitionState],
        acknowledge: Callable[[Any], Any],
        fail: Callable[[BaseException], Any],
        observer: Observer,
    ) -> None:
        self._delivery = delivery
        self._partition = partition
        self._acknowledge = acknowledge
        self._fail = fail
        self._observer = observer
        self._recent: dict[int, dict[str, Outcome]] = {}
        self._waiting: deque[asyncio.Task[None]] = deque()
        self._stopped = asyncio.Event()

    async def take(self, message: Any) -> None:
        """Do steps 1 to 4 of a batch, without waiting for the acknowledgements. Never returns after a failure."""
        await self._until_waiting(MAX_UNACKNOWLEDGED - 1)
        if len(recent := self._recent.setdefault(message.partition, {})) > 2 * MAX_RECENT:
            # What is not acknowledged is in no state yet, so nothing is dropped before all of it is.
            await self._until_waiting(0)
            for key in list(recent)[:-MAX_RECENT]:
                del recent[key]
        if self._stopped.is_set():
            await _forever()
        try:
            flight = self._depart(message, recent)
        except Exception as error:  # noqa: BLE001 - whatever it is, going on would skip the batch
            await self._stop(error)
            await _forever()
        else:
            previous = self._waiting[-1] if self._waiting else None
            self._waiting.append(asyncio.ensure_future(self._land(flight, previous)))

    async def drain(self) -> None:
        """Take no more batches, and finish those that were taken."""
        await self._until_waiting(0)
        self._stopped.set()

    def forget(self) -> None:
        """Partitions may have changed hands: look everything up again."""
        self._recent.clear()

    async def _until_waiting(self, count: int) -> None:
        while len(self._waiting) > count and not self._stopped.is_set():
            await asyncio.wait([self._waiting[0]])

    def _depart(self, message: Any, recent: dict[str, Outcome]) -> "_Flight":
        started_s, number = time.monotonic(), message.partition
        sifted = sift(message.value.records)
        step = join(_look_up(recent, self._partition(number), list(sifted.facts)), sifted.facts)
        encoded = {key.encode(): encode_outcome(key, outcome) for key, outcome in step.outcomes.items()}
        written = self._delivery.write(number, encoded, sifted.refusals)
        # The next batch has to see what this one found, before it is in the state.
        for key, outcome in step.outcomes.items():
            recent.pop(key, None)
            recent[key] = outcome
        return _Flight(message, sifted, step, encoded, written, started_s)

    async def _land(self, flight: "_Flight", previous: asyncio.Task[None] | None) -> None:
        try:
            offset = await flight.written
            if previous is not None:
                await asyncio.wait([previous])
            if self._stopped.is_set():
                return
            number = flight.message.partition
            self._partition(number).write(flight.encoded, offset)
            self._acknowledge(flight.message)
        except Exception as error:  # noqa: BLE001 - as in take
            await self._stop(error)
        else:
            took_s = time.monotonic() - flight.started_s
            self._observer.batch_done(Done(flight.message.value, flight.sifted, flight.step, took_s))
        finally:
            self._waiting.popleft()

    async def _stop(self, error: BaseException) -> None:
        if not self._stopped.is_set():
            self._stopped.set()
            logger.error("a batch failed, so the worker stops: %s", error, exc_info=error)
            await self._fail(error)


@dataclass(frozen=True, slots=True)
class _Flight:
    message: Any
    sifted: Sifted
    step: Step
    encoded: Changes
    written: "asyncio.Future[int | None]"
    started_s: float


async def _forever() -> None:
    """Not acknowledged, not failed: Faust would restart an agent that ends, and go on with the next batch."""
    await asyncio.Event().wait()


def _look_up(recent: dict[str, Outcome], state: PartitionState, keys: list[str]) -> dict[str, Outcome]:
    held = {key: recent[key] for key in keys if key in recent}
    absent = [key for key in keys if key not in held]
    values = state.get_many([key.encode() for key in absent])
    held.update((key, decode_outcome(value)[1]) for key, value in zip(absent, values, strict=True) if value is not None)
    return held
