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
        found += list(batches.next_batch() or ())
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


@pytest.mark.usefixtures("parser")
def test_a_record_is_what_the_join_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made by aiokafka's own walk through the batches, with its place."""
    for name in ("MemoryRecords", "PartitionRecords"):
        monkeypatch.setattr(fetcher, name, getattr(fetcher, name))
    records.install()
    at = TopicPartition("keeprate.feedback", 3)
    walk = fetcher.PartitionRecords(at, fetcher.MemoryRecords(raw_batch(ODD)), [], 1, None, None, True, 0)
    assert [(one.topic, one.partition, one.offset, one.key, one.value, list(one.headers)) for one in walk] == [
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
