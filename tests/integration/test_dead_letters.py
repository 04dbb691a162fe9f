"""`keeprate dead-letters` on a store with refused records."""

import json
import time
from collections.abc import Sequence
from itertools import count
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from keeprate.deploy.commands.tree import app
from keeprate.schemas.dead_letters import Stage, dead_letter, encode_letter, quarantine
from keeprate.schemas.decode import ContractError
from keeprate.sinks.facts.dead_letters import Filter, newest, open_records, replay
from keeprate.sinks.kafka.errors import DeliveryError
from keeprate.sinks.landing.flush import INSERT_SETTINGS
from keeprate.sinks.landing.rows import sort
from keeprate.sinks.store.clickhouse import connect
from keeprate.sinks.tables.migrate import migrate
from tests.unit.sinks.records import FakeRecord

APPS = "0010_dead_letter_apps"
Encoded = tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]


@pytest.fixture
def url(database: str) -> str:
    """A store with three refused records, one of them refused by both stages."""
    refusals = [
        ("sink", 7, ContractError("not_json", "expected value at line 1"), b"\xffno JSON"),
        ("join", 7, ContractError("not_json", "expected value at line 1"), b"\xffno JSON"),
        ("sink", 8, ContractError("invalid", "required, and absent", "app"), b"{}"),
        ("sink", 9, ContractError("empty", "the record has no value"), None),
    ]
    own, app = [("traceparent", b"00-1")], {7: "notes"}
    letters = [
        (dead_letter(error, cast(Stage, stage), "keeprate.feedback", 0, at, -1, own, app.get(at, "")), value)
        for stage, at, error, value in refusals
    ]
    _land(database, [encode_letter(letter, b"key", value) for letter, value in letters])
    return database


def _land(url: str, letters: Sequence[Encoded]) -> None:
    """Have these records of the dead letters' topic in the store."""
    offsets = count(time.time_ns())
    records = [
        FakeRecord(next(offsets), value, key, time.time_ns() // 10**6, headers) for key, value, headers in letters
    ]
    with connect(url) as client:
        for table, rows in sort("keeprate.dead-letters", 0, records).tables.items():
            client.insert_bytes(table.name, table.columns, b"".join(rows.encoded), table.format, INSERT_SETTINGS)


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["dead-letters", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list_counts_records_by_reason_and_names_the_newest(url: str) -> None:
    """The reasons come with their counts; what both stages refused is one record; a terminal has room for each line."""
    listed = _run("list", "--store", url)
    assert "1  keeprate.feedback  no app\n          sink invalid app: required, and absent" in listed
    assert "1  keeprate.feedback  app notes\n          join+sink not_json: expected value at line 1" in listed
    assert "keeprate.feedback/0/9" in listed
    assert listed.count("keeprate.feedback/0/7") == 1
    assert max(map(len, listed.splitlines())) <= 80
    assert _run("count", "--store", url).splitlines()[-1] == "       3  in all"


def test_list_filters_and_speaks_json(url: str) -> None:
    """An array of the records that fit, with all their stages though one was asked for; empty where none does."""
    (row,) = json.loads(_run("list", "--store", url, "--error-type", "not_json", "--stage", "join", "--json"))
    assert (row["name"], row["stages"], row["app"]) == ("keeprate.feedback/0/7", ["join", "sink"], "notes")
    of_app = json.loads(_run("list", "--store", url, "--app", "notes", "--json"))
    assert [letter["name"] for letter in of_app] == ["keeprate.feedback/0/7"]
    counts = json.loads(_run("count", "--store", url, "--app", "", "--json"))
    assert sorted(each["error_type"] for each in counts) == ["empty", "invalid"]
    assert json.loads(_run("list", "--store", url, "--app", "nobody's", "--json")) == []


def test_show_gives_the_record_whole(url: str) -> None:
    """Each stage's refusal, the record's own headers, and bytes that are no text as hexadecimal."""
    letters = [
        json.loads(line) for line in _run("show", "keeprate.feedback/0/7", "--store", url, "--json").splitlines()
    ]
    assert [letter["stage"] for letter in letters] == ["join", "sink"]
    assert letters[0]["value"] == "hex:" + b"\xffno JSON".hex()
    assert letters[0]["headers"] == {"traceparent": "00-1"}
    assert letters[0]["whole"] is True
    assert json.loads(_run("show", "keeprate.feedback/0/9", "--store", url, "--json"))["value"] is None


def test_a_record_that_was_set_aside_shows_its_fault_and_what_it_lacks(url: str) -> None:
    """A hash of where the code raised, the size and digest of what was cut; and it is not replayed."""
    letter = quarantine(OverflowError("too large"), "sink", "keeprate.feedback", 1, 3, app="editor")
    _land(url, [encode_letter(letter, b"key", b"x" * (9 << 20))])
    shown = _run("show", "keeprate.feedback/1/3", "--store", url)
    assert f"            trace  {letter.trace}" in shown
    assert "           reason  OverflowError: too large" in shown
    assert "            whole  False" in shown
    assert "cut  value: 9437184 bytes, sha256 " in shown
    said = _run("replay", "keeprate.feedback/1/3", "--store", url, "--yes")
    assert "keeprate.feedback/1/3 cannot be replayed, it is not whole: value: 9437184 bytes" in said
    assert "no open dead letters fit" in said
    with connect(url) as client, pytest.raises(ValueError, match="is not whole"):
        replay(client, Writer(), open_records(client, Filter(names=["keeprate.feedback/1/3"]), 9))


def test_a_replay_that_is_refused_again_is_the_same_entry(url: str) -> None:
    """It is open again, with its history; what only claims to be a replay of it, with other bytes, is another."""
    name = "keeprate.feedback/0/8"
    writer = Writer()
    with connect(url) as client:
        replay(client, writer, open_records(client, Filter(names=[name]), 9))
        assert not newest(client, Filter(names=[name]), 9)
    ((_, key, value, headers),) = writer.taken
    again = dead_letter(
        ContractError("invalid", "still absent", "app"), "sink", "keeprate.feedback", 0, 20, headers=headers
    )
    forged = dead_letter(ContractError("not_json", "no"), "sink", "keeprate.feedback", 0, 21, headers=headers)
    _land(url, [encode_letter(again, key, value), encode_letter(forged, key, b"other")])
    with connect(url) as client:
        entries = newest(client, Filter(error_type="invalid"), 9)
        assert [(row["name"], row["refusals"], row["reason"]) for row in entries] == [(name, 2, "still absent")]
        assert entries[0]["places"] == ["keeprate.feedback/0/20", name]
        replay(client, writer, open_records(client, Filter(error_type="invalid"), 9))
        assert not newest(client, Filter(error_type="invalid"), 9)
    # The header names the entry, however often it is replayed.
    assert writer.taken[1][3] == headers
    assert len(_run("show", "keeprate.feedback/0/20", "--store", url, "--json").splitlines()) == 2
    assert f"{name}  " in _run("list", "--all", "--store", url)
    assert "refused 2 times" in _run("list", "--all", "--store", url)


def test_a_letter_from_before_apps_were_kept_names_its_app(url: str) -> None:
    """The column is read out of the bytes that are there, and empty where they name none."""
    with connect(url) as client:
        client.command("ALTER TABLE dead_letters DROP COLUMN app, DROP COLUMN trace, DROP COLUMN cut")
        client.command(
            "ALTER TABLE schema_versions DELETE WHERE name = '0010_dead_letter_apps' SETTINGS mutations_sync=2"
        )
        columns = ("topic", "offset", "value")
        client.insert("dead_letters", columns, [("t", 1, '{"app": "chat", "x": 1}'), ("t", 2, '{"app": 1}')])
    assert [script.name for script in migrate(url)] == [APPS]
    with connect(url) as client:
        rows = client.query("SELECT app, cut FROM dead_letters WHERE topic = 't' ORDER BY offset")
    assert rows == [("chat", ""), ("", "")]


class Writer:
    """Takes records, or refuses them."""

    def __init__(self, fail: bool = False) -> None:
        self.fail = fail
        self.taken: list[tuple[str, Any, Any, list[tuple[str, bytes | None]]]] = []

    def write(self, letters: Sequence[Any], topic: str) -> None:
        if self.fail:
            raise DeliveryError("not taken")
        self.taken += [(topic, *letter) for letter in letters]


def test_a_replay_writes_each_record_once_as_it_was_and_closes_it(url: str) -> None:
    """Both stages refused one of them: its bytes go to its topic once, and nothing is open afterwards."""
    writer = Writer()
    with connect(url) as client:
        chosen = open_records(client, Filter(), 100)
        replay(client, writer, chosen, "parser fixed")
        assert open_records(client, Filter(), 100) == []
    assert [(topic, value) for topic, _, value, _ in writer.taken] == [
        ("keeprate.feedback", b"\xffno JSON"),
        ("keeprate.feedback", b"{}"),
        ("keeprate.feedback", None),
    ]
    assert writer.taken[0][3] == [("traceparent", b"00-1"), ("keeprate-replay-of", b"keeprate.feedback/0/7")]
    assert _run("list", "--store", url).strip() == "no dead letters"
    assert "keeprate.feedback/0/9" in _run("list", "--store", url, "--all")


def test_what_was_not_taken_stays_open(url: str) -> None:
    """A record is closed only after its topic has it."""
    with connect(url) as client:
        chosen = open_records(client, Filter(), 100)
        with pytest.raises(DeliveryError):
            replay(client, Writer(fail=True), chosen)
        assert open_records(client, Filter(), 100) == chosen


def test_drop_says_what_it_would_do_and_does_it_when_told(url: str) -> None:
    """Without --yes nothing changes; the limit and the filters hold."""
    assert "would drop 1 records" in _run("drop", "--store", url, "--error-type", "invalid")
    assert "dropped 1" in _run("drop", "keeprate.feedback/0/8", "--store", url, "--yes", "--note", "a test's")
    assert "no open dead letters fit" in _run("drop", "--store", url, "--error-type", "invalid", "--yes")
    assert "would drop 2 records" in _run("drop", "--store", url, "--limit", "2")


@pytest.mark.parametrize("name", ["keeprate.feedback/0/999", "nonsense"])
def test_a_name_that_is_not_there_is_an_error_that_helps(url: str, name: str) -> None:
    """The command fails and says where names come from."""
    result = CliRunner().invoke(app, ["dead-letters", "show", name, "--store", url])
    assert result.exit_code != 0
    assert "list" in result.output + str(result.exception)
