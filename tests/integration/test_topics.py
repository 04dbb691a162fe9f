"""`keeprate topics create` on a real broker: what it makes, what it finds different, and what it sets."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from keeprate.deploy.broker import KafkaBroker
from keeprate.schemas.topics import ALL, OUTCOMES

COMMAND = str(Path(sys.executable).with_name("keeprate"))

pytestmark = pytest.mark.kafka


@pytest.fixture
def broker(kafka: KafkaBroker, tmp_path: Path) -> Iterator[KafkaBroker]:
    """One without topics; `kafka` decides whether there can be one."""
    with KafkaBroker(tmp_path / "kafka") as own:
        yield own


def create(broker: KafkaBroker, *options: str) -> Any:
    """Run the command and read its answer."""
    env = os.environ | {"KEEPRATE_BROKERS": broker.bootstrap}
    command = [COMMAND, "topics", "create", "--json", *options]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_topic_that_the_broker_made_by_itself_is_told_of_and_set(broker: KafkaBroker) -> None:
    """Its records would go after a week, uncompacted: that is shown, left without --configure, and set with it."""
    made = NewTopic(OUTCOMES.name, 2, 1, config={"retention.ms": "604800000", "segment.ms": "3600000"})
    admin = AdminClient({"bootstrap.servers": broker.bootstrap})
    admin.create_topics([made])[OUTCOMES.name].result(20)
    first, second = create(broker), create(broker)
    assert (first["partitions"], first["existing"]) == (2, [OUTCOMES.name])
    assert len(first["created"]) == len(ALL) - 1
    assert {(each["topic"], each["setting"]) for each in first["differs"]} == {
        (OUTCOMES.name, setting) for setting in OUTCOMES.config
    }
    assert second["differs"] == first["differs"]
    assert create(broker, "--configure")["differs"] == first["differs"]
    assert create(broker)["differs"] == []


def test_the_topics_it_makes_are_as_it_wants_them(broker: KafkaBroker) -> None:
    """Every setting that is asked for is what the broker then answers."""
    assert create(broker)["differs"] == []
