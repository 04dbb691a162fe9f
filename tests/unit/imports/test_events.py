"""Files of events: each line an event or a reason, and the same ids each time."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from keeprate.deploy.commands.tree import app as commands
from keeprate.producers.imports.events import Line, open_lines, read
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


@pytest.mark.parametrize("number", [b"9" * 5_000, b"1e400"])
def test_a_number_that_is_beyond_every_reader_is_a_bad_line(number: bytes) -> None:
    """Python refuses to read thousands of digits; the lines after it are read all the same."""
    found = lines_of(b'{"type":"vote","value":' + number + b"}", VOTE)
    assert [line.event for line in found] == [None, VOTE]


def test_an_event_of_the_day_after_tomorrow_is_a_bad_line() -> None:
    """Nothing can be dated so long after it is imported; a file of history is judged by its own time otherwise."""
    content = json.dumps(VOTE).encode()
    now_ms = VOTE["occurred_at"] - 2 * 86_400_000
    (line,) = read(io.BytesIO(content), None, now_ms)
    assert line.error is not None
    assert line.error.field == "occurred_at"


def test_the_command_names_file_line_field_and_value(tmp_path: Path) -> None:
    """And counts what it rejected by field, in words and for machines; the rest is taken."""
    file, rejects = tmp_path / "events.ndjson", tmp_path / "rejects.ndjson"
    bad = [without(value=7), without("occurred_at"), {**VOTE, "value": 9}]
    file.write_text("\n".join(map(json.dumps, [VOTE, *bad, VOTE])))
    run = CliRunner().invoke
    told = run(commands, ["import", "events", str(file), "--dry-run", "--rejects", str(rejects)])
    assert told.exit_code == 1
    assert f"{file}, line 2: value: " in told.stderr
    assert "7" in told.stderr.splitlines()[0].rpartition("value: ")[2]
    assert "5 lines: 2 events checked, 3 rejected (2 value, 1 occurred_at)" in told.stdout
    entries = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert [(entry["place"], entry["line"], entry["field"]) for entry in entries] == [
        (f"{file}, line {number}", number, field) for number, field in ((2, "value"), (3, "occurred_at"), (4, "value"))
    ]
    assert json.loads(entries[0]["raw"]) == bad[0]
    counted = run(commands, ["import", "events", str(file), "--dry-run", "--json"])
    assert json.loads(counted.stdout) == {
        "lines": 5,
        "events": 2,
        "rejected": 3,
        "rejected_by_field": {"value": 2, "occurred_at": 1},
    }


@pytest.mark.parametrize(
    ("suffix", "content"), [(".gz", b"no gzip"), (".zst", b"no zstd"), (".gz", gzip.compress(b"x", mtime=0)[:-9])]
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, suffix: str, content: bytes) -> None:
    """With exit code 2: the import did not finish."""
    pytest.importorskip("backports.zstd")
    file = tmp_path / f"events.ndjson{suffix}"
    file.write_bytes(content)
    done = CliRunner().invoke(commands, ["import", "events", str(file), "--dry-run"])
    assert done.exit_code == 2
    assert str(file) in done.stderr


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
