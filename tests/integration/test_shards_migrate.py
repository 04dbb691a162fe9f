"""A store with shards is made and upgraded from one source, and takes only the list of shards it was made with."""

import uuid

import pytest

from keeprate.deploy.store import StoreProcess
from keeprate.sinks.store.clickhouse import SchemaMismatchError, StoreError, connect
from keeprate.sinks.store.topology import SHARDED, Topology
from keeprate.sinks.tables import migrate as migrating
from keeprate.sinks.tables.migrate import migrate, plan, scripts
from keeprate.sinks.tables.placing import check_place

SHARDS = 2


@pytest.fixture
def urls(store: StoreProcess) -> list[str]:
    """The store's own database, then the shards', none of them made. Here they are one server's: it is all the same."""
    name = f"sharded_{uuid.uuid4().hex[:8]}"
    return [f"{store.url}/{name}", *(f"{store.url}/{name}_{number}" for number in range(SHARDS))]


def _tables(url: str) -> set[str]:
    with connect(url) as client:
        return {name for (name,) in client.query("SELECT name FROM system.tables WHERE database = currentDatabase()")}


def test_shards_have_the_rows_and_the_store_what_is_not_divided(urls: list[str]) -> None:
    """Twice is once; the plan says the same statements before, and nothing afterwards."""
    topology = Topology(shard_urls=tuple(urls[1:]))
    planned = plan(urls[0], topology)
    assert [each.makes_database for each in planned] == [True] * 3
    assert [script.name for script in planned[0].scripts] == [script.name for script in scripts()]
    whole = [text for script in planned[-1].scripts for text in script.statements]
    assert whole
    assert not any(table in text.split("(")[0].split() for text in whole for table in SHARDED)
    assert migrate(urls[0], topology=topology) == scripts()
    assert migrate(urls[0], topology=topology) == []
    assert [each.scripts for each in plan(urls[0], topology)] == [[], [], []]
    assert set(SHARDED) <= _tables(urls[1]) == _tables(urls[2])
    assert not set(SHARDED) & _tables(urls[0])
    assert {"forgotten", "quality_batches", "schema_versions"} <= _tables(urls[0])
    for number, url in enumerate(urls[1:]):
        with connect(url) as client:
            check_place(client, number, SHARDS)


@pytest.mark.parametrize("order", [(1, 0), (0, 0), (0,), (0, 1, 2)])
def test_another_list_of_shards_is_refused(store: StoreProcess, urls: list[str], order: tuple[int, ...]) -> None:
    """In another order, one of them twice, fewer, more: rows of one generation would be on two."""
    migrate(urls[0], topology=Topology(shard_urls=tuple(urls[1:])))
    shards = [*urls[1:], f"{store.url}/more_{uuid.uuid4().hex[:8]}"]
    with pytest.raises(SchemaMismatchError, match="it was made as"):
        migrate(urls[0], topology=Topology(shard_urls=tuple(shards[number] for number in order)))


def test_a_store_with_rows_does_not_become_a_shard_by_itself(urls: list[str]) -> None:
    """They were landed for a store without shards; where each belongs has to be looked at."""
    migrate(urls[1])
    with connect(urls[1]) as client:
        client.command("INSERT INTO ledger (sink, topic) VALUES ('s', 't')")
    with pytest.raises(SchemaMismatchError, match="Resharding"):
        migrate(urls[0], topology=Topology(shard_urls=tuple(urls[1:])))
    migrate(urls[2])
    with connect(urls[2]) as store, connect(urls[1]) as shard, pytest.raises(SchemaMismatchError, match="Resharding"):
        migrating._reading(store, shard, Topology("main", shard_urls=tuple(urls[1:])))


def test_a_migration_that_failed_on_one_shard_is_run_again(urls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The first shard is done, the second half; the same command does what is left."""
    topology, apply = Topology(shard_urls=tuple(urls[1:])), migrating.apply

    def failing(client: object, *rest: object) -> object:
        if len(seen) == 1:
            monkeypatch.setattr(migrating, "apply", apply)
            client.command(scripts()[0].statements[0])  # type: ignore[attr-defined]
            raise StoreError("away")
        seen.append(client)
        return apply(client, *rest)  # type: ignore[arg-type]

    seen: list[object] = []
    monkeypatch.setattr(migrating, "apply", failing)
    with pytest.raises(StoreError, match="away"):
        migrate(urls[0], topology=topology)
    assert migrate(urls[0], topology=topology) == scripts()
    assert _tables(urls[1]) == _tables(urls[2])
