"""A receiver of webhooks on loopback, which notes which alerts come."""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self

from keeprate.deploy.settings import HOST

_MAX_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class ToldAlert:
    """An alert in a message. status: firing or resolved. fingerprint: the same for the same labels."""

    status: str
    fingerprint: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True)
class Notification:
    """What an Alertmanager told at once: by which of its receivers, and the alerts of one group."""

    receiver: str
    alerts: tuple[ToldAlert, ...]


def message(body: bytes) -> Notification:
    """Read from a webhook's body. Raises ValueError for what no Alertmanager sends."""
    try:
        said = json.loads(body)
        alerts = [
            ToldAlert(str(each["status"]), str(each.get("fingerprint", "")), dict(each["labels"]), each["annotations"])
            for each in said["alerts"]
        ]
        return Notification(str(said["receiver"]), tuple(alerts))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no message of an Alertmanager: {error}") from error


class Listener:
    """Listens while it is entered, and calls `on_message` for each. Raises OSError where its port is taken."""

    def __init__(self, port: int, on_message: Callable[[Notification], None] = lambda message: None) -> None:
        self._came: dict[str, str] = {}
        self._on_message = on_message
        self._server = ThreadingHTTPServer((HOST, port), self._requests())
        self.url = f"http://{HOST}:{self._server.server_address[1]}/"

    def receiver_of(self, label: str, value: str) -> str | None:
        """The name of the receiver by which a firing alert with this label came; None while none has."""
        return self._came.get(f"{label}={value}")

    def _requests(self) -> type[BaseHTTPRequestHandler]:
        note = self._note

        class Requests(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), _MAX_BYTES))
                self.send_response(200 if note(body) else 400)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Nothing: what comes is told by whoever waits for it."""

        return Requests

    def _note(self, body: bytes) -> bool:
        """Whether it is what an Alertmanager sends; its alerts are noted."""
        try:
            came = message(body)
        except ValueError:
            return False
        for alert in came.alerts:
            for name, value in alert.labels.items() if alert.status == "firing" else ():
                self._came[f"{name}={value}"] = came.receiver
        self._on_message(came)
        return True

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
