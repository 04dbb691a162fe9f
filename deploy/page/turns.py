"""Turns: how many questions are asked of the store at once, one for all who ask the same, and none for the excess."""

import asyncio
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

import anyio.to_thread

RETRY_AFTER_S: Final = 2

Answer = TypeVar("Answer")


class BusyError(Exception):
    """As many questions as may wait are waiting, or this one has waited long enough. Later is the remedy."""


class Turns:
    """A lane of questions. Those that are equal share one turn, so waiting for an answer takes no turn of its own."""

    def __init__(self, at_once: int, waiting: int, wait_s: float) -> None:
        """at_once: how many may run; waiting: how many more may wait; wait_s: for how long at most."""
        self._turns = asyncio.Semaphore(at_once)
        self._threads = anyio.CapacityLimiter(at_once)
        self._room = waiting
        self._wait_s = wait_s
        self._under_way: dict[Hashable, asyncio.Task[Any]] = {}

    async def ask(self, key: Hashable, question: Callable[[], Answer]) -> Answer:
        """The answer of `question`, run in a thread, or that of an equal `key` that is under way.

        Raises BusyError, and what `question` raises. Who goes away takes the answer from nobody else.
        """
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.ensure_future(self._in_turn(question))
            task.add_done_callback(lambda done: self._over(key, done))
        answer: Answer = await asyncio.shield(task)
        return answer

    async def _in_turn(self, question: Callable[[], Answer]) -> Answer:
        if self._turns.locked():
            if self._room == 0:
                raise BusyError
            self._room -= 1
            try:
                await asyncio.wait_for(self._turns.acquire(), self._wait_s)
            except TimeoutError:
                raise BusyError from None
            finally:
                self._room += 1
        else:
            await self._turns.acquire()
        try:
            return await anyio.to_thread.run_sync(question, limiter=self._threads)
        finally:
            self._turns.release()

    def _over(self, key: Hashable, task: "asyncio.Task[Any]") -> None:
        del self._under_way[key]
        if not task.cancelled():
            # Where everybody has gone, nobody else looks at what went wrong.
            task.exception()
