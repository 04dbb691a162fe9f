"""Reading the dead letters: what was refused, why, and the record itself.

A refused record is named by where it was: `topic/partition/offset`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keeprate.sinks.clickhouse import Client

_COLUMNS = (
    "topic, partition, offset, stage, error_type, field, reason, refused_at, recorded_at, "
    "letter_partition, letter_offset, length(value) AS size_bytes"
)


@dataclass(frozen=True)
class Filter:
    """Which dead letters. Empty and None mean any; since: of the refusal, aware."""

    topic: str = ""
    stage: str = ""
    error_type: str = ""
    since: datetime | None = None

    def where(self) -> tuple[str, dict[str, Any]]:
        """The condition and its parameters."""
        parts = {
            "topic": ("topic = {topic:String}", self.topic),
            "stage": ("stage = {stage:String}", self.stage),
            "error_type": ("error_type = {error_type:String}", self.error_type),
            "since": ("refused_at >= {since:DateTime64(3, 'UTC')}", self.since),
        }
        given = {name: part for name, part in parts.items() if part[1]}
        return " AND ".join(part[0] for part in given.values()) or "1", {name: part[1] for name, part in given.items()}


@dataclass(frozen=True)
class Letter:
    """One refused record, whole."""

    topic: str
    partition: int
    offset: int
    facts: Mapping[str, Any]
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


def record_name(row: Mapping[str, Any]) -> str:
    """How a refused record is named: where it was."""
    return f"{row['topic']}/{row['partition']}/{row['offset']}"


def parse_name(name: str) -> tuple[str, int, int]:
    """The inverse of `record_name`. Raises ValueError."""
    try:
        topic, partition, offset = name.rsplit("/", 2)
        return topic, int(partition), int(offset)
    except ValueError:
        raise ValueError(f"{name}: a dead letter is named topic/partition/offset, as `list` shows it") from None


def count_by_reason(store: Client, only: Filter) -> list[dict[str, Any]]:
    """How many of each topic, stage, error type and field, the most first."""
    condition, parameters = only.where()
    return store.query_dicts(
        "SELECT topic, stage, error_type, field, count() AS letters, any(reason) AS example "
        f"FROM dead_letters FINAL WHERE {condition} GROUP BY topic, stage, error_type, field ORDER BY letters DESC",
        parameters,
    )


def newest(store: Client, only: Filter, limit: int) -> list[dict[str, Any]]:
    """The last refusals, newest first, without their bytes."""
    condition, parameters = only.where()
    return store.query_dicts(
        f"SELECT {_COLUMNS} FROM dead_letters FINAL WHERE {condition} "
        "ORDER BY refused_at DESC, topic, partition, offset LIMIT {limit:UInt32}",
        {**parameters, "limit": limit},
    )


def find(store: Client, name: str) -> list[Letter]:
    """The dead letters of one record: one for each stage that refused it. Raises ValueError for a name of no form."""
    topic, partition, offset = parse_name(name)
    rows = store.query_dicts(
        # Keys and values are any bytes, and a driver decodes strings as text.
        f"SELECT {_COLUMNS}, hex(key) AS key_hex, isNull(key) AS no_key, hex(value) AS value_hex, "
        "isNull(value) AS no_value, arrayMap(h -> (h.1, isNull(h.2), hex(h.2)), headers) AS hex_headers "
        "FROM dead_letters FINAL WHERE topic = {topic:String} AND partition = {partition:UInt16} "
        "AND offset = {offset:UInt64} ORDER BY stage",
        {"topic": topic, "partition": partition, "offset": offset},
    )
    return [_letter(row) for row in rows]


def _letter(row: dict[str, Any]) -> Letter:
    key, no_key, value, no_value = (row.pop(name) for name in ("key_hex", "no_key", "value_hex", "no_value"))
    headers = tuple((name, None if absent else bytes.fromhex(text)) for name, absent, text in row.pop("hex_headers"))
    return Letter(
        row["topic"],
        row["partition"],
        row["offset"],
        row,
        None if no_key else bytes.fromhex(key),
        None if no_value else bytes.fromhex(value),
        headers,
    )
