"""One connection to a collector, kept open from batch to batch.

The standard library's client: a sender needs one connection, one path and no redirects, and the base install stays
what it is. Certificates are verified, always; `ca` names another file of authorities. HTTPS_PROXY and NO_PROXY hold.
"""

import contextlib
import gzip
import http.client
import ipaddress
import logging
import socket
import ssl
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from keeprate.producers.errors import SettingsError

log = logging.getLogger("keeprate.producers")

PATH: Final = "/v1/events"
TIMEOUT_S: Final = 30.0
"""Longer than a collector waits for Kafka, which is 10 s."""
_ANSWER_BYTES: Final = 4 << 20
_COMPRESS_BYTES: Final = 1_000


@dataclass(frozen=True)
class Target:
    """Where a collector is and with which key. Raises SettingsError where it cannot be one.

    url: of the collector, such as https://collector.example.org, with a path where a proxy has it below one.
    key: of `keeprate keys create`; none for a collector on this machine that runs without keys.
    ca: a file of authorities to trust in place of the system's.
    """

    url: str
    key: str | None
    ca: Path | None = None

    def __post_init__(self) -> None:
        parts = self.parts
        try:
            port_is_number = parts.port is None or parts.port > 0
        except ValueError:
            port_is_number = False
        if parts.scheme not in ("https", "http") or not parts.hostname or not port_is_number or parts.query:
            raise SettingsError("url", f"{self.url!r} is no collector's, such as https://collector.example.org")
        if self.key is None and not self.is_local:
            raise SettingsError("key", "one of `keeprate keys create APP`, as key= or in KEEPRATE_KEY")
        if self.key is not None and not (self.key.isascii() and self.key.isprintable() and " " not in self.key):
            raise SettingsError("key", "a key has letters, digits and underscores; is it whole, and without quotes?")
        if parts.scheme == "http":
            if self.ca is not None:
                raise SettingsError("ca", f"nothing is verified on the way to {self.url}; use https")
            if not self.is_local:
                log.warning("the key and the events go to %s unencrypted: use https", self.url)

    @property
    def parts(self) -> SplitResult:
        """The URL taken apart."""
        return urlsplit(self.url)

    @property
    def is_local(self) -> bool:
        """Whether the collector is on this machine."""
        host = self.parts.hostname or ""
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(host).is_loopback
        return host == "localhost"

    @cached_property
    def context(self) -> ssl.SSLContext | None:
        """How the collector proves who it is; None without TLS. Raises SettingsError where `ca` cannot be read."""
        if self.parts.scheme == "http":
            return None
        try:
            return ssl.create_default_context(cafile=self.ca)
        except OSError as error:
            raise SettingsError("ca", f"{self.ca} is no file of certificates: {error}") from error


@dataclass(frozen=True)
class Reply:
    """A collector's answer as it came."""

    status: int
    retry_after: str | None
    body: bytes


class Connection:
    """Posts bodies. One thread posts; another may only `break_off`. timeout_s: of each wait for the collector."""

    def __init__(self, target: Target, timeout_s: float = TIMEOUT_S) -> None:
        self._target = target
        self._timeout_s = timeout_s
        self._open: http.client.HTTPConnection | None = None
        self._headers = {"Content-Type": "application/x-ndjson", "User-Agent": "keeprate-python"}
        if target.key is not None:
            self._headers["Authorization"] = f"Bearer {target.key}"

    def post(self, body: bytes) -> Reply:
        """The answer to a body of lines. Raises OSError or http.client.HTTPException where there is none."""
        headers = dict(self._headers)
        if len(body) > _COMPRESS_BYTES:
            body = gzip.compress(body, 1)
            headers["Content-Encoding"] = "gzip"
        was_open = self._open is not None
        try:
            return self._exchange(body, headers)
        except (ConnectionError, http.client.RemoteDisconnected):
            # A server may close a connection that was idle in the moment we use it: that says nothing of a new one.
            if not was_open:
                raise
            return self._exchange(body, headers)

    def close(self) -> None:
        """Let the connection go."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def break_off(self) -> None:
        """From another thread: end the request that is under way."""
        connection = self._open
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _exchange(self, body: bytes, headers: dict[str, str]) -> Reply:
        if self._open is None:
            self._open = self._connection()
        try:
            self._open.request("POST", self._target.parts.path.rstrip("/") + PATH, body, headers)
            response = self._open.getresponse()
            reply = Reply(response.status, response.getheader("Retry-After"), response.read(_ANSWER_BYTES))
        except BaseException:
            self.close()
            raise
        if response.will_close or not response.isclosed():
            self.close()
        return reply

    def _connection(self) -> http.client.HTTPConnection:
        parts, timeout_s, context = self._target.parts, self._timeout_s, self._target.context
        host, port = str(parts.hostname), parts.port
        if context is None:
            return http.client.HTTPConnection(host, port, timeout=timeout_s)
        proxy = urlsplit(self._proxy(host))
        if proxy.hostname is None:
            return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
        # The tunnel carries TLS to the collector itself: the proxy sees its name and nothing else.
        connection = http.client.HTTPSConnection(proxy.hostname, proxy.port, timeout=timeout_s, context=context)
        connection.set_tunnel(host, port or 443)
        return connection

    def _proxy(self, host: str) -> str:
        return "" if urllib.request.proxy_bypass(host) else urllib.request.getproxies().get("https", "")
