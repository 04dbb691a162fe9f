"""Reviews on their way: the SDK to Kafka's brokers, or to a collector with a key for each app."""

import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from keeprate.deploy.review.settings import SendSettings
from keeprate.producers.errors import SettingsError
from keeprate.producers.sdk.client import Keeprate
from keeprate.producers.sdk.content import ContentPolicy

CLIENT: Final = "keeprate-review"
"""The name of the client that sends for all apps, and what pseudonyms are salted with where nobody set a salt."""
_ACKNOWLEDGED_S: Final = 2.0


class UnsentError(Exception):
    """The review was not taken; the message says why and what would do."""


def pseudonym(name: str) -> str:
    """A reviewer's name as events have it: never the name itself."""
    salt = os.environ.get("KEEPRATE_USER_SALT") or CLIENT
    return ContentPolicy("full", salt.encode()).user_hash(f"reviewer:{name}")


class Outbox:
    """Takes reviews and delivers them, after a restart too. Opens its clients when they are first needed.

    brokers: of Kafka, where reviews go unless `to` names a collector. spool_dir: where they wait.
    """

    def __init__(
        self, brokers: str | None = None, to: SendSettings | None = None, spool_dir: Path | None = None
    ) -> None:
        self._brokers, self._to, self._spool_dir = brokers, to, spool_dir
        self._lock = threading.Lock()
        self._clients: dict[str, Keeprate] = {}

    def check(self) -> None:
        """Raises SettingsError where a review could not be sent for want of a setting."""
        if self._to is not None:
            for app in self._to.keys:
                self._client(app)
        else:
            self._client("")

    def reaches(self, app: str) -> bool:
        """Whether there is a way for an app's reviews."""
        return self._to is None or app in self._to.keys

    def send(self, events: Iterable[Mapping[str, Any]]) -> bool:
        """Take the events of one review; whether they are acknowledged already. Otherwise they are sent when it is
        possible. Raises UnsentError where one is not taken: what was is harmless, and said again by the next try."""
        client = None
        for event in events:
            client = self._client(event["app"])
            if not client.emit(event):
                raise UnsentError(f"the review was not taken: {dict(client.stats().dropped)}; is the disk full?")
        return client is None or client.flush(_ACKNOWLEDGED_S) == 0

    def waiting(self) -> int:
        """How many events nobody has acknowledged yet."""
        with self._lock:
            clients = list(self._clients.values())
        return sum(client.flush(0) for client in clients)

    def close(self) -> None:
        """Deliver what can be; the rest waits on the disk."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _client(self, app: str) -> Keeprate:
        name = CLIENT if self._to is None else app
        with self._lock:
            if name not in self._clients:
                self._clients[name] = self._open(app)
            return self._clients[name]

    def _open(self, app: str) -> Keeprate:
        if self._to is None:
            return Keeprate(CLIENT, brokers=self._brokers, spool_dir=self._spool_dir)
        if app not in self._to.keys:
            raise UnsentError(f"no key for {app}: put one under [send.keys] of the review configuration")
        path = self._to.keys[app]
        try:
            key = path.read_text("utf-8").strip()
        except OSError as error:
            raise SettingsError("send.keys", f"{path}: {error.strerror}") from error
        return Keeprate(app, url=self._to.url, key=key, spool_dir=self._spool_dir)
