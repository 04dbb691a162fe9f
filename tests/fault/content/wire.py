"""Record batches built by hand, and the one request that produces them: for records that no client would write.

The format is Kafka's, version 2 of the batch and 7 of the request: https://kafka.apache.org/protocol.
"""

import gzip
import itertools
import socket
import struct
import time
from types import TracebackType
from typing import Final, Self

from aiokafka.partitioner import murmur2
from aiokafka.record.util import calc_crc32c

from keeprate.schemas.topics import DEFAULT_PARTITIONS
from tests.fault.content.grammar import Hostile

_PRODUCE: Final = 0
_VERSION: Final = 7
_GZIP: Final = 1
_TIMEOUT_S: Final = 60.0
_OPENING: Final = struct.Struct(">hiqqqhii")
"""Of a batch, what its checksum begins with: attributes to the number of records."""


class NotTakenError(Exception):
    """The broker refuses the batch. code: Kafka's, as its protocol lists them."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the broker answers {code}")
        self.code = code


class Wire:
    """A connection to a broker that leads every partition. prefix: what comes before the registry's names."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        host, _, port = bootstrap.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), _TIMEOUT_S)
        self._prefix = prefix
        self._numbers = itertools.count()

    def write(self, record: Hostile) -> tuple[int, int]:
        """Write one record and return its partition and offset. Raises NotTakenError."""
        partition = partition_of(record.key)
        if record.elsewhere:
            partition = (partition + 1) % DEFAULT_PARTITIONS
        topic = (self._prefix + record.topic).encode()
        data = _batch(record)
        body = struct.pack(">hhii", -1, -1, int(_TIMEOUT_S * 1000), 1) + _text(topic)
        body += struct.pack(">iii", 1, partition, len(data)) + data
        number = next(self._numbers)
        head = struct.pack(">hhi", _PRODUCE, _VERSION, number) + _text(b"by hand")
        self._socket.sendall(struct.pack(">i", len(head) + len(body)) + head + body)
        answer = self._answer()
        assert struct.unpack_from(">i", answer)[0] == number
        # Behind the number: one topic, its name, one partition.
        _, error, offset = struct.unpack_from(">ihq", answer, 4 + 4 + 2 + len(topic) + 4)
        if error:
            raise NotTakenError(error)
        return partition, offset

    def _answer(self) -> bytes:
        (size,) = struct.unpack(">i", self._read(4))
        return self._read(size)

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._socket.recv(size - len(data))
            if not piece:
                raise ConnectionError("the broker hung up")
            data += piece
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()


def partition_of(key: bytes | None) -> int:
    """Where a client of ours would write it."""
    return 0 if key is None else int((murmur2(key) & 0x7FFFFFFF) % DEFAULT_PARTITIONS)


def _batch(record: Hostile) -> bytes:
    time_ms = int(time.time() * 1000) if record.timestamp_ms is None else record.timestamp_ms
    records = _record(record)
    if record.compressed:
        records = gzip.compress(records)
    checked = _OPENING.pack(_GZIP if record.compressed else 0, 0, time_ms, time_ms, -1, -1, -1, 1) + records
    # The leader's epoch, the format's version and the checksum stand between the length and what is checked.
    return struct.pack(">qiibI", 0, 9 + len(checked), -1, 2, calc_crc32c(checked)) + checked


def _record(record: Hostile) -> bytes:
    body = b"\x00" + _varint(0) + _varint(0) + _bytes(record.key) + _bytes(record.value) + _varint(len(record.headers))
    body += b"".join(_bytes(name) + _bytes(value) for name, value in record.headers)
    return _varint(len(body)) + body


def _bytes(value: bytes | None) -> bytes:
    return _varint(-1) if value is None else _varint(len(value)) + value


def _varint(number: int) -> bytes:
    rest = (number << 1) ^ (number >> 63)
    out = bytearray()
    while rest > 0x7F:
        out.append(rest & 0x7F | 0x80)
        rest >>= 7
    out.append(rest)
    return bytes(out)


def _text(value: bytes) -> bytes:
    return struct.pack(">h", len(value)) + value
