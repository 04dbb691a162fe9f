"""Requests: what all events of one request say, such as its user and session, said once.

    with client.request(user="alice@example.org", session=conversation_id):
        answer = agent.run(question)     # every call and step in here has them

Kept as Python's `contextvars` are: a task that the request starts has it, and so have threads that copy the context.
"""

import contextlib
from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self

OF_FEEDBACK: Final = ("user", "session", "trace_id")
"""What of a request feedback says, too."""


_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def no_request() -> ContextVar[Mapping[str, Any]]:
    """The variable of one client."""
    return ContextVar("keeprate_request", default=_NOTHING)


class Request:
    """A context manager. Within another request of the same client it adds to what that one says."""

    def __init__(self, said: ContextVar[Mapping[str, Any]], fields: Mapping[str, Any]) -> None:
        self._said = said
        self._fields = fields
        self._token: Token[Mapping[str, Any]] | None = None

    def __enter__(self) -> Self:
        self._token = self._said.set({**self._said.get(), **self._fields})
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        if self._token is not None:
            # A web framework may end a request in another context than it began in: there is then nothing to restore.
            with contextlib.suppress(ValueError, RuntimeError):
                self._said.reset(self._token)
