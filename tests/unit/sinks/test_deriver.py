"""Deriving for threads that land at the same time: whose generations are in which statement, and who gets an error."""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from keeprate.sinks.reading import derive
from keeprate.sinks.reading.derive import Deriver
from keeprate.sinks.store.clickhouse import StoreUnavailableError

IDS = [f"0190a000-0000-7000-8000-{number:012d}" for number in range(6)]


class _Store:
    """Holds its first statement until it is told to go on; then it may be away once."""

    def __init__(self) -> None:
        self.derivations: list[str] = []
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.away = False

    def command(self, statement: str, parameters: Mapping[str, Any] | None = None) -> None:
        if not statement.startswith("INSERT INTO suggestions"):
            return
        named = (parameters or {})["generations"]
        self.derivations.append(" ".join(str(UUID(int=number)) for _, number in named))
        self.begun.set()
        assert self.go_on.wait(60)
        if self.away:
            self.away = False
            raise StoreUnavailableError("away")


def _three(threads: ThreadPoolExecutor, deriver: Deriver, store: _Store) -> tuple[Future[None], list[Future[None]]]:
    """One that is deriving, and two that came meanwhile and wait."""
    first = threads.submit(deriver.derive, store, {("a", IDS[0])})
    assert store.begun.wait(60)
    later = [threads.submit(deriver.derive, store, {("a", IDS[n])}) for n in (1, 2)]
    while len(deriver._next.generations) < len(later):
        time.sleep(0.001)
    return first, later


def test_what_comes_while_one_runs_is_derived_in_one_statement() -> None:
    """Three threads: the first has a statement of its own, the two that come meanwhile share the next one."""
    store, deriver = _Store(), Deriver()
    with ThreadPoolExecutor(3) as threads:
        first, later = _three(threads, deriver, store)
        store.go_on.set()
        for done in (first, *later):
            done.result(60)
    assert [[one in text for one in IDS[:3]] for text in store.derivations] == [
        [True, False, False],
        [False, True, True],
    ]


def test_whoever_shared_a_turn_that_failed_comes_again() -> None:
    """The error is everybody's of that turn, and nobody's of the next one."""
    store, deriver = _Store(), Deriver()
    with ThreadPoolExecutor(3) as threads:
        first, later = _three(threads, deriver, store)
        store.away = True
        store.go_on.set()
        with pytest.raises(StoreUnavailableError):
            first.result(60)
        for done in later:
            done.result(60)
    deriver.derive(store, {("a", IDS[0])})
    assert len(store.derivations) == 3


def test_nothing_is_asked_for_nothing() -> None:
    """Facts have no suggestions of their own."""
    store = _Store()
    Deriver().derive(store, set())
    assert store.derivations == []


def test_few_wait_for_those_who_are_inserting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that begin together have one statement, however much earlier one of them has inserted."""
    monkeypatch.setattr(derive, "_PATIENCE_S", 60.0)
    store, deriver, inserted = _Store(), Deriver(), threading.Event()
    store.go_on.set()
    begun = threading.Barrier(2)

    def land(number: int) -> None:
        with deriver.coming():
            begun.wait(60)
            if number:
                assert inserted.wait(60)
            deriver.derive(store, {("a", IDS[number])})

    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(land, number) for number in range(2)]
        while not deriver._next.generations:
            time.sleep(0.001)
        assert store.derivations == []
        inserted.set()
        for done in both:
            done.result(60)
    assert [[one in text for one in IDS[:2]] for text in store.derivations] == [[True, True]]


def test_who_fails_before_it_derives_is_waited_for_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """And who inserts for long only until patience ends."""
    store, deriver, fail = _Store(), Deriver(), threading.Event()
    store.go_on.set()
    coming = threading.Barrier(2)

    def failing() -> None:
        with deriver.coming():
            coming.wait(60)
            assert fail.wait(60)
            raise StoreUnavailableError("away")

    monkeypatch.setattr(derive, "_PATIENCE_S", 60.0)
    with ThreadPoolExecutor(2) as threads:
        failed = threads.submit(failing)
        coming.wait(60)
        waiting = threads.submit(deriver.derive, store, {("a", IDS[0])})
        fail.set()
        waiting.result(30)
        assert isinstance(failed.exception(), StoreUnavailableError)
    monkeypatch.setattr(derive, "_PATIENCE_S", 0.01)
    with ThreadPoolExecutor(1) as threads, deriver.coming():
        threads.submit(deriver.derive, store, {("a", IDS[1])}).result(30)
    assert len(store.derivations) == 2
