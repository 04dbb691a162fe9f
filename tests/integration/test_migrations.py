"""A store of every older version, with data in it, comes up to this version and keeps them."""

import json
import random
import uuid

import pytest
from typer.testing import CliRunner

from keeprate.deploy.commands.tree import app
from keeprate.deploy.store import StoreProcess
from keeprate.schemas.decode import decode, encode
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import encode_outcome
from keeprate.sinks.checks.accounting import accounted, rowless
from keeprate.sinks.checks.verify import check_outcomes, check_suggestions
from keeprate.sinks.kafka.records import Record
from keeprate.sinks.landing.flush import INSERT_SETTINGS
from keeprate.sinks.landing.rows import sort
from keeprate.sinks.store.clickhouse import Client, Row, connect, database_of
from keeprate.sinks.tables.migrate import apply, migrate, pending, scripts
from tests.databases import make_migrated
from tests.streaming import story
from tests.unit.sinks.records import FakeRecord

MIGRATIONS = scripts()
OUTCOMES_SINCE = 2
SUGGESTIONS_SINCE = 11
WINDOWS_GO = 12
WINDOWS = "keeprate.windows"
LEDGER = ("sink", "topic", "partition", "first_offset", "last_offset", "rows")


def _land(client: Client, topic: str, values: list[bytes]) -> None:
    records: list[Record] = [FakeRecord(number, value, source=topic) for number, value in enumerate(values)]
    for table, rows in sort(topic, 0, records).tables.items():
        if len(rows):
            settings = {**INSERT_SETTINGS, **dict(table.settings)}
            client.insert_bytes(table.name, table.columns, b"".join(rows.encoded), table.format, settings)


def _columns(client: Client) -> dict[str, list[str]]:
    """Those of the tables of facts and outcomes that there are, but for when a row was stored."""
    found: dict[str, list[str]] = {}
    for table, name in client.query(
        "SELECT table, name FROM system.columns WHERE database = currentDatabase() AND name != 'stored_at' "
        "AND default_kind != 'EPHEMERAL' AND table IN ('generations', 'feedback', 'outcomes')"
    ):
        found.setdefault(str(table), []).append(str(name))
    return found


def _everything(client: Client, columns: dict[str, list[str]]) -> dict[str, list[str]]:
    """Each row of some tables, as text, by some columns."""
    return {
        table: sorted(
            json.dumps(json.loads(line), sort_keys=True)
            for line in client.query_bytes(f"SELECT {', '.join(names)} FROM {table} FINAL").splitlines()
        )
        for table, names in columns.items()
    }


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS) + 1))
def test_a_store_of_an_older_version_keeps_its_rows(store: StoreProcess, version: int) -> None:
    """Rows that an older version wrote are there after the upgrade, and the sink's rows still fit the tables."""
    database = f"upgrade_{uuid.uuid4().hex[:8]}"
    values = [encode(event) for event in story(random.Random(version), "editor", 20)]
    outcomes = [encode_outcome(*item) for item in fold(map(decode, values)).items()]
    with connect(store.url, "default") as client:
        client.command(f"CREATE DATABASE {database}")
    with connect(f"{store.url}/{database}") as client:
        apply(client, MIGRATIONS[:version])
        _land(client, "keeprate.feedback", values)
        if version >= OUTCOMES_SINCE:
            _land(client, "keeprate.outcomes", outcomes)
        columns = _columns(client)
        before = _everything(client, columns)
        applied = migrate(f"{store.url}/{database}")
        assert applied == MIGRATIONS[version:]
        assert _everything(client, columns) == before
        _land(client, "keeprate.outcomes", outcomes)
        assert check_outcomes(client, settled_s=0).findings == []


def test_a_store_with_windows_loses_them_and_no_more(store: StoreProcess) -> None:
    """Table, views and the ledger's rows of their topic; what a sink of that version still notes is no fact either."""
    url = f"{store.url}/windows_{uuid.uuid4().hex[:8]}"
    with connect(store.url, "default") as client:
        client.command(f"CREATE DATABASE {url.rpartition('/')[2]}")
    with connect(url) as client:
        apply(client, MIGRATIONS[: WINDOWS_GO - 1])
        client.command("INSERT INTO windows (app, window_at) VALUES ('editor', 0)")
        for name in ("100_window_counts", "110_window_retention"):
            _make_view(client, name, "windows")
        noted = [("sink", topic, 3, 0, 9, 10) for topic in ("keeprate.feedback", "keeprate.outcomes", WINDOWS)]
        client.insert("ledger", LEDGER, noted)
        assert migrate(url) == MIGRATIONS[WINDOWS_GO - 1 :]
        named = "SELECT name FROM system.tables WHERE database = currentDatabase() AND name LIKE '%window%'"
        assert client.query(named) == []
        assert client.query("SELECT topic FROM ledger ORDER BY topic") == [(topic,) for _, topic, *_ in noted[:2]]
        client.insert("ledger", LEDGER, noted[2:])
        assert accounted(client) == (3, 10)
        assert set(rowless(client)) == {("keeprate.feedback", 3)}
        assert migrate(url) == []


def test_a_view_gives_its_name_to_the_table_that_came_after_it(store: StoreProcess) -> None:
    """`suggestions` was a view. The table is made in its place, and filled from the outcomes that are there."""
    url = f"{store.url}/views_{uuid.uuid4().hex[:8]}"
    outcomes = [encode_outcome(*item) for item in fold(story(random.Random(1), "editor", 20)).items()]
    with connect(store.url, "default") as client:
        client.command(f"CREATE DATABASE {url.rpartition('/')[2]}")
    with connect(url) as client:
        apply(client, MIGRATIONS[: SUGGESTIONS_SINCE - 1])
        _land(client, "keeprate.outcomes", outcomes)
        _make_view(client, "010_suggestions", "outcomes")
        migrate(url)
        assert client.query("SELECT count() FROM suggestions FINAL") == [(len(outcomes),)]
        assert check_suggestions(client, settled_s=0) == []


def _make_view(client: Client, name: str, table: str) -> None:
    """A view as a version before had it, and noted it."""
    client.command(f"CREATE VIEW {name.partition('_')[2]} AS SELECT * FROM {table} FINAL")
    client.insert("schema_versions", ("kind", "name", "checksum"), [("view", name, "its own")])


def _tables(url: str) -> list[Row]:
    """Name, definition and number of rows of each."""
    with connect(url) as client:
        return client.query(
            "SELECT name, replaceOne(create_table_query, database, ''), ifNull(total_rows, 0) FROM system.tables "
            "WHERE database = currentDatabase() ORDER BY name"
        )


def test_the_databases_of_tests_are_what_migrating_makes(store: StoreProcess) -> None:
    """They are copies of one: every table is the same, and nothing is left to migrate."""
    migrated, copied = (f"{kind}_{uuid.uuid4().hex[:8]}" for kind in ("migrated", "copied"))
    migrate(f"{store.url}/{migrated}")
    make_migrated(f"{store.url}/{copied}")
    made, copies = (_tables(f"{store.url}/{name}") for name in (migrated, copied))
    assert len(made) > 10
    assert copies == made
    assert migrate(f"{store.url}/{copied}") == []


def test_a_migration_that_was_cut_off_is_run_again(store: StoreProcess) -> None:
    """A process that died between two statements leaves a migration that the next one completes."""
    url = f"{store.url}/cut_{uuid.uuid4().hex[:8]}"
    with connect(store.url, "default") as client:
        client.command(f"CREATE DATABASE {url.rpartition('/')[2]}")
    with connect(url) as client:
        apply(client, [])
        client.command(MIGRATIONS[0].statements[0])
        assert MIGRATIONS[0] in pending(scripts(), {})
        assert migrate(url)[0] == MIGRATIONS[0]
        assert client.query("SELECT count() FROM feedback") == [(0,)]


def test_a_plan_says_what_there_is_no_way_back_from(store: StoreProcess) -> None:
    """Before tables change that older sinks refuse from then on; of a database that is made there is nothing older."""
    url = f"{store.url}/planned_{uuid.uuid4().hex[:8]}"
    warning = "an older sink refuses these tables"
    assert warning not in CliRunner().invoke(app, ["migrate", "--plan", "--store", url]).output
    with connect(f"{store.url}/default") as client:
        client.command(f"CREATE DATABASE {database_of(url)}")
    with connect(url) as client:
        apply(client, MIGRATIONS[:-1])
    said = CliRunner().invoke(app, ["migrate", "--plan", "--store", url]).output
    assert f"-- {MIGRATIONS[-1].name}" in said
    assert warning in said
