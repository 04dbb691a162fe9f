"""The accounts of one client: what came in, and what became of it. The caller holds the delivery's lock."""

from collections import Counter
from typing import TYPE_CHECKING

from keeprate.producers.sending.backlog import Backlog
from keeprate.producers.sending.segments import Segment
from keeprate.producers.sending.stats import DropReason, Stats

if TYPE_CHECKING:
    from keeprate.producers.sending.spool import Ledger


class Accounts:
    """Counts events, and keeps in the ledger how many are in memory only, for whoever adopts us after a kill."""

    def __init__(self) -> None:
        self._ledger: Ledger | None = None
        self._in_memory = 0
        self.last_error = ""
        self._accepted = 0
        self._delivered = 0
        self._adopted = 0
        self._kept = 0
        self._dropped: Counter[DropReason] = Counter()

    def refuse(self, reason: DropReason) -> None:
        """An event came and was not taken."""
        self._accepted += 1
        self._dropped[reason] += 1

    def take(self, segment: Segment) -> None:
        """An event came and is in the segment."""
        self._accepted += 1
        if segment.path is None:
            self._volatile(1)

    def deliver(self, segment: Segment) -> None:
        """A broker acknowledged an event of the segment."""
        self._delivered += 1
        if segment.path is None:
            self._volatile(-1)

    def drop(self, reason: DropReason, segment: Segment, number: int) -> None:
        """Events of the segment will not be delivered."""
        self._dropped[reason] += number
        if segment.path is None:
            self._volatile(-number)

    def adopt(self, taken: int, lost: int) -> None:
        """A former process left events behind, and lost others when it was killed."""
        self._adopted += taken + lost
        self._accepted += taken + lost
        self._dropped["crash"] += lost

    def close(self, kept: int, lost: int) -> None:
        """The client is closed: so many events wait on disk for the next start, and so many had nowhere to."""
        self._kept = kept
        self._dropped["exit"] += lost
        self._ledger = None

    def keep_in(self, ledger: "Ledger | None") -> None:
        """Note in this ledger, from now on, how many events are in memory only."""
        self._ledger = ledger
        self._volatile(0)

    def stats(self, backlog: Backlog) -> Stats:
        """A snapshot."""
        on_disk = backlog.waiting_on_disk
        return Stats(
            accepted=self._accepted,
            delivered=self._delivered,
            pending=backlog.waiting - on_disk,
            spooled=on_disk + self._kept,
            dropped={reason: number for reason, number in self._dropped.items() if number},
            adopted=self._adopted,
            last_error=self.last_error,
        )

    def _volatile(self, change: int) -> None:
        self._in_memory += change
        if self._ledger is not None:
            self._ledger.count = self._in_memory
