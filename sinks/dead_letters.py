"""The dead letters in the store: what was refused, why, the record itself, and what was done about it.

A refused record is named by where it was: `topic/partition/offset`. It is open until it is replayed or dropped. A
replay writes the record's own key, bytes and headers into its topic again; as its event keeps its identity, a replay
that is cut off and made again does no harm.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, Protocol

from keeprate.schemas.forgotten import ERASED
from keeprate.sinks.clickhouse import Client

_COLUMNS = (
    "topic, partition, offset, stage, error_type, field, reason, refused_at, recorded_at, "
    "letter_partition, letter_offset, length(value) AS size_bytes"
)


_OPEN: Final = (
    "(topic, partition, offset, recorded_at) NOT IN "
    "(SELECT topic, partition, offset, recorded_at FROM dead_letter_actions)"
)
_BYTES: Final = (
    # Keys and values are any bytes, and a driver decodes strings as text.
    "hex(key) AS key_hex, isNull(key) AS no_key, hex(value) AS value_hex, isNull(value) AS no_value, "
    "arrayMap(h -> (h.1, isNull(h.2), hex(h.2)), headers) AS hex_headers"
)
REPLAYED_HEADER: Final = "keeprate-replay-of"
_BATCH: Final = 500


@dataclass(frozen=True)
class Filter:
    """Which dead letters. Empty and None mean any; since: of the refusal, aware; closed: also replayed and dropped."""

    topic: str = ""
    stage: str = ""
    error_type: str = ""
    since: datetime | None = None
    closed: bool = False

    def where(self) -> tuple[str, dict[str, Any]]:
        """The condition and its parameters."""
        parts = {
            "topic": ("topic = {topic:String}", self.topic),
            "stage": ("stage = {stage:String}", self.stage),
            "error_type": ("error_type = {error_type:String}", self.error_type),
            "since": ("refused_at >= {since:DateTime64(3, 'UTC')}", self.since),
        }
        given = {name: part for name, part in parts.items() if part[1]}
        conditions = [part[0] for part in given.values()] + ([] if self.closed else [_OPEN])
        return " AND ".join(conditions) or "1", {name: part[1] for name, part in given.items()}


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
        f"SELECT {_COLUMNS}, {_BYTES} "
        "FROM dead_letters FINAL WHERE topic = {topic:String} AND partition = {partition:UInt16} "
        "AND offset = {offset:UInt64} ORDER BY stage",
        {"topic": topic, "partition": partition, "offset": offset},
    )
    return [_letter(row) for row in rows]


class RecordWriter(Protocol):
    """Writes records and awaits their delivery: `kafka.DeadLetterProducer`."""

    def write(self, letters: Sequence[tuple[Any, Any, list[tuple[str, bytes | None]]]], topic: str) -> None: ...


def open_records(store: Client, only: Filter, limit: int) -> list[Letter]:
    """Refused records that are open, the oldest first, each once though both stages refused it.

    Not those of a person who is forgotten: nothing is left of them to replay.
    """
    condition, parameters = only.where()
    rows = store.query_dicts(
        f"SELECT {_COLUMNS}, {_BYTES} FROM dead_letters FINAL WHERE {condition} AND reason != {{erased:String}} "
        "ORDER BY topic, partition, offset, recorded_at, stage LIMIT 1 BY topic, partition, offset, recorded_at "
        "LIMIT {limit:UInt32}",
        {**parameters, "limit": limit, "erased": ERASED},
    )
    return [_letter(row) for row in rows]


def replay(store: Client, writer: RecordWriter, letters: Sequence[Letter], note: str = "") -> None:
    """Write the records into their topics again and close them, batch by batch. Raises StoreError and DeliveryError.

    A record is closed only after its topic has it; one that is refused again is a new dead letter.
    """
    for topic, batch in _by_topic(letters):
        marked = [
            (letter.key, letter.value, [*letter.headers, (REPLAYED_HEADER, record_name(letter.facts).encode())])
            for letter in batch
        ]
        writer.write(marked, topic)
        close(store, batch, "replayed", note)


def close(store: Client, letters: Sequence[Letter], action: Literal["replayed", "dropped"], note: str = "") -> None:
    """Note what was done about the records. They stay readable, and the ledger's account stays true."""
    columns = ("topic", "partition", "offset", "recorded_at", "action", "note")
    rows = [(one.topic, one.partition, one.offset, one.facts["recorded_at"], action, note) for one in letters]
    store.insert("dead_letter_actions", columns, rows)


def _by_topic(letters: Sequence[Letter]) -> Iterator[tuple[str, list[Letter]]]:
    for topic in sorted({letter.topic for letter in letters}):
        of_topic = [letter for letter in letters if letter.topic == topic]
        for begin in range(0, len(of_topic), _BATCH):
            yield topic, of_topic[begin : begin + _BATCH]


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
