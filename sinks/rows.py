"""From a record to a row's bytes, in the format in which ClickHouse takes it. Pure.

source topics   decoded, and written in the one form that events have: the table reads its columns out of it, and
                ClickHouse takes a name that is given twice, or an id in upper case, otherwise than `decode` does
outcomes        an outcome's bytes are its row already (JSONEachRow)
windows         so are a window's, and nobody is named in them
dead letters    every record is a row, whatever it holds: nothing refuses a dead letter

Of a person who is forgotten, what `schemas.forgotten` leaves of a record goes on instead.

**Invariant:** who is forgotten changes a row's content, never whether a record is a row.
"""

import struct
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from keeprate.schemas.dead_letters import decode_headers
from keeprate.schemas.decode import ContractError, decode, encode
from keeprate.schemas.forgotten import ERASED, NOBODY, Forgotten, refused_stub
from keeprate.schemas.outcome import decode_outcome, encode_outcome, parse_key
from keeprate.schemas.topics import DEAD_LETTERS, OUTCOMES, WINDOWS
from keeprate.schemas.window_record import decode_window

Headers = Sequence[tuple[str, bytes | None]]


class Record(Protocol):
    """A record as confluent_kafka's `Message` shows it."""

    def topic(self) -> str: ...
    def partition(self) -> int: ...
    def offset(self) -> int: ...
    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...
    def timestamp(self) -> tuple[int, int]: ...
    def headers(self) -> Headers | None: ...


@dataclass(frozen=True)
class Table:
    """Where rows go.

    format: of the rows' bytes, as they are joined without anything between them. by_offset: a row says by its topic,
    partition and offset which record it is; others are only known by what they merge into.
    """

    name: str
    columns: tuple[str, ...]
    format: str
    settings: tuple[tuple[str, str | int], ...] = ()
    by_offset: bool = False


_FACT: Final = ("event", "topic", "partition", "offset", "recorded_at")
GENERATIONS_TABLE: Final = Table("generations", _FACT, "RowBinary", by_offset=True)
FEEDBACK_TABLE: Final = Table("feedback", _FACT, "RowBinary", by_offset=True)
OUTCOMES_TABLE: Final = Table(
    "outcomes",
    (),
    "JSONEachRow",
    # Registers are arrays; a field that this version does not know is refused instead of lost.
    (("input_format_json_named_tuples_as_objects", 0), ("input_format_skip_unknown_fields", 0)),
)
WINDOWS_TABLE: Final = Table("windows", (), "JSONEachRow", OUTCOMES_TABLE.settings)
DEAD_LETTERS_TABLE: Final = Table(
    "dead_letters",
    (
        *("topic", "partition", "offset", "stage", "error_type", "field", "reason", "key", "value", "headers"),
        *("recorded_at", "letter_partition", "letter_offset", "refused_at"),
    ),
    "RowBinary",
)


@dataclass
class Rows:
    """Rows for one table: record n has the bytes `encoded[n]`."""

    records: list[Record] = field(default_factory=list)
    encoded: list[bytes] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.records)


@dataclass
class Batch:
    """What became of each record of a range: a row of a table, a reject, or filtered (a tombstone).

    accepted: by app, how many records are events.
    """

    tables: dict[Table, Rows] = field(default_factory=dict)
    rejects: list[tuple[Record, ContractError]] = field(default_factory=list)
    filtered: int = 0
    accepted: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def rows_of(self, table: Table) -> Rows:
        return self.tables.setdefault(table, Rows())


def sort(topic: str, partition: int, records: Sequence[Record], forgotten: Forgotten = NOBODY) -> Batch:
    """Judge the records of one partition. Deterministic: the same arguments give the same batch in every process."""
    if topic == OUTCOMES.name:
        return _sort_encoded(records, OUTCOMES_TABLE, lambda value: _read_outcome(value, forgotten), "an outcome")
    if topic == WINDOWS.name:
        return _sort_encoded(records, WINDOWS_TABLE, _read_window, "a window")
    if topic == DEAD_LETTERS.name:
        return _sort_dead_letters(partition, records, forgotten)
    return _sort_facts(topic, partition, records, forgotten)


# DateTime64 holds more years than Python's dates, and a record's time is whatever its producer said.
_LAST_MS: Final = 253_402_300_799_999
_fact_tail = struct.Struct("<Qq").pack
_letter_tail = struct.Struct("<qHQq").pack


def _sort_facts(topic: str, partition: int, records: Sequence[Record], forgotten: Forgotten) -> Batch:
    batch = Batch()
    generations, feedback = batch.rows_of(GENERATIONS_TABLE), batch.rows_of(FEEDBACK_TABLE)
    where = _text(topic.encode()) + struct.pack("<H", partition)
    anybody = bool(forgotten)
    for record in records:
        value = record.value() or b""
        try:
            event = decode(value, record.timestamp()[1], record.key())
        except ContractError as error:
            batch.rejects.append((record, error))
            continue
        batch.accepted[event["app"]] += 1
        # By its type, not by its topic: the join takes an event from either, and both must agree.
        rows = generations if event["type"] == "generation" else feedback
        value = encode(forgotten.event(event) if anybody else event)
        rows.records.append(record)
        tail = _fact_tail(record.offset(), _time_ms(record))
        rows.encoded.append(b"".join((_varint(len(value)), value, where, tail)))
    return batch


def _sort_encoded(records: Sequence[Record], table: Table, read: Callable[[bytes], bytes], what: str) -> Batch:
    """Records whose bytes are rows. read: judges the bytes, and returns what goes on of them."""
    batch = Batch()
    rows = batch.rows_of(table)
    for record in records:
        value = record.value()
        if not value:
            # A tombstone: what it was about left the stream, and its row stays.
            batch.filtered += 1
            continue
        try:
            row = read(value)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            batch.rejects.append((record, ContractError("invalid", f"not {what}: {error}")))
            continue
        rows.records.append(record)
        rows.encoded.append(row + b"\n")
    return batch


def _read_outcome(value: bytes, forgotten: Forgotten) -> bytes:
    key, outcome = decode_outcome(value)
    app, generation_id, _ = parse_key(key)
    if forgotten and (left := forgotten.outcome(app, generation_id, outcome)) is not outcome:
        return encode_outcome(key, left)
    return value


def _read_window(value: bytes) -> bytes:
    decode_window(value)
    return value


def _sort_dead_letters(partition: int, records: Sequence[Record], forgotten: Forgotten) -> Batch:
    batch = Batch()
    rows = batch.rows_of(DEAD_LETTERS_TABLE)
    for record in records:
        rows.records.append(record)
        rows.encoded.append(_letter_row(partition, record, forgotten))
    return batch


def _letter_row(partition: int, record: Record, forgotten: Forgotten) -> bytes:
    where = (DEAD_LETTERS.name, partition, record.offset(), _time_ms(record))
    why = ("", "invalid", "")
    own = record.headers() or ()
    try:
        letter = decode_headers(record.headers())
        if 0 <= letter.partition < 2**16 and 0 <= letter.offset < 2**63:
            where = (letter.topic, letter.partition, letter.offset, _clamp(letter.timestamp_ms))
            why, own = (letter.stage, letter.error_type, letter.field), letter.headers
            reason = letter.reason
        else:
            reason = f"a dead letter cannot have been at {letter.topic}/{letter.partition}/{letter.offset}"
    except ContractError as error:
        # Somebody else wrote into the topic. It is kept as what it is, under its own offset.
        reason = str(error)
    key, value = record.key(), record.value()
    if forgotten and forgotten.bytes_hold_user([key or b"", value or b"", *(header or b"" for _, header in own)]):
        key, value, own, reason = None, refused_stub(value), (), ERASED
    return b"".join(
        (
            _text(where[0].encode()),
            struct.pack("<HQ", where[1], where[2]),
            *(_text(part.encode("utf-8", "replace")) for part in (*why, reason)),
            _nullable(key),
            _nullable(value),
            _varint(len(own)),
            *(_text(name.encode()) + _nullable(value) for name, value in own),
            _letter_tail(where[3], partition, record.offset(), _time_ms(record)),
        )
    )


def _time_ms(record: Record) -> int:
    return _clamp(record.timestamp()[1])


def _clamp(time_ms: int) -> int:
    # Faster than min and max, and asked for each row.
    return time_ms if 0 <= time_ms <= _LAST_MS else 0 if time_ms < 0 else _LAST_MS


def _varint(number: int) -> bytes:
    if number < len(_VARINTS):
        return _VARINTS[number]
    return bytes((number & 0x7F | 0x80,)) + _varint(number >> 7)


_VARINTS: list[bytes] = [bytes((number,)) for number in range(0x80)]
_VARINTS += [bytes((number & 0x7F | 0x80, number >> 7)) for number in range(0x80, 0x4000)]


def _text(value: bytes) -> bytes:
    return _varint(len(value)) + value


def _nullable(value: bytes | None) -> bytes:
    return b"\x01" if value is None else b"\x00" + _text(value)
