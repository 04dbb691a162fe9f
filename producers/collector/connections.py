"""One connection: uvicorn's protocol, with bounds on what a client may send before anything is known of it.

uvicorn with httptools waits for ever for a request's head, and keeps a head and trailers of any size.
"""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_TIMEOUT_S: Final = 15.0
MAX_HEAD_BYTES: Final = 64 << 10
_FRAMING_BYTES: Final = 1 << 20


def bounded_protocol(max_body_bytes: int) -> type[asyncio.Protocol]:
    """A protocol that ends a connection whose message is larger on the wire than a body of that size can be."""

    class Bounded(BoundedProtocol):
        max_message_bytes = max_body_bytes + _FRAMING_BYTES

    return Bounded


class BoundedProtocol(HttpToolsProtocol):
    """Ends a connection whose head does not arrive in time, or is too large, or whose message goes on for ever."""

    max_message_bytes = 17 << 20

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._in_head = True
        self._message_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start waiting for the first head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the wire, and count them against the head's and the message's bounds."""
        super().data_received(data)
        self._message_bytes += len(data)
        bound = MAX_HEAD_BYTES if self._in_head else self.max_message_bytes
        if self._message_bytes > bound and not self.transport.is_closing():
            self.transport.close()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head = True
        self._message_bytes = 0
        self._await_head()

    def on_headers_complete(self) -> None:
        """The head is complete: the body has its own time limit."""
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def _await_head(self) -> None:
        self._stop_waiting()
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_late)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()
