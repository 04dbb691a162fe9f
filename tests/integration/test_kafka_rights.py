"""Each process runs over TLS with the rights in Kafka that docs/security.md gives it: the broker refuses all others.

By SCRAM and by a certificate of its own; where a client other than librdkafka fetches, by a token too.
"""

import json
import re
import sys
import time
import urllib.error
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
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from confluent_kafka.cimpl import NewTopic
from typer.testing import CliRunner

from keeprate.deploy.commands.tree import app
from keeprate.deploy.local.process import ChildProcess, free_port
from keeprate.deploy.monitor import catalogue
from keeprate.deploy.offsets import Offsets
from keeprate.deploy.store import StoreProcess
from keeprate.producers import environment
from keeprate.producers.sdk.client import Keeprate
from keeprate.schemas.decode import encode
from keeprate.schemas.ids import uuid7
from keeprate.schemas.topics import ALL, GENERATIONS, JOIN_GROUP, SINK_GROUP
from keeprate.sinks.store.clickhouse import Client, connect
from keeprate.sinks.tables.migrate import migrate
from tests import secured_store
from tests.certificates import CLIENT, make
from tests.guarded_broker import PASSWORD, GuardedBroker
from tests.landing import until
from tests.secured_store import secured

WAYS: Final = ("SCRAM-SHA-512", "certificate")
DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "security.md"


@pytest.fixture(scope="module")
def guarded(
    kafka_runs: None, require: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[GuardedBroker]:
    """It, with the topics and a user."""
    certificates = make(tmp_path_factory.mktemp("certificates"), require("openssl"))
    with GuardedBroker(tmp_path_factory.mktemp("guarded"), certificates) as broker:
        new = [NewTopic(topic.name, num_partitions=1, config=dict(topic.config)) for topic in ALL]
        admin = AdminClient(broker.admin)
        scram = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        user = UserScramCredentialUpsertion(CLIENT, scram, PASSWORD.encode())
        for done in (*admin.create_topics(new).values(), *admin.alter_user_scram_credentials([user]).values()):
            done.result(30)
        for topic in ALL:
            until(partial(_led, broker, topic.name), 30, f"a leader of {topic.name}")
        yield broker


@pytest.fixture(scope="module")
def front(guarded: GuardedBroker, store: StoreProcess) -> Iterator[str]:
    """The store over TLS too, without a database."""
    with secured(store, guarded.certificates) as address:
        yield address


def access(broker: GuardedBroker, way: str, secret: Path) -> dict[str, str]:
    """The environment of a process that is let in this way. secret: where a password goes."""
    certificates = broker.certificates
    over_tls = {"KEEPRATE_KAFKA_TLS": "true", "KEEPRATE_KAFKA_CA_FILE": str(certificates.ca)}
    if way == "certificate":
        files = {"CERTIFICATE_FILE": certificates.client, "KEY_FILE": certificates.client_key}
        own = {f"KEEPRATE_KAFKA_{name}": str(path) for name, path in files.items()}
        return {"KEEPRATE_BROKERS": f"127.0.0.1:{broker.ports['MUTUAL']}", **over_tls, **own}
    login = {"KEEPRATE_BROKERS": f"127.0.0.1:{broker.ports['LOGIN']}", "KEEPRATE_KAFKA_SASL": way, **over_tls}
    if way == "OAUTHBEARER":
        hook = {"KEEPRATE_KAFKA_TOKEN_HOOK": "unsigned_token:unsigned", "PYTHONPATH": str(Path(__file__).parents[1])}
        return login | hook
    secret.write_text(PASSWORD + "\n")
    return login | {"KEEPRATE_KAFKA_USERNAME": CLIENT, "KEEPRATE_KAFKA_PASSWORD_FILE": str(secret)}


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
        AclBinding(kind, name, ResourcePatternType.LITERAL, f"User:{CLIENT}", "*", operation, allow)
        for (kind, operation), names in zip(kinds, cells, strict=True)
        for name in names
    ]


@pytest.fixture
def given(
    guarded: GuardedBroker, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[str], None]]:
    """`given(row)`: this process and its children are let in as the test's parameter says, with the rights of this row
    and no others."""
    admin = AdminClient(guarded.admin)
    monkeypatch.syspath_prepend(Path(__file__).parents[1])
    for name, value in access(guarded, request.param, tmp_path / "secret").items():
        monkeypatch.setenv(name, value)

    def give(row: str) -> None:
        for done in admin.create_acls(_rights(row)).values():
            done.result(30)

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


def _places(guarded: GuardedBroker, group: str) -> list[str | None]:
    """The names of a group's members, of which one that leaves is none any more."""
    admin = AdminClient(guarded.admin)
    described = admin.describe_consumer_groups([group])[group].result(30)
    return [member.group_instance_id for member in described.members]


def _has_rows(client: Client, table: str) -> bool:
    return client.query(f"SELECT count() FROM {table}") != [(0,)]


@pytest.mark.parametrize("given", [*WAYS, "PLAIN", "OAUTHBEARER"], indirect=True)
def test_an_app_emits_and_does_no_more(guarded: GuardedBroker, given: Callable[[str], None], tmp_path: Path) -> None:
    """Its events are acknowledged; the rights of nobody are not enough."""
    before = _end_of(guarded, GENERATIONS.name)
    given("apps")
    with Keeprate("a", spool_dir=tmp_path) as client:
        client.emit(_event())
    assert _end_of(guarded, GENERATIONS.name) == before + 1


@pytest.mark.parametrize("given", [*WAYS, "OAUTHBEARER"], indirect=True)
def test_the_worker_joins(guarded: GuardedBroker, given: Callable[[str], None], tmp_path: Path) -> None:
    """It reads events and writes outcomes and dead letters. As it has a name, its place waits when it has ended."""
    before = {name: _end_of(guarded, name) for name in ("keeprate.outcomes", "keeprate.dead-letters")}
    given("worker")
    worker = _command("worker", tmp_path / "log", "--instance", "worker-0", KEEPRATE_DATA_DIR=str(tmp_path))
    with worker:
        _produce(guarded, 5)
        for name, offset in before.items():
            until(partial(_grew, guarded, name, offset), 60, f"{name}: {worker.log_tail()}")
        assert worker.terminate() == 0
    assert _places(guarded, JOIN_GROUP) == ["worker-0"]


@pytest.mark.parametrize("given", WAYS, indirect=True)
def test_the_sink_lands(
    guarded: GuardedBroker, given: Callable[[str], None], store: StoreProcess, front: str, tmp_path: Path
) -> None:
    """Rows, and its own dead letters, in a store over TLS. Its place waits for it, too."""
    # What another way's sink landed is not there.
    database = f"rights_{uuid7().replace('-', '')}"
    url = f"{store.url}/{database}"
    migrate(url)
    _produce(guarded, 5)
    given("sink")
    told = secured_store.access(f"{front}/{database}", store, guarded.certificates, tmp_path)
    sink = _command("sink", tmp_path / "log", "--instance", "sink-0", **told)
    with sink, connect(url) as client:
        for table in ("generations", "dead_letters"):
            until(partial(_has_rows, client, table), 60, sink.log_tail())
        assert sink.terminate() == 0
    assert _places(guarded, SINK_GROUP) == ["sink-0"]


@pytest.mark.parametrize("given", WAYS, indirect=True)
def test_the_collector_publishes(guarded: GuardedBroker, given: Callable[[str], None], tmp_path: Path) -> None:
    """And it knows the names of recent generations."""
    before = _end_of(guarded, GENERATIONS.name)
    given("collector")
    collector, url = _collector(tmp_path)
    with collector:
        collector.wait_ready(lambda: _answers(f"{url}/readyz"), 60)
        assert _posted(url)["accepted"] == 1
    assert _end_of(guarded, GENERATIONS.name) == before + 1


@pytest.mark.parametrize("given", WAYS[:1], indirect=True)
def test_a_collector_publishes_once_it_may(
    guarded: GuardedBroker, given: Callable[[str], None], tmp_path: Path
) -> None:
    """What it was refused for want of a right goes through once the right is given, without a restart."""
    before = _end_of(guarded, GENERATIONS.name)
    given("monitor")
    collector, url = _collector(tmp_path)
    with collector:
        collector.wait_ready(lambda: _answers(f"{url}/healthz"), 60)
        until(lambda: "authorization failed" in _posted(url).get("reason", ""), 30, "a refusal that says why")
        assert not _answers(f"{url}/readyz")
        given("collector")
        until(lambda: _posted(url).get("accepted") == 1, 60, collector.log_tail())
        collector.wait_ready(lambda: _answers(f"{url}/readyz"), 60)
    assert _end_of(guarded, GENERATIONS.name) == before + 1


@pytest.mark.parametrize("given", WAYS[:1], indirect=True)
def test_an_app_emits_once_it_may(guarded: GuardedBroker, given: Callable[[str], None], tmp_path: Path) -> None:
    """Events are kept until the right is given, and go out then."""
    before = _end_of(guarded, GENERATIONS.name)
    given("monitor")
    with Keeprate("a", spool_dir=tmp_path) as client:
        client.emit(_event())
        assert client.flush(8) == 1
        given("apps")
        until(lambda: client.flush(1) == 0, 60, "the event")
    assert _end_of(guarded, GENERATIONS.name) == before + 1


def _collector(directory: Path) -> tuple[ChildProcess, str]:
    """One without keys, not yet started, and where it will answer."""
    port = str(free_port())
    log = directory / "log"
    process = _command("collector", log, "--no-keys", "--port", port, KEEPRATE_DATA_DIR=str(directory))
    return process, f"http://127.0.0.1:{port}"


def _posted(url: str) -> Any:
    event = {"type": "generation", "app": "a", "generation_id": uuid7(time.time_ns() // 1_000_000)}
    request = urllib.request.Request(
        f"{url}/v1/events", json.dumps([event]).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.parametrize("given", WAYS, indirect=True)
def test_the_monitor_and_verify_read(given: Callable[[str], None], store: StoreProcess, tmp_path: Path) -> None:
    """Progress of the groups, and a verification of all that was landed."""
    given("monitor")
    assert Offsets(environment.brokers(), (JOIN_GROUP, SINK_GROUP)).read() is not None
    url = f"{store.url}/rights_verified"
    migrate(url)
    verify = _command("verify", tmp_path / "log", "--json", KEEPRATE_STORE_URL=url)
    verify.start()
    until(lambda: not verify.running, 60, "verify")
    assert "AUTHORIZATION" not in verify.log_tail(200).upper()
    assert verify.returncode == 0, verify.log_tail()


@pytest.mark.parametrize("given", WAYS, indirect=True)
def test_the_monitor_serves(
    guarded: GuardedBroker, given: Callable[[str], None], store: StoreProcess, front: str, tmp_path: Path
) -> None:
    """As a process, with Kafka and the store over TLS: each of its sources was read, and the last hours verified."""
    database = f"watched_{uuid7().replace('-', '')}"
    migrate(f"{store.url}/{database}")
    given("monitor")
    told = secured_store.access(f"{front}/{database}", store, guarded.certificates, tmp_path)
    port = free_port()
    arguments = ("--port", str(port), "--every", "1", "--verify-every", "600")
    with _command("monitor", tmp_path / "log", *arguments, **told) as monitor:
        monitor.wait_ready(lambda: _has_read(port), 60)


_READ: Final = {
    *(f'{catalogue.LAST_SUCCESS.name}{{source="{source}"}}' for source in ("kafka", "store", "drift", "releases")),
    catalogue.VERIFY_SUCCESS.name,
}
"""Series that say when each source was last read, and the past verified."""


def _has_read(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            samples = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line[0] != "#")
    except OSError:
        return False
    return all(float(samples[series]) > 0 for series in _READ)


def _examined(*arguments: str) -> dict[str, list[dict[str, str]]]:
    """What the doctor says, by subject."""
    said = CliRunner().invoke(app, ["doctor", "--json", *arguments]).stdout.splitlines()
    found: dict[str, list[dict[str, str]]] = {}
    for each in map(json.loads, said):
        found.setdefault(each["subject"], []).append(each)
    return found


@pytest.mark.parametrize("given", ["SCRAM-SHA-512"], indirect=True)
def test_the_doctor_says_what_is_wrong_and_what_to_do(
    given: Callable[[str], None], store: StoreProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rights that lack, tables that are not there, and a password that is wrong, each by its name."""
    given("sink")
    url = f"{store.url}/examined"
    found = _examined("--process", "sink", "--store", url)
    assert found["kafka"][0]["state"] == found["kafka topics"][0]["state"] == "ok"
    assert found["kafka rights"][0]["state"] == "ok", found
    assert found["store"][-1]["remedy"].startswith("keeprate migrate")
    migrate(url)
    found = _examined("--process", "worker", "--store", url)
    assert "WRITE on keeprate.outcomes" in found["kafka rights"][0]["said"]
    assert found["store tables"][0]["state"] == found["clocks"][0]["state"] == "ok"
    monkeypatch.delenv("KEEPRATE_KAFKA_PASSWORD_FILE")
    monkeypatch.setenv("KEEPRATE_KAFKA_PASSWORD", "another")
    (kafka,) = _examined("--store", url)["kafka"]
    assert kafka["state"] == "fault"
    assert "is the user known" in kafka["remedy"], kafka
