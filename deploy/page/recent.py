"""Recent answers: however many browsers ask, a query runs once at a time, and never takes more than its share."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, TypeVar

TIMES_ITS_COST: Final = 4.0
_ENTRIES: Final = 512

Value = TypeVar("Value")


@dataclass(frozen=True)
class _Answer:
    value: Any
    until_s: float


class Recent:
    """Answers by key, for threads. One is reused for as long as its asker allows, and for a multiple of its cost.

    So an answer that takes a second is found anew every five at most, and the store spends at most a fifth of its time
    on any of them, however many ask. Failures are not kept, and an answer that holds nothing not for long: whoever
    looks at an empty page waits for the first event.
    """

    def __init__(self, clock_s: Callable[[], float]) -> None:
        """clock_s: monotonic."""
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, _Answer] = OrderedDict()
        self._running: dict[Hashable, Future[Any]] = {}

    def get(self, key: Hashable, ask: Callable[[], Value], keep_s: float) -> Value:
        """The answer for `key`: a recent one, the one that is being found, or a new one of `ask`.

        keep_s: how long a new one is reused, at least. Raises what `ask` raises, in all who wait for it.
        """
        with self._lock:
            answer = self._answers.get(key)
            if answer is not None and self._clock_s() < answer.until_s:
                value: Value = answer.value
                return value
            running = self._running.get(key)
            if running is None:
                mine: Future[Any] = Future()
                self._running[key] = mine
        if running is not None:
            shared: Value = running.result()
            return shared
        return self._find(key, ask, keep_s, mine)

    def _find(self, key: Hashable, ask: Callable[[], Value], keep_s: float, future: Future[Any]) -> Value:
        began_s = self._clock_s()
        try:
            value = ask()
        except BaseException as error:
            with self._lock:
                del self._running[key]
            future.set_exception(error)
            raise
        ended_s = self._clock_s()
        until_s = ended_s + max(keep_s if value else 0.0, TIMES_ITS_COST * (ended_s - began_s))
        with self._lock:
            del self._running[key]
            self._answers[key] = _Answer(value, until_s)
            self._answers.move_to_end(key)
            while len(self._answers) > _ENTRIES:
                self._answers.popitem(last=False)
        future.set_result(value)
        return value
