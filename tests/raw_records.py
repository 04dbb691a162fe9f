"""Records whose headers have any bytes for a name, which no client writes from Python: batches made by hand."""

import asyncio
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

RawRecord = tuple[bytes | None, bytes | None, Sequence[tuple[bytes, bytes | None]]]
"""Key, value and headers."""


class _Name(str):
    """A text whose UTF-8 is whatever is asked for."""

    raw: bytes

    def __new__(cls, raw: bytes) -> "_Name":
        name = super().__new__(cls, "x" * len(raw))
        name.raw = raw
        return name

    def encode(self, *args: Any, **kwargs: Any) -> bytes:
        return self.raw


def produce_raw(
    bootstrap: str,
    topic: str,
    partition: int,
    records: Sequence[RawRecord],
    timestamp_ms: int = 1_764_000_000_000,
    compression: int = 0,
) -> int:
    """Write key, value and headers of each as one batch; returns the offset of the first.

    compression: 1 gzip, 3 lz4, 4 zstd.
    """
    data = raw_batch(records, timestamp_ms, compression)
    return asyncio.run(_send(bootstrap, topic, partition, data))


def raw_batch(records: Sequence[RawRecord], timestamp_ms: int = 1_764_000_000_000, compression: int = 0) -> bytes:
    """The bytes of one batch, as Kafka holds it."""
    batch = _DefaultRecordBatchBuilderPy(2, compression, 0, -1, -1, 0, 64 << 20)
    for offset, (key, value, headers) in enumerate(records):
        named = [(_Name(name), content) for name, content in headers]
        assert batch.append(offset, timestamp_ms, key, value, named) is not None
    return bytes(batch.build())


async def _send(bootstrap: str, topic: str, partition: int, data: bytes) -> int:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=64 << 20)
    await producer.start()
    try:
        batch = producer.create_batch()
        batch.close()
        # What is sent is what was built.
        batch._buffer, batch._relative_offset = data, 1
        sent = await producer.send_batch(batch, topic, partition=partition)
        return int((await sent).offset)
    finally:
        await producer.stop()
