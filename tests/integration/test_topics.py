"""`keeprate topics create` on a real broker: what it makes, what it finds different, and what it sets."""

import json
from typing import Any

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from typer.testing import CliRunner

from keeprate.deploy.commands.tree import app
from keeprate.deploy.local.broker import KafkaBroker
from keeprate.schemas.topics import ALL, OUTCOMES


def create(broker: KafkaBroker, *options: str) -> Any:
    """Run the command and read its answer."""
    done = CliRunner().invoke(app, ["topics", "create", "--json", "--brokers", broker.bootstrap, *options])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_a_topic_that_the_broker_made_by_itself_is_told_of_and_set(empty_broker: KafkaBroker) -> None:
    """Its records would go after a week, uncompacted: that is shown, left without --configure, and set with it."""
    made = NewTopic(OUTCOMES.name, 2, 1, config={"retention.ms": "604800000", "segment.ms": "3600000"})
    admin = AdminClient({"bootstrap.servers": empty_broker.bootstrap})
    admin.create_topics([made])[OUTCOMES.name].result(20)
    first, second = create(empty_broker), create(empty_broker)
    assert (first["partitions"], first["existing"]) == (2, [OUTCOMES.name])
    assert len(first["created"]) == len(ALL) - 1
    assert {(each["topic"], each["setting"]) for each in first["differs"]} == {
        (OUTCOMES.name, setting) for setting in OUTCOMES.config
    }
    assert second["differs"] == first["differs"]
    assert create(empty_broker, "--configure")["differs"] == first["differs"]
    assert create(empty_broker)["differs"] == []


def test_the_topics_it_makes_are_as_it_wants_them(empty_broker: KafkaBroker) -> None:
    """Every setting that is asked for is what the broker then answers."""
    assert create(empty_broker)["differs"] == []
