"""The topics: names, keys, cleanup and limits. Every other module takes a topic from here."""

from dataclasses import dataclass

from keeprate.schemas.kinds import DAY_MS as DAY_MS
from keeprate.schemas.kinds import MAX_EVENT_BYTES

DEFAULT_PARTITIONS = 4
"""Fixed for a topic's life, and the same for all topics that are joined: a key must stay in its partition."""
PARTITIONER = "murmur2_random"
"""librdkafka's own default agrees with the Java client on a quarter of the keys, so every producer sets this one."""


JOIN_GROUP = "keeprate-join"
SINK_GROUP = "keeprate-sink"
"""The consumer groups of the workers and of the sinks, unless they are told another."""
READER_GROUP = "keeprate-reader"
"""The group in whose name records are read that nobody commits."""


@dataclass(frozen=True)
class Topic:
    """One topic's contract. `config` holds Kafka's own topic settings, as strings."""

    name: str
    key: str
    value: str
    config: dict[str, str]


# Larger than an event may be: an oversized one must still reach the dead letters, headers and all.
_SOURCE_BYTES = str(8 * MAX_EVENT_BYTES)
_DEAD_LETTER_BYTES = str(8 * MAX_EVENT_BYTES + 65_536)

GENERATIONS = Topic(
    "keeprate.generations",
    key="generation_id",
    value="a generation event, JSON",
    config={"cleanup.policy": "delete", "retention.ms": str(30 * DAY_MS), "max.message.bytes": _SOURCE_BYTES},
)
FEEDBACK = Topic(
    "keeprate.feedback",
    key="generation_id",
    value="any other event, JSON",
    config={"cleanup.policy": "delete", "retention.ms": str(30 * DAY_MS), "max.message.bytes": _SOURCE_BYTES},
)
OUTCOMES = Topic(
    "keeprate.outcomes",
    key="app/generation_id/choice_index",
    value="an outcome, JSON: the join's state and its output",
    config={"cleanup.policy": "compact,delete", "retention.ms": str(90 * DAY_MS), "max.message.bytes": _SOURCE_BYTES},
)
DEAD_LETTERS = Topic(
    "keeprate.dead-letters",
    key="the refused record's key",
    value="the refused record's bytes; the headers say where it was and why it was refused",
    config={"cleanup.policy": "delete", "retention.ms": str(90 * DAY_MS), "max.message.bytes": _DEAD_LETTER_BYTES},
)

SOURCES = (GENERATIONS, FEEDBACK)
ALL = (GENERATIONS, FEEDBACK, OUTCOMES, DEAD_LETTERS)


def topic_of(event_type: str) -> Topic:
    """The topic that carries events of a type."""
    return GENERATIONS if event_type == "generation" else FEEDBACK
