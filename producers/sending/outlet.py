"""The outlet: what a client gives its encoded events to, Kafka or a test's list."""

from typing import Protocol

from keeprate.producers.sending.stats import DropReason, Stats


class Outlet(Protocol):
    """Where a client's events go: `Delivery`, or the double of `keeprate.producers.testing`."""

    def prepare(self) -> None:
        """Be ready for the first event."""

    def put(self, topic: int, key: bytes, body: bytes, wait_s: float | None = 0.0) -> DropReason | None:
        """Take an event, or say why it was dropped."""

    def count_drop(self, reason: DropReason) -> None:
        """Account for an event that could not even be encoded."""

    def stats(self) -> Stats:
        """The accounts at this moment."""

    def flush(self, timeout_s: float | None) -> int:
        """Wait until everything taken is settled; the number that is not."""

    def close(self, timeout_s: float) -> None:
        """Take no more."""

    def abandon(self) -> None:
        """In a forked child: be of no use any more."""
