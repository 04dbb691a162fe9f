"""The door to ClickHouse: the one module that knows clickhouse-connect.

`connect` takes the URL of a server, of `keeprate store`, or `chdb:` for an engine in this process. Every failure leaves
here as one class per reaction:

    StoreError                  code, name
    ├── StoreUnavailableError   pause and retry: nothing was said about the rows
    ├── BatchRejectedError      split the batch, then dead-letter the row that stays refused
    └── SchemaMismatchError     stop: the tables, the rights or the settings are not what this version needs
"""

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.driver import options
from clickhouse_connect.driver.client import Client as Driver
from clickhouse_connect.driver.exceptions import ClickHouseError, ProgrammingError
from urllib3.exceptions import MaxRetryError, ProtocolError

from keeprate.sinks.store.local_store import SETTINGS, with_token

# Load, memory, time, part of a cluster away. Below: disk, descriptors, names, and what chDB could not put a name to.
_BUSY: Final = (3, 107, 159, 164, 202, 203, 209, 210, 236, 241, 242, 252, 285, 286, 319, 341, 394, 425, 439, 999)
_MACHINE: Final = (75, 76, 173, 198, 225, 243, 279, 1000, 1001, 1002)
RETRIABLE_CODES: Final = frozenset((*_BUSY, *_MACHINE))
# Columns, tables, databases, functions, types and settings that are not there or are another's.
_NOT_THERE: Final = (8, 10, 16, 20, 46, 47, 48, 50, 60, 62, 73, 81, 115, 432)
# Rights and credentials: no row is at fault, and waiting does not help.
_NOT_ALLOWED: Final = (192, 193, 194, 291, 452, 497, 516)
NOT_ALLOWED_CODES: Final = frozenset(_NOT_ALLOWED)
_UNKNOWN_TABLE: Final = (60, "UNKNOWN_TABLE")
SCHEMA_CODES: Final = frozenset((*_NOT_THERE, *_NOT_ALLOWED))
_TLS: Final = ("ca_cert", "client_cert", "client_cert_key")
_CONNECT_TIMEOUT_S: Final = 5
_ANSWER_TIMEOUT_S: Final = 60
# By default a server takes 262,144 bytes of a statement.
_LONG_CHARS: Final = 60_000
_LONGEST_BYTES: Final = 16 << 20

# It logs each failed request as a warning, and here every failure is raised.
logging.getLogger("clickhouse_connect").setLevel(logging.ERROR)
# And with its first insert it loads pandas and numpy, where they are, to ask whether the rows are theirs. Ours are not,
# and every process that inserts would be larger by half.
vars(options).update(pd=None, np=None)

Row = tuple[Any, ...]
Settings = Mapping[str, str | int]
Result = TypeVar("Result")


class StoreError(Exception):
    """ClickHouse did not do it. `code` and `name` are ClickHouse's own, None where it did not answer at all."""

    def __init__(self, message: str, code: int | None = None, name: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.name = name


class StoreUnavailableError(StoreError):
    """It may or may not have been done. The same request, later, is the remedy.

    was_sent: the request was on its way, and the connection broke before the answer.
    """

    was_sent = False


class BatchRejectedError(StoreError):
    """Some row is at fault, and nothing of the batch was written."""


class SchemaMismatchError(StoreError):
    """No row is at fault and waiting does not help: `keeprate migrate`, or the URL's user, is the remedy."""


class Client(AbstractContextManager["Client"]):
    """A connection's worth of ClickHouse. Threads may share it; every method raises StoreError and nothing else.

    An insert adds its rows unless its settings name an `insert_deduplication_token` that the table has seen.
    """

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        # By table and columns, so that only the first insert asks for them. Values are cast to what a column is then.
        self._types: dict[tuple[str, ...], Any] = {}

    def command(self, statement: str, parameters: Mapping[str, Any] | None = None) -> None:
        """Run a statement that has no answer."""
        _mapped(lambda: self._driver.command(statement, _plain(parameters), settings=_fitting(statement)))

    def query(
        self, statement: str, parameters: Mapping[str, Any] | None = None, settings: Settings | None = None
    ) -> list[Row]:
        """The rows of a SELECT, as tuples. `{name:Type}` in the statement takes its value from `parameters`."""
        every = _fitting(statement, settings)
        answer = _mapped(lambda: self._driver.query(statement, _plain(parameters), settings=every))
        return [tuple(row) for row in answer.result_rows]

    def query_dicts(
        self, statement: str, parameters: Mapping[str, Any] | None = None, settings: Settings | None = None
    ) -> list[dict[str, Any]]:
        """The rows of a SELECT, as dictionaries by column."""
        every = _fitting(statement, settings)
        answer = _mapped(lambda: self._driver.query(statement, _plain(parameters), settings=every))
        return [dict(row) for row in answer.named_results()]

    def query_bytes(
        self,
        statement: str,
        parameters: Mapping[str, Any] | None = None,
        format_name: str = "JSONEachRow",
        settings: Settings | None = None,
    ) -> bytes:
        """The answer of a SELECT in one of ClickHouse's formats, as it came."""
        every = _fitting(statement, settings)
        return _mapped(lambda: self._driver.raw_query(statement, _plain(parameters), settings=every, fmt=format_name))

    def insert(
        self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], settings: Settings | None = None
    ) -> None:
        """Insert rows of Python values, all or none."""
        if rows:
            _mapped(lambda: self._insert(table, list(columns), rows, _with_token(settings)))

    def _insert(self, table: str, names: list[str], rows: Sequence[Sequence[Any]], settings: dict[str, Any]) -> None:
        types = self._types.get((table, *names))
        context = self._driver.create_insert_context(table, names, column_types=types, settings=settings, data=rows)
        self._types[table, *names] = context.column_types
        self._driver.insert(context=context)

    def insert_bytes(
        self, table: str, columns: Sequence[str], data: bytes, format_name: str, settings: Settings | None = None
    ) -> None:
        """Insert rows that are already in one of ClickHouse's formats, all or none.

        All or none holds for a batch of one block: set `max_insert_block_size` above the batch's rows.
        """
        names = list(columns) or None
        _mapped(lambda: self._driver.raw_insert(table, names, data, settings=_with_token(settings), fmt=format_name))

    def close(self) -> None:
        """Let go of the connections; of the engine, if it is in this process."""
        self._driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def connect(url: str, database: str | None = None, answer_timeout_s: int = _ANSWER_TIMEOUT_S) -> Client:
    """Connect to `http(s)://user:password@host:port/database?setting=value`, `chdb:` or `chdb:///path`.

    `ca_cert`, `client_cert` and `client_cert_key` among the settings name PEM files for HTTPS.
    A URL on loopback without a user takes the token of this machine's own store, if there is one.
    database: instead of the one in the URL. It must exist, except for `migrate`, which connects to `default` first.
    """
    parts = urlsplit(with_token(url))
    said: dict[str, Any] = dict(parse_qsl(parts.query))
    database = database or database_of(url)
    options: dict[str, Any] = {"database": database, "tz_mode": "aware"}
    if parts.scheme == "chdb":
        path = unquote(parts.path) or None
        return Client(
            _mapped(
                lambda: clickhouse_connect.get_client(interface="chdb", path=path, settings=dict(SETTINGS), **options)
            )
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{shown(url)}: a store's URL is http://host:port/database or chdb:///path")
    return Client(
        _mapped(
            lambda: clickhouse_connect.get_client(
                interface=parts.scheme,
                host=parts.hostname,
                port=parts.port or (8443 if parts.scheme == "https" else 8123),
                username=unquote(parts.username or "") or "default",
                password=unquote(parts.password or ""),
                settings={name: value for name, value in said.items() if name not in ("database", *_TLS)},
                **{name: said[name] for name in _TLS if name in said},
                query_retries=0,
                connect_timeout=_CONNECT_TIMEOUT_S,
                send_receive_timeout=answer_timeout_s,
                autogenerate_session_id=False,
                dedicated_pool=True,
                compress=False,
                **options,
            )
        )
    )


def database_of(url: str) -> str:
    """The database that a store's URL names; `keeprate` for one that names none."""
    parts = urlsplit(url)
    if parts.scheme == "chdb":
        return "keeprate"
    return unquote(parts.path.strip("/")) or dict(parse_qsl(parts.query)).get("database") or "keeprate"


def to_ms(moment: datetime) -> int:
    """Milliseconds since the epoch of an aware time."""
    return round((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)


def shown(url: str) -> str:
    """The URL without its credentials."""
    return urlsplit(url)._replace(netloc=urlsplit(url).netloc.rpartition("@")[2]).geturl()


def _plain(values: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if values is None else dict(values)


def _fitting(statement: str, settings: Settings | None = None) -> dict[str, Any] | None:
    """The settings, and the room that a long statement takes: the engine reads it before any setting within it."""
    if len(statement) <= _LONG_CHARS:
        return _plain(settings)
    return {"max_query_size": _LONGEST_BYTES, **(settings or {})}


def _with_token(settings: Settings | None) -> dict[str, Any]:
    # Without a token the engine compares contents, and drops rows that it has seen, though it may hold them no more.
    # Which setting turns that off depends on the release; a token that nobody used before does in all of them.
    return {"insert_deduplication_token": uuid.uuid4().hex, **(settings or {})}


def _mapped(call: Callable[[], Result]) -> Result:
    try:
        return call()
    except ClickHouseError as error:
        raise classify(error) from error
    except OSError as error:
        raise StoreUnavailableError(str(error)) from error


def classify(error: ClickHouseError) -> StoreError:
    """The class whose reaction fits an error of clickhouse-connect."""
    code, name = getattr(error, "code", None), getattr(error, "name", None)
    if code in NOT_ALLOWED_CODES and "READ ON FILE" in str(error):
        # chDB's first database looks for a table that it has not among files, which nobody may read.
        code, name = _UNKNOWN_TABLE
    if code is None:
        # The driver's own refusal of a request; all else without a code came from the way there, not from the engine.
        kind: type[StoreError] = SchemaMismatchError if isinstance(error, ProgrammingError) else StoreUnavailableError
    elif code in RETRIABLE_CODES:
        kind = StoreUnavailableError
    else:
        kind = SchemaMismatchError if code in SCHEMA_CODES else BatchRejectedError
    classified = kind(_told(error), code, name)
    if isinstance(classified, StoreUnavailableError):
        classified.was_sent = isinstance(error.__cause__, ProtocolError)
    return classified


def _told(error: ClickHouseError) -> str:
    """What ClickHouse said, or where nobody answers and why; not the classes of drivers that tried."""
    tried = error.__cause__
    if not isinstance(tried, MaxRetryError) or tried.pool is None:
        return str(error)
    cause: BaseException = tried
    while (below := cause.__cause__ or cause.__context__) is not None:
        cause = below
    pool: Any = tried.pool
    return f"nothing answers at {pool.host}:{pool.port}: {getattr(cause, 'strerror', None) or cause}"
