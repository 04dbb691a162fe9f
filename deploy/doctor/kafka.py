"""Kafka: whether it answers, its topics are as they must be, and the principal that asks has its rights."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from keeprate.deploy import topics as contract
from keeprate.deploy.doctor.findings import Diagnosis, fault, note, ok
from keeprate.deploy.settings import TopicSettings
from keeprate.schemas.access.brokers import security
from keeprate.schemas.topics import (
    ALL,
    DEAD_LETTERS,
    FEEDBACK,
    GENERATIONS,
    JOIN_GROUP,
    OUTCOMES,
    READER_GROUP,
    SINK_GROUP,
)

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
GROUPS: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "app": {},
    "collector": {"DESCRIBE": frozenset({READER_GROUP})},
    "worker": {"READ": frozenset({JOIN_GROUP})},
    "sink": {"READ": frozenset({SINK_GROUP})},
    "monitor": {"DESCRIBE": frozenset({JOIN_GROUP, SINK_GROUP, READER_GROUP})},
}
"""Likewise: groups."""


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
    yield from _configured(brokers, copies)
    if there:
        yield from _new_enough(admin, min(there))
        if process is not None:
            yield from lacking(_topic_rights(admin, there), RIGHTS[process], f"a {process}", "topics")
            yield from _group_rights(admin, process)


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


def insync(least: Mapping[str, int], copies: Mapping[str, int]) -> Iterator[Diagnosis]:
    """What is to be said of `min.insync.replicas`, by topic, against the copies that there are. Pure."""
    subject, remedy = "kafka acknowledgements", "kafka-configs.sh --alter --add-config min.insync.replicas=…"
    wrong = [f"{name} {wanted} of {copies[name]}" for name, wanted in least.items() if wanted > copies[name]]
    tight = [name for name, wanted in least.items() if wanted == copies[name] > 1]
    loose = [name for name, wanted in least.items() if wanted == 1 and copies[name] > 2]
    if wrong:
        said = f"no record can be written where more copies must have it than there are: {', '.join(wrong)}"
        yield fault(subject, said, remedy)
    if tight:
        yield note(subject, f"one broker that is away stops writing to {', '.join(tight)}", f"{remedy}: all but one")
    if loose:
        said = f"one copy suffices for {', '.join(loose)}: a record may be acknowledged and then lost with its broker"
        yield note(subject, said, f"{remedy}: all but one")
    if not wrong + tight + loose:
        yield ok(subject, "as many copies must have a record as can be relied on")


def _new_enough(admin: AdminClient, topic: str) -> Iterator[Diagnosis]:
    """A broker tells no version; one before 3.0 does not know this question."""
    latest = OffsetSpec.max_timestamp()  # type: ignore[no-untyped-call]
    asked = admin.list_offsets({TopicPartition(topic, 0): latest}, request_timeout=_TIMEOUT_S)
    for answer in asked.values():
        try:
            answer.result(_TIMEOUT_S)
        except KafkaException as error:
            code = error.args[0].code()
            if code == KafkaError._UNSUPPORTED_FEATURE:
                yield note("kafka version", "older than 3.0, and than any that tests ran on", "upgrade to 3.9 or newer")
                return
            # What the broker itself refuses it has understood; what never reached it says nothing.
            if code < 0:
                yield note("kafka version", f"not known: {error.args[0].str()}", "ask again")
                return
    yield ok("kafka version", "3.0 or newer")


def _configured(brokers: str, copies: Mapping[str, int]) -> Iterator[Diagnosis]:
    try:
        found = contract.settings(brokers)
    except contract.TopicsError as error:
        yield note("kafka settings", str(error), "allow DescribeConfigs to who asks, or ask as an administrator")
        return
    setting = "min.insync.replicas"
    least = {name: int(of[setting]) for name, of in found.items() if name in copies and of.get(setting)}
    yield from insync(least, copies)
    differing = contract.compare(found)
    for each in differing:
        said = f"{each.topic}: {each.setting} is {each.found or 'not set'}, Keeprate's is {each.wanted}"
        yield note("kafka settings", said, "keeprate topics create --configure, unless it is meant")
    if not differing:
        yield ok("kafka settings", "retention, compaction and sizes are as they must be")


def _topic_rights(admin: AdminClient, there: Iterable[str]) -> dict[str, frozenset[str]]:
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
    return allowed


def _group_rights(admin: AdminClient, process: str) -> Iterator[Diagnosis]:
    needed = GROUPS[process]
    allowed: dict[str, frozenset[str]] = {}
    # Of a group that nobody was in yet, nothing is told.
    unknown: set[str] = set()
    for name in sorted({name for names in needed.values() for name in names}):
        (asked,) = admin.describe_consumer_groups(
            [name], include_authorized_operations=True, request_timeout=_TIMEOUT_S
        ).values()
        try:
            described: Any = asked.result(_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                unknown.add(name)
            continue
        allowed[name] = frozenset(operation.name for operation in described.authorized_operations or ())
    if unknown:
        said = f"nobody was in {', '.join(sorted(unknown))} yet, so nothing is told of rights on it"
        yield note("kafka rights", said, "ask again when the process has run once")
    asked_of = {operation: names - unknown for operation, names in needed.items()}
    if any(asked_of.values()):
        yield from lacking(allowed, asked_of, f"a {process}", "groups")


def lacking(
    allowed: Mapping[str, frozenset[str]], needed: Mapping[str, frozenset[str]], who: str, kind: str
) -> Iterator[Diagnosis]:
    """What somebody needs and may not do, by the operations that are allowed on each name. kind: of the names. Pure."""
    lacks = [
        f"{operation} on {name}"
        for operation, names in needed.items()
        for name in sorted(names)
        if not allowed.get(name, frozenset()) & {operation, "ALL"}
    ]
    if lacks:
        yield fault("kafka rights", f"{who} lacks {', '.join(lacks)}", "docs/security.md, Rights in Kafka")
    else:
        yield ok("kafka rights", f"those of {who}, on {kind}")


def _remedy(said: list[str]) -> str:
    if any("AUTHENTICATION" in word for word in said):
        return "KEEPRATE_KAFKA_SASL, _USERNAME and _PASSWORD: is the user known to the brokers?"
    if any("SSL" in word for word in said):
        return "KEEPRATE_KAFKA_TLS and _CA_FILE: does the listener speak TLS, and who signed its certificate?"
    return "is KEEPRATE_BROKERS right, and does the listener speak what KEEPRATE_KAFKA_TLS says?"
