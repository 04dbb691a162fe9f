"""Replay, reconcile and forget on a pipeline of real processes, with the SDK's own events and accounts."""

import json
import os
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from keeprate.deploy.local.process import ChildProcess
from keeprate.deploy.local.stack import keeprate
from keeprate.producers import Keeprate
from keeprate.schemas.topics import ALL
from keeprate.sinks.store.clickhouse import connect, database_of
from keeprate.sinks.tables.migrate import migrate
from tests.e2e.conftest import Pipeline
from tests.landing import PARTITIONS, wait_landed
from tests.worked_example import NUMBERS, numbers, worked_example

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SECRET = "a secret sentence"


def run(pipeline: Pipeline, *arguments: str, code: int = 0) -> str:
    """A command as a user runs it."""
    done = subprocess.run(
        keeprate(*arguments), env=os.environ | pipeline.env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_outcomes_come_back_from_the_facts_and_every_number_is_accounted_for(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    """The outcomes are lost and rebuilt; the client's accounts and the tables agree, whatever the contract refused.

    What a backup lacks comes back from Kafka, beside what it has: the numbers are the same again.
    """
    with Keeprate(app="worked-example", brokers=pipeline.brokers) as client:
        for event in worked_example():
            assert client.emit(event, block=True)
        assert not client.emit({"type": "vote"})
        assert client.flush(30) == 0
        stats = {"app": client.app, "producer_id": client.producer_id, **asdict(client.stats())}
    pipeline.settle()
    (tmp_path / "stats.json").write_text(json.dumps(stats))
    account = json.loads(
        run(pipeline, "reconcile", "--stats", str(tmp_path / "stats.json"), "--json", "--active-min", "0")
    )
    (producer,) = account["producers"]
    assert producer["emitted"] == stats["accepted"] == producer["landed"] + 1
    assert producer["dropped"] == {"invalid": 1}
    assert (producer["unexplained"], producer["gaps"]) == (0, [])
    with connect(pipeline.store_url) as store:
        store.command("TRUNCATE TABLE outcomes")
        run(pipeline, "replay", "--verify", code=1)
        run(pipeline, "replay", "--yes")
        run(pipeline, "replay", "--verify")
        assert numbers(store) == NUMBERS
    url = _restored(pipeline, tmp_path)
    with connect(url) as store:
        assert numbers(store) == NUMBERS
    run(pipeline, "replay", "--verify", "--store", url)


def _restored(pipeline: Pipeline, tmp_path: Path) -> str:
    """A database from a backup that is older than half of the facts, after a sink has read all that Kafka has again."""
    url = f"{pipeline.store_url}_restored"
    migrate(url)
    with connect(url) as store:
        for table in ("generations", "feedback"):
            store.command(
                f"INSERT INTO {table} SELECT * FROM {database_of(pipeline.store_url)}.{table} WHERE offset % 2"
            )
    argv = keeprate("sink", "--linger-s", "0.1", "--group", "keeprate-restore")
    env = pipeline.env | {"KEEPRATE_STORE_URL": url, "KEEPRATE_DATA_DIR": str(tmp_path)}
    with ChildProcess("the sink that restores", argv, tmp_path / "restore.log", env):
        wait_landed(pipeline.brokers, "keeprate-restore", [topic.name for topic in ALL])
    return url


def test_who_is_forgotten_stays_so_when_the_log_is_read_again(pipeline: Pipeline) -> None:
    """Events before, events after and the whole log once more: counts stay, and no word or name comes back."""
    with Keeprate(app="notes", brokers=pipeline.brokers, user_salt="salt") as client:
        user = client.user_hash("jane@example.org")
        mine = client.generation(user="jane@example.org", input=[{"role": "user", "content": SECRET}])
        mine.vote(1, comment=SECRET)
        mine.accept("abcd")
        other = client.generation(user="joe@example.org", input=[{"role": "user", "content": "kept"}])
        other.vote(-1)
        assert client.flush(30) == 0
        pipeline.settle()
        done = json.loads(run(pipeline, "forget", "--user", user, "--yes", "--settle-s", "6", "--json"))
        assert done["receipt"]["rows"] == {
            "generations": 1,
            "feedback": 2,
            "outcomes": 1,
            "suggestions": 1,
            "dead_letters": 0,
        }
        mine.vote(0, comment=SECRET)
        mine.flag("wrong", comment=SECRET)
        assert client.flush(30) == 0
    pipeline.settle()
    check(pipeline, user)
    pipeline.sink.terminate()
    rewind(pipeline)
    pipeline.sink.start()
    pipeline.settle()
    check(pipeline, user)


def check(pipeline: Pipeline, user: str) -> None:
    """Two people, one vote withdrawn and one down, and nothing of the one who is forgotten."""
    with connect(pipeline.store_url) as store:
        assert store.query(
            "SELECT count(), uniqExact(user), countIf(user = {user:String}) FROM suggestions FINAL", {"user": user}
        ) == [(2, 2, 0)]
        merged = "(SELECT votes FROM outcomes FINAL)"
        votes = store.query(f"SELECT arraySort(arrayFlatten(groupArray(mapValues(votes).value))) FROM {merged}")
        assert votes == [([-1, 0],)]
        tables = ("generations", "feedback", "outcomes", "suggestions", "dead_letters", "forgotten", "forget_receipts")
        text = "".join(store.query_bytes(f"SELECT * FROM {table}").decode() for table in tables)
    assert SECRET not in text
    assert user not in text
    assert "kept" in text
    run(pipeline, "replay", "--verify")


def rewind(pipeline: Pipeline) -> None:
    """Have the sink's group begin at the first record, as somebody might who has lost faith in the tables."""
    consumer = Consumer({"bootstrap.servers": pipeline.brokers, "group.id": "keeprate-sink"})
    at = [TopicPartition(topic.name, partition, 0) for topic in ALL for partition in range(PARTITIONS)]
    consumer.commit(offsets=at, asynchronous=False)
    consumer.close()
