"""Facts about reading what Kafka holds."""

from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record import memory_records

from keeprate.streams import records
from keeprate.streams.records import Batches
from tests.raw_records import RawRecord, raw_batch

ODD: list[RawRecord] = [
    (b"k0", b"v0", [(b"traceparent", b"00")]),
    (b"k1", b"\xff", [(b"a\xffb", b"\xfe"), (b"", None), ("é".encode(), b"")]),
    (None, None, []),
]


def read(data: bytes) -> list[Any]:
    """Everything in the answer of a broker."""
    batches, found = Batches(data), []
    while batches.has_next():
        found += [record for records in batches.next_batch() or () for record in records]
    return found


@pytest.fixture(params=["extension", "python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """aiokafka's parser in C, and the one in Python that it has where that cannot be built."""
    if request.param == "python":
        monkeypatch.setattr(records, "MemoryRecords", memory_records._MemoryRecordsPy)
        python = __import__("aiokafka.record.default_records", fromlist=[""])._DefaultRecordBatchPy
        monkeypatch.setattr(memory_records, "DefaultRecordBatch", python)


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("compression", [0, 1, 3, 4], ids=["none", "gzip", "lz4", "zstd"])
def test_a_name_that_is_no_utf8_hides_nothing(compression: int) -> None:
    """All records of the batch and of those beside it are read, key, value, headers and place as they are."""
    plain = raw_batch(ODD[:1])
    found = read(plain + raw_batch(ODD, compression=compression) + plain)
    assert [(record.key, record.value) for record in found] == [
        (key, value) for key, value, _ in [ODD[0], *ODD, ODD[0]]
    ]
    assert [record.offset for record in found] == [0, 0, 1, 2, 0]
    assert list(found[2].headers) == [("a\\xffb", b"\xfe"), ("", None), ("é", b"")]
    assert {record.timestamp for record in found} == {1_764_000_000_000}


def _install(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MemoryRecords", "PartitionRecords", "FetchResult"):
        monkeypatch.setattr(fetcher, name, getattr(fetcher, name))
    records.install()


class _Assignment:
    """aiokafka's view of one partition, as far as a fetch asks for it."""

    active, paused = True, False

    def __init__(self, position: int) -> None:
        self.position = position

    def state_value(self, at: TopicPartition) -> "_Assignment":
        return self

    def consumed_to(self, position: int) -> None:
        self.position = position


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 100, None])
def test_what_is_asked_for_in_parts_is_the_same(size: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is larger than was asked for, no record is missing or comes twice, and the position follows them."""
    _install(monkeypatch)
    ten: list[RawRecord] = [(b"k", b"%d" % number, []) for number in range(10)]
    at, batches = TopicPartition("keeprate.feedback", 3), [raw_batch(ten[:4]), raw_batch(ten[4:5]), raw_batch(ten[5:])]
    data = b"".join(begin.to_bytes(8, "big") + batch[8:] for begin, batch in zip((0, 4, 7), batches, strict=True))
    assignment = _Assignment(position=1)
    walk = fetcher.PartitionRecords(at, fetcher.MemoryRecords(data), [], 1, None, None, True, 0)
    result = fetcher.FetchResult(at, assignment=assignment, partition_records=walk, backoff=0)
    found: list[Any] = []
    while result.has_more():
        found += (answer := result.getall(size))
        assert len(answer) <= (size or len(ten))
        assert not answer or answer[-1].offset < assignment.position
    assert [(one.offset, one.value) for one in found] == [
        (number + 2 * (number > 4), b"%d" % number) for number in range(1, 10)
    ]
    assert assignment.position == 12


def test_a_seek_leaves_what_was_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of a batch was handed over; the rest is not what the new position asks for."""
    _install(monkeypatch)
    at, assignment = TopicPartition("keeprate.feedback", 3), _Assignment(position=0)
    walk = fetcher.PartitionRecords(at, fetcher.MemoryRecords(raw_batch(ODD)), [], 0, None, None, True, 0)
    result = fetcher.FetchResult(at, assignment=assignment, partition_records=walk, backoff=0)
    assert [one.offset for one in result.getall(2)] == [0, 1]
    assert assignment.position == 2
    assignment.position = 0
    assert result.getall(2) == []
    assert not result.has_more()


@pytest.mark.usefixtures("parser")
def test_a_record_is_what_the_join_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made by aiokafka's own walk through the batches, with its place."""
    _install(monkeypatch)
    at = TopicPartition("keeprate.feedback", 3)
    walk = fetcher.PartitionRecords(at, fetcher.MemoryRecords(raw_batch(ODD)), [], 1, None, None, True, 0)
    found = [record for records in walk for record in records]
    assert [(one.topic, one.partition, one.offset, one.key, one.value, list(one.headers)) for one in found] == [
        (*at, 1, b"k1", b"\xff", [("a\\xffb", b"\xfe"), ("", None), ("é", b"")]),
        (*at, 2, None, None, []),
    ]
    assert walk.next_fetch_offset == len(ODD)


@pytest.mark.usefixtures("parser")
def test_a_batch_that_is_cut_off_is_left_for_the_next_answer() -> None:
    """Kafka cuts its answer where it is full."""
    data = raw_batch(ODD)
    assert len(read(data + data[:-1])) == len(ODD)
    assert not Batches(data[:-1]).has_next()


@pytest.mark.usefixtures("parser")
def test_a_batch_that_is_broken_is_not_read_as_another() -> None:
    """What is wrong with it is no name of a header: the error stays aiokafka's."""
    data = bytearray(raw_batch([(b"k", b"v", [])]))
    # The length of the record's key.
    data[61 + 4] = 120
    with pytest.raises((CorruptRecordException, UnicodeDecodeError)):
        read(bytes(data))
