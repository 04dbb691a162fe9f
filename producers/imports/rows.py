"""Files of rows, as tools export them: a JSON array or object, JSON lines, or CSV. Names become snake_case.

JSON lines and CSV are read line by line; a JSON document is read whole. A trace that holds its observations and scores
gives those as rows of their own. What cannot be read is found too, with its place and reason, and ends nothing.
"""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import IO, Any, Final, cast

from keeprate.producers.imports.events import reading
from keeprate.schemas.decode import ContractError

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NESTED: Final = ("observations", "scores")
_SUFFIXES: Final = (".gz", ".zst")


@dataclass(frozen=True)
class Found:
    """A row or document of a file, or the reason why there is none.

    place: the file, and the line, row or entry in it, counted from 1.
    """

    place: str
    value: Any = None
    error: ContractError | None = None


def read_rows(path: str) -> Iterator[Found]:
    """The rows of one file, each a mapping. Raises OSError, which names it."""
    name = path.lower()
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    with reading(path) as stream:
        for found in _csv_rows(stream, path) if name.endswith(".csv") else read_documents(stream, path):
            if found.error is not None:
                yield found
            else:
                yield from _flattened(found.value, found.place)


def read_documents(stream: IO[bytes], path: str) -> Iterator[Found]:
    """The JSON documents of a file: one on each line, or one in all. The entries of an array count as documents."""
    numbered = ((number, line) for number, line in enumerate(stream, 1) if line.strip())
    number, first = next(numbered, (1, b""))
    if isinstance(_json(first), ContractError):
        content = first + stream.read()
        whole = _json(content)
        if not isinstance(whole, ContractError):
            yield from _entries(whole, path)
            return
        lines = content.splitlines(keepends=True)
        if not any(isinstance(_json(line), dict | list) for line in lines):
            reason = f"neither JSON, nor JSON lines, nor named .csv: {whole.reason}"
            yield Found(path, error=ContractError("not_json", reason))
            return
        numbered = ((at, line) for at, line in enumerate(lines[1:], number + 1) if line.strip())
    for at, line in chain([(number, first)] if first else [], numbered):
        yield from _entries(_json(line), f"{path}, line {at}")


def _json(content: bytes) -> Any:
    """What JSON says, or a ContractError as a value."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        return ContractError("not_json", f"{error}; one JSON document a line is wanted")


def _entries(document: Any, place: str) -> Iterator[Found]:
    if isinstance(document, ContractError):
        yield Found(place, error=document)
    elif isinstance(document, list):
        for number, entry in enumerate(document, 1):
            yield Found(f"{place}, entry {number}", entry)
    else:
        yield Found(place, document)


def _csv_rows(stream: IO[bytes], path: str) -> Iterator[Found]:
    # A captured prompt is longer than the 128 kB that the csv module allows a field by default.
    csv.field_size_limit(1 << 30)
    # Bytes that are no UTF-8 become what no event takes, so that their row is refused and not the file.
    text = io.TextIOWrapper(cast(io.BufferedReader, stream), "utf-8-sig", errors="surrogateescape", newline="")
    try:
        rows = csv.DictReader(text)
        for number in count(1):
            place = f"{path}, row {number}"
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield Found(place, error=ContractError("invalid", f"no row of CSV: {error}"))
            else:
                yield _csv_row(row, place)
    finally:
        # The file stays its opener's to close.
        text.detach()


def _csv_row(row: dict[Any, Any], place: str) -> Found:
    if None in row:
        reason = f"{len(row[None])} fields more than the header names; a comma within a field needs quotes"
        return Found(place, error=ContractError("invalid", reason))
    for name, value in row.items():
        if isinstance(value, str) and not value.isascii() and _is_broken(value):
            return Found(place, error=ContractError("not_utf8", "not UTF-8; export the file as UTF-8", str(name)))
    return Found(place, {name: value for name, value in row.items() if value not in (None, "", "null")})


def _is_broken(text: str) -> bool:
    return any("\udc80" <= char <= "\udcff" for char in text)


def _flattened(row: Any, place: str) -> Iterator[Found]:
    if not isinstance(row, dict):
        reason = f"a row is a JSON object, not {type(row).__name__}"
        yield Found(place, error=ContractError("invalid", reason))
        return
    named = {_CAMEL.sub("_", str(name)).lower().replace(" ", "_"): value for name, value in row.items()}
    inner = {name: named.pop(name) for name in _NESTED if isinstance(named.get(name), list)}
    trace = named.pop("trace", None)
    if isinstance(trace, dict):
        yield from _flattened(trace, f"{place}, trace")
    if named:
        yield Found(place, named)
    for name, entries in inner.items():
        for number, entry in enumerate(entries, 1):
            # A trace of the API may list its observations and scores by id alone.
            if isinstance(entry, dict):
                yield from _flattened({"traceId": named.get("id"), **entry}, f"{place}, {name} {number}")


def exists(path: str) -> bool:
    """Whether a file can be read twice, as an import of rows has to."""
    return Path(path).is_file()
