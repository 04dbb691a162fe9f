"""Rows as the sink makes them, in the engine: columns, merges, tokens, and what is refused."""

import json
import random
import threading
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from types import SimpleNamespace
from typing import Any

import pytest

from keeprate.deploy.local.process import free_port
from keeprate.deploy.store import StoreProcess
from keeprate.schemas.dead_letters import dead_letter, encode_headers
from keeprate.schemas.decode import ContractError, encode, validate
from keeprate.schemas.ids import uuid7
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import FIELDS, encode_outcome
from keeprate.sinks.landing.flush import INSERT_SETTINGS
from keeprate.sinks.landing.intent import Intent
from keeprate.sinks.landing.landed import is_in_ledger, landed_offsets
from keeprate.sinks.landing.rows import FEEDBACK_TABLE, sort
from keeprate.sinks.store.clickhouse import (
    BatchRejectedError,
    Client,
    SchemaMismatchError,
    StoreUnavailableError,
    connect,
    to_ms,
)
from keeprate.sinks.tables.migrate import migrate, scripts
from tests.landing import BASE_MS, NIL_IDENTITY
from tests.landing import event as random_event
from tests.unit.sinks.records import RECORDED_MS, FakeRecord


@pytest.fixture
def client(database: str) -> Iterator[Client]:
    """A database of the test's own, migrated."""
    with connect(database) as own:
        yield own


def _insert(client: Client, topic: str, records: Sequence[FakeRecord], token: str = "") -> None:
    for table, rows in sort(topic, 3, records).tables.items():
        if len(rows):
            settings = {
                **INSERT_SETTINGS,
                **dict(table.settings),
                "insert_deduplication_token": token or uuid.uuid4().hex,
            }
            client.insert_bytes(table.name, table.columns, b"".join(rows.encoded), table.format, settings)


def _examples(kind: str) -> list[dict[str, Any]]:
    text = files("keeprate.schemas").joinpath("examples", "v1", f"{kind}.json").read_text()
    return list(json.loads(text))


@pytest.mark.parametrize("kind", ["generation", "action", "flag", "vote", "edit", "retention_check", "evaluation"])
def test_the_columns_of_a_fact_are_what_the_event_says(client: Client, kind: str) -> None:
    """Every golden example becomes a row whose columns equal the event's fields; the event is kept in its one form."""
    table = "generations" if kind == "generation" else "feedback"
    for offset, event in enumerate(_examples(kind)):
        value = encode(event)
        _insert(client, f"keeprate.{table}", [FakeRecord(offset, value)])
        (row,) = client.query_dicts(f"SELECT * FROM {table} WHERE offset = {offset}")
        assert row["event"] == encode(validate(event)).decode()
        assert (row["topic"], row["partition"], to_ms(row["recorded_at"])) == (
            f"keeprate.{table}",
            3,
            RECORDED_MS,
        )
        for name in {name for name in row if event.get(name) is not None}:
            column = to_ms(row[name]) if name == "occurred_at" else row[name]
            column = str(column) if isinstance(column, uuid.UUID) else column
            assert column == event[name], name


UNREADABLE = encode(_examples("generation")[0] | {"parameters": {"x": 1}}).replace(b'{"x":1}', b'{"x":1e999}')


@pytest.mark.parametrize("value", [UNREADABLE, NIL_IDENTITY], ids=["beyond a double", "nil identity"])
def test_an_event_that_the_engine_cannot_read_is_refused(
    client: Client, monkeypatch: pytest.MonkeyPatch, value: bytes
) -> None:
    """Were `read` ever to let through what ClickHouse's parser does not take, the row is refused, not emptied."""
    assert len(sort("keeprate.generations", 0, [FakeRecord(0, value)]).rejects) == 1
    monkeypatch.setattr("keeprate.sinks.landing.rows.read", lambda value, *_: SimpleNamespace(**json.loads(value)))
    monkeypatch.setattr("keeprate.sinks.landing.rows.encode_struct", lambda event: value)
    with pytest.raises(BatchRejectedError) as error:
        _insert(client, "keeprate.generations", [FakeRecord(0, value)])
    assert error.value.name == "VIOLATED_CONSTRAINT"
    assert client.query("SELECT count() FROM generations") == [(0,)]


@pytest.mark.parametrize("table", ["keeprate.feedback", "keeprate.outcomes", "keeprate.dead-letters"])
def test_a_token_lands_once(client: Client, table: str) -> None:
    """The same insert, tried again, adds nothing; the same rows under another token are other rows."""
    client.command("SYSTEM STOP MERGES")
    events = [validate(event) for event in _examples("vote")]
    values = [encode_outcome(*item) for item in fold(events).items()] if "outcomes" in table else map(encode, events)
    records = [FakeRecord(offset, value) for offset, value in enumerate(values)]
    name = table.removeprefix("keeprate.").replace("-", "_")
    for token, times in (("one", 1), ("one", 1), ("two", 2)):
        _insert(client, table, records, token)
        assert client.query(f"SELECT count() FROM {name}") == [(times * len(records),)]
    client.command("SYSTEM START MERGES")


def test_an_insert_that_names_no_token_adds_its_rows(client: Client) -> None:
    """The engine compares contents where there is no token, and would drop what a repair inserts a second time."""
    client.command("SYSTEM STOP MERGES")
    record = FakeRecord(0, encode(_examples("vote")[0]))
    rows = sort("keeprate.feedback", 3, [record]).tables[FEEDBACK_TABLE].encoded
    for times in (1, 2):
        client.insert_bytes("feedback", FEEDBACK_TABLE.columns, b"".join(rows), FEEDBACK_TABLE.format, INSERT_SETTINGS)
        client.insert("drift_states", ("app", "last_batch_at"), [("a", datetime(2026, 1, 1, tzinfo=UTC))])
        for name in ("feedback", "drift_states"):
            assert client.query(f"SELECT count() FROM {name}") == [(times,)]
    client.command("SYSTEM START MERGES")


def test_an_insert_goes_on_when_the_types_of_columns_change(client: Client) -> None:
    """What a client learnt of a table at its first insert is a way to write values, and no claim about the table."""
    client.command("CREATE TABLE changing (a UInt8, b String) ENGINE = MergeTree ORDER BY a")
    client.insert("changing", ("a", "b"), [(1, "x")])
    client.command("ALTER TABLE changing MODIFY COLUMN b LowCardinality(String), ADD COLUMN c UInt64 DEFAULT 7")
    client.insert("changing", ("a", "b"), [(2, "y")])
    assert client.query("SELECT a, b, c FROM changing ORDER BY a") == [(1, "x", 7), (2, "y", 7)]
    client.command("DROP TABLE changing")


def test_what_a_range_has_landed_is_known(client: Client) -> None:
    """By topic, partition and offset, within the range alone; the ledger's row by a range that holds it."""
    at, intent = ("keeprate.feedback", 3), Intent(2, 7, "1.3")
    rng = random.Random(0)
    values = [encode(random_event(rng, False, uuid7(BASE_MS))) for _ in range(4)]
    _insert(client, at[0], [FakeRecord(*each) for each in zip((1, 2, 5, 8), values, strict=True)])
    assert landed_offsets(client, "feedback", at, intent) == {2, 5}
    assert landed_offsets(client, "feedback", (at[0], 2), intent) == set()
    assert landed_offsets(client, "generations", at, intent) == set()
    assert not is_in_ledger(client, "sink", at, intent)
    client.insert("ledger", ("sink", "topic", "partition", "first_offset", "last_offset"), [("sink", *at, 2, 7)])
    assert is_in_ledger(client, "sink", at, intent)
    assert not is_in_ledger(client, "other", at, intent)
    assert is_in_ledger(client, "sink", at, Intent(3, 6, "1.3"))
    assert not is_in_ledger(client, "sink", at, Intent(2, 8, "1.3"))


def test_an_outcome_comes_back_as_it_was(client: Client) -> None:
    """The bytes of an outcome's record are its row: keys, maps and registers equal."""
    events = [validate(event) for kind in ("generation", "action", "vote", "flag", "edit") for event in _examples(kind)]
    outcomes = fold(events)
    _insert(
        client, "keeprate.outcomes", [FakeRecord(n, encode_outcome(*item)) for n, item in enumerate(outcomes.items())]
    )
    rows = client.query_bytes(
        "SELECT concat(app, '/', toString(generation_id), '/', toString(choice_index)) AS key, * FROM outcomes FINAL"
    )
    stored = {row["key"]: row for row in map(json.loads, rows.splitlines())}
    assert set(stored) == set(outcomes)
    for key, outcome in outcomes.items():
        for field in FIELDS:
            if field.name in outcome:
                assert _plain(stored[key][field.name]) == _plain(outcome[field.name]), (key, field.name)


def _plain(value: Any) -> Any:
    """Without the difference between a register as a list and as an object, or a number as an int and as a float."""
    if isinstance(value, dict):
        parts = list(value.values())
        return {key: _plain(part) for key, part in value.items()} if _is_map(parts) else _plain(parts)
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return float(value) if isinstance(value, int | float) else value


def _is_map(parts: list[Any]) -> bool:
    # A register's values are of several types; a map's are all registers or all numbers.
    return all(isinstance(part, dict | list) for part in parts) or all(isinstance(part, int) for part in parts)


def test_a_field_that_is_not_known_yet_is_refused(client: Client) -> None:
    """An outcome of a newer join does not lose what this version has no column for."""
    row = b'{"app":"a","generation_id":"0190a000-0000-7000-8000-000000000001","choice_index":0,"mood":1}'
    with pytest.raises(BatchRejectedError):
        _insert(client, "keeprate.outcomes", [FakeRecord(0, row)])


def test_a_dead_letter_is_kept_whole(client: Client) -> None:
    """Key, bytes and headers that are no text, and where the record was; two letters of one record are one row."""
    own = (("trace", b"\xff\x00"), ("empty", None))
    letter = dead_letter(
        ContractError("not_json", "no", "f"), "sink", "keeprate.feedback", 1, 77, 1_764_000_000_123, own
    )
    for offset in (5, 6):
        record = FakeRecord(offset, b"\xff\x00broken", b"\x80", own_headers=encode_headers(letter))
        _insert(client, "keeprate.dead-letters", [record])
    answer = client.query_bytes(
        "SELECT topic, partition, offset, stage, error_type, field, reason, hex(key) AS k, hex(value) AS v, "
        "arrayMap(h -> (h.1, hex(h.2)), headers) AS h, toUnixTimestamp64Milli(recorded_at) AS at, letter_partition "
        "FROM dead_letters FINAL"
    )
    (row,) = map(json.loads, answer.splitlines())
    assert list(row.values()) == [
        *("keeprate.feedback", 1, 77, "sink", "not_json", "f", "no", "80", "FF0062726F6B656E"),
        *([["trace", "FF00"], ["empty", None]], 1_764_000_000_123, 3),
    ]


@pytest.mark.parametrize("headers", [None, [("x", b"y")], [("keeprate-stage", b"sink")]])
def test_a_record_that_is_no_dead_letter_of_ours_is_kept_under_its_own_offset(client: Client, headers: Any) -> None:
    """Whoever writes into the topic of dead letters stops nothing and is not lost."""
    _insert(client, "keeprate.dead-letters", [FakeRecord(9, None, None, own_headers=headers)])
    assert client.query("SELECT topic, partition, offset, stage, value FROM dead_letters") == [
        ("keeprate.dead-letters", 3, 9, "", None)
    ]


def test_a_time_beyond_the_calendar_can_be_read_back(client: Client) -> None:
    """A record's time is whatever its producer said; the row has the nearest time that a client can show."""
    _insert(client, "keeprate.feedback", [FakeRecord(0, encode(_examples("vote")[0]), time_ms=2**62)])
    ((at,),) = client.query("SELECT recorded_at FROM feedback")
    assert at.year >= 2299


def test_many_may_migrate_at_once(store: StoreProcess) -> None:
    """Four processes that start together all end with the same tables and no error."""
    url = f"{store.url}/together_{uuid.uuid4().hex[:8]}"
    errors: list[Exception] = []

    def one() -> None:
        try:
            migrate(url)
        except Exception as error:  # noqa: BLE001 (collected for the assertion)
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert migrate(url) == []
    with connect(url) as client:
        # And the definition that suggestions were derived by.
        assert len(client.query("SELECT name FROM schema_versions FINAL")) == len(scripts()) + 1


def test_the_class_of_an_error_is_the_reaction_to_it(client: Client) -> None:
    """Nobody there: wait. A row at fault: split. A table that is not there: stop."""
    with pytest.raises(StoreUnavailableError) as away:
        connect(f"http://127.0.0.1:{free_port()}/keeprate")
    assert away.value.code is None
    with pytest.raises(BatchRejectedError) as row:
        client.insert_bytes("outcomes", (), b'{"choice_index": "many"}\n', "JSONEachRow", INSERT_SETTINGS)
    assert row.value.code is not None
    with pytest.raises(SchemaMismatchError) as table:
        client.query("SELECT 1 FROM not_there")
    assert table.value.name == "UNKNOWN_TABLE"
