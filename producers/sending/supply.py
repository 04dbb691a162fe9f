"""The supply of segments: from the spool while the disk takes them, in memory while it does not."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from keeprate.producers.sending.segments import Segment, in_memory

if TYPE_CHECKING:
    # It needs fcntl, which Windows has not; there the backlog is in memory.
    from keeprate.producers.sending.spool import Ledger, Orphan, Spool

log = logging.getLogger("keeprate.producers")

RETRY_S: Final = 5.0
ADOPT_EVERY_S: Final = 60.0


class Supply:
    """Makes and takes back segments, and remembers when to ask a disk again that has refused.

    open_spool: opens this process's spool, or raises OSError; None for memory only.
    """

    def __init__(self, segment_bytes: int, open_spool: "Callable[[], Spool] | None") -> None:
        self.segment_bytes = segment_bytes
        self._open_spool = open_spool
        self._spool: Spool | None = None
        self._retry_at_s = 0.0
        self._adopt_at_s = 0.0

    @property
    def ledger(self) -> "Ledger | None":
        """Where events that are only in memory are counted, if there is a disk."""
        return self._spool.ledger if self._spool else None

    @property
    def spool(self) -> "Spool | None":
        """The open spool."""
        return self._spool

    def has_neighbours(self) -> bool:
        """Whether other processes have spools beside ours, living or dead."""
        return self._spool is not None and self._spool.has_neighbours()

    def make_on_disk(self) -> Segment | None:
        """A segment in a file, or None when there is no disk or it has no room; then it is not asked again at once."""
        if self._open_spool is None or time.monotonic() < self._retry_at_s:
            return None
        try:
            if self._spool is None:
                self._spool = self._open_spool()
            return self._spool.make()
        except OSError as error:
            self._retry_at_s = time.monotonic() + RETRY_S
            log.warning("the spool takes no more, events are held in memory meanwhile: %s", error)
            return None

    def make_in_memory(self) -> Segment:
        """A segment that ends with the process."""
        return in_memory(self.segment_bytes)

    def discard(self, segment: Segment) -> None:
        """Take back a segment that holds nothing any more."""
        if self._spool:
            self._spool.discard(segment)
        else:
            segment.close()

    def adopt(self) -> "Iterator[Orphan]":
        """What former processes left behind; looked for at the first call and then once a minute."""
        if self._spool is None or time.monotonic() < self._adopt_at_s:
            return
        self._adopt_at_s = time.monotonic() + ADOPT_EVERY_S
        try:
            yield from self._spool.adopt()
        except OSError as error:
            log.warning("looking for orphaned spools failed: %s", error)

    def close(self, left: list[Segment]) -> tuple[int, int]:
        """Keep on disk what the segments hold, and let go; how many records were kept, and how many were not."""
        if self._spool is None:
            for segment in left:
                segment.close()
            return 0, sum(segment.waiting for segment in left)
        kept: list[Segment] = []
        lost = 0
        for segment in left:
            if segment.path is None and segment.waiting:
                try:
                    kept.append(self._spool.keep(segment))
                except OSError as error:
                    log.warning("the spool has no room for what was in memory: %s", error)
                    lost += segment.waiting
                segment.close()
            else:
                kept.append(segment)
        self._spool.ledger.count = 0
        return self._spool.close(kept), lost

    def detach(self) -> None:
        """In a forked child: leave the parent's files alone."""
        if self._spool:
            self._spool.detach()
