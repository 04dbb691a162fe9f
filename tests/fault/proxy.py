"""A front of the store that misbehaves: it refuses, stalls, delays, cuts, loses replies, answers with errors."""

import http.client
import socket
import socketserver
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any, Final, Literal, Self

Mode = Literal["pass", "503", "refuse", "stall", "cut", "reply_lost", "error", "late"]
_HEAD_BYTES: Final = 100
_HOP_BY_HOP: Final = ("connection", "transfer-encoding", "content-length", "host")


@dataclass
class Behaviour:
    """What the front does with requests that write; all others pass.

    times: how many of them it does this to; after that it passes again. code, name: those of the error. cut_after: how
    many bytes of the body reach the store. table: only to writes into this one.
    """

    mode: Mode = "pass"
    times: int = 1 << 30
    code: int = 0
    name: str = ""
    cut_after: int = 40
    table: str = ""


@dataclass
class FaultyStore:
    """The front, running. `url` is where clients reach it."""

    target_port: int
    behaviour: Behaviour = field(default_factory=Behaviour)
    met: int = 0
    late: int = 0
    """How many writes of those that were late have been done."""

    def __post_init__(self) -> None:
        self._healed = threading.Event()
        self._lock = threading.Lock()
        front = self

        class Handler(_Handler):
            faulty = front

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def misbehave(self, mode: Mode, times: int = 1 << 30, code: int = 0, name: str = "", table: str = "") -> None:
        """From the next write on."""
        self._healed.clear()
        self.met = self.late = 0
        self.behaviour = Behaviour(mode, times, code, name, table=table)

    def heal(self) -> None:
        """Pass everything, also what is late; what stalled is broken off."""
        self.behaviour = Behaviour()
        self._healed.set()

    def take(self, body: bytes) -> Behaviour:
        """What to do with one request."""
        head = body[:_HEAD_BYTES].lstrip()
        with self._lock:
            behaviour = self.behaviour
            writes = head[:6].upper() == b"INSERT" and behaviour.table.encode() in head
            if not writes or behaviour.mode == "pass":
                return Behaviour()
            self.met += 1
            if self.met >= behaviour.times:
                self.behaviour = Behaviour()
            return behaviour

    def wait_healed(self) -> None:
        self._healed.wait(60)

    def count_late(self) -> None:
        """One more that was late is done."""
        with self._lock:
            self.late += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.heal()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that are killed break their connections off."""


class _Handler(BaseHTTPRequestHandler):
    faulty: FaultyStore
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._forward()

    def do_POST(self) -> None:
        self._forward()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        """Say nothing."""

    def _forward(self) -> None:
        body = self._body()
        behaviour = self.faulty.take(body)
        match behaviour.mode:
            case "refuse":
                self._break_off()
            case "stall":
                self.faulty.wait_healed()
                self._break_off()
            case "503":
                self._answer(503, {}, b"the store is being restarted")
            case "error":
                text = f"Code: {behaviour.code}. DB::Exception: made up for a test. ({behaviour.name})"
                self._answer(500, {"X-ClickHouse-Exception-Code": str(behaviour.code)}, text.encode())
            case "cut":
                self._send_part(body, behaviour.cut_after)
                self._break_off()
            case "reply_lost":
                self._ask(body)
                self._break_off()
            case "late":
                self.faulty.wait_healed()
                answer = self._ask(body)
                self.faulty.count_late()
                self._answer(*answer)
            case "pass":
                self._answer(*self._ask(body))

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        upstream = http.client.HTTPConnection("127.0.0.1", self.faulty.target_port, timeout=60)
        try:
            upstream.request(self.command, self.path, body, self._headers())
            answer = upstream.getresponse()
            headers = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
            return answer.status, headers, answer.read()
        except OSError:
            return 502, {}, b"the store is away"
        finally:
            upstream.close()

    def _send_part(self, body: bytes, count: int) -> None:
        head = f"{self.command} {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", self.faulty.target_port), timeout=10) as upstream:
            upstream.sendall(head.encode() + body[: max(count, len(body) // 2)])

    def _headers(self) -> dict[str, str]:
        return {name: value for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP}

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        try:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def _break_off(self) -> None:
        self.close_connection = True
        self.connection.close()
