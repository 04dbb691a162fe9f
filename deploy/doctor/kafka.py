"""Kafka: whether it answers, its topics are as they must be, and the principal that asks has its rights."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from keeprate.deploy import topics as contract
from keeprate.deploy.doctor.findings import Diagnosis, fault, note, ok
from keeprate.deploy.settings import TopicSettings
from keeprate.schemas.access.brokers import security
from keeprate.schemas.topics import ALL, DEAD_LETTERS, FEEDBACK, GENERATIONS, OUTCOMES

_TIMEOUT_S: Final = 8.0
_SOURCES: Final = (GENERATIONS.name, FEEDBACK.name)
RIGHTS: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "app": {"WRITE": frozenset(_SOURCES)},
    "collector": {"READ": frozenset({GENERATIONS.name}), "WRITE": frozenset(_SOURCES)},
    "worker": {
        "READ": frozenset({*_SOURCES, OUTCOMES.name}),
        "WRITE": frozenset({OUTCOMES.name, DEAD_LETTERS.name}),
    },
    "sink": {"READ": frozenset(topic.name for topic in ALL), "WRITE": frozenset({DEAD_LETTERS.name})},
    "monitor": {"READ": frozenset(topic.name for topic in ALL)},
}
"""By process: topics by what it does to them, as the table of docs/security.md has it."""


def check(brokers: str, wanted: TopicSettings, process: str | None) -> Iterator[Diagnosis]:
    """Ask the brokers. process: whose rights the principal that asks must have, None for nobody's."""
    said: list[str] = []
    settings = {"bootstrap.servers": brokers, "log_level": 0, **security(brokers)}
    admin = AdminClient(settings | {"error_cb": lambda error: said.append(f"{error.name()}: {error.str()}")})
    try:
        metadata = admin.list_topics(timeout=_TIMEOUT_S)
    except KafkaException as error:
        # What went wrong with the connections is told when the client is polled, not before.
        admin.poll(0.5)
        yield fault("kafka", f"{brokers}: {said[0] if said else error.args[0].str()}", _remedy(said))
        return
    yield ok("kafka", f"{len(metadata.brokers)} brokers at {brokers}")
    there = {topic.name: metadata.topics[topic.name] for topic in ALL if topic.name in metadata.topics}
    yield from existing({name: len(topic.partitions) for name, topic in there.items()})
    copies = {name: min(len(part.replicas) for part in topic.partitions.values()) for name, topic in there.items()}
    yield from replicated(copies, wanted.replication, len(metadata.brokers))
    yield from _configured(brokers)
    if process is not None and there:
        yield from _rights(admin, there, process)


def existing(partitions: Mapping[str, int]) -> Iterator[Diagnosis]:
    """What is to be said of the topics that there are, by their partitions. Pure."""
    missing = [topic.name for topic in ALL if topic.name not in partitions]
    if missing:
        yield fault("kafka topics", f"missing: {', '.join(missing)}", "keeprate topics create")
    elif len(set(partitions.values())) > 1:
        counts = ", ".join(f"{name} {count}" for name, count in partitions.items())
        yield fault("kafka topics", f"partitions differ: {counts}", "drain, delete and make anew those that differ")
    else:
        yield ok("kafka topics", f"all {len(partitions)}, with {next(iter(partitions.values()))} partitions each")


def replicated(copies: Mapping[str, int], wanted: int, brokers: int) -> Iterator[Diagnosis]:
    """What is to be said of the copies of partitions. Pure."""
    few = [f"{name} {count}" for name, count in copies.items() if count < wanted]
    if few:
        remedy = "kafka-reassign-partitions.sh adds copies to a topic; docs/operations.md"
        yield fault("kafka replication", f"{wanted} copies are wanted: {', '.join(few)}", remedy)
    elif copies and min(copies.values()) == 1 and brokers > 1:
        remedy = "set KEEPRATE_TOPICS_REPLICATION=3 before topics are made"
        yield note("kafka replication", f"one copy of each partition on {brokers} brokers", remedy)
    elif copies:
        yield ok("kafka replication", f"{min(copies.values())} copies of each partition")


def _configured(brokers: str) -> Iterator[Diagnosis]:
    try:
        differing = contract.differences(brokers)
    except contract.TopicsError as error:
        yield note("kafka settings", str(error), "allow DescribeConfigs to who asks, or ask as an administrator")
        return
    for each in differing:
        said = f"{each.topic}: {each.setting} is {each.found or 'not set'}, Keeprate's is {each.wanted}"
        yield note("kafka settings", said, "keeprate topics create --configure, unless it is meant")
    if not differing:
        yield ok("kafka settings", "retention, compaction and sizes are as they must be")


def _rights(admin: AdminClient, there: Iterable[str], process: str) -> Iterator[Diagnosis]:
    asked = admin.describe_topics(
        TopicCollection(list(there)), include_authorized_operations=True, request_timeout=_TIMEOUT_S
    )
    allowed: dict[str, frozenset[str]] = {}
    for name, answer in asked.items():
        try:
            described: Any = answer.result(_TIMEOUT_S)
        except KafkaException:
            allowed[name] = frozenset()
            continue
        allowed[name] = frozenset(operation.name for operation in described.authorized_operations or ())
    yield from lacking(allowed, process)


def lacking(allowed: Mapping[str, frozenset[str]], process: str) -> Iterator[Diagnosis]:
    """What a process needs and may not do, by the operations that it is allowed on each topic. Pure."""
    lacks = [
        f"{operation} on {name}"
        for operation, names in RIGHTS[process].items()
        for name in sorted(names)
        if not allowed.get(name, frozenset()) & {operation, "ALL"}
    ]
    if lacks:
        yield fault("kafka rights", f"a {process} lacks {', '.join(lacks)}", "docs/security.md, Rights in Kafka")
    else:
        yield ok("kafka rights", f"those of a {process}, on topics")


def _remedy(said: list[str]) -> str:
    if any("AUTHENTICATION" in word for word in said):
        return "KEEPRATE_KAFKA_SASL, _USERNAME and _PASSWORD: is the user known to the brokers?"
    if any("SSL" in word for word in said):
        return "KEEPRATE_KAFKA_TLS and _CA_FILE: does the listener speak TLS, and who signed its certificate?"
    return "is KEEPRATE_BROKERS right, and does the listener speak what KEEPRATE_KAFKA_TLS says?"
