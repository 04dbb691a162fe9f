"""`keeprate store`: a chDB directory served on loopback by ClickHouse's own HTTP protocol.

chDB lets one process open a directory; this one does, and every other program reaches it as it would a ClickHouse
server: clickhouse-connect, curl, SQL tools. Entry points: `serve` runs the store in this process, `StoreProcess` as a
child; `python -m keeprate.deploy.store --path DIR --port N` is the same as a command. Inside: `request` says what a
request means, `rights` and `statements` what it may do, `token` who it may be from, `engine` owns the directory,
`server` is the protocol, `codec` its compression.

What a server has and this door has not: several users, sessions that last from request to request, ClickHouse's own
block compression, external data, tables made in the database `default` (where the engine looks for files), and
expressions in the format Values.

**Invariant:** it listens on loopback only, lets in who has its token, and refuses pages in a browser.
**Invariant:** no request reads or writes a file outside the directory, or reaches another address.
**Invariant:** a door to the engine, not another one: of SQL it reads an INSERT's head, a FORMAT, and what the engine's
own lexer finds.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from keeprate.deploy.local.process import ChildProcess, ProcessError, accepts, free_port
from keeprate.deploy.store.token import url_with_token

QUERY_S = 600
MEMORY_BYTES = 4 << 30
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


class DirectoryOwnedError(RuntimeError):
    """Another process has the directory open. `owner` is its id, as far as it is known."""

    def __init__(self, path: Path, owner: str) -> None:
        super().__init__(f"{path} is open in process {owner or '(unknown)'}: one process can have it at a time")
        self.owner = owner


def serve(
    path: Path,
    host: str = "127.0.0.1",
    port: int = 8123,
    query_s: int = QUERY_S,
    memory_bytes: int = MEMORY_BYTES,
) -> None:
    """Serve the chDB directory at `path`, made where it is missing, until SIGTERM or SIGINT.

    query_s, memory_bytes: what one query may take. Raises ValueError for an address beyond loopback or a token that
    others could have read, and DirectoryOwnedError when another process has the directory.
    """
    if host not in _LOOPBACK:
        raise ValueError(f"the store has no TLS and listens on loopback only, not on {host}")
    # The engine takes its time zone when it is loaded, and an answer should not depend on whose laptop gave it. And it
    # loads Arrow where it is, for answers in a form that nobody asks for here: megabytes, and a third of a second.
    os.environ["TZ"] = "UTC"
    sys.modules.setdefault("pyarrow", cast(Any, None))
    # Loaded here, not above: who only starts a child does not need a library of some hundred megabytes.
    from keeprate.deploy.store.rights import Limits
    from keeprate.deploy.store.server import run

    run(path, host, port, Limits(query_s, memory_bytes))


class StoreProcess:
    """`keeprate store` over `path` as a child process. What was inserted survives `stop` and `kill`.

    As for every `ChildProcess`, the thread that calls `start` must live as long as the store should.
    """

    def __init__(
        self, path: Path, port: int | None = None, log: Path | None = None, arguments: Sequence[str] = ()
    ) -> None:
        """`port` stays the same through restarts, by default some free one; the log is `<path>.log` by default.

        arguments: more of the command's, for example its limits.
        """
        self.path = path
        self.port = port if port is not None else free_port()
        argv = [
            sys.executable,
            "-m",
            "keeprate.deploy.store",
            "--path",
            str(path),
            "--port",
            str(self.port),
            *arguments,
        ]
        self._process = ChildProcess("the store", argv, log or path.with_name(path.name + ".log"))

    @property
    def url(self) -> str:
        """Where clients reach it, with its token, also while it is down."""
        return url_with_token(self.path, self.port)

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid

    def start(self, timeout_s: float = 60.0) -> None:
        """Return once it answers. Raises ProcessError, with the end of its log, when that fails."""
        if self.pid is None and accepts(self.port):
            raise ProcessError(f"port {self.port} is taken by another process", "")
        self._process.start()
        self._process.wait_ready(lambda: accepts(self.port), timeout_s)

    def stop(self) -> None:
        """Let running queries finish, close the engine and end; does nothing when it is down."""
        self._process.terminate(deadline_s=20)

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        self._process.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
