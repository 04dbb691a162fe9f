"""The page's connection to the store, which may come and go."""

import threading

from keeprate.sinks.store.clickhouse import Client, connect

ANSWER_TIMEOUT_S = 20


class Source:
    """One client, opened when it is first asked for, so that the page may start before the store. Threads share it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self._client: Client | None = None

    def client(self) -> Client:
        """The open client. Raises StoreError while the store does not answer; the next call tries again."""
        with self._lock:
            if self._client is None:
                self._client = connect(self._url, answer_timeout_s=ANSWER_TIMEOUT_S)
            return self._client

    def close(self) -> None:
        """Let go of the connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()
            self._client = None
