"""Recent answers: shared while they are found, kept for as long as they cost, and failures are forgotten."""

import asyncio
from collections.abc import Callable

import pytest

from keeprate.deploy.page.recent import LEAST_S, TIMES_ITS_COST, Recent


class Clock:
    """Time passes only by assignment."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Asked:
    """Counts its answers, each of which takes `cost_s` of the clock."""

    def __init__(self, clock: Clock, cost_s: float = 0.0) -> None:
        self.times = 0
        self._clock = clock
        self._cost_s = cost_s

    async def __call__(self) -> int:
        self.times += 1
        self._clock.now_s += self._cost_s
        await asyncio.sleep(0)
        return self.times


def _with(cost_s: float) -> tuple[Clock, Asked, Recent]:
    clock = Clock()
    return clock, Asked(clock, cost_s), Recent(clock)


def test_those_who_ask_at_once_share_one_answer() -> None:
    """Ten browsers cost one query."""
    _, asked, recent = _with(0)

    async def run() -> list[int]:
        return await asyncio.gather(*(recent.get("key", asked) for _ in range(10)))

    assert asyncio.run(run()) == [1] * 10


@pytest.mark.parametrize(("cost_s", "kept_s"), [(0.01, LEAST_S), (1.0, TIMES_ITS_COST)])
def test_an_answer_is_kept_for_a_multiple_of_its_cost(cost_s: float, kept_s: float) -> None:
    """Just before that it is the old answer, from then on a new one."""
    clock, asked, recent = _with(cost_s)

    async def run() -> list[int]:
        first = await recent.get("key", asked)
        found_at_s = clock.now_s
        clock.now_s = found_at_s + kept_s - 0.001
        second = await recent.get("key", asked)
        clock.now_s = found_at_s + kept_s
        return [first, second, await recent.get("key", asked)]

    assert asyncio.run(run()) == [1, 1, 2]


def test_other_keys_have_answers_of_their_own() -> None:
    """One selection never shows another's numbers."""
    _, asked, recent = _with(0)

    async def run() -> list[int]:
        return [await recent.get("a", asked), await recent.get("b", asked), await recent.get("a", asked)]

    assert asyncio.run(run()) == [1, 2, 1]


def test_a_failure_reaches_all_who_ask_and_is_not_kept() -> None:
    """The next one asks again."""
    _, asked, recent = _with(0)

    async def fail() -> int:
        await asyncio.sleep(0)
        raise ConnectionError("down")

    async def run() -> tuple[list[object], int]:
        failures = await asyncio.gather(*(recent.get("key", fail) for _ in range(2)), return_exceptions=True)
        return list(failures), await recent.get("key", asked)

    failures, answer = asyncio.run(run())
    assert [type(each) for each in failures] == [ConnectionError, ConnectionError]
    assert answer == 1


def test_who_leaves_does_not_take_the_answer_from_others() -> None:
    """A browser that goes away while a query runs cancels its own wait only."""
    _, _, recent = _with(0)
    gate = asyncio.Event

    async def run(make_gate: Callable[[], asyncio.Event]) -> int:
        opened = make_gate()

        async def slow() -> int:
            await opened.wait()
            return 7

        first = asyncio.ensure_future(recent.get("key", slow))
        second = asyncio.ensure_future(recent.get("key", slow))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)
        opened.set()
        return await second

    assert asyncio.run(run(gate)) == 7
