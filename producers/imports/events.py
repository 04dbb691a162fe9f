"""A file of events, one JSON object a line: each line becomes an event, or the reason why it is none.

What a line may leave out is filled in, the same way each time, so that importing a file twice adds nothing:

    schema_version   the current one
    app              the one given for the file
    generation_id    from `external_id`, as the client does for an id that somebody else allocated
    event_id         from the content of the line; so two equal lines without one are one event
"""

import gzip
import hashlib
import json
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from keeprate.schemas.decode import ContractError, decode, encode
from keeprate.schemas.events import MAX_EVENT_BYTES, SCHEMA_VERSION, Event
from keeprate.schemas.ids import foreign_id

_OPTIONAL = ("schema_version", "app", "generation_id", "event_id")


@dataclass(frozen=True)
class Line:
    """One line that is not blank. Either `event` or `error` is given.

    number: counted from 1.
    size_bytes: with its end; what it takes of the file once it is decompressed.
    """

    number: int
    size_bytes: int
    raw: bytes
    event: Event | None = None
    error: ContractError | None = None


def read(stream: IO[bytes], app: str | None = None, now_ms: int | None = None) -> Iterator[Line]:
    """The lines of a file; a bad one does not end it.

    now_ms: the latest that an event may be dated is a day after it.
    """
    number = 0
    while raw := stream.readline(MAX_EVENT_BYTES + 2):
        number += 1
        size_bytes = len(raw) + _skip_rest(stream, raw)
        line = raw.strip()
        if not line:
            continue
        try:
            yield Line(number, size_bytes, line, event=event_of(line, app, now_ms))
        except ContractError as error:
            yield Line(number, size_bytes, line, error=error)


def _skip_rest(stream: IO[bytes], raw: bytes) -> int:
    skipped = 0
    while not raw.endswith(b"\n") and (raw := stream.readline(1 << 16)):
        skipped += len(raw)
    return skipped


def event_of(line: bytes, app: str | None = None, now_ms: int | None = None) -> Event:
    """The event of a line. Raises ContractError."""
    try:
        return decode(line, now_ms)
    except ContractError as error:
        completed = _completed(line, app) if error.error_type == "invalid" else None
        if completed is None:
            raise
        return decode(completed, now_ms)


def _completed(line: bytes, app: str | None) -> bytes | None:
    """The line with what it left out, or None when that would change nothing."""
    try:
        fields: Any = json.loads(line)
    except (ValueError, RecursionError):
        # What this reader of JSON does not take, a number of thousands of digits for one, has been refused already.
        return None
    if not isinstance(fields, dict) or all(fields.get(name) is not None for name in _OPTIONAL):
        return None
    given = {name: value for name, value in fields.items() if value is not None}
    defaults: dict[str, Any] = {"schema_version": SCHEMA_VERSION} | ({"app": app} if app else {})
    event = defaults | given
    app_name, external_id = event.get("app"), event.get("external_id")
    if not isinstance(app_name, str):
        raise ContractError("invalid", "required, and absent: put it in the line, or name one for the file", "app")
    if "generation_id" not in event and isinstance(external_id, str):
        event["generation_id"] = foreign_id(app_name, external_id)
    if "event_id" not in event:
        content = json.dumps(event, sort_keys=True, separators=(",", ":")).encode()
        event["event_id"] = foreign_id(app_name, hashlib.sha256(content).hexdigest())
    return encode(event)


def open_lines(path: str) -> IO[bytes]:
    """A file, decompressed by its name (.gz, .zst); `-` is standard input. Raises OSError."""
    if path == "-":
        return sys.stdin.buffer
    if path.endswith(".gz"):
        return cast(IO[bytes], gzip.open(path, "rb"))
    if path.endswith(".zst"):
        return _open_zstd(path)
    return Path(path).open("rb")


def _open_zstd(path: str) -> IO[bytes]:
    try:
        from backports import zstd
    except ModuleNotFoundError:
        raise OSError("reading .zst needs the package backports.zstd: pip install 'keeprate[cli]'") from None
    return cast(IO[bytes], zstd.open(path, "rb"))


@contextmanager
def reading(path: str) -> Iterator[IO[bytes]]:
    """A file that is open, decompressed by its name. Raises OSError, which names it, for whatever ends its reading."""
    try:
        with open_lines(path) as stream:
            yield stream
    except _unreadable() as error:
        raise OSError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def _unreadable() -> tuple[type[Exception], ...]:
    """It is not there, is cut short, or is not compressed as its name says."""
    try:
        from backports.zstd import ZstdError
    except ModuleNotFoundError:
        return OSError, EOFError, zlib.error
    return OSError, EOFError, zlib.error, ZstdError
