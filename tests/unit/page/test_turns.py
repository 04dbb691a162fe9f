"""Questions take turns: so many at once, equal ones together, the excess refused, and nobody takes another's answer."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from keeprate.deploy.page.turns import BusyError, Turns


class Held:
    """Questions that wait to be let go, counted."""

    def __init__(self) -> None:
        self.asked = 0
        self._go = threading.Event()
        self._lock = threading.Lock()

    def __call__(self) -> int:
        with self._lock:
            self.asked += 1
            mine = self.asked
        assert self._go.wait(30)
        return mine

    def let_go(self) -> None:
        self._go.set()


async def _until(condition: Callable[[], bool]) -> None:
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not in time")


def test_equal_questions_share_a_turn_and_others_still_get_one() -> None:
    """A hundred who ask the same leave the second turn free."""

    async def scenario() -> None:
        turns, held = Turns(2, 0, 30), Held()
        same = [asyncio.ensure_future(turns.ask("same", held)) for _ in range(100)]
        await _until(lambda: held.asked == 1)
        assert await turns.ask("another", lambda: "answered") == "answered"
        held.let_go()
        assert await asyncio.gather(*same) == [1] * 100
        assert held.asked == 1

    asyncio.run(scenario())


def test_the_excess_is_refused_and_the_rest_is_answered() -> None:
    """Two run, three wait, and the sixth is told to come back; afterwards there is room again."""

    async def scenario() -> None:
        turns, held = Turns(2, 3, 30), Held()
        taken = [asyncio.ensure_future(turns.ask(number, held)) for number in range(5)]
        await _until(lambda: held.asked == 2)
        with pytest.raises(BusyError):
            await turns.ask("sixth", held)
        assert held.asked == 2
        held.let_go()
        assert sorted(await asyncio.gather(*taken)) == [1, 2, 3, 4, 5]
        assert await turns.ask("sixth", lambda: "answered") == "answered"

    asyncio.run(scenario())


def test_waiting_has_an_end() -> None:
    """Whoever waits for a turn that does not come is told so, and is not asked later."""

    async def scenario() -> None:
        turns, held = Turns(1, 5, 0.05), Held()
        running = asyncio.ensure_future(turns.ask("running", held))
        await _until(lambda: held.asked == 1)
        with pytest.raises(BusyError):
            await turns.ask("waiting", held)
        held.let_go()
        assert await running == 1
        assert held.asked == 1

    asyncio.run(scenario())


def test_who_goes_away_takes_the_answer_from_nobody_else() -> None:
    """A browser that closes cancels its own wait alone."""

    async def scenario() -> None:
        turns, held = Turns(1, 0, 30), Held()
        gone, stays = (asyncio.ensure_future(turns.ask("same", held)) for _ in range(2))
        await _until(lambda: held.asked == 1)
        gone.cancel()
        await asyncio.sleep(0)
        held.let_go()
        assert await stays == 1

    asyncio.run(scenario())


def test_a_failure_reaches_all_who_asked_and_is_not_kept() -> None:
    """The next one asks anew."""

    async def scenario() -> None:
        turns = Turns(1, 0, 30)

        def fails() -> None:
            raise LookupError

        for each in await asyncio.gather(*(turns.ask("same", fails) for _ in range(3)), return_exceptions=True):
            assert isinstance(each, LookupError)
        assert await turns.ask("same", lambda: "answered") == "answered"

    asyncio.run(scenario())
