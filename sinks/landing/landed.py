"""What the store holds of a range, asked when an insert may have been made before.

A token says that an insert was begun, not that its rows are there. ClickHouse writes it to the table's log of tokens
before it renames the rows' part into the table (chDB 26.9: 0.1 ms before, seen with strace), and when it dies in
between, the token is left alone. From then on every further try looks like one too many and adds nothing.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from keeprate.sinks.kafka.records import TopicPartition
from keeprate.sinks.landing.intent import Intent
from keeprate.sinks.store.clickhouse import Row, Settings


class Asks(Protocol):
    """Answers a SELECT: `clickhouse.Client`."""

    def query(
        self, statement: str, parameters: Mapping[str, Any] | None = None, settings: Settings | None = None
    ) -> list[Row]: ...


def landed_offsets(store: Asks, table: str, at: TopicPartition, intent: Intent) -> set[int]:
    """The offsets of a range that are rows of a table of facts.

    Rows that merged are there once: of an event that was sent twice, an offset may be missing for good.
    """
    rows = store.query(
        f"SELECT offset FROM {table} WHERE topic = {{topic:String}} AND partition = {{partition:UInt16}} "
        "AND offset BETWEEN {first:UInt64} AND {last:UInt64}",
        _place(at, intent),
    )
    return {int(offset) for (offset,) in rows}


def is_in_ledger(store: Asks, sink: str, at: TopicPartition, intent: Intent) -> bool:
    """Whether a range has its row in the ledger, or is a part of one that has."""
    ((rows,),) = store.query(
        "SELECT count() FROM ledger WHERE sink = {sink:String} AND topic = {topic:String} "
        "AND partition = {partition:UInt16} AND first_offset <= {first:UInt64} AND last_offset >= {last:UInt64}",
        {"sink": sink, **_place(at, intent)},
    )
    return bool(rows)


def is_under_way(store: Asks, log_comment: str) -> bool:
    """Whether the server still works at an INSERT with this comment, be its client there or gone."""
    ((count,),) = store.query(
        "SELECT count() FROM system.processes WHERE Settings['log_comment'] = {comment:String}",
        {"comment": log_comment},
    )
    return bool(count)


def _place(at: TopicPartition, intent: Intent) -> dict[str, str | int]:
    return {"topic": at[0], "partition": at[1], "first": intent.first, "last": intent.last}
