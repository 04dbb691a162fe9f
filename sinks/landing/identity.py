"""Which topic a name stands for. A topic that was deleted and made anew has another id, and its offsets begin again.

Kafka drops a group's offsets with the topic, so neither a committed offset nor the topic's ends tell: once the new
topic has grown past the old one, the next offset is there, and is another record. The ledger keeps the id with each
range.
"""

from collections.abc import Mapping

from keeprate.sinks.kafka.errors import OffsetLostError
from keeprate.sinks.store.clickhouse import Client


def learn(known: dict[str, str], found: Mapping[str, str]) -> None:
    """Add the ids of topics that were not known, "" being none. Raises OffsetLostError for one that has another now.

    There is no going on within the group: the ledger accounts for these offsets already, and its tokens would have the
    store take new rows for those that are there.
    """
    for topic, topic_id in found.items():
        if topic_id and known.setdefault(topic, topic_id) != topic_id:
            raise OffsetLostError(
                f"{topic}: it was made anew: the ledger knows it as {known[topic]}, Kafka as {topic_id}. "
                "Land it under a new --group"
            )


def ledger_topic_ids(store: Client, sink: str) -> dict[str, str]:
    """Kafka's id of each topic as the ledger has it, without those that it has none of. Raises StoreError."""
    rows = store.query(
        "SELECT topic, argMax(topic_id, stored_at) FROM ledger "
        "WHERE sink = {sink:String} AND topic_id != '' GROUP BY topic",
        {"sink": sink},
    )
    return {str(topic): str(topic_id) for topic, topic_id in rows}
