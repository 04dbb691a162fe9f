"""Flushes on their way, each of another partition: what they commit together, and the threads that run them.

    begin     commits the intents of a group in one request, and hands each flush whose intent was taken to a thread
    collect   commits the ends of those whose thread is through, in one request

While one thread waits for the store another sorts: the sink's work and the store's are about as long as each other.
Most threads wait: for the store, or for the derivation that the next of them begins for all.

A flush that is forgotten while a thread has it may still reach the store, later than the partition's next owner. That
one replays its intent: the same range, with the same tokens, so whichever insert comes second adds nothing.

**Invariant:** only the caller's thread commits, and never for a flush that was forgotten.
**Invariant:** a thread has a flush only after its intent was taken.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Final

from keeprate.sinks.kafka.records import TopicPartition
from keeprate.sinks.landing.flush import Destination, Flush

Result = tuple[Flush, BaseException | None]
"""A flush, and why it is not landed; None when it is."""

_THREADS: Final = 16


class Flights:
    """All calls are made by the thread that reads from Kafka."""

    def __init__(self, to: Destination) -> None:
        self._to = to
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="flush")
        self._running: dict[TopicPartition, tuple[Flush, Future[None]]] = {}

    def __len__(self) -> int:
        return len(self._running)

    def __contains__(self, at: object) -> bool:
        return at in self._running

    @property
    def flushes(self) -> dict[TopicPartition, Flush]:
        """Those that were begun and not collected, by partition."""
        return {at: flush for at, (flush, _) in self._running.items()}

    def begin(self, flushes: Sequence[Flush]) -> list[Result]:
        """Let flushes go on at the step where they are. Returns those whose intent was not taken."""
        refused = self._commit([flush for flush in flushes if flush.step == 0], Flush.intention)
        for flush in flushes:
            flush.attempts += 1
            if flush.at not in refused:
                self._running[flush.at] = flush, self._threads.submit(flush.run, self._to)
        return [(flush, refused[flush.at]) for flush in flushes if flush.at in refused]

    def collect(self) -> list[Result]:
        """Flushes that no thread has any more: they are landed, or have to wait, or are to be given up."""
        over = [(flush, future) for flush, future in self._running.values() if future.done()]
        failed: dict[TopicPartition, BaseException] = {}
        for flush, future in over:
            del self._running[flush.at]
            if (error := future.exception()) is not None:
                failed[flush.at] = error
        failed |= self._commit([flush for flush, _ in over if flush.at not in failed], Flush.conclusion)
        return [(flush, failed.get(flush.at)) for flush, _ in over]

    def wait(self, timeout_s: float) -> None:
        """Return once a thread is through, and after this time in any case."""
        running = [future for _, future in self._running.values()]
        if running:
            wait(running, timeout_s, FIRST_COMPLETED)
        else:
            time.sleep(timeout_s)

    def release(self, at: TopicPartition) -> None:
        """Give up a partition's flush: nothing is committed for it, and nothing is inserted that was not begun."""
        if at in self._running:
            self._running.pop(at)[1].cancel()

    def close(self) -> None:
        """Release all, and let the threads end."""
        for at in list(self._running):
            self.release(at)
        self._threads.shutdown(wait=False)

    def _commit(
        self, flushes: Sequence[Flush], position: Callable[[Flush], tuple[int, str]]
    ) -> dict[TopicPartition, BaseException]:
        offsets = {flush.at: position(flush) for flush in flushes}
        if not offsets:
            return {}
        failed = self._to.commits.commit(offsets)
        for flush in flushes:
            if flush.at not in failed:
                flush.passed(self._to)
        return dict(failed)
