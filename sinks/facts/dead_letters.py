"""The dead letters in the store: what was refused or set aside, why, the record itself, and what was done about it.

A record is one entry, whoever refused it and however often: by the join and by the sink, and again after a replay. It
is named by where it was first: `topic/partition/offset`. It is open until it is replayed or dropped, and again when a
replay of it is refused. A replay writes the record's own key, bytes and headers into its topic again, with a header
that names the entry; as its event keeps its identity, a replay that is cut off and made again does no harm.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, Protocol

from keeprate.schemas.forgotten import ERASED
from keeprate.sinks.store.clickhouse import Client

REPLAYED_HEADER: Final = "keeprate-replay-of"
_BATCH: Final = 500
# Whose header it is says little: anybody may write one. It links what has the same bytes, and nothing else.
_LETTERS: Final = f"""
SELECT
    *,
    concat(topic, '/', toString(partition), '/', toString(offset)) AS place,
    toString(ifNull(arrayFirst(h -> h.1 = '{REPLAYED_HEADER}', headers).2, '')) AS replay_of,
    if(match(replay_of, '^[A-Za-z0-9._-]+/[0-9]{{1,5}}/[0-9]{{1,19}}$'), replay_of, place) AS origin,
    sipHash64(ifNull(value, '')) AS content,
    (topic, partition, offset, recorded_at)
        GLOBAL NOT IN (SELECT topic, partition, offset, recorded_at FROM dead_letter_actions) AS open
FROM dead_letters FINAL
"""
# The last refusal says why; a stage that refuses what another one does says so at about the same time.
_LAST: Final = ", ".join(
    f"argMax(l.{name}, (l.refused_at, l.stage)) AS {name}"
    for name in ("error_type", "field", "reason", "trace", "cut", "recorded_at", "letter_partition", "letter_offset")
)
ENTRIES: Final = f"""
SELECT
    origin AS name,
    toString(splitByChar('/', origin)[1]) AS topic,
    toUInt16OrZero(splitByChar('/', origin)[2]) AS partition,
    toUInt64OrZero(splitByChar('/', origin)[3]) AS offset,
    toString(max(l.app)) AS app,
    arrayMap(s -> toString(s), arraySort(groupUniqArray(l.stage))) AS stages,
    {_LAST},
    max(l.refused_at) AS refused_at,
    uniqExact(place) AS refusals,
    arraySort(groupUniqArray(place)) AS places,
    max(open) AS is_open,
    any(length(value)) AS size_bytes
FROM ({_LETTERS}) AS l
GROUP BY origin, content
"""
"""One row for each record, with all its refusals."""
_BYTES: Final = (
    # Keys and values are any bytes, and a driver decodes strings as text.
    "hex(key) AS key_hex, isNull(key) AS no_key, hex(value) AS value_hex, isNull(value) AS no_value, "
    "arrayMap(h -> (h.1, isNull(h.2), hex(h.2)), headers) AS hex_headers"
)
_COLUMNS: Final = (
    "topic, partition, offset, origin AS name, open AS is_open, app, stage, error_type, field, reason, trace, cut, "
    f"refused_at, recorded_at, letter_partition, letter_offset, length(value) AS size_bytes, {_BYTES}"
)


@dataclass(frozen=True)
class Filter:
    """Which records. Empty and None mean any; app: None, because a record may name none ('').

    names: of entries. since: of a refusal, aware; closed: also those that were replayed or dropped.
    """

    topic: str = ""
    stage: str = ""
    error_type: str = ""
    since: datetime | None = None
    closed: bool = False
    app: str | None = None
    names: Sequence[str] = ()

    def where(self) -> tuple[str, dict[str, Any]]:
        """The condition on a letter `l`, and its parameters."""
        parts = {
            "topic": ("l.topic = {topic:String}", self.topic or None),
            "stage": ("l.stage = {stage:String}", self.stage or None),
            "error_type": ("l.error_type = {error_type:String}", self.error_type or None),
            "since": ("l.refused_at >= {since:DateTime64(3, 'UTC')}", self.since),
            "app": ("l.app = {app:String}", self.app),
            "names": ("l.origin IN {names:Array(String)}", list(self.names) or None),
        }
        given = {name: part for name, part in parts.items() if part[1] is not None}
        conditions = [part[0] for part in given.values()] + ([] if self.closed else ["l.open"])
        return " AND ".join(conditions) or "1", {name: part[1] for name, part in given.items()}


@dataclass(frozen=True)
class Letter:
    """What one stage kept of a record that it refused, once."""

    topic: str
    partition: int
    offset: int
    facts: Mapping[str, Any]
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]

    @property
    def is_whole(self) -> bool:
        """Whether it has all of the record: what Kafka held only because it was compressed may be cut."""
        return not self.facts["cut"]

    @property
    def replayed_headers(self) -> list[tuple[str, bytes | None]]:
        """The record's own, and last the one that links the replay to the entry."""
        own = [header for header in self.headers if header[0] != REPLAYED_HEADER]
        return [*own, (REPLAYED_HEADER, str(self.facts["name"]).encode())]


def parse_name(name: str) -> tuple[str, int, int]:
    """Topic, partition and offset of an entry's name. Raises ValueError."""
    try:
        topic, partition, offset = name.rsplit("/", 2)
        return topic, int(partition), int(offset)
    except ValueError:
        raise ValueError(f"{name}: a dead letter is named topic/partition/offset, as `list` shows it") from None


def count_by_reason(store: Client, only: Filter) -> list[dict[str, Any]]:
    """How many records of each topic, app, error type and field, the most first; with the stages that refused them."""
    condition, parameters = _entries(only)
    return store.query_dicts(
        "SELECT topic, app, stages, error_type, field, count() AS records, any(reason) AS example "
        f"FROM ({condition}) GROUP BY topic, app, stages, error_type, field "
        "ORDER BY records DESC, topic, app, stages, error_type, field",
        parameters,
    )


def newest(store: Client, only: Filter, limit: int) -> list[dict[str, Any]]:
    """The records that were refused last, newest first, without their bytes."""
    entries, parameters = _entries(only)
    return store.query_dicts(
        f"SELECT * FROM ({entries}) ORDER BY refused_at DESC, topic, partition, offset LIMIT {{limit:UInt32}}",
        {**parameters, "limit": limit},
    )


def _entries(only: Filter) -> tuple[str, dict[str, Any]]:
    """The entries of which a letter is wanted, each with all its letters."""
    condition, parameters = only.where()
    return f"{ENTRIES} HAVING countIf({condition}) > 0", parameters


def find(store: Client, name: str) -> list[Letter]:
    """All letters of one record, by the entry's name or that of a replay. Raises ValueError for a name of no form."""
    parse_name(name)
    rows = store.query_dicts(
        f"SELECT {_COLUMNS} FROM ({_LETTERS}) WHERE (origin, content) GLOBAL IN "
        f"(SELECT origin, content FROM ({_LETTERS}) WHERE place = {{name:String}} OR origin = {{name:String}}) "
        "ORDER BY refused_at, topic, partition, offset, stage",
        {"name": name},
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
        f"SELECT {_COLUMNS} FROM ({_LETTERS}) AS l WHERE {condition} AND l.open AND l.reason != {{erased:String}} "
        "ORDER BY topic, partition, offset, recorded_at, stage LIMIT 1 BY topic, partition, offset, recorded_at "
        "LIMIT {limit:UInt32}",
        {**parameters, "limit": limit, "erased": ERASED},
    )
    return [_letter(row) for row in rows]


def replay(store: Client, writer: RecordWriter, letters: Sequence[Letter], note: str = "") -> None:
    """Write the records into their topics again and close them, batch by batch. Raises StoreError and DeliveryError.

    A record is closed only after its topic has it; one that is refused again is open again. Raises ValueError, before
    anything is written, for one that is not whole.
    """
    for letter in letters:
        if not letter.is_whole:
            raise ValueError(f"{letter.facts['name']} is not whole, and cannot be replayed: {letter.facts['cut']}")
    for topic, batch in _by_topic(letters):
        writer.write([(letter.key, letter.value, letter.replayed_headers) for letter in batch], topic)
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
