"""Files of events: each line an event or a reason, and the same ids each time."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest

from keeprate.producers.imports.events import Line, open_lines, read, rejected
from keeprate.schemas.events import MAX_EVENT_BYTES
from keeprate.schemas.ids import foreign_id

GENERATION_ID = "0198c0de-0000-7000-8000-000000000001"
VOTE: dict[str, Any] = {
    "type": "vote",
    "event_id": "0198c0de-0000-7000-8000-000000000002",
    "schema_version": 1,
    "occurred_at": 1_764_000_000_000,
    "app": "chat",
    "generation_id": GENERATION_ID,
    "value": 1,
}


def lines_of(*lines: dict[str, Any] | bytes, app: str | None = None) -> list[Line]:
    """What is read from a file of these lines."""
    content = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    return list(read(io.BytesIO(content), app))


def without(*names: str, **fields: Any) -> dict[str, Any]:
    """The vote without some of its fields, and with others."""
    return {name: value for name, value in VOTE.items() if name not in names} | fields


def test_a_whole_event_is_taken_as_it_is() -> None:
    """Nothing is added to a line that says everything."""
    [line] = lines_of(VOTE)
    assert line.event == VOTE


def test_what_is_left_out_is_filled_in() -> None:
    """The version, the app of the file, and the generation by somebody else's id."""
    short = without("event_id", "schema_version", "app", "generation_id", external_id="resp_7")
    [line] = lines_of(short, app="chat")
    assert line.event is not None
    assert line.event["generation_id"] == foreign_id("chat", "resp_7")
    assert (line.event["app"], line.event["schema_version"]) == ("chat", 1)


def test_a_missing_event_id_comes_from_the_content() -> None:
    """Reading twice gives the same id, whatever the order of the fields; another content gives another."""
    short = without("event_id")
    first, again, other = lines_of(short, dict(reversed(short.items())), short | {"value": -1})
    assert first.event
    assert again.event
    assert other.event
    assert first.event["event_id"] == again.event["event_id"] != other.event["event_id"]


@pytest.mark.parametrize(
    ("line", "error_type", "field"),
    [
        (b"{", "not_json", ""),
        (b'{"type": "\xff"}', "not_utf8", ""),
        (b"[1]", "invalid", ""),
        (b"x" * (MAX_EVENT_BYTES + 2), "too_large", ""),
        (without("event_id", value=7), "invalid", "value"),
        (without("event_id", "app"), "invalid", "app"),
        (without("event_id", schema_version=9), "unknown_version", "schema_version"),
        (without("event_id", type="like"), "unknown_type", "type"),
        (without("event_id", "app", type="like"), "unknown_type", "type"),
        (without("event_id", stars=5), "invalid", "stars"),
    ],
)
def test_a_bad_line_says_where_and_why(line: Any, error_type: str, field: str) -> None:
    """With its number, and without ending the file."""
    before, blank, bad, after = VOTE, b"", line, VOTE
    found = lines_of(before, blank, bad, after)
    assert [line.number for line in found] == [1, 3, 4]
    assert found[1].error is not None
    assert (found[1].error.error_type, found[1].error.field) == (error_type, field)
    assert found[2].event == VOTE


def test_a_reject_holds_line_and_reason() -> None:
    """Enough to mend it."""
    [line] = lines_of(without("occurred_at"))
    reject = rejected(line)
    assert (reject["line"], reject["field"]) == (1, "occurred_at")
    assert reject["reason"].startswith("required, and absent: expected an integer")
    assert json.loads(reject["raw"]) == without("occurred_at")


def test_compressed_files_are_read_by_their_names(tmp_path: Path) -> None:
    """Plain, gzip and zstd, the latter of several frames."""
    zstd = pytest.importorskip("backports.zstd")
    content = json.dumps(VOTE).encode() + b"\n"
    (tmp_path / "a.ndjson").write_bytes(content * 2)
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress(content * 2))
    (tmp_path / "a.ndjson.zst").write_bytes(zstd.compress(content) * 2)
    for path in sorted(tmp_path.iterdir()):
        with open_lines(str(path)) as stream:
            assert [line.event for line in read(stream)] == [VOTE, VOTE]
