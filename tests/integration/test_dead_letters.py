"""`keeprate dead-letters` on a store with refused records."""

import json
import uuid
from collections.abc import Sequence
from typing import Any

import pytest
from typer.testing import CliRunner

from keeprate.deploy.commands.tree import app
from keeprate.deploy.store import StoreProcess
from keeprate.schemas.dead_letters import dead_letter, encode_headers
from keeprate.schemas.decode import ContractError
from keeprate.sinks.clickhouse import connect
from keeprate.sinks.dead_letters import Filter, open_records, replay
from keeprate.sinks.flush import INSERT_SETTINGS
from keeprate.sinks.kafka_errors import DeliveryError
from keeprate.sinks.migrate import migrate
from keeprate.sinks.rows import sort
from tests.unit.sinks.records import FakeRecord


@pytest.fixture
def url(store: StoreProcess) -> str:
    """A store with three refused records, one of them refused by both stages."""
    url = f"{store.url}/letters_{uuid.uuid4().hex[:8]}"
    migrate(url)
    refusals = [
        ("sink", 7, ContractError("not_json", "expected value at line 1"), b"\xffno JSON"),
        ("join", 7, ContractError("not_json", "expected value at line 1"), b"\xffno JSON"),
        ("sink", 8, ContractError("invalid", "required, and absent", "app"), b"{}"),
        ("sink", 9, ContractError("empty", "the record has no value"), None),
    ]
    records = [
        FakeRecord(
            number,
            value,
            own_headers=encode_headers(
                dead_letter(error, stage, "keeprate.feedback", 0, offset, headers=[("traceparent", b"00-1")])  # type: ignore[arg-type]
            ),
        )
        for number, (stage, offset, error, value) in enumerate(refusals)
    ]
    with connect(url) as client:
        for table, rows in sort("keeprate.dead-letters", 0, records).tables.items():
            client.insert_bytes(table.name, table.columns, b"".join(rows.encoded), table.format, INSERT_SETTINGS)
    return url


def _run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["dead-letters", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list_counts_by_reason_and_names_the_newest(url: str) -> None:
    """The reasons come with their counts; each record has the name that `show` takes."""
    listed = _run("list", "--store", url)
    assert "1  keeprate.feedback sink: invalid app" in listed
    assert "keeprate.feedback/0/9" in listed


def test_list_filters_and_speaks_json(url: str) -> None:
    """One line of JSON for each record that fits."""
    lines = _run("list", "--store", url, "--error-type", "not_json", "--stage", "join", "--json").splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["keeprate.feedback/0/7"]


def test_show_gives_the_record_whole(url: str) -> None:
    """Each stage's refusal, the record's own headers, and bytes that are no text as hexadecimal."""
    letters = [
        json.loads(line) for line in _run("show", "keeprate.feedback/0/7", "--store", url, "--json").splitlines()
    ]
    assert [letter["stage"] for letter in letters] == ["join", "sink"]
    assert letters[0]["value"] == "hex:" + b"\xffno JSON".hex()
    assert letters[0]["headers"] == {"traceparent": "00-1"}
    assert json.loads(_run("show", "keeprate.feedback/0/9", "--store", url, "--json"))["value"] is None


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
    assert "dropped 1" in _run("drop", "--store", url, "--error-type", "invalid", "--yes", "--note", "a test's")
    assert "no open dead letters fit" in _run("drop", "--store", url, "--error-type", "invalid", "--yes")
    assert "would drop 2 records" in _run("drop", "--store", url, "--limit", "2")


@pytest.mark.parametrize("name", ["keeprate.feedback/0/999", "nonsense"])
def test_a_name_that_is_not_there_is_an_error_that_helps(url: str, name: str) -> None:
    """The command fails and says where names come from."""
    result = CliRunner().invoke(app, ["dead-letters", "show", name, "--store", url])
    assert result.exit_code != 0
    assert "list" in result.output + str(result.exception)
