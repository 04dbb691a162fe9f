"""Creating the topics, and checking that those that exist keep the contract of schemas/topics.py.

The only module of deploy/ that knows Kafka's admin client.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Final, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from confluent_kafka.cimpl import NewTopic

from keeprate.schemas.access.brokers import security
from keeprate.schemas.topics import ALL, DEFAULT_PARTITIONS, Topic

_TIMEOUT_S: Final = 20.0

_T = TypeVar("_T")


class TopicsError(Exception):
    """The topics are not there, or not as they must be; the message names the remedy."""


@dataclass(frozen=True)
class TopicsPlan:
    """What there is to do. partitions: the count of every topic, that of the existing ones where there are some."""

    missing: tuple[Topic, ...]
    existing: tuple[Topic, ...]
    partitions: int


@dataclass(frozen=True)
class SettingDifference:
    """A setting of a topic that is not as the contract has it."""

    topic: str
    setting: str
    found: str
    wanted: str


def plan(
    existing: Mapping[str, int],
    partitions: int | None,
    topics: Sequence[Topic] = ALL,
    by_default: int = DEFAULT_PARTITIONS,
) -> TopicsPlan:
    """Compare what exists, partition count by name, with the contract.

    partitions: the count that is wished for; None takes that of the existing topics, else `by_default`. Raises
    TopicsError when the counts differ: a key would be in different partitions of two topics, and no join would find it.
    """
    found = {topic.name: existing[topic.name] for topic in topics if topic.name in existing}
    counts = set(found.values()) | ({partitions} if partitions else set())
    if len(counts) > 1:
        listed = ", ".join(f"{name} {count}" for name, count in found.items())
        wished = f", and --partitions {partitions} was asked for" if partitions else ""
        raise TopicsError(
            f"the topics must have one partition count, fixed for life: {listed}{wished}. "
            "Drain and delete the topics that differ, or ask for the count that exists"
        )
    return TopicsPlan(
        missing=tuple(topic for topic in topics if topic.name not in found),
        existing=tuple(topic for topic in topics if topic.name in found),
        partitions=counts.pop() if counts else by_default,
    )


def create_topics(
    brokers: str,
    partitions: int | None = None,
    replication: int = 1,
    insync: int | None = None,
    by_default: int = DEFAULT_PARTITIONS,
) -> TopicsPlan:
    """Create what is missing and return what was done. Safe to run by many at once. Raises TopicsError.

    replication: copies of each partition. insync: how many of them must have a record before it is acknowledged; by
    default all but one, so that one broker may be away.
    """
    kept = {"min.insync.replicas": str(insync or max(1, replication - 1))} if replication > 1 or insync else {}
    admin = _admin(brokers)
    todo = plan(_partition_counts(admin, brokers), partitions, by_default=by_default)
    new = [
        NewTopic(topic.name, todo.partitions, replication, config={**topic.config, **kept}) for topic in todo.missing
    ]
    for name, done in (admin.create_topics(new, operation_timeout=_TIMEOUT_S) if new else {}).items():
        try:
            done.result(_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise TopicsError(f"{name}: {error.args[0].str()}") from error
    # Somebody else may have created some of them meanwhile, with another count.
    plan(_partition_counts(admin, brokers), todo.partitions)
    return todo


def compare(found: Mapping[str, Mapping[str, str]]) -> tuple[SettingDifference, ...]:
    """What differs from the contract in the settings of the topics found, by topic and setting."""
    return tuple(
        SettingDifference(topic.name, setting, settings.get(setting, ""), wanted)
        for topic in ALL
        if (settings := found.get(topic.name)) is not None
        for setting, wanted in topic.config.items()
        # A cleanup policy is a list, and a broker gives it in the order in which it was set.
        if sorted(settings.get(setting, "").split(",")) != sorted(wanted.split(","))
    )


def differences(brokers: str) -> tuple[SettingDifference, ...]:
    """Compare the settings of the topics that exist with the contract. Raises TopicsError."""
    return compare(settings(brokers))


def settings(brokers: str) -> dict[str, dict[str, str]]:
    """The settings of the topics that exist, by topic and name. Raises TopicsError."""
    admin = _admin(brokers)
    names = _partition_counts(admin, brokers).keys() & {topic.name for topic in ALL}
    asked = admin.describe_configs([ConfigResource(ResourceType.TOPIC, name) for name in sorted(names)])
    answers = {of.name: _answer(answer, f"{of.name}: its settings could not be read") for of, answer in asked.items()}
    return {topic: {name: entry.value or "" for name, entry in entries.items()} for topic, entries in answers.items()}


def configure(brokers: str, wanted: Sequence[SettingDifference]) -> None:
    """Set what differs as the contract has it, and leave all else. Raises TopicsError."""
    if not wanted:
        return
    entries: dict[str, list[ConfigEntry]] = {}
    for each in wanted:
        entry = ConfigEntry(each.setting, each.wanted, incremental_operation=AlterConfigOpType.SET)
        entries.setdefault(each.topic, []).append(entry)
    changes = [ConfigResource(ResourceType.TOPIC, name, incremental_configs=them) for name, them in entries.items()]
    # Held by name: what is asked of a client that goes away is never answered.
    admin = _admin(brokers)
    for of, done in admin.incremental_alter_configs(changes).items():
        _answer(done, f"{of.name}: its settings could not be set")


def _admin(brokers: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": brokers, "log_level": 0, **security(brokers)})


def _answer(asked: "Future[_T]", failed: str) -> _T:
    try:
        return asked.result(_TIMEOUT_S)
    except KafkaException as error:
        raise TopicsError(f"{failed}: {error.args[0].str()}") from error


def _partition_counts(admin: AdminClient, brokers: str) -> dict[str, int]:
    try:
        metadata = admin.list_topics(timeout=_TIMEOUT_S)
    except KafkaException as error:
        raise TopicsError(f"no broker at {brokers}: {error.args[0].str()}; is KEEPRATE_BROKERS right?") from error
    return {name: len(topic.partitions) for name, topic in metadata.topics.items()}
