"""Forgetting, repairing and replaying on three shards: as in one database, and again where a shard was away."""

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from keeprate.deploy import settings
from keeprate.deploy.commands.tree import app
from keeprate.deploy.commands.upkeep import forget as forgetting
from keeprate.deploy.commands.upkeep import replay as replaying
from keeprate.deploy.local.process import free_port
from keeprate.deploy.store import StoreProcess
from keeprate.schemas.events import Event
from keeprate.schemas.forgotten import digest
from keeprate.sinks.checks.finding import Finding
from keeprate.sinks.checks.places import check_places
from keeprate.sinks.checks.sums import check_sums
from keeprate.sinks.checks.verification import CheckScope, verify
from keeprate.sinks.erasure.forget import Person, Rewriter, count, find, forget, load, receipts
from keeprate.sinks.reading import hours
from keeprate.sinks.reading.derive import derive_all
from keeprate.sinks.store.clickhouse import Client, StoreUnavailableError, connect
from keeprate.sinks.store.servers import Servers
from keeprate.sinks.tables.placing import servers
from tests.facts import Facts
from tests.people import PSEUDONYM, SECRET
from tests.reading import EPOCH
from tests.shards import Apart, apart, on_shard
from tests.streaming import story

PERSON = "person-77"
TABLES = {
    "generations": "SELECT * EXCEPT (offset, stored_at) FROM generations FINAL",
    "feedback": "SELECT * EXCEPT (offset, stored_at) FROM feedback FINAL",
    "outcomes": "SELECT * FROM outcomes FINAL",
    "suggestions": "SELECT * EXCEPT derived_at FROM suggestions FINAL",
    "dead_letters": "SELECT * EXCEPT stored_at FROM dead_letters FINAL",
}


@pytest.fixture(scope="module")
def databases(store: StoreProcess) -> Iterator[Apart]:
    with apart(store) as made:
        yield made


@pytest.fixture
def filled(databases: Apart) -> Apart:
    """With the story, on the shards and in one database."""
    databases.load(_story())
    for partition, value in enumerate(('"sitting-1"', '{"user": "person-77", ', '{"user": "u2"')):
        for client in (databases.one, databases.shards[partition]):
            columns = ("topic", "partition", "offset", "recorded_at", "refused_at", "value", "reason")
            client.insert("dead_letters", columns, [("keeprate.feedback", partition, 7, EPOCH, EPOCH, value, "broken")])
    return databases


def _story() -> list[Event]:
    """What is theirs on one shard only another one tells: a session of theirs, and one that somebody else has too."""
    facts = Facts()
    asked: Any = [{"role": "user", "content": SECRET}]
    first, second, third = (on_shard(number) for number in range(3))
    another = on_shard(0, 1)
    return [
        facts.generation(first, user=PERSON, session="sitting-1", input=asked),
        facts.generation(another, user=PERSON, session="both", input=asked),
        facts.generation(second, user=None, session="sitting-1", input=asked),
        facts.action(second, "accept", length=4, session="both"),
        facts.vote(second, -1, user=PERSON, comment=SECRET),
        facts.generation(third, user="u2", session="both", input=[{"role": "user", "content": "kept"}]),
        facts.action(third, "accept", length=4, session="sitting-1"),
        facts.vote(third, 1, user="u2", comment="kept"),
    ]


def _note(client: Client) -> Person:
    """With a pseudonym that is the same everywhere."""
    columns = ("kind", "app", "key", "pseudonym", "person")
    client.insert("forgotten", columns, [("user", "", digest(PERSON), PSEUDONYM, digest(PERSON))])
    return find(client, PERSON)


def _rows(*clients: Client) -> Mapping[str, list[bytes]]:
    return {
        table: sorted(line for client in clients for line in client.query_bytes(query).splitlines())
        for table, query in TABLES.items()
    }


def _text(*clients: Client) -> str:
    return b"".join(line for lines in _rows(*clients).values() for line in lines).decode()


def test_shards_forget_what_one_database_forgets(filled: Apart) -> None:
    """Rows, counts, notes and the receipt are the same; sums of hours that hold the person are not believed."""
    for shard in filled.shards:
        assert hours.sum_quiet(shard, quiet_s=0)
    looked = count(filled.store, find(filled.store, PERSON))
    assert looked == count(filled.one, find(filled.one, PERSON))
    alone = forget(filled.one, _note(filled.one), "test", settle_s=0)
    with servers(filled.store, filled.topology) as holding:
        done = forget(filled.store, _note(filled.store), "test", settle_s=0, servers=holding)
        assert alone is not None
        assert done is not None
        assert done.rows == alone.rows == looked
        assert all(looked.values())
        assert _rows(*filled.shards) == _rows(filled.one)
        assert load(filled.store) == load(filled.one)
        assert forget(filled.store, find(filled.store, PERSON), "test", settle_s=0, servers=holding) is None
    assert filled.store.query("SELECT partition, note FROM dead_letter_actions ORDER BY ALL") == [
        (0, "forgotten"),
        (1, "forgotten"),
    ]
    assert check_sums(filled.store) == []
    text = _text(*filled.shards)
    assert "secret" not in text
    assert PERSON not in text
    assert "kept" in text


class Ended(Client):
    """A shard that ends when its rows are to change."""

    def command(self, statement: str, parameters: Mapping[str, Any] | None = None) -> None:
        if statement.startswith("ALTER"):
            raise StoreUnavailableError("gone")
        super().command(statement, parameters)

    def insert_bytes(self, *_: Any, **__: Any) -> None:
        raise StoreUnavailableError("gone")


def test_what_was_left_when_a_shard_went_away_a_sink_does(filled: Apart) -> None:
    """The person stays noted, with no receipt; whoever rewrites next finds what is left, and only that."""
    *up, third = filled.shards
    holding = Servers([*up, Ended(third._driver)], filled.topology)
    with pytest.raises(StoreUnavailableError, match="gone"):
        forget(filled.store, find(filled.store, PERSON), "test", settle_s=0, servers=holding)
    assert PERSON not in _text(*up)
    assert "sitting-1" in _text(third)
    assert receipts(filled.store) == []
    assert load(filled.store).user("", PERSON)
    opened = partial(servers, topology=filled.topology)
    Rewriter(lambda: connect(filled.url), opened, "test").rewrite()
    text = _text(*filled.shards)
    assert "secret" not in text
    assert "sitting-1" not in text
    (receipt,) = receipts(filled.store)
    assert receipt.rows["feedback"] == 1
    Rewriter(lambda: connect(filled.url), opened, "test").rewrite()
    assert len(receipts(filled.store)) == 1


@pytest.fixture
def told(databases: Apart, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The shards that commands are told of, by their addresses: settings want each to be another server's."""
    urls = list(databases.topology.shard_urls)

    def said(store: str) -> settings.Settings:
        given = settings.from_environment(store=store or databases.url)
        return replace(given, topology=replace(databases.topology, shard_urls=tuple(urls)))

    for command in (forgetting, replaying):
        monkeypatch.setattr(command, "from_environment", said)
    return urls


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_the_command_wants_every_shard_and_says_which_is_away(filled: Apart, told: list[str]) -> None:
    """Before it notes anybody; once the shard is back the same command counts on all of them."""
    address = told[2]
    told[2] = f"http://127.0.0.1:{free_port()}/{address.rpartition('/')[2]}"
    refused = _run("forget", "--user", PERSON, "--yes", "--settle-s", "0")
    assert refused.exit_code == 1
    assert "shard 3 of 3" in refused.stderr
    assert "the same command" in " ".join(refused.stderr.split())
    assert filled.store.query("SELECT count() FROM forgotten") == [(0,)]
    told[2] = address
    done = _run("forget", "--user", PERSON, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rows"] == count(filled.one, find(filled.one, PERSON))


def test_the_command_is_not_run_beside_the_shards(filled: Apart, told: list[str]) -> None:
    """Neither on a shard, which knows a part, nor without their addresses, nor with two of them exchanged."""
    shard = _run("forget", "--user", PERSON, "--store", filled.topology.shard_urls[0])
    assert "no database that reads them" in " ".join(shard.stderr.split())
    told[0], told[1] = told[1], told[0]
    exchanged = _run("forget", "--user", PERSON)
    assert "it was made as" in " ".join(exchanged.stderr.split())
    told.clear()
    unknown = _run("forget", "--user", PERSON)
    assert "KEEPRATE_STORE_SHARDS" in unknown.stderr
    assert {shard.exit_code, exchanged.exit_code, unknown.exit_code} == {1}


REPAIRED = ("outcomes", "suggestions")


@pytest.fixture
def harmed(databases: Apart) -> Apart:
    """Of a third of the generations the outcomes are lost, of another third the suggestions."""
    databases.load(story(random.Random(3), "editor", 40))
    for number, table in enumerate(REPAIRED):
        for shard in databases.shards:
            lost = f"cityHash64(generation_id) % 3 = {number} SETTINGS mutations_sync = 2"
            shard.command(f"ALTER TABLE {table} DELETE WHERE {lost}")
    return databases


def _found(store: Apart, repair: bool = False, holding: Servers | None = None) -> list[Finding]:
    return verify(store.store, None, CheckScope(settled_s=0, repair=repair), servers=holding).findings


def _equal(store: Apart) -> bool:
    """Whether the shards together have the outcomes and suggestions of the one database."""
    shards, one = _rows(*store.shards), _rows(store.one)
    return all(shards[table] == one[table] != [] for table in REPAIRED)


def test_what_shards_lack_is_found_and_repaired_where_it_belongs(harmed: Apart) -> None:
    """With a shard that ends it is repaired in part, and again does the rest; then nothing is found."""
    found = _found(harmed)
    assert {finding.check for finding in found} == {"I4", "I7"}
    *up, third = harmed.shards
    with pytest.raises(StoreUnavailableError, match="gone"):
        _found(harmed, True, Servers([*up, Ended(third._driver)], harmed.topology))
    with servers(harmed.store, harmed.topology) as holding:
        assert _found(harmed, True, holding)
        assert _found(harmed, False, holding) == []
        assert check_places(holding) == []
    assert _equal(harmed)


def test_rows_on_the_wrong_shard_are_found(harmed: Apart) -> None:
    """However whole they are: they would not merge with what comes."""
    first, second, _ = harmed.shards
    second.insert("ledger", ("sink", "topic", "partition"), [("s", "t", 3)])
    for row in first.query("SELECT event, topic, partition, offset FROM feedback LIMIT 2"):
        second.insert("feedback", ("event", "topic", "partition", "offset"), [row])
    found = [(one.where, one.detail.partition(":")[0]) for one in check_places(Servers(harmed.shards))]
    assert found == [
        ("shard 2, feedback", "2 rows belong on shard 1"),
        ("shard 2, ledger", "1 rows belong on shard 1"),
    ]
    second.command("TRUNCATE TABLE ledger")


def test_a_replay_goes_over_all_shards(harmed: Apart, told: list[str]) -> None:
    """Or, with --store, over one; where one is away it says which, and again does the rest."""
    address, told[2] = told[2], f"http://127.0.0.1:{free_port()}/x"
    refused = _run("replay", "--yes")
    assert refused.exit_code == 1
    assert "shard 3 of 3" in refused.stderr
    told[2] = address
    one = json.loads(_run("replay", "--json", "--store", harmed.topology.shard_urls[0]).stdout)
    done = json.loads(_run("replay", "--yes", "--json").stdout)
    assert 0 < one["lacking"] < done["lacking"] == done["written"]
    assert json.loads(_run("replay", "--json", "--verify").stdout)["lacking"] == 0
    for shard in harmed.shards:
        derive_all(shard)
    assert _equal(harmed)
