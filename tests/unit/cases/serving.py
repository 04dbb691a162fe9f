"""An API of a tool's maker on this machine, as much of it as a client asks for, which keeps what it is sent."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Api(BaseHTTPRequestHandler):
    """Answers each path with what is said for it, as `METHOD /path`, and keeps type and body of what is sent."""

    answers: Mapping[str, Any]
    sent: list[tuple[str, str, bytes]]

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        asked = f"{self.command} {self.path.partition('?')[0]}"
        self.sent.append((asked, self.headers.get("content-type", ""), body))
        said = self.answers.get(asked)
        text = json.dumps(said).replace("URL", f"http://{self.headers['host']}").encode()
        self.send_response(404 if said is None else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = answer

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(answers: Mapping[str, Any]) -> Iterator[tuple[str, list[tuple[str, str, bytes]]]]:
    """Its address, and what comes: what was asked, the body's type, and the body. URL in an answer is the address."""
    sent: list[tuple[str, str, bytes]] = []
    handler = type("Its", (Api,), {"answers": answers, "sent": sent})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", sent
        server.shutdown()
