"""Reading what Kafka holds, whatever the names of its headers are, with no more made of a record than the join reads.

Kafka takes any bytes as the name of a header. aiokafka reads a name as UTF-8 and raises at the first that is none, so
one such record would stand in the way of its partition for ever. A batch with such a record is read here instead, and
the name is written as `dead_letters.header_name` does. All other batches are aiokafka's business, as before.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords
from msgspec import Struct

from keeprate.schemas.dead_letters import header_name

_LENGTH_AT, _LENGTH_END = 8, 12
"""Where the length of a batch stands in it; it counts what comes after itself."""


def install() -> None:
    """Have aiokafka's consumers of this process read through here."""
    fetcher.MemoryRecords = Batches
    fetcher.PartitionRecords = PartitionRecords
    fetcher.FetchResult = FetchResult


class StoredRecord(Struct, gc=False):
    """A record of Kafka: `feedback_join.SourceRecord`."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Any


class _Together(list[StoredRecord]):
    """The records of a batch, at least one: to aiokafka, which walks through records, they are its last one."""

    @property
    def offset(self) -> int:
        return self[-1].offset


class PartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """aiokafka's, with records as they are kept: made in C, and handed over a batch at a time."""

    def __init__(self, tp: Any, records: "Batches", *options: Any) -> None:
        records.place = tp.topic, tp.partition
        self._left: list[StoredRecord] = []
        super().__init__(tp, records, *options)

    def __iter__(self) -> Iterator[list[StoredRecord]]:
        if left := self._left:
            self._left, self.next_fetch_offset = [], left[-1].offset + 1
            yield left
        # To delegate to it would end it with this walk, which may be left before its end.
        for records in self._records_iterator:  # noqa: UP028
            yield records

    def leave(self, records: list[StoredRecord]) -> None:
        """Keep the last of the records that were handed over for whoever asks next."""
        if records:
            self._left, self.next_fetch_offset = records, records[0].offset

    def _consumer_record(self, tp: Any, records: _Together) -> list[StoredRecord]:
        # A fetch may begin within a batch.
        begin: int = self.next_fetch_offset
        return records if records[0].offset >= begin else [each for each in records if each.offset >= begin]


class FetchResult(fetcher.FetchResult):  # type: ignore[misc]
    """aiokafka's, which asks for the records of a batch together. Nobody here asks for one by itself."""

    _partition_records: PartitionRecords | None

    def getall(self, max_records: int | None = None) -> list[StoredRecord]:
        taken: list[StoredRecord] = []
        if not self.check_assignment(self._topic_partition) or (walk := self._partition_records) is None:
            return taken
        for records in walk:
            taken += records
            if max_records is not None and len(taken) >= max_records:
                walk.leave(taken[max_records:])
                del taken[max_records:]
                self._update_position()
                break
        else:
            self._update_position()
            self._partition_records = None
        return taken

    def getone(self) -> Any:
        """Not offered."""
        raise NotImplementedError


class Batches:
    """The batches of one answer of a broker: aiokafka's `MemoryRecords`, as far as its fetcher looks at it."""

    def __init__(self, data: bytes) -> None:
        self.place = "", -1
        self._data = memoryview(data)
        self._batches: Any = MemoryRecords(data)
        self._at = 0

    def size_in_bytes(self) -> int:
        return int(self._batches.size_in_bytes())

    def has_next(self) -> bool:
        return bool(self._batches.has_next())

    def next_batch(self) -> "_Batch | None":
        batch = self._batches.next_batch()
        begin = self._at
        self._at += _LENGTH_END + int.from_bytes(self._data[begin + _LENGTH_AT : begin + _LENGTH_END], "big")
        return None if batch is None else _Batch(batch, self._data[begin : self._at], self.place)


class _Batch:
    def __init__(self, batch: Any, data: memoryview, place: tuple[str, int]) -> None:
        self._batch = batch
        self._data = data
        self._place = place

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)

    def __iter__(self) -> Iterator[_Together]:
        records = self._all()
        return iter((records,) if records else ())

    def _all(self) -> _Together:
        try:
            return self._stored(self._batch)
        except UnicodeDecodeError:
            return self._stored(_read(self._data))
        except CorruptRecordException as error:
            # What aiokafka's parser in Python makes of it.
            if not isinstance(error.__cause__, UnicodeDecodeError):
                raise
            return self._stored(_read(self._data))

    def _stored(self, records: Iterable[Any]) -> _Together:
        topic, partition = self._place
        # One at a time, so that what aiokafka makes of a record is used again for the next one.
        return _Together(
            [
                StoredRecord(topic, partition, each.offset, each.timestamp, each.key, each.value, each.headers or ())
                for each in records
            ]
        )


def _read(data: memoryview) -> Iterator[Any]:
    batch: Any = _DefaultRecordBatchPy(data)
    batch._maybe_uncompress()
    batch._buffer = _AnyNames(batch._buffer)
    return iter(batch)


class _AnyNames(bytearray):
    """Bytes whose parts can be read as text, of which aiokafka's parser only reads the names of headers."""

    def __getitem__(self, at: Any) -> Any:
        part = super().__getitem__(at)
        return _AnyNames(part) if isinstance(at, slice) else part

    def decode(self, *args: Any, **kwargs: Any) -> str:
        return header_name(bytes(self))
