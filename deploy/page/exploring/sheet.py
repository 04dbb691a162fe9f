"""A list of suggestions as CSV, safe to open with a spreadsheet. Pure."""

import csv
import io
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from keeprate.deploy.page.answers import Json

COLUMNS: Final = (
    *("at", "app", "generation_id", "choice_index", "fate", "state", "distance_ratio", "flag_labels"),
    *("votes_positive", "votes_negative", "corrections", "negative", "judgements", "prompt_name", "prompt_version"),
    *("model", "language", "surface", "environment", "user", "step", "latency_ms", "cost_usd", "trace_id"),
)
_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def head() -> str:
    """The line of names."""
    return _lines([COLUMNS])


def lines(rows: Iterable[Json]) -> str:
    """A line for each row."""
    return _lines([_cell(name, row[name]) for name in COLUMNS] for row in rows)


def safe(text: str) -> str:
    """A text that no spreadsheet takes for a formula: what begins like one is given an apostrophe."""
    return f"'{text}" if text.lstrip(" ").startswith(_STARTS) or text.startswith(_STARTS) else text


def _cell(name: str, value: Any) -> Any:
    if name == "at":
        return datetime.fromtimestamp(value / 1000, UTC).isoformat(timespec="milliseconds")
    if isinstance(value, list):
        value = "; ".join("=".join(each) if isinstance(each, list) else each for each in value)
    return safe(value) if isinstance(value, str) else value


def _lines(rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
