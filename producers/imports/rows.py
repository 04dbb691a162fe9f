"""Files of rows, as tools export them: a JSON array or object, JSON lines, or CSV. Names become snake_case.

JSON lines and CSV are read line by line; a JSON document is read whole. A trace that holds its observations and scores
gives those as rows of their own.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import IO, Any, Final, cast

from keeprate.producers.imports.events import open_lines

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_NESTED: Final = ("observations", "scores")
_SUFFIXES: Final = (".gz", ".zst")


class FormatError(ValueError):
    """A file is none of the formats, or is cut short."""


def read_rows(path: str) -> Iterator[Mapping[str, Any]]:
    """The rows of one file. Raises FormatError and OSError."""
    name = path.lower()
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    with open_lines(path) as stream:
        rows = _csv_rows(stream) if name.endswith(".csv") else read_documents(stream, path)
        for row in rows:
            yield from _flattened(row, path)


def read_documents(stream: IO[bytes], path: str) -> Iterator[Any]:
    """The JSON documents of a file: one on each line, or one in all. The entries of an array count as documents."""
    first = next((line for line in stream if line.strip()), b"")
    try:
        document = json.loads(first)
    except ValueError:
        try:
            document = json.loads(first + stream.read())
        except ValueError as error:
            raise FormatError(f"{path}: neither JSON, nor JSON lines, nor named .csv: {error}") from None
        yield from document if isinstance(document, list) else [document]
        return
    for number, line in enumerate(chain([first], stream), 1):
        if line.strip():
            try:
                document = json.loads(line)
            except ValueError as error:
                raise FormatError(f"{path}: line {number} is not JSON: {error}") from None
            yield from document if isinstance(document, list) else [document]


def _csv_rows(stream: IO[bytes]) -> Iterator[dict[str, Any]]:
    # A captured prompt is longer than the 128 kB that the csv module allows a field by default.
    csv.field_size_limit(1 << 30)
    text = io.TextIOWrapper(cast(io.BufferedReader, stream), "utf-8-sig", newline="")
    try:
        for row in csv.DictReader(text):
            yield {name: value for name, value in row.items() if value not in (None, "", "null")}
    finally:
        # The file stays its opener's to close.
        text.detach()


def _flattened(row: Any, path: str) -> Iterator[Mapping[str, Any]]:
    if not isinstance(row, dict):
        raise FormatError(f"{path}: a row is a JSON object, not {type(row).__name__}")
    named = {_CAMEL.sub("_", str(name)).lower().replace(" ", "_"): value for name, value in row.items()}
    inner = {name: named.pop(name) for name in _NESTED if isinstance(named.get(name), list)}
    trace = named.pop("trace", None)
    if isinstance(trace, dict):
        yield from _flattened(trace, path)
    if named:
        yield named
    for entry in chain.from_iterable(inner.values()):
        # A trace of the API may list its observations and scores by id alone.
        if isinstance(entry, dict):
            yield from _flattened({"traceId": named.get("id"), **entry}, path)


def exists(path: str) -> bool:
    """Whether a file can be read twice, as an import of rows has to."""
    return Path(path).is_file()
