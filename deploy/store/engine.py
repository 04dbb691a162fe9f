"""The engine in this process: a chDB directory with its lock, and one short session per request.

chDB keeps settings and the current database per connection and a connection costs a tenth of a millisecond, so every
request gets one of its own: nothing that a request sets can reach another one. What any of them may do is in `rights`.

**Invariant:** one process per directory. The lock is the kernel's and ends with the process, however it ends.
**Invariant:** text the engine raises leaves here as an EngineError with ClickHouse's code.
"""

import fcntl
import hashlib
import os
import re
import tempfile
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from chdb.state.sqlitelike import Connection

from keeprate.deploy.local.process import private_directory
from keeprate.deploy.store import DirectoryOwnedError
from keeprate.deploy.store.request import insert_from_file, quoted
from keeprate.deploy.store.rights import Limits, configured
from keeprate.deploy.store.statements import check, with_end

_CODE = re.compile(r"Code: (\d+)\. DB::.*", re.DOTALL)
_UNKNOWN_EXCEPTION = 1002
_PASSED_AT_MOST = 4096


class EngineError(Exception):
    """ClickHouse refused or failed: `code` is its error code, the text its message."""

    def __init__(self, message: str) -> None:
        said = _CODE.search(message)
        super().__init__(said[0] if said else f"Code: {_UNKNOWN_EXCEPTION}. DB::Exception: {message}")
        self.code = int(said[1]) if said else _UNKNOWN_EXCEPTION


@dataclass(frozen=True, slots=True)
class Summary:
    """What a statement read, wrote and yielded."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    elapsed_s: float = 0.0


class Engine:
    """The chDB directory at `path`, made where it is missing, owned until `close`."""

    def __init__(self, path: Path, limits: Limits) -> None:
        """Raises DirectoryOwnedError when another process has it."""
        self._path = path
        private_directory(path)
        self._lock = _own(path)
        try:
            # The engine lives as long as some connection to it does: this one keeps it. Rights are the engine's, so
            # they hold for every connection that follows.
            with configured(limits) as (config, self._names):
                self._anchor = Connection(f"{path}?config-file={config}")
            self._anchor.query("SET max_query_size = 1073741824")
            self._turn = threading.Lock()
            # Digests of statements that passed: programs ask the same ones again, with other parameters, and reading
            # one of some hundred lines takes longer than what the engine then does.
            self._passed: dict[bytes, None] = {}
            answer = self._anchor.query("SELECT timezone()", "TabSeparatedRaw")
            self.timezone: str = answer.bytes().decode().strip()
        except BaseException:
            os.close(self._lock)
            raise

    def has_passed(self, statement: str) -> bool:
        """Whether `check` let it pass before. Takes no time."""
        return _digest(statement) in self._passed

    def check(self, statement: str) -> None:
        """Raise DoorError for a statement that would reach beyond the store."""
        if self.has_passed(statement):
            return
        with self._turn, _engine_errors():
            asked = f"SELECT normalizeQueryKeepNames({quoted(with_end(statement))})"
            lexed: bytes = self._anchor.query(asked, "TabSeparatedRaw").bytes()
        check(lexed.decode(), self._names)
        with self._turn:
            if len(self._passed) >= _PASSED_AT_MOST:
                del self._passed[next(iter(self._passed))]
            self._passed[_digest(statement)] = None

    def session(self, database: str | None = None, assigned: str = "") -> "Session":
        """A session in a database, with these settings as a SET has them. Close it after use."""
        with _engine_errors():
            connection = Connection(str(self._path))
            try:
                return Session(connection, database, assigned)
            except BaseException:
                connection.close()
                raise

    def kill(self, session: "Session") -> None:
        """Ask the engine to end what runs in a session; does nothing where nothing does."""
        with self._turn, _engine_errors():
            # By the name of its connection: the engine chooses the id of a query itself.
            self._anchor.query(f"KILL QUERY WHERE Settings['chdb_client_name'] = '{session.name}' ASYNC")

    def close(self) -> None:
        """Shut the engine down and give the directory up. All sessions must be closed."""
        self._anchor.close()
        os.close(self._lock)


class Session:
    """A connection to the engine with settings and a current database of its own.

    It does one thing at a time: a second thread waits. `close` ends what is under way first, because chDB crashes the
    process when a connection goes away under its stream.

    An INSERT's data wait in a file until they are all there, one without a name: a store that is killed leaves nothing
    of what users wrote behind. chDB's own `send_insert` takes them piece by piece, but answers with success when
    writing the rows failed (a constraint, too many parts, a full disk, a view that threw); and data behind the
    statement itself end for chDB where they hold a semicolon and a newline.
    """

    def __init__(self, connection: Connection, database: str | None, assigned: str = "") -> None:
        self.name = uuid.uuid4().hex
        self._connection = connection
        if database:
            connection.query("USE `" + database.replace("\\", "\\\\").replace("`", "\\`") + "`")
        # One statement for both: of what a small request costs the engine, each is a tenth.
        connection.query(", ".join(filter(None, (f"SET chdb_client_name = '{self.name}'", assigned))))
        self._insert: tuple[str, str, IO[bytes]] | None = None
        self._turn = threading.Lock()
        self._under_way: Any = None

    def run(self, statement: str, answer_format: str = "TabSeparated") -> tuple[bytes, Summary]:
        """Run any statement and return its whole answer. `answer_format` yields to a FORMAT in the statement."""
        with self._turn, _engine_errors():
            answer = self._connection.query(statement, answer_format)
            return answer.bytes(), _summary_of(answer)

    def begin_stream(self, statement: str, answer_format: str) -> bytes | None:
        """Begin a SELECT and return the first part of its answer, as `next_block` does the others."""
        with self._turn, _engine_errors():
            self._under_way = self._connection.send_query(statement, answer_format)
        return self.next_block()

    def next_block(self) -> bytes | None:
        """The next part of the answer, None at its end."""
        with self._turn, _engine_errors():
            block = self._under_way.fetch()
            return None if block is None else block.bytes()

    def begin_insert(self, head: str, data_format: str, data: bytes) -> None:
        """Begin the INSERT of `head` with its first data in `data_format`; `add` brings more."""
        with self._turn:
            self._insert = head, data_format, tempfile.TemporaryFile()  # noqa: SIM115 - open until the INSERT is done
        self.add(data)

    def add(self, data: bytes) -> None:
        """Take some more of the INSERT's bytes, cut anywhere."""
        with self._turn:
            assert self._insert is not None
            self._insert[2].write(data)

    def finish_insert(self) -> Summary:
        """Write what came; durable when this returns. Closing the session without it abandons the INSERT."""
        with self._turn, _engine_errors():
            assert self._insert is not None
            head, data_format, data = self._insert
            data.flush()
            data.seek(0)
            return _summary_of(self._connection.query(insert_from_file(head, f"/dev/fd/{data.fileno()}", data_format)))

    def close(self) -> None:
        """Cancel what is under way and end the session."""
        with self._turn:
            try:
                if self._insert is not None:
                    self._insert[2].close()
                if self._under_way is not None:
                    with _engine_errors():
                        self._under_way.cancel()
            finally:
                self._connection.close()


def _digest(statement: str) -> bytes:
    return hashlib.sha256(statement.encode()).digest()


def _summary_of(answer: Any) -> Summary:
    return Summary(
        read_rows=answer.storage_rows_read(),
        read_bytes=answer.storage_bytes_read(),
        written_rows=answer.rows_written(),
        written_bytes=answer.bytes_written(),
        result_rows=answer.rows_read(),
        elapsed_s=answer.elapsed(),
    )


@contextmanager
def _engine_errors() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise EngineError(str(error)) from error


def _own(path: Path) -> int:
    lock = os.open(path / "keeprate-store.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 32).decode()
        os.close(lock)
        raise DirectoryOwnedError(path, owner) from None
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    return lock
