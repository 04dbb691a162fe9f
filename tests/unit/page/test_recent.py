"""Recent answers: shared while they are found, kept for as long as is allowed and as they cost, failures forgotten."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from keeprate.deploy.page.recent import TIMES_ITS_COST, Recent


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

    def __call__(self) -> int:
        self.times += 1
        self._clock.now_s += self._cost_s
        return self.times


def test_those_who_ask_at_once_share_one_answer() -> None:
    """Ten browsers cost one query."""
    recent, opened, asked = Recent(Clock()), threading.Event(), Asked(Clock())

    def slow() -> int:
        assert opened.wait(10)
        return asked()

    with ThreadPoolExecutor(10) as pool:
        answers = [pool.submit(recent.get, "key", slow, 2.0) for _ in range(10)]
        opened.set()
        assert [answer.result(10) for answer in answers] == [1] * 10


@pytest.mark.parametrize(("cost_s", "keep_s", "kept_s"), [(0.01, 2.0, 2.0), (1.0, 2.0, TIMES_ITS_COST)])
def test_an_answer_is_kept_as_long_as_allowed_and_as_it_cost(cost_s: float, keep_s: float, kept_s: float) -> None:
    """Just before that it is the old answer, from then on a new one."""
    clock = Clock()
    recent, asked = Recent(clock), Asked(clock, cost_s)
    assert recent.get("key", asked, keep_s) == 1
    found_at_s = clock.now_s
    clock.now_s = found_at_s + kept_s - 0.001
    assert recent.get("key", asked, keep_s) == 1
    clock.now_s = found_at_s + kept_s
    assert recent.get("key", asked, keep_s) == 2


def test_nothing_is_not_kept() -> None:
    """The first event shows as soon as it is there."""
    recent, answers = Recent(Clock()), iter(([], [1]))
    assert recent.get("key", lambda: next(answers), 60.0) == []
    assert recent.get("key", lambda: next(answers), 60.0) == [1]


def test_other_keys_have_answers_of_their_own() -> None:
    """One selection never shows another's numbers."""
    clock = Clock()
    recent, asked = Recent(clock), Asked(clock)
    assert [recent.get(key, asked, 2.0) for key in ("a", "b", "a")] == [1, 2, 1]


def test_a_failure_reaches_who_asked_and_is_not_kept() -> None:
    """The next one asks again."""
    clock = Clock()
    recent, asked = Recent(clock), Asked(clock)

    def fail() -> int:
        raise ConnectionError("down")

    with pytest.raises(ConnectionError):
        recent.get("key", fail, 2.0)
    assert recent.get("key", asked, 2.0) == 1


def test_a_failure_reaches_those_who_wait() -> None:
    """Nobody waits for an answer that will not come."""
    recent, started, opened = Recent(Clock()), threading.Event(), threading.Event()

    def fail() -> int:
        started.set()
        assert opened.wait(10)
        raise ConnectionError("down")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(recent.get, "key", fail, 2.0)
        assert started.wait(10)
        second = pool.submit(recent.get, "key", fail, 2.0)
        opened.set()
        assert isinstance(first.exception(10), ConnectionError)
        assert isinstance(second.exception(10), ConnectionError)
