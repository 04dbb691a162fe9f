"""One connection: uvicorn's protocol, with bounds on what a client may send before anything is known of it.

uvicorn with httptools waits for ever for a request's head, keeps a head and trailers of any size, takes chunks of a
byte, waits for ever for a client to read its answer, and refuses everybody once there are too many connections.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from keeprate.producers.collector.gate.addresses import one_client

HEAD_TIMEOUT_S: Final = 15.0
WRITE_TIMEOUT_S: Final = 30.0
MAX_HEAD_BYTES: Final = 64 << 10
MAX_PIPELINED: Final = 32
FRAMING_BYTES: Final = 1 << 20
"""What the framing of chunks may take beside a body. Each chunk costs a call, and is at least six bytes on the wire."""
_BUSY_TEXT: Final = b"too many connections; try again\n"
_BUSY: Final = b"\r\n".join(
    (
        b"HTTP/1.1 503 Service Unavailable",
        b"Retry-After: 1",
        b"Connection: close",
        b"Content-Type: text/plain; charset=utf-8",
        b"Content-Length: %d" % len(_BUSY_TEXT),
        b"",
        _BUSY_TEXT,
    )
)


@dataclass
class Connections:
    """The connections of one server. One too many takes the place of an idle one, and is refused where none is idle.

    Idle ones that never sent a valid key go first, the longest idle of them: who only holds connections open keeps
    nobody out. per_address: of one client's address; a peer that `exempt` takes has no such limit.
    """

    most: int
    per_address: int
    exempt: Callable[[str], bool] = lambda address: False
    refused: Callable[[str], None] = lambda reason: None
    max_message_bytes: int = 17 << 20
    _of: dict[str, "dict[BoundedProtocol, None]"] = field(default_factory=dict)
    _count: int = 0

    def protocol(self) -> type[asyncio.Protocol]:
        """A protocol whose connections are counted here."""
        connections = self

        class Bounded(BoundedProtocol):
            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, **options)
                self.all = connections

        return Bounded

    def add(self, connection: "BoundedProtocol") -> bool:
        """Count a new connection, and end another for it where there are too many. False when it must go itself."""
        address = connection.address
        mine = self._of.setdefault(address, {})
        crowded = len(mine) >= self.per_address and not self.exempt(connection.peer)
        if crowded or self._count >= self.most:
            reason = "address" if crowded else "all"
            self.refused(reason)
            among = list(mine) if crowded else [each for group in self._of.values() for each in group]
            idle = (each for each in among if each.idle)
            victim = min(idle, key=lambda each: (each.known, each.since_s), default=None)
            if victim is None:
                self._drop_empty(address)
                return False
            self.remove(victim)
            victim.end()
        # The last of an address may just have been ended, and its group with it.
        self._of.setdefault(address, {})[connection] = None
        self._count += 1
        return True

    def remove(self, connection: "BoundedProtocol") -> None:
        """Forget a connection that ended; twice is once."""
        group = self._of.get(connection.address, {})
        if connection in group:
            del group[connection]
            self._count -= 1
            self._drop_empty(connection.address)

    def __len__(self) -> int:
        return self._count

    def _drop_empty(self, address: str) -> None:
        if not self._of.get(address, True):
            del self._of[address]


class BoundedProtocol(HttpToolsProtocol):
    """Ends a connection whose head does not arrive in time, or is too large, or whose message goes on for ever.

    known: it once sent a valid key. since_s: when it last began to wait for a head. peer: the other side's address.
    address: whose connections it is counted among.
    """

    all: Connections
    peer: str = ""
    address: str = ""
    known: bool = False

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.since_s = self.loop.time()
        self._in_head = True
        self._message_bytes = 0
        self._body_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is being handled: a head is awaited, or the next request."""
        return self.cycle is None or self.cycle.response_complete

    def end(self) -> None:
        """Hang up at once, whatever the other side has not read yet."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start waiting for the first head, unless there is no room."""
        super().connection_made(transport)
        self.peer = self.client[0] if self.client else ""
        self.address = one_client(self.peer)
        if self.all.add(self):
            self._await_head()
        else:
            transport.write(_BUSY)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self.all.remove(self)
        self._stop_waiting()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the wire, and count them against the head's and the message's bounds."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._message_bytes += len(data)
        if self._in_head:
            beyond = self._message_bytes > MAX_HEAD_BYTES
        else:
            framing_bytes = self._message_bytes - self._body_bytes
            beyond = framing_bytes > FRAMING_BYTES or self._message_bytes > self.all.max_message_bytes
        if (beyond or len(self.pipeline) > MAX_PIPELINED) and not self.transport.is_closing():
            self.transport.close()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self.scope["state"]["connection"] = self
        self._in_head = True
        self._message_bytes = self._body_bytes = 0
        self._await_head()

    def on_headers_complete(self) -> None:
        """The head is complete: the body has its own time limit."""
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_response_complete(self) -> None:
        """The next request is awaited."""
        self.since_s = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The client does not read its answer: it has so long to go on."""
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(WRITE_TIMEOUT_S, self.end)

    def resume_writing(self) -> None:
        """The client reads on."""
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def timeout_keep_alive_handler(self) -> None:
        """No next request came. What the client has not read by now it never will."""
        self.end()

    def _await_head(self) -> None:
        self._stop_waiting()
        self.since_s = self.loop.time()
        self._head_timer = self.loop.call_later(HEAD_TIMEOUT_S, self._head_late)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.close()
