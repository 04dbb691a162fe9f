"""Segments: fixed-size runs of records, in memory or in a file that survives the process.

A frame is `length, crc32, topic, state` and then the key and the value. It is written into a mapping of the file, with
no system call, so that what `emit` has taken survives a kill of the process; it survives a loss of power only as far
as the kernel has written the page. A frame that a kill cut short fails its CRC and ends the segment.

The state of a frame is outside the CRC: the acknowledgement of a record overwrites that one byte.
"""

import mmap
import os
import struct
import zlib
from pathlib import Path
from typing import Final, NamedTuple

_HEADER: Final = struct.Struct("<IIBB")
_STATE_AT: Final = _HEADER.size - 1
_WAITING, _SETTLED = 0, 1
KEY_BYTES: Final = 36
"""Every key is a generation_id, a UUID in its textual form."""
FRAME_BYTES: Final = _HEADER.size + KEY_BYTES
"""What a frame takes beside its value."""


class OutgoingRecord(NamedTuple):
    """One record on its way to Kafka. `topic` is the index of a topic in `topics.SOURCES`."""

    offset: int
    topic: int
    key: bytes
    value: bytes


class Segment:
    """Records in the order they were taken, of which some are settled: acknowledged, or dropped and counted.

    One thread appends; one other reads and settles. `buffer` begins as zeros, or as what a former process left.
    in_flight: how many a producer holds, for its owner to keep.
    """

    __slots__ = (
        "_buffer",
        "_read_at",
        "_write_at",
        "handed_over",
        "in_flight",
        "path",
        "settled",
        "size_bytes",
        "taken",
    )

    def __init__(self, buffer: mmap.mmap, path: Path | None = None) -> None:
        self._buffer = buffer
        self._read_at = 0
        self._write_at = 0
        self.path = path
        self.size_bytes = len(buffer)
        self.taken = 0
        self.handed_over = 0
        self.in_flight = 0
        self.settled = 0

    @property
    def waiting(self) -> int:
        """Records that nobody has settled."""
        return self.taken - self.settled

    def append(self, topic: int, key: bytes, value: bytes) -> bool:
        """Take a record; False, and nothing done, when there is no room for it."""
        body = key + value
        end = self._write_at + _HEADER.size + len(body)
        if end > self.size_bytes:
            return False
        header = _HEADER.pack(len(body), zlib.crc32(body, topic), topic, _WAITING)
        self._buffer[self._write_at : end] = header + body
        self._write_at = end
        # Last, because the reader goes by it.
        self.taken += 1
        return True

    def read(self) -> OutgoingRecord | None:
        """The next record that is not settled, and step past it; None at the end."""
        while self.handed_over < self.taken:
            offset = self._read_at
            size, _, topic, state = _HEADER.unpack_from(self._buffer, offset)
            middle = offset + FRAME_BYTES
            self._read_at = end = offset + _HEADER.size + size
            self.handed_over += 1
            if state == _WAITING:
                return OutgoingRecord(
                    offset, topic, self._buffer[middle - KEY_BYTES : middle], self._buffer[middle:end]
                )
        return None

    def rewind(self) -> None:
        """Read again from the first record: `read` then gives those that are not settled, in their order."""
        self._read_at = 0
        self.handed_over = 0
        self.in_flight = 0

    def unread(self, record: OutgoingRecord) -> None:
        """Step back before the record that `read` gave last."""
        self._read_at = record.offset
        self.handed_over -= 1

    def settle(self, offset: int) -> None:
        """The record at the offset needs nothing more. Call it once per record."""
        self._buffer[offset + _STATE_AT] = _SETTLED
        self.settled += 1

    def recover(self) -> int:
        """Count the records that a former process left, up to the first that was cut short; the bytes of that one.

        Bytes behind the end that are not zero are those of a frame that was being written.
        """
        while (frame := self._intact_frame(self._write_at)) is not None:
            is_settled, self._write_at = frame
            self.taken += 1
            self.settled += is_settled
        return len(self._buffer[self._write_at :].rstrip(b"\0"))

    def trim(self) -> None:
        """Give the unused end of the file back to the disk, and let the file be. Nothing can be done with it after."""
        self._buffer.close()
        if self.path is not None:
            os.truncate(self.path, self._write_at)

    def close(self) -> None:
        """Let the mapping go; the file stays."""
        self._buffer.close()

    def _intact_frame(self, offset: int) -> tuple[bool, int] | None:
        start = offset + _HEADER.size
        if start > self.size_bytes:
            return None
        size, crc, topic, state = _HEADER.unpack_from(self._buffer, offset)
        end = start + size
        if size < KEY_BYTES or end > self.size_bytes or zlib.crc32(self._buffer[start:end], topic) != crc:
            return None
        return state == _SETTLED, end


def in_memory(size_bytes: int) -> Segment:
    """A segment that ends with the process."""
    return Segment(mmap.mmap(-1, size_bytes))
