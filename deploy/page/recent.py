"""Recent answers: however many browsers ask, a query runs once at a time, and never takes more than its share."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any, Final

LEAST_S: Final = 2.0
TIMES_ITS_COST: Final = 8.0
_ENTRIES: Final = 512


@dataclass(frozen=True)
class _Answer:
    value: Any
    until_s: float


class Recent:
    """Answers by key. One is reused for at least `LEAST_S`, and for `TIMES_ITS_COST` of what it took to find.

    So a query that takes a second is asked at most every eighth, and the page never takes more than an eighth of a
    core of the store for each of its parts. Failures are not kept. For one event loop.
    """

    def __init__(self, clock_s: Callable[[], float]) -> None:
        """clock_s: monotonic."""
        self._clock_s = clock_s
        self._answers: OrderedDict[Hashable, _Answer] = OrderedDict()
        self._running: dict[Hashable, asyncio.Task[Any]] = {}

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[Any]], least_s: float = LEAST_S) -> Any:
        """The answer for `key`: a recent one, the one that is being found, or a new one of `ask`."""
        answer = self._answers.get(key)
        if answer is not None and self._clock_s() < answer.until_s:
            return answer.value
        task = self._running.get(key)
        if task is None:
            task = asyncio.ensure_future(self._find(key, ask, least_s))
            self._running[key] = task
            task.add_done_callback(lambda done: self._forget(key, done))
        # Shielded, because others may wait for the same answer when one browser goes away.
        return await asyncio.shield(task)

    async def _find(self, key: Hashable, ask: Callable[[], Awaitable[Any]], least_s: float) -> Any:
        began_s = self._clock_s()
        value = await ask()
        ended_s = self._clock_s()
        self._answers[key] = _Answer(value, ended_s + max(least_s, TIMES_ITS_COST * (ended_s - began_s)))
        self._answers.move_to_end(key)
        while len(self._answers) > _ENTRIES:
            self._answers.popitem(last=False)
        return value

    def _forget(self, key: Hashable, done: asyncio.Task[Any]) -> None:
        self._running.pop(key, None)
        if not done.cancelled():
            # Whoever asked gets the failure; asked for here, so that asyncio does not report it as unseen.
            done.exception()
