"""`keeprate dead-letters` on a store with refused records."""

import json
import uuid

import pytest
from typer.testing import CliRunner

from keeprate.deploy.commands.tree import app
from keeprate.deploy.store import StoreProcess
from keeprate.schemas.dead_letters import dead_letter, encode_headers
from keeprate.schemas.decode import ContractError
from keeprate.sinks.clickhouse import connect
from keeprate.sinks.flush import INSERT_SETTINGS
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


@pytest.mark.parametrize("name", ["keeprate.feedback/0/999", "nonsense"])
def test_a_name_that_is_not_there_is_an_error_that_helps(url: str, name: str) -> None:
    """The command fails and says where names come from."""
    result = CliRunner().invoke(app, ["dead-letters", "show", name, "--store", url])
    assert result.exit_code != 0
    assert "list" in result.output + str(result.exception)
