"""What `keeprate migrate --plan` shows of a store with shards."""

import json

import pytest
from typer.testing import CliRunner

from keeprate.deploy.commands.tree import app
from keeprate.sinks.tables import migrate as migrating
from keeprate.sinks.tables.migrate import Plan, Script

PLANS = [
    Plan("rows", True, [Script("0001_facts", "CREATE TABLE IF NOT EXISTS feedback (a Int8);\n")], False),
    Plan("rows", False, [], True),
    Plan("keeprate", False, [Script("0001_facts", "")], False),
]


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two shards, of which nobody is asked."""
    monkeypatch.setenv("KEEPRATE_STORE_URL", "http://127.0.0.1:1/keeprate")
    monkeypatch.setenv("KEEPRATE_STORE_SHARDS", "http://127.0.0.1:1/rows,http://127.0.0.1:2/rows")
    monkeypatch.setenv("KEEPRATE_STORE_CLUSTER", "main")
    monkeypatch.setattr(migrating, "plan", lambda url, topology: PLANS)


def test_the_plan_names_the_database_of_each_statement() -> None:
    """Shard by shard, then the store's own."""
    said = CliRunner().invoke(app, ["migrate", "--plan"]).output
    assert said.splitlines() == [
        "-- shard 1 of 2, in `rows`",
        "CREATE DATABASE IF NOT EXISTS `rows`;",
        "",
        "-- 0001_facts",
        "CREATE TABLE IF NOT EXISTS feedback (a Int8);",
        "",
        "-- shard 2 of 2, in `rows`",
        "-- Then all suggestions are derived anew beside the old ones, and exchanged.",
        "-- the store, in `keeprate`",
        # A migration of what only shards hold is noted here too.
        "-- Forward only: an older sink refuses these tables from then on. Make a backup to go back to.",
        "-- Then the store's tables over its shards are made anew: CREATE OR REPLACE … ENGINE = Distributed",
    ]


def test_the_plan_is_the_stores_own_for_machines_with_its_shards_beside() -> None:
    """Who reads the plan of a store without shards finds the same members."""
    said = json.loads(CliRunner().invoke(app, ["migrate", "--plan", "--json"]).stdout)
    assert said["database"] is False
    assert [shard["derives_anew"] for shard in said["shards"]] == [False, True]
    assert said["shards"][0]["migrations"] == {"0001_facts": ["CREATE TABLE IF NOT EXISTS feedback (a Int8)"]}
