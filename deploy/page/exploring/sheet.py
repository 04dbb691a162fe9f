"""Lists and charts as CSV, safe to open with a spreadsheet and readable whatever is in a cell. Pure."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

COLUMNS: Final = (
    *("at", "app", "generation_id", "choice_index", "fate", "state", "distance_ratio", "flag_labels"),
    *("votes_positive", "votes_negative", "corrections", "negative", "judgements", "prompt_name", "prompt_version"),
    *("model", "language", "surface", "environment", "user", "step", "latency_ms", "cost_usd", "trace_id"),
)
MOST_CHARS: Final = 30_000
"""Of a cell: spreadsheets cut or refuse more than 32,767, and do not say so."""
# The wide ones are formulas to spreadsheets of East Asia.
_STARTS: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "\n")
_TIMES: Final = ("at", "since", "until")
# What is not seen, or turns the reading direction of all that follows; line breaks and tabs stay, and what joins emoji
# and letters.
_UNSEEN: Final = re.compile(
    "[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)


def head(columns: Sequence[str] = COLUMNS) -> str:
    """The line of names."""
    return _lines([columns])


def lines(rows: Iterable[Mapping[str, Any]], columns: Sequence[str] = COLUMNS) -> str:
    """A line for each row; an empty cell for what it does not have."""
    return _lines([_cell(name, row.get(name)) for name in columns] for row in rows)


def safe(text: str) -> str:
    """A text that no spreadsheet takes for a formula, in which everything is seen, and which is not of any length."""
    seen = _UNSEEN.sub(_visible, text)
    if len(seen) > MOST_CHARS:
        seen = f"{seen[:MOST_CHARS]}… {len(seen) - MOST_CHARS} more characters"
    return f"'{seen}" if text.lstrip(" ").startswith(_STARTS) or seen.startswith(_STARTS) else seen


def _visible(found: re.Match[str]) -> str:
    """As the page shows it: a picture of a control character, and the number of anything else."""
    code = ord(found[0])
    return chr(0x2400 + code) if code < 0x20 else f"\u27e8U+{code:04X}\u27e9"


def _cell(name: str, value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and (name in _TIMES or name.endswith("_at")):
        return datetime.fromtimestamp(value / 1000, UTC).isoformat(timespec="milliseconds")
    if isinstance(value, list):
        value = "; ".join(_item(each) for each in value)
    return safe(value) if isinstance(value, str) else value


def _item(each: Any) -> str:
    if isinstance(each, Mapping):
        return str(each.get("text", ""))
    return "=".join(each) if isinstance(each, list) else str(each)


def _lines(rows: Iterable[Iterable[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
