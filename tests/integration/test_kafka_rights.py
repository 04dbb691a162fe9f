"""Each process runs with the rights in Kafka that docs/security.md gives it, on a broker that refuses all others."""

import json
import re
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from confluent_kafka.cimpl import NewTopic

from keeprate.deploy.local.broker import KafkaBroker
from keeprate.deploy.local.process import ChildProcess, free_port
from keeprate.deploy.offsets import Offsets
from keeprate.deploy.store import StoreProcess
from keeprate.producers.sdk.client import Keeprate
from keeprate.schemas.decode import encode
from keeprate.schemas.ids import uuid7
from keeprate.schemas.topics import ALL, GENERATIONS, JOIN_GROUP, SINK_GROUP
from keeprate.sinks.store.clickhouse import Client, connect
from keeprate.sinks.tables.migrate import migrate
from tests.landing import until

ADMIN: Final = {
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.mechanism": "PLAIN",
    "sasl.username": "admin",
    "sasl.password": "secret",
    "log_level": 0,
}
_JAAS: Final = (
    "org.apache.kafka.common.security.plain.PlainLoginModule required "
    'username="admin" password="secret" user_admin="secret";'
)
DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "security.md"


class GuardedBroker(KafkaBroker):
    """A broker that knows an administrator, at a door of its own, and lets everybody else do what ACLs say."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self.admin_port = free_port()

    @property
    def admin(self) -> dict[str, Any]:
        return {"bootstrap.servers": f"127.0.0.1:{self.admin_port}", **ADMIN}

    def _configure(self) -> None:
        super()._configure()
        text = self._properties.read_text()
        text = text.replace("listeners=BROKER", f"listeners=ADMIN://127.0.0.1:{self.admin_port},BROKER", 1)
        text = text.replace(
            "advertised.listeners=BROKER", f"advertised.listeners=ADMIN://127.0.0.1:{self.admin_port},BROKER"
        )
        text = text.replace("CONTROLLER:PLAINTEXT", "CONTROLLER:SASL_PLAINTEXT,ADMIN:SASL_PLAINTEXT")
        text = text.replace("inter.broker.listener.name=BROKER", "inter.broker.listener.name=ADMIN")
        text += "\n".join(
            [
                "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
                "super.users=User:admin",
                "sasl.enabled.mechanisms=PLAIN",
                "sasl.mechanism.inter.broker.protocol=PLAIN",
                "sasl.mechanism.controller.protocol=PLAIN",
                f"listener.name.admin.plain.sasl.jaas.config={_JAAS}",
                f"listener.name.controller.plain.sasl.jaas.config={_JAAS}",
            ]
        )
        self._properties.write_text(text + "\n")


@pytest.fixture(scope="module")
def guarded(kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedBroker]:
    """It, with the topics. (`kafka` is asked for its reason to skip alone.)"""
    with GuardedBroker(tmp_path_factory.mktemp("guarded")) as broker:
        new = [NewTopic(topic.name, num_partitions=1, config=dict(topic.config)) for topic in ALL]
        admin = AdminClient(broker.admin)
        for done in admin.create_topics(new).values():
            done.result(30)
        for topic in ALL:
            until(partial(_led, broker, topic.name), 30, f"a leader of {topic.name}")
        yield broker


def _rights(row: str) -> list[AclBinding]:
    """The rights that the document's row of this name gives."""
    line = next(line for line in DOCUMENT.read_text().splitlines() if line.startswith(f"| {row}"))
    cells = [re.findall(r"`(keeprate[.-][a-z-]+)`", cell) for cell in line.split("|")[2:6]]
    kinds = [
        (ResourceType.TOPIC, AclOperation.READ),
        (ResourceType.TOPIC, AclOperation.WRITE),
        (ResourceType.GROUP, AclOperation.READ),
        (ResourceType.GROUP, AclOperation.DESCRIBE),
    ]
    allow = AclPermissionType.ALLOW
    return [
        AclBinding(kind, name, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", operation, allow)
        for (kind, operation), names in zip(kinds, cells, strict=True)
        for name in names
    ]


@pytest.fixture
def given(guarded: GuardedBroker) -> Iterator[Callable[[str], str]]:
    """`given(row)`: the broker's address, at which clients now have the rights of this row and no others."""
    admin = AdminClient(guarded.admin)

    def give(row: str) -> str:
        for done in admin.create_acls(_rights(row)).values():
            done.result(30)
        return guarded.bootstrap

    yield give
    # None is any name, principal and host, which the types do not know.
    anything: Any = None
    kinds = ResourceType.ANY, anything, ResourcePatternType.ANY, anything, anything
    for done in admin.delete_acls([AclBindingFilter(*kinds, AclOperation.ANY, AclPermissionType.ANY)]).values():
        done.result(30)


def _event() -> dict[str, Any]:
    now_ms = time.time_ns() // 1_000_000
    event_id, generation_id = uuid7(now_ms), uuid7(now_ms)
    base = {"schema_version": 1, "occurred_at": now_ms, "app": "a", "type": "generation"}
    return {"event_id": event_id, "generation_id": generation_id, **base}


def _produce(guarded: GuardedBroker, count: int) -> None:
    """As an app would, with all rights; and one record that is refused."""
    producer = Producer(guarded.admin)
    for _ in range(count):
        event = _event()
        producer.produce(GENERATIONS.name, encode(event), event["generation_id"])
    producer.produce(GENERATIONS.name, b"no event")
    assert producer.flush(30) == 0


def _command(name: str, log: Path, *arguments: str, **env: str) -> ChildProcess:
    return ChildProcess(name, [sys.executable, "-m", "keeprate.deploy.cli", name, *arguments], log, env)


def _end_of(guarded: GuardedBroker, topic: str) -> int:
    consumer = Consumer({**guarded.admin, "group.id": "ends"})
    try:
        return int(consumer.get_watermark_offsets(TopicPartition(topic, 0), 10)[1])
    finally:
        consumer.close()


def _led(guarded: GuardedBroker, topic: str) -> bool:
    try:
        return _end_of(guarded, topic) >= 0
    except KafkaException:
        return False


def _grew(guarded: GuardedBroker, topic: str, offset: int) -> bool:
    return _end_of(guarded, topic) > offset


def _has_rows(client: Client, table: str) -> bool:
    return client.query(f"SELECT count() FROM {table}") != [(0,)]


def test_an_app_emits_and_does_no_more(guarded: GuardedBroker, given: Callable[[str], str], tmp_path: Path) -> None:
    """Its events are acknowledged; the rights of nobody are not enough."""
    before = _end_of(guarded, GENERATIONS.name)
    with Keeprate("a", brokers=given("apps"), spool_dir=tmp_path) as client:
        client.emit(_event())
    assert _end_of(guarded, GENERATIONS.name) == before + 1


def test_the_worker_joins(guarded: GuardedBroker, given: Callable[[str], str], tmp_path: Path) -> None:
    """It reads events and writes outcomes and dead letters."""
    before = {name: _end_of(guarded, name) for name in ("keeprate.outcomes", "keeprate.dead-letters")}
    worker = _command("worker", tmp_path / "log", KEEPRATE_BROKERS=given("worker"), KEEPRATE_DATA_DIR=str(tmp_path))
    with worker:
        _produce(guarded, 5)
        for name, offset in before.items():
            until(partial(_grew, guarded, name, offset), 60, f"{name}: {worker.log_tail()}")


def test_the_sink_lands(
    guarded: GuardedBroker, given: Callable[[str], str], store: StoreProcess, tmp_path: Path
) -> None:
    """Rows, and its own dead letters."""
    url = f"{store.url}/rights"
    migrate(url)
    _produce(guarded, 5)
    sink = _command("sink", tmp_path / "log", KEEPRATE_BROKERS=given("sink"), KEEPRATE_STORE_URL=url)
    with sink, connect(url) as client:
        for table in ("generations", "dead_letters"):
            until(partial(_has_rows, client, table), 60, sink.log_tail())


def test_the_collector_publishes(guarded: GuardedBroker, given: Callable[[str], str], tmp_path: Path) -> None:
    """And it knows the names of recent generations."""
    port, before = free_port(), _end_of(guarded, GENERATIONS.name)
    env = {"KEEPRATE_BROKERS": given("collector"), "KEEPRATE_DATA_DIR": str(tmp_path)}
    collector = _command("collector", tmp_path / "log", "--no-keys", "--port", str(port), **env)
    with collector:
        url = f"http://127.0.0.1:{port}"
        collector.wait_ready(lambda: _answers(f"{url}/readyz"), 60)
        event = {"type": "generation", "app": "a", "generation_id": uuid7(time.time_ns() // 1_000_000)}
        request = urllib.request.Request(
            f"{url}/v1/events", json.dumps([event]).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.load(answer)["accepted"] == 1
    assert _end_of(guarded, GENERATIONS.name) == before + 1


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_the_monitor_and_verify_read(given: Callable[[str], str], store: StoreProcess, tmp_path: Path) -> None:
    """Progress of the groups, and a verification of all that was landed."""
    bootstrap = given("monitor")
    assert Offsets(bootstrap, (JOIN_GROUP, SINK_GROUP)).read() is not None
    url = f"{store.url}/rights_verified"
    migrate(url)
    env = {"KEEPRATE_BROKERS": bootstrap, "KEEPRATE_STORE_URL": url}
    verify = _command("verify", tmp_path / "log", "--json", **env)
    verify.start()
    until(lambda: not verify.running, 60, "verify")
    assert "AUTHORIZATION" not in verify.log_tail(200).upper()
    assert verify.returncode == 0, verify.log_tail()
