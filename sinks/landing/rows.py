"""From a record to a row's bytes, in the format in which ClickHouse takes it. Pure.

source topics   decoded, and written in the one form that events have: the table reads its columns out of it, and
                ClickHouse takes a name that is given twice, or an id in upper case, otherwise than `decode` does
outcomes        an outcome's bytes are its row already (JSONEachRow)
dead letters    every record is a row, whatever it holds: nothing refuses a dead letter

A record that makes the judgement raise what no contract foresees is quarantined, it alone. Of a person who is
forgotten, what `schemas.forgotten` leaves of a record goes on instead.

**Invariant:** who is forgotten changes a row's content, never whether a record is a row.
**Invariant:** nothing that a record holds is raised from here.
"""

import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Final, cast

from keeprate.schemas.checked_outcome import read_row
from keeprate.schemas.dead_letters import (
    DeadLetter,
    Headers,
    Stage,
    app_of,
    dead_letter,
    decode_headers,
    quarantine,
)
from keeprate.schemas.decode import ContractError, encode
from keeprate.schemas.forgotten import ERASED, NOBODY, Forgotten, PersonTrace, refused_stub, without_digest
from keeprate.schemas.outcome import encode_outcome, parse_key
from keeprate.schemas.structs.forms import encode_struct
from keeprate.schemas.structs.reading import mapping_of, read
from keeprate.schemas.topics import DEAD_LETTERS, OUTCOMES
from keeprate.sinks.kafka.records import UNREADABLE, Record
from keeprate.sinks.landing.shards import shard_of, shard_of_place


@dataclass(frozen=True)
class Table:
    """Where rows go.

    format: of the rows' bytes, as they are joined without anything between them. by_offset: a row says by its topic,
    partition and offset which record it is; others are only known by what they merge into. shard: whose table it is.
    """

    name: str
    columns: tuple[str, ...]
    format: str
    settings: tuple[tuple[str, str | int], ...] = ()
    by_offset: bool = False
    shard: int = 0

    def at(self, shard: int) -> "Table":
        """The same table on another shard."""
        return replace(self, shard=shard) if shard != self.shard else self


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
DEAD_LETTERS_TABLE: Final = Table(
    "dead_letters",
    (
        *("topic", "partition", "offset", "stage", "error_type", "field", "reason", "app", "trace", "cut"),
        *("key", "value", "headers", "recorded_at", "letter_partition", "letter_offset", "refused_at"),
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
class SortedBatch:
    """What became of each record of a range: a row of a table, a reject with its letter, or filtered (a tombstone).

    accepted: by app, how many records are events. bare: how many rows are dead letters of which only the place is kept.
    traces: what the records tell of forgotten people, and nobody knew.
    generations: app and generation_id of outcomes that are rows: their suggestions are derived once these landed.
    """

    tables: dict[Table, Rows] = field(default_factory=dict)
    rejects: list[tuple[Record, DeadLetter]] = field(default_factory=list)
    filtered: int = 0
    accepted: Mapping[str, int] = field(default_factory=dict)
    bare: int = 0
    traces: set[PersonTrace] = field(default_factory=set)
    generations: set[tuple[str, str]] = field(default_factory=set)

    def rows_of(self, table: Table) -> Rows:
        return self.tables.setdefault(table, Rows())


def sort(
    topic: str, partition: int, records: Sequence[Record], forgotten: Forgotten = NOBODY, shards: int = 1
) -> SortedBatch:
    """Judge the records of one partition. Deterministic: the same arguments give the same batch in every process."""
    if topic == OUTCOMES.name:
        return _sort_outcomes((topic, partition), records, forgotten, shards)
    if topic == DEAD_LETTERS.name:
        return _sort_dead_letters(partition, records, forgotten, shards)
    return _sort_facts(topic, partition, records, forgotten, shards)


def set_aside(topic: str, partition: int, records: Sequence[Record], error: Exception, shards: int = 1) -> SortedBatch:
    """The batch of records that are not to be judged: quarantined, or, of dead letters, rows without their bytes."""
    batch = SortedBatch()
    if topic == DEAD_LETTERS.name:
        rows = batch.rows_of(DEAD_LETTERS_TABLE.at(shard_of_place(partition, shards)))
        for record in records:
            _add(rows, record, _bare_letter_row(partition, record, error))
        batch.bare = len(records)
    else:
        batch.rejects += [(record, letter_of((topic, partition), record, error)) for record in records]
    return batch


def letter_of(at: tuple[str, int], record: Record, error: Exception) -> DeadLetter:
    """The dead letter of a record that was refused, or made the code that judged it raise something else."""
    where = (*at, record.offset(), record.timestamp()[1])
    (own, cut), app = _headers_of(record), app_of(record.value())
    if isinstance(error, ContractError):
        return replace(dead_letter(error, "sink", *where, own, app), cut=cut)
    return replace(quarantine(error, "sink", *where, own, app), cut=cut)


def _headers_of(record: Record) -> tuple[Headers, str]:
    """A record's headers, and what is to be said of them where they cannot be had."""
    own = record.headers()
    return ((), "headers: a name is no UTF-8") if own is UNREADABLE else (tuple(own or ()), "")


# DateTime64 holds more years than Python's dates, and a record's time is whatever its producer said.
_LAST_MS: Final = 253_402_300_799_999
_NOBODY: Final = cast(Stage, "")
"""Refused a record that somebody else wrote into the dead letters."""
_fact_tail = struct.Struct("<Qq").pack
_letter_tail = struct.Struct("<qHQq").pack


def _sort_facts(
    topic: str, partition: int, records: Sequence[Record], forgotten: Forgotten, shards: int
) -> SortedBatch:
    batch = SortedBatch()
    generations, feedback = (
        [batch.rows_of(table.at(shard)) for shard in range(shards)] for table in (GENERATIONS_TABLE, FEEDBACK_TABLE)
    )
    where = _text(topic.encode()) + struct.pack("<H", partition)
    anybody = bool(forgotten)
    apps: list[str] = []
    for record in records:
        value = record.value() or b""
        try:
            event = read(value, record.timestamp()[1], record.key())
            # By its type, not by its topic: the join takes an event from either, and both must agree.
            rows = (generations if event.type == "generation" else feedback)[shard_of(event.generation_id, shards)]
            value = _left(forgotten, event, batch.traces) if anybody else encode_struct(event)
            tail = _fact_tail(record.offset(), _time_ms(record))
            row = b"".join((_varint(len(value)), value, where, tail))
        except Exception as error:  # noqa: BLE001 - whatever a record brings about, it is that record's alone
            batch.rejects.append((record, letter_of((topic, partition), record, error)))
            continue
        rows.records.append(record)
        rows.encoded.append(row)
        apps.append(event.app)
    batch.accepted = Counter(apps)
    return batch


def _left(forgotten: Forgotten, event: Any, traces: set[PersonTrace]) -> bytes:
    said = mapping_of(event)
    left = forgotten.event(said)
    if left is said:
        return encode_struct(event)
    traces.update(forgotten.traces(said))
    return encode(left)


def _sort_outcomes(at: tuple[str, int], records: Sequence[Record], forgotten: Forgotten, shards: int) -> SortedBatch:
    """Outcomes, whose bytes are rows."""
    batch = SortedBatch()
    tables = [batch.rows_of(OUTCOMES_TABLE.at(shard)) for shard in range(shards)]
    for record in records:
        value = record.value()
        if not value:
            # A tombstone: what it was about left the stream, and its row stays.
            batch.filtered += 1
            continue
        try:
            generation, row = _read_outcome(forgotten, batch.traces, value)
            rows = tables[shard_of(generation[1], shards)]
        except Exception as error:  # noqa: BLE001 - whatever a record brings about, it is that record's alone
            batch.rejects.append((record, letter_of(at, record, error)))
        else:
            batch.generations.add(generation)
            _add(rows, record, row + b"\n")
    return batch


def _add(rows: Rows, record: Record, row: bytes) -> None:
    rows.records.append(record)
    rows.encoded.append(row)


def _read_outcome(forgotten: Forgotten, traces: set[PersonTrace], value: bytes) -> tuple[tuple[str, str], bytes]:
    """The generation that an outcome is of, and what goes on of its bytes."""
    try:
        key, outcome = read_row(value)
    except ValueError as error:
        raise ContractError("invalid", f"not an outcome: {error}") from error
    app, generation_id, _ = parse_key(key)
    if forgotten and (left := forgotten.outcome(app, generation_id, outcome)) is not outcome:
        traces.update(forgotten.traces_of_outcome(app, generation_id, outcome))
        return (app, generation_id), encode_outcome(key, left)
    return (app, generation_id), value


def _sort_dead_letters(partition: int, records: Sequence[Record], forgotten: Forgotten, shards: int) -> SortedBatch:
    batch = SortedBatch()
    tables = [batch.rows_of(DEAD_LETTERS_TABLE.at(shard)) for shard in range(shards)]
    for record in records:
        try:
            refused_in, row = _letter_row(partition, record, forgotten)
        except Exception as error:  # noqa: BLE001 - a dead letter that nothing takes would come back for ever
            refused_in, row = partition, _bare_letter_row(partition, record, error)
            batch.bare += 1
        _add(tables[shard_of_place(refused_in, shards)], record, row)
    return batch


def _letter_row(partition: int, record: Record, forgotten: Forgotten) -> tuple[int, bytes]:
    """The partition that the refused record is of, and the row."""
    letter = _read_letter(partition, record)
    key, value = record.key(), record.value()
    texts = [key or b"", value or b"", *(header or b"" for _, header in letter.headers)]
    if forgotten and forgotten.bytes_hold_person(texts, letter.app):
        key, value = None, refused_stub(value)
        letter = replace(letter, headers=(), reason=ERASED, cut=without_digest(letter.cut))
    return letter.partition, _encode_letter_row(letter, key, value, partition, record)


def _read_letter(partition: int, record: Record) -> DeadLetter:
    """What a record of the dead letters' topic says; of somebody else's record, what it is, under its own offset."""
    own, cut = _headers_of(record)
    try:
        letter = decode_headers(own)
        if 0 <= letter.partition < 2**16 and 0 <= letter.offset < 2**63:
            return replace(letter, app=letter.app or app_of(record.value()))
        reason = f"a dead letter cannot have been at {letter.topic}/{letter.partition}/{letter.offset}"
        error = ContractError("invalid", reason)
    except ContractError as refused:
        error = refused
    where = DEAD_LETTERS.name, partition, record.offset(), _time_ms(record)
    return replace(dead_letter(error, _NOBODY, *where, own, app_of(record.value())), cut=cut)


def _bare_letter_row(partition: int, record: Record, error: Exception) -> bytes:
    """The row of a record in the dead letters' topic that cannot be read, or must not be: where it is, and its size."""
    value = record.value() or b""
    digest = f"value: {len(value)} bytes, sha256 {sha256(value).hexdigest()}; key; headers"
    where = DEAD_LETTERS.name, partition, record.offset(), _time_ms(record)
    letter = replace(quarantine(error, _NOBODY, *where), cut=digest)
    return _encode_letter_row(letter, None, None, partition, record)


def _encode_letter_row(
    letter: DeadLetter, key: bytes | None, value: bytes | None, partition: int, record: Record
) -> bytes:
    why = letter.stage, letter.error_type, letter.field, letter.reason, letter.app, letter.trace, letter.cut
    return b"".join(
        (
            _text(letter.topic.encode("utf-8", "replace")),
            struct.pack("<HQ", letter.partition, letter.offset),
            *(_text(part.encode("utf-8", "replace")) for part in why),
            _nullable(key),
            _nullable(value),
            _varint(len(letter.headers)),
            *(_text(name.encode("utf-8", "replace")) + _nullable(value) for name, value in letter.headers),
            _letter_tail(_clamp(letter.timestamp_ms), partition, record.offset(), _time_ms(record)),
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
