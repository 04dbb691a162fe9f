"""Where a partition is taken up: after what was landed, and never past a record that was not."""

from collections.abc import Mapping

from keeprate.sinks.kafka.client import Consumer
from keeprate.sinks.kafka.errors import OffsetLostError
from keeprate.sinks.kafka.records import TopicPartition
from keeprate.sinks.landing.intent import Intent
from keeprate.sinks.store.clickhouse import Client, SchemaMismatchError


def first_offset(consumer: Consumer, at: TopicPartition, ledger_ends: Mapping[TopicPartition, int]) -> int:
    """Where a partition without a committed offset begins: after what the ledger has, else at its first record.

    Kafka forgets the offsets of a group that was away for long. The store does not.
    """
    return ledger_ends.get(at) or consumer.watermarks(at)[0]


def first_held(consumer: Consumer, at: TopicPartition, start: int, skip_lost: bool) -> int:
    """The first offset from `start` on that the topic holds. Raises OffsetLostError where that is a jump."""
    first, end = consumer.watermarks(at)
    if start > end:
        raise OffsetLostError(
            f"{at[0]}/{at[1]}: {start} is next, and the topic ends at {end}: it was made anew. "
            "Land it under a new --group"
        )
    if start < first and not skip_lost:
        raise OffsetLostError(
            f"{at[0]}/{at[1]}: retention removed offsets {start} to {first - 1} before they were landed. "
            "--skip-lost goes on without them and notes them in the ledger as absent"
        )
    return max(start, first)


def check_shards(at: TopicPartition, intent: Intent, revision: str) -> None:
    """Raise SchemaMismatchError for a range that was begun when the store had another number of shards: some of its
    rows may be where this sink would not look.
    """
    begun, now = (said.split(".")[2:] for said in (intent.revision, revision))
    if begun != now:
        raise SchemaMismatchError(
            f"{at[0]}/{at[1]}: {intent.first} to {intent.last} was begun with {(begun or ['1'])[0]} shard(s), and "
            f"there are {(now or ['1'])[0]}: let a sink with the former KEEPRATE_STORE_SHARDS land it"
        )


def ledger_ends(store: Client, sink: str) -> dict[TopicPartition, int]:
    """The offset after the last one that the ledger accounts for, by partition."""
    rows = store.query(
        "SELECT topic, partition, max(last_offset) + 1 FROM ledger WHERE sink = {sink:String} GROUP BY ALL",
        {"sink": sink},
    )
    return {(str(topic), int(partition)): int(end) for topic, partition, end in rows}
