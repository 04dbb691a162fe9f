"""`keeprate verify` on a pipeline of real processes: silent while it works, and loud about each fault."""

import json
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from confluent_kafka import Consumer, TopicPartition
from typer.testing import CliRunner

from keeprate.deploy.commands.tree import app
from keeprate.deploy.local.process import ChildProcess, free_port
from keeprate.deploy.local.stack import keeprate
from keeprate.producers import Keeprate
from keeprate.schemas.events import Event
from keeprate.schemas.topics import GENERATIONS
from keeprate.sinks.store.clickhouse import Client, connect
from tests.e2e.conftest import Pipeline
from tests.streaming import wait_until
from tests.worked_example import worked_example

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def emit(pipeline: Pipeline, log: list[Event]) -> None:
    with Keeprate(app="worked-example", brokers=pipeline.brokers) as client:
        for event in log:
            assert client.emit(event, block=True)
        assert client.flush(30) == 0


def verify(pipeline: Pipeline, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
    done = CliRunner().invoke(app, ["verify", "--json", "--settled-s", "0", *arguments], env=pipeline.env)
    assert done.exit_code == code, done.output
    return [json.loads(line) for line in done.stdout.splitlines()]


def found(lines: list[dict[str, Any]]) -> list[str]:
    return [line["check"] for line in lines if line["kind"] == "finding"]


def commit(pipeline: Pipeline, group: str, topic: str, partition: int, offset: int) -> None:
    consumer = Consumer({"bootstrap.servers": pipeline.brokers, "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, partition, offset)], asynchronous=False)
    consumer.close()


def test_a_pipeline_at_work_has_no_findings_and_every_fault_is_found(pipeline: Pipeline) -> None:
    """While events are on their way and when it is quiet; then one fault after the other, on a stopped pipeline."""
    # Two ranges of each partition at least: a group that stands at its only range's beginning has not gone back.
    emit(pipeline, worked_example("app-0"))
    pipeline.settle()
    for number in range(1, 4):
        emit(pipeline, worked_example(f"app-{number}"))
        if number % 2:
            assert found(verify(pipeline)) == []
    pipeline.settle()
    quiet = verify(pipeline)
    agreements = [line for line in quiet if line.get("check") == "I7"]
    assert sum(line["facts"] for line in agreements) == 4 * 40
    assert {line["waiting"] for line in agreements} == {0}
    assert {line["group"] for line in quiet if line.get("check") == "I6"} == {"keeprate-join", "keeprate-sink"}
    # Both end by themselves, so that what is changed now stays as it is.
    pipeline.worker.terminate()
    pipeline.sink.terminate()
    with connect(pipeline.store_url) as store:
        _faults_in_the_store(pipeline, store)
    _faults_in_kafka(pipeline)


def _faults_in_the_store(pipeline: Pipeline, store: Client) -> None:
    store.command("DELETE FROM suggestions WHERE app = 'app-1'")
    assert set(found(verify(pipeline, code=1))) == {"I4"}
    assert found(verify(pipeline, "--repair", code=1))
    assert found(verify(pipeline)) == []
    store.command("DELETE FROM outcomes WHERE app = 'app-1'")
    assert set(found(verify(pipeline, code=1))) == {"I4", "I7"}
    assert found(verify(pipeline, "--repair", code=1))
    assert found(verify(pipeline)) == []
    store.command("DELETE FROM generations WHERE app = 'app-2'")
    store.command("DELETE FROM feedback WHERE app = 'app-2'")
    assert set(found(verify(pipeline, code=1))) == {"I1", "I4", "I7"}
    store.command("DELETE FROM outcomes WHERE app = 'app-2'")
    store.command(
        "INSERT INTO ledger (sink, topic, partition, first_offset, last_offset, rows) "
        "VALUES ('other', 'keeprate.generations', 0, 0, 4, 5), ('other', 'keeprate.generations', 0, 6, 9, 4)"
    )
    assert set(found(verify(pipeline, code=1))) == {"I1", "I2"}
    store.command("DELETE FROM ledger WHERE sink = 'other'")


def _faults_in_kafka(pipeline: Pipeline) -> None:
    before = {(line["group"], line["partition"]): line for line in verify(pipeline, code=1) if _is_position(line)}
    offset = before["keeprate-sink", 0]["committed"]
    for wrong in (0, offset + 5):
        commit(pipeline, "keeprate-sink", GENERATIONS.name, 0, wrong)
        assert "I6" in found(verify(pipeline, code=1))
    commit(pipeline, "keeprate-sink", GENERATIONS.name, 0, offset)
    assert "I6" not in found(verify(pipeline, code=1))


def _is_position(line: dict[str, Any]) -> bool:
    return line.get("check") == "I6" and line["kind"] == "compared" and line["topic"] == GENERATIONS.name


def test_a_join_that_lags_is_counted_and_not_judged(pipeline: Pipeline) -> None:
    """Facts land while the worker is away: their generations wait. When it is back nothing is found."""
    emit(pipeline, worked_example("before"))
    pipeline.settle()
    pipeline.worker.terminate()
    emit(pipeline, worked_example("while-away"))
    with connect(pipeline.store_url) as store:
        _wait_for_facts(store, "while-away", 40)
    lines = verify(pipeline, "--patience-s", "1")
    assert found(lines) == []
    assert sum(line["waiting"] for line in lines if line.get("check") == "I7") == 40
    pipeline.worker.start()
    pipeline.settle()
    assert {line["waiting"] for line in verify(pipeline) if line.get("check") == "I7"} == {0}


def _wait_for_facts(store: Client, app: str, generations: int) -> None:
    statement = "SELECT uniqExact(generation_id) FROM generations WHERE app = {app:String}"
    wait_until(lambda: store.query(statement, {"app": app}) == [(generations,)])


def test_the_monitor_finds_by_itself_what_was_lost(pipeline: Pipeline, tmp_path: Path) -> None:
    """Its gauges stand at 0 while all is well, and name the invariant once outcomes are gone."""
    recent_ms = int(time.time() * 1000) - 3_600_000
    emit(pipeline, worked_example("watched", recent_ms))
    pipeline.settle()
    port = free_port()
    argv = keeprate("monitor", "--port", str(port), "--verify-every", "1")
    with ChildProcess("the monitor", argv, tmp_path / "monitor.log", pipeline.env) as process:
        process.wait_ready(lambda: _exported(port, "keeprate_verify_last_success_timestamp_seconds") > 0, 60)
        assert _exported(port, "keeprate_verify_findings") == 0
        assert _exported(port, 'keeprate_verify_checked{subject="offsets"}') > 0
        with connect(pipeline.store_url) as store:
            # What got a fact within the last minute is not looked at yet.
            for table in ("generations", "feedback"):
                store.command(
                    f"ALTER TABLE {table} UPDATE stored_at = stored_at - INTERVAL 10 MINUTE WHERE 1 "
                    "SETTINGS mutations_sync = 2"
                )
            store.command("DELETE FROM outcomes WHERE app = 'watched'")
        process.wait_ready(lambda: _exported(port, 'keeprate_verify_findings{invariant="I7"}') > 0, 60)
        assert _exported(port, 'keeprate_verify_findings{invariant="I4"}') > 0
        assert _exported(port, 'keeprate_verify_findings{invariant="I1"}') == 0


def _exported(port: int, series: str) -> float:
    """The sum of the samples whose line begins so; 0 while nothing answers."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:
        return 0
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(series))
