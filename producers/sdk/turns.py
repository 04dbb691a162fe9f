"""Turns of generators: which call is being made while they run, and which while their consumer does.

A generator's body and its consumer share one context and take turns in it. Around each turn of the body a variable is
set to what it was at the end of the body's last turn, and then to what it is for the consumer. All other variables
are shared by the two, as they are without us.
"""

from collections.abc import Awaitable, Callable, Generator
from contextvars import ContextVar, Token
from functools import partial
from types import TracebackType
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Alternation(Generic[T]):
    """Those of one generator's body. As a context manager it is one of them."""

    def __init__(self, variable: ContextVar[T], value: T) -> None:
        self._variable = variable
        self._inside = value
        self._token: Token[T] | None = None

    def __enter__(self) -> None:
        self._token = self._variable.set(self._inside)

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        assert self._token is not None
        self._inside = self._variable.get()
        self._variable.reset(self._token)

    def pieces(self, body: Generator[Any, Any, Any], keep: Callable[[Any], Any]) -> Generator[Any, Any, Any]:
        """The generator, each of its turns within; whatever the consumer sends, throws or closes reaches it."""
        turn: Callable[[], Any] = partial(next, body)
        while True:
            try:
                with self:
                    piece = turn()
            except StopIteration as end:
                return end.value
            try:
                given = yield keep(piece)
            except GeneratorExit:
                with self:
                    body.close()
                raise
            except BaseException as error:  # noqa: BLE001  what the consumer throws is for the body
                turn = partial(body.throw, error)
            else:
                turn = partial(body.send, given)

    def step(self, awaitable: Awaitable[Any]) -> "_Step":
        """An awaitable of the body, each of its turns within."""
        return _Step(self, awaitable)


class _Step:
    """Drives an awaitable, between two of whose turns the event loop runs other tasks."""

    def __init__(self, turns: Alternation[Any], awaitable: Awaitable[Any]) -> None:
        self._turns = turns
        self._awaitable = awaitable

    def __await__(self) -> Generator[Any, Any, Any]:
        # What is awaited gives itself here: the step of an asynchronous generator, which can be sent to and thrown at.
        steps: Any = self._awaitable.__await__()
        return self._turns.pieces(steps, lambda waited: waited)
