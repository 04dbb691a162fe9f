"""The backlog: what was emitted and is not settled yet, as segments in the order of emission.

Emitters append to the newest segment; the sender reads from the oldest. When a segment is full, the next is a spare
that the sender has made ready, so an emitter never waits for a disk; with no spare ready, it is one in memory.

Invariant: a segment leaves the backlog when all of its records are settled, or evicted with their number counted.
Invariant: the caller holds one lock around every call but `read`, which is the sender's.
"""

from collections import deque
from collections.abc import Iterator

from keeprate.producers.sending.segments import FRAME_BYTES, OutgoingRecord, Segment, in_memory


class Backlog:
    """Segments, oldest first.

    segment_bytes: the size of each; larger than the largest event with its frame.
    limit_bytes: of all segments together; beyond it the oldest must go before a new one comes.
    memory_bytes: of those that are only in memory.
    """

    def __init__(self, *, segment_bytes: int, limit_bytes: int, memory_bytes: int) -> None:
        self.segment_bytes = segment_bytes
        self._limit_bytes = limit_bytes
        self._memory_bytes = memory_bytes
        self._segments: deque[Segment] = deque()
        self._spares: deque[Segment] = deque()
        self._reading = 0

    def append(self, topic: int, key: bytes, value: bytes) -> Segment | None:
        """Take a record, and say which segment holds it; None, and nothing done, when there is no room."""
        if self._segments and (newest := self._segments[-1]).append(topic, key, value):
            return newest
        if FRAME_BYTES + len(value) > self.segment_bytes or not self._extend():
            return None
        self._segments[-1].append(topic, key, value)
        return self._segments[-1]

    def has_memory(self) -> bool:
        """Whether one more segment may be in memory."""
        used = sum(segment.size_bytes for segment in self if segment.path is None)
        return used + self.segment_bytes <= self._memory_bytes

    def wants_spare(self) -> bool:
        """Whether the sender should make the next segment ready."""
        return not self._spares and self.size_bytes + self.segment_bytes <= self._limit_bytes

    def is_over_limit(self) -> bool:
        """Whether there is neither a spare nor, within the limit, room for one."""
        return not self._spares and not self.wants_spare()

    def add_spare(self, segment: Segment) -> None:
        """Give the segment that is used next: at once when it is on disk and the newest is not."""
        self._spares.append(segment)
        if segment.path and self._segments and self._segments[-1].path is None:
            self._extend()

    def take_over(self, segments: list[Segment]) -> None:
        """Put another process's segments first."""
        self._segments.extendleft(reversed(segments))
        self._reading = 0

    def read(self) -> tuple[Segment, OutgoingRecord] | None:
        """The next record to send, with its segment; None when all were read."""
        while self._reading < len(self._segments):
            # Asked before the read: an emitter may fill this segment and open the next while we look.
            is_newest = self._reading == len(self._segments) - 1
            segment = self._segments[self._reading]
            if (record := segment.read()) is not None:
                return segment, record
            if is_newest:
                return None
            self._reading += 1
        return None

    def rewind(self) -> None:
        """Read again, from the oldest record that is not settled."""
        for segment in self._segments:
            segment.rewind()
        self._reading = 0

    def retire(self) -> list[Segment]:
        """Take out the oldest segments as far as they are settled; the newest stays."""
        done = []
        while len(self._segments) > 1 and not self._segments[0].waiting:
            done.append(self._segments.popleft())
            self._reading = max(0, self._reading - 1)
        return done

    def evict(self) -> Segment | None:
        """Take out the oldest segment of which nothing was sent; its records are lost, for the caller to count.

        None when only the one being sent from and the one being filled are left.
        """
        for segment in list(self._segments)[self._reading : -1]:
            if not segment.handed_over:
                self._segments.remove(segment)
                return segment
        return None

    def drain(self) -> list[Segment]:
        """Take out every segment, spares last."""
        segments = [*self._segments, *self._spares]
        self._segments.clear()
        self._spares.clear()
        self._reading = 0
        return segments

    @property
    def size_bytes(self) -> int:
        """Of all segments, spares included."""
        return sum(segment.size_bytes for segment in self)

    @property
    def waiting(self) -> int:
        """Records that are not settled."""
        return sum(segment.waiting for segment in self._segments)

    @property
    def waiting_on_disk(self) -> int:
        """Of those, the ones in files and not at this moment with a producer."""
        return sum(segment.waiting - segment.in_flight for segment in self._segments if segment.path)

    def __iter__(self) -> Iterator[Segment]:
        yield from self._segments
        yield from self._spares

    def _extend(self) -> bool:
        if self._spares:
            self._segments.append(self._spares.popleft())
            return True
        if not self.has_memory():
            return False
        try:
            self._segments.append(in_memory(self.segment_bytes))
        except OSError:
            # The machine has no memory: the same as having none of our own.
            return False
        return True
