"""Where rows go when the store has several shards, and what statements that make tables read like there."""

import json
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from aiokafka.partitioner import murmur2

from keeprate.schemas.ids import uuid7
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import encode_outcome
from keeprate.sinks.landing.flush import Destination, Flush
from keeprate.sinks.landing.intent import Intent
from keeprate.sinks.landing.rows import FEEDBACK_TABLE, sort
from keeprate.sinks.landing.shards import Shard, shard_of
from keeprate.sinks.landing.starting import check_shards
from keeprate.sinks.store.clickhouse import Client, Row, SchemaMismatchError, Settings, StoreUnavailableError
from keeprate.sinks.store.servers import Servers
from keeprate.sinks.store.topology import ALONE, SHARDED, Topology, is_sharded, table_of, without_copies
from keeprate.sinks.tables.migrate import scripts
from keeprate.sinks.upkeep.replay import make_table
from tests.streaming import story
from tests.unit.sinks.doubles import GOOD, Doubles, land
from tests.unit.sinks.records import FakeRecord

SHARDS = 3
IDS = [f"0190a000-0000-7000-9000-{number:012x}" for number in range(200)]


def test_a_shard_is_what_kafka_puts_on_a_partition() -> None:
    """By the hash that chose the partition, so shards that divide the partitions have whole ones."""
    for identity in [*IDS, *(uuid7(number) for number in range(1, 50))]:
        partition = (murmur2(identity.encode()) & 0x7FFFFFFF) % 12
        assert shard_of(identity, 12) == partition
        assert shard_of(identity, SHARDS) == partition % SHARDS
        assert shard_of(identity, 1) == 0
    assert {shard_of(identity, SHARDS) for identity in IDS} == set(range(SHARDS))


def _on(value: bytes, identity: str) -> bytes:
    return value.replace(b"0190a000-0000-7000-8000-000000000000", identity.encode())


def test_rows_of_one_generation_are_on_one_shard() -> None:
    """Facts and outcomes alike, whatever partition their records are in."""
    values = [_on(GOOD % 1, identity) for identity in IDS]
    facts = sort("keeprate.feedback", 2, [FakeRecord(n, value) for n, value in enumerate(values)], shards=SHARDS)
    for shard in range(SHARDS):
        rows = facts.tables[FEEDBACK_TABLE.at(shard)]
        mine = [value for value, identity in zip(values, IDS, strict=True) if shard_of(identity, SHARDS) == shard]
        assert [record.value() for record in rows.records] == mine
    log = fold(story(random.Random(1), "editor", 20))
    records = [FakeRecord(n, encode_outcome(*item)) for n, item in enumerate(log.items())]
    outcomes = sort("keeprate.outcomes", 0, records, shards=SHARDS)
    assert sum(len(rows) for rows in outcomes.tables.values()) == len(records)
    for table, rows in outcomes.tables.items():
        identities = [json.loads(record.value() or b"")["generation_id"] for record in rows.records]
        assert all(shard_of(identity, SHARDS) == table.shard for identity in identities)


class _Store(Doubles):
    """Says of the events of `GOOD`, whatever generation they are of, whether they are there."""

    def query(
        self, statement: str, parameters: Mapping[str, Any] | None = None, settings: Settings | None = None
    ) -> list[Row]:
        if "FROM feedback" not in statement:
            return super().query(statement, parameters, settings)
        return [(n,) for n in range(1, 10) if GOOD[:80] % n in self.data]


def test_a_flush_inserts_into_each_shard_once_under_its_own_token() -> None:
    """What is away is sent again alone; the ledger's row is on its partition's shard."""
    stores = [_Store() for _ in range(SHARDS)]
    stores[2].fail = {"insert feedback": [StoreUnavailableError("away")]}
    kafka = Doubles()
    records = [FakeRecord(n, _on(GOOD % n, IDS[n])) for n in range(1, 9)]
    flush = Flush(("keeprate.feedback", 4), Intent(1, 8, "1.3.3"), records)
    to = Destination("sink", kafka, kafka, [Shard(store) for store in stores], 3)
    with pytest.raises(StoreUnavailableError):
        land(flush, to)
    assert not any(store.ledger for store in stores)
    land(flush, to)
    for number, store in enumerate(stores):
        for n in range(1, 9):
            assert store.data.count(IDS[n].encode()) == (shard_of(IDS[n], SHARDS) == number)
    tokens = [token for store in stores for token in store.tokens]
    assert len(tokens) == len(set(tokens)) == SHARDS + 1
    assert [len(store.ledger) for store in stores] == [0, 1, 0]
    assert stores[1].ledger[0]["rows"] == 8


def test_a_range_that_was_begun_with_other_shards_is_not_landed() -> None:
    """Some of its rows may be where nobody would look for them."""
    at = ("keeprate.feedback", 0)
    check_shards(at, Intent(0, 9, "1.3"), "1.4")
    check_shards(at, Intent(0, 9, "1.3.3"), "1.4.3")
    for begun, now in (("1.3", "1.3.3"), ("1.3.3", "1.3.2"), ("1.3.3", "1.3")):
        with pytest.raises(SchemaMismatchError, match="former KEEPRATE_STORE_SHARDS"):
            check_shards(at, Intent(0, 9, begun), now)


def test_statements_of_one_server_stay_as_they_are() -> None:
    """A store without cluster, and shards without copies, take the migrations as they are written."""
    divided = Topology("main", shard_urls=("http://a/rows", "http://b/rows"))
    for script in scripts():
        assert script.for_(ALONE, lambda statement: True) == script.statements
        assert script.for_(divided, lambda statement: True) == script.statements


def test_with_copies_every_table_is_replicated_on_the_whole_cluster() -> None:
    """No statement that makes, changes or drops a table is left without ON CLUSTER, and no engine without copies."""
    copied = Topology("main", replicated=True)
    for script in scripts():
        for plain, text in zip(script.statements, script.for_(copied, lambda statement: True), strict=True):
            assert table_of(plain), plain
            assert f"{table_of(plain)} ON CLUSTER `main`" in text.splitlines()[0]
            assert text.count("ENGINE = Replicated") == plain.count("ENGINE = ")
            assert "non_replicated_deduplication_window" not in text
            assert text.count("replicated_deduplication_window = 10000") == plain.count("deduplication_window = 10000")
    assert copied.rendered("EXCHANGE TABLES a AND b") == "EXCHANGE TABLES a AND b ON CLUSTER `main`"
    assert copied.rendered("CREATE DATABASE IF NOT EXISTS `k`") == "CREATE DATABASE IF NOT EXISTS `k` ON CLUSTER `main`"
    assert copied.rendered("SELECT 1") == "SELECT 1"


def test_what_is_not_divided_has_one_path_for_all_shards() -> None:
    """So every server has the same rows of it; the paths of divided tables are the server's own default, by shard."""
    topology = Topology("main", True, ("http://a/rows", "http://b/rows"))
    whole = topology.rendered("CREATE TABLE IF NOT EXISTS t (a Int8) ENGINE = ReplacingMergeTree(a) ORDER BY a")
    assert "ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/{uuid}/whole', '{shard}-{replica}', a)" in whole
    divided = topology.rendered("CREATE TABLE suggestions (a Int8) ENGINE = ReplacingMergeTree(a) ORDER BY a")
    assert "ENGINE = ReplicatedReplacingMergeTree(a) ORDER" in divided
    alone = replace(topology, shard_urls=()).rendered("CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY a")
    assert "ENGINE = ReplicatedMergeTree ORDER" in alone


class _Copied(Client):
    """A server whose outcomes have copies, and which has no other table."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def query(
        self, statement: str, parameters: Mapping[str, Any] | None = None, settings: Settings | None = None
    ) -> list[Row]:
        if "engine_full" not in statement:
            return []
        path = "'/clickhouse/tables/{shard}/keeprate/outcomes', '{replica}'"
        window = "replicated_deduplication_window = 10000"
        return [(f"ReplicatedAggregatingMergeTree({path}) PARTITION BY toYYYYMM(x) ORDER BY app SETTINGS {window}",)]

    def command(self, statement: str, parameters: Mapping[str, Any] | None = None) -> None:
        self.told.append(statement)


@pytest.mark.parametrize("shard_urls", [(), ("http://a/rows", "http://b/rows")])
def test_a_table_beside_outcomes_with_copies_has_copies_at_a_path_of_its_own(shard_urls: tuple[str, ...]) -> None:
    """Said once, ON CLUSTER; each shard's rows stay its own, though nothing tells that by the table's name."""
    clients = [_Copied() for _ in shard_urls or ("one",)]
    make_table(Servers(clients, Topology("main", True, shard_urls)), "beside")
    ((statement,), *others) = [client.told for client in clients]
    assert not any(others)
    assert statement.startswith("CREATE TABLE IF NOT EXISTS `beside` ON CLUSTER `main` (app ")
    made = "ENGINE = ReplicatedAggregatingMergeTree PARTITION BY toYYYYMM(x) ORDER BY app SETTINGS replicated_"
    assert made in statement


def test_a_table_beside_outcomes_with_copies_is_not_made_without() -> None:
    """Exchanged with the other, it would be a store without copies, and nobody would know."""
    client = _Copied()
    with pytest.raises(ValueError, match="KEEPRATE_STORE_REPLICATED"):
        make_table(Servers([client]), "beside")
    assert client.told == []


def test_an_engine_is_said_without_its_path() -> None:
    """What else it is given stays."""
    path = "'/clickhouse/tables/{uuid}/{shard}', '{replica}'"
    assert without_copies(f"ReplicatedReplacingMergeTree({path}, stored_at) ORDER BY a") == (
        "ReplacingMergeTree(stored_at) ORDER BY a"
    )
    assert without_copies(f"ReplicatedMergeTree({path}) ORDER BY a") == "MergeTree ORDER BY a"
    assert without_copies("ReplacingMergeTree(stored_at) ORDER BY a") == "ReplacingMergeTree(stored_at) ORDER BY a"


def test_every_table_of_rows_is_divided_and_no_other() -> None:
    """A table that is added is read through Distributed or is whole: which of both has to be said."""
    made = {table_of(text) for script in scripts() for text in script.statements if text.startswith("CREATE TABLE")}
    whole = {
        *("quality_batches", "quality_baselines", "drift_states", "release_verdicts", "dead_letter_actions"),
        *("forgotten", "forget_receipts", "windows", "hour_sums"),
    }
    assert made - whole == set(SHARDED)
    assert is_sharded("sums_0123456789ab")
    assert is_sharded("suggestions_01234567")
    text = Topology("main", shard_urls=("http://a/rows",)).distributed("suggestions", "rows")
    assert text == (
        "CREATE OR REPLACE TABLE suggestions AS `rows`.suggestions ENGINE = "
        "Distributed('main', 'rows', 'suggestions', kafkaMurmurHash(toString(generation_id)))"
    )
