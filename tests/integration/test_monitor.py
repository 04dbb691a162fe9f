"""A real monitor reading a real store and Kafka, scraped by a real Prometheus with the rules that are shipped."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from keeprate.deploy.commands.tree import app
from keeprate.deploy.local.broker import KafkaBroker
from keeprate.deploy.local.process import ChildProcess, accepts, free_port
from keeprate.deploy.local.stack import keeprate
from keeprate.deploy.monitor.catalogue import METRICS
from keeprate.deploy.monitor.configure import write_configuration
from keeprate.deploy.monitor.exporter import KafkaSource
from keeprate.deploy.offsets import GroupProgress, Offsets, OffsetsError
from keeprate.deploy.store import StoreProcess
from keeprate.schemas.topics import JOIN_GROUP, SINK_GROUP
from keeprate.sinks.store.clickhouse import connect
from keeprate.sinks.tables.migrate import migrate
from tests.facts import START_MS, Facts
from tests.reading import load_all
from tests.worked_example import worked_example

pytestmark = [pytest.mark.clickhouse, pytest.mark.slow]

DEADLINE_S = 60
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def get(url: str) -> str:
    with urlopen(url, timeout=10) as answer:  # a scrape that waits for the store fails here
        return str(answer.read().decode())


def samples(port: int) -> Samples:
    families = text_string_to_metric_families(get(f"http://127.0.0.1:{port}/metrics"))
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


def summed(found: Samples, name: str, **labels: str) -> float:
    return sum(value for (each, own), value in found.items() if each == name and labels.items() <= dict(own).items())


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not become so in time"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def own_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    """A store of its own, because it is stopped in the middle; the worked example of three hours ago is in it."""
    start_at = datetime.now(UTC) - timedelta(hours=3)
    start_at -= timedelta(minutes=start_at.minute, seconds=start_at.second, microseconds=start_at.microsecond)
    start_ms = int(start_at.timestamp() * 1000)
    with StoreProcess(tmp_path_factory.mktemp("monitor") / "data") as process:
        url = f"{process.url}/keeprate"
        migrate(url)
        with connect(url) as client:
            later = Facts("worked-example").generation("later", at=start_ms + 3 * 3_600_000 - START_MS - 1000)
            load_all(client, [*worked_example(start_ms=start_ms), later], datetime.now(UTC) - timedelta(minutes=10))
            client.insert(
                "ledger",
                ("sink", "topic", "partition", "first_offset", "last_offset", "rows", "dead_letters"),
                [("keeprate-sink", "keeprate.feedback", 0, 0, 99, 97, 3)],
            )
        yield process


@pytest.fixture(scope="module")
def port(own_store: StoreProcess, kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where the monitor serves; it has read the store."""
    port = free_port()
    argv = keeprate("monitor", "--port", str(port), "--every", "0.5", "--store", f"{own_store.url}/keeprate")
    log = tmp_path_factory.mktemp("monitor") / "monitor.log"
    with ChildProcess("the monitor", [*argv, "--brokers", kafka.bootstrap], log) as process:
        process.wait_ready(lambda: accepts(port), DEADLINE_S)
        until(lambda: summed(samples(port), "keeprate_suggestions_total", outcome="accepted") == 6)
        yield port


def test_metrics_are_those_of_the_worked_example(port: int) -> None:
    """Outcomes with zeros for what has not happened, histograms, tokens, the ledger and the watermark."""
    found = samples(port)
    assert summed(found, "keeprate_suggestions_total") == 10
    assert ("keeprate_suggestions_total", "rejected") in {
        (name, dict(labels).get("outcome")) for (name, labels), value in found.items() if value == 0
    }
    assert summed(found, "keeprate_generations_total", status="ok") == 40
    assert summed(found, "keeprate_retention_checks_total", horizon="5m", outcome="retained") == 3
    assert summed(found, "keeprate_generation_duration_seconds_bucket", le="0.25") == 40
    assert summed(found, "keeprate_generation_duration_seconds_sum") == 10
    assert summed(found, "keeprate_edit_distance_ratio_bucket", le="0.1") == 3
    assert summed(found, "keeprate_pipeline_events_total", result="dead_letter") == 3
    assert summed(found, "keeprate_exporter_last_success_timestamp_seconds", source="kafka") > 0


def test_only_metrics_of_the_catalogue_are_exported(port: int) -> None:
    """With the kind and the labels that it says."""
    known = {metric.name.removesuffix("_total"): metric for metric in METRICS}
    for family in text_string_to_metric_families(get(f"http://127.0.0.1:{port}/metrics")):
        metric = known[family.name]
        assert family.type == metric.kind
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.labels)


def test_a_scrape_does_not_wait_for_a_store_that_hangs(port: int, own_store: StoreProcess) -> None:
    """It says what it knows, and how old that is; once the store answers, it reads on."""
    assert own_store.pid is not None
    before = samples(port)
    os.kill(own_store.pid, signal.SIGSTOP)
    try:
        hanging = samples(port)
        assert summed(hanging, "keeprate_suggestions_total") == summed(before, "keeprate_suggestions_total")
    finally:
        os.kill(own_store.pid, signal.SIGCONT)
    success = "keeprate_exporter_last_success_timestamp_seconds"
    until(lambda: summed(samples(port), success, source="store") > summed(hanging, success, source="store"))


@pytest.mark.prometheus
def test_prometheus_scrapes_and_evaluates_the_shipped_rules(
    port: int, require: Callable[[str], str], tmp_path: Path
) -> None:
    """Every rule is healthy, the Watchdog fires, and a query gives the acceptance rate."""
    configuration = write_configuration(tmp_path, {"keeprate-monitor": f"127.0.0.1:{port}"})
    configuration.write_text(configuration.read_text().replace("interval: 15s", "interval: 1s"))
    own_port = free_port()
    argv = [require("prometheus"), f"--config.file={configuration}", f"--storage.tsdb.path={tmp_path / 'data'}"]
    argv += [f"--web.listen-address=127.0.0.1:{own_port}", "--log.level=warn"]
    with ExitStack() as running:
        process = running.enter_context(ChildProcess("prometheus", argv, tmp_path / "prometheus.log"))
        process.wait_ready(lambda: _is_ready(own_port), DEADLINE_S)
        until(lambda: _rule_states(own_port) == {"ok"})
        rate = 'sum(keeprate_suggestions_total{outcome="accepted"}) / sum(keeprate_suggestions_total)'
        until(lambda: [each["value"][1] for each in _query(own_port, rate)] == ["0.6"])
        until(lambda: _query(own_port, 'ALERTS{alertname="Watchdog", alertstate="firing"}') != [])
        assert _query(own_port, 'ALERTS{alertname="KeeprateAcceptanceCollapse"}') == []


def _is_ready(port: int) -> bool:
    try:
        return bool(get(f"http://127.0.0.1:{port}/-/ready"))
    except OSError:
        return False


def _api(port: int, path: str) -> Any:
    return json.loads(get(f"http://127.0.0.1:{port}/api/v1/{path}"))["data"]


def _query(port: int, expression: str) -> list[dict[str, Any]]:
    return list(_api(port, f"query?query={quote(expression)}")["result"])


def _rule_states(port: int) -> set[str]:
    return {rule["health"] for group in _api(port, "rules")["groups"] for rule in group["rules"]}


def test_a_broker_that_is_away_is_an_error_to_retry() -> None:
    """Not one that ends the thread that reads it."""
    with pytest.raises(OffsetsError):
        Offsets(f"127.0.0.1:{free_port()}", ["keeprate-sink"]).read()


def test_a_port_that_is_taken_is_refused(port: int) -> None:
    """With what to do about it."""
    result = CliRunner().invoke(app, ["monitor", "--port", str(port)])
    assert result.exit_code == 1
    assert "choose another with --port" in result.stderr


@pytest.mark.kafka
def test_offsets_are_those_of_the_groups(kafka: KafkaBroker) -> None:
    """Of two partitions, one committed at 3 of 5 records and one never: lag counts both."""
    topic, group = "offsets-test.records", "offsets-test"
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(topic, 2, 1)])[topic].result(20)
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for partition in (0, 1):
        for _ in range(5):
            producer.produce(topic, b"x", partition=partition)
    assert producer.flush(20) == 0
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 0, 3), TopicPartition(topic, 1, 0)], asynchronous=False)
    consumer.close()
    found = Offsets(kafka.bootstrap, [group], "offsets-test.").read()
    assert found == {(group, topic): GroupProgress(end_offset=10, committed_offset=3)}
    assert found[group, topic].lag_messages == 7


@pytest.mark.kafka
def test_a_group_that_is_not_keeprates_holds_nothing_up(kafka: KafkaBroker) -> None:
    """A console consumer that read a little and was forgotten: its lag is not the pipeline's."""
    topic, strangers = "strangers.records", "console-consumer-51423"
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(20)
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for _ in range(9):
        producer.produce(topic, b"x", partition=0)
    assert producer.flush(20) == 0
    for group, offset in ((SINK_GROUP, 9), (strangers, 1)):
        consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": group})
        consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
        consumer.close()
    source = KafkaSource(Offsets(kafka.bootstrap, (JOIN_GROUP, SINK_GROUP), "strangers."))
    (lag, _, _) = source.read()
    assert [sample.labels["consumer_group"] for sample in lag.samples] == [SINK_GROUP]
    assert source.lag_messages == 0
