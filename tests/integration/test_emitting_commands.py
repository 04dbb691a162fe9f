"""The commands that emit, against a real broker: what they say they sent is there, and again adds no identity."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from confluent_kafka import Consumer, TopicPartition

from keeprate.deploy.local import stack
from keeprate.deploy.local.broker import KafkaBroker
from keeprate.schemas.decode import ContractError, decode
from keeprate.schemas.events import Evaluation
from keeprate.schemas.topics import SOURCES
from tests.repositories import Repository


def keeprate(broker: KafkaBroker, directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command against a broker, with its state in a directory."""
    env = os.environ | {"KEEPRATE_BROKERS": broker.bootstrap, "KEEPRATE_DATA_DIR": str(directory / "data")}
    command = stack.keeprate(*arguments)
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=100, check=False)


def records(broker: KafkaBroker) -> list[bytes]:
    """Everything in the topics that apps write to."""
    consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "test"})
    values: list[bytes] = []
    for topic in SOURCES:
        for partition in consumer.list_topics(topic.name, timeout=10).topics[topic.name].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic.name, partition), timeout=10)
            consumer.assign([TopicPartition(topic.name, partition, low)])
            left = high - low
            while left:
                for record in consumer.consume(left, timeout=10):
                    values.append(record.value() or b"")
                    left -= 1
    consumer.close()
    return values


def test_a_repository_lands_once(empty_broker: KafkaBroker, tmp_path: Path) -> None:
    """What the summary counts is in Kafka; a second import sends nothing, and one --again no new id."""
    repository = Repository(tmp_path / "project.git")
    for day in range(0, 200, 10):
        repository.commit(day, {f"{day % 40}.py": b"".join(b"%d\n" % (n + day) for n in range(9))})
    repository.write()
    first = keeprate(empty_broker, tmp_path, "import", "git", str(repository.path), "--json")
    assert first.returncode == 0, first.stderr
    summary = json.loads(first.stdout)
    assert summary["app"] == "git-project"
    landed = records(empty_broker)
    assert len(landed) == summary["events"]

    assert keeprate(empty_broker, tmp_path, "import", "git", str(repository.path), "--json").stdout == first.stdout
    assert len(records(empty_broker)) == len(landed)

    keeprate(empty_broker, tmp_path, "import", "git", str(repository.path), "--again")
    again = records(empty_broker)
    assert len(again) == 2 * len(landed)
    assert {decode(value)["event_id"] for value in again} == {decode(value)["event_id"] for value in landed}


def test_a_file_of_events_lands_but_for_its_bad_lines(empty_broker: KafkaBroker, tmp_path: Path) -> None:
    """They are in the file of rejects, with exit code 1."""
    repository = Repository(tmp_path / "project.git")
    repository.commit(0, {"a.py": b"one\n"})
    repository.commit(10, {"a.py": b"two\n"})
    repository.write()
    file, rejects = tmp_path / "events.ndjson", tmp_path / "rejects.ndjson"
    written = keeprate(empty_broker, tmp_path, "import", "git", str(repository.path), "--out", str(file))
    assert written.returncode == 0, written.stderr
    good = len(file.read_bytes().splitlines())
    file.write_bytes(file.read_bytes() + b'{"type": "vote"\n')
    done = keeprate(empty_broker, tmp_path, "import", "events", str(file), "--rejects", str(rejects), "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "lines": good + 1,
        "events": good,
        "rejected": 1,
        "rejected_by_field": {"not_json": 1},
    }
    assert json.loads(rejects.read_text())["line"] == good + 1
    assert len(records(empty_broker)) == good


def test_the_demo_tells_its_history_once(empty_broker: KafkaBroker, tmp_path: Path) -> None:
    """Bad records only where they were asked for; a second start sends what is due since, the same world going on."""
    options = ("--no-live", "--days", "3", "--events", "3000", "--poison")
    first = keeprate(empty_broker, tmp_path, "demo", *options)
    assert first.returncode == 0, first.stderr
    landed = records(empty_broker)
    bad = [value for value in landed if not _is_event(value)]
    # About: how much three days hold depends on which days of the week they are.
    assert 1500 < len(landed) < 6000
    assert 3 < len(bad) < 20
    ids = {decode(value)["event_id"] for value in landed if _is_event(value)}

    assert keeprate(empty_broker, tmp_path, "demo", *options).returncode == 0
    later = records(empty_broker)
    assert len(later) - len(landed) < len(landed) / 10
    assert ids <= {decode(value)["event_id"] for value in later if _is_event(value)}


def test_results_of_cases_land_once(empty_broker: KafkaBroker, tmp_path: Path) -> None:
    """As evaluations of the suggestion, and sending them again adds no identity."""
    source = {"generation_id": "0197c0de-0000-7000-8000-000000000001", "choice_index": 1}
    case = {"case": "c1", "app": "desk", "source": source, "checks": [{"check": "contains", "text": "14"}]}
    suite = tmp_path / "s.jsonl"
    suite.write_text(json.dumps(case))
    command = f"{sys.executable} -c print(30)"
    done = keeprate(
        empty_broker, tmp_path, "cases", "run", str(suite), "--command", command, "--version", "v4", "--json"
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["failed"], told["sent"]) == (1, 1)
    (event,) = (cast(Evaluation, decode(value)) for value in records(empty_broker))
    assert (event["app"], event["generation_id"], event["choice_index"]) == ("desk", source["generation_id"], 1)
    assert (event["type"], event["name"], event["label"], event["value"]) == ("evaluation", "case", "failed", 0)
    assert event["attributes"] == {"case": "c1", "suite": "s", "run": told["run"], "version": "v4"}
    again = keeprate(empty_broker, tmp_path, "cases", "run", str(suite), "--send-only")
    assert again.returncode == 0, again.stderr
    assert [decode(value)["event_id"] for value in records(empty_broker)] == [event["event_id"]] * 2


def _is_event(value: bytes) -> bool:
    try:
        decode(value)
    except ContractError:
        return False
    return True


@pytest.mark.slow
def test_without_a_broker_the_remedy_is_named(tmp_path: Path) -> None:
    """One line on standard error, and no traceback."""
    env = os.environ | {"KEEPRATE_BROKERS": "127.0.0.1:1", "KEEPRATE_DATA_DIR": str(tmp_path)}
    command = stack.keeprate("demo")
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1
    assert "KEEPRATE_BROKERS" in done.stderr
    assert "Traceback" not in done.stderr
