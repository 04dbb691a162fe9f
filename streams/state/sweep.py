"""Walking through a state for what has expired, a few outcomes at a time, so that the join is not held up."""

from dataclasses import dataclass
from typing import Final

from keeprate.streams.join.expiry import stamped_at_ms
from keeprate.streams.state.partition import PartitionState

SWEEP_OUTCOMES: Final = 2_000
"""Looked at in one go: some milliseconds."""
SWEEP_EVERY_MS: Final = 12 * 3_600_000
"""Event time between two walks through a state. A replay of a day takes seconds, and should not walk all the time."""


@dataclass
class Sweep:
    """A walk through a partition's state, over and over, each time that event time has come far enough."""

    cursor: bytes = b""
    began_before_ms: int = -SWEEP_EVERY_MS

    @property
    def is_under_way(self) -> bool:
        """Whether a walk has begun and is not at its end."""
        return bool(self.cursor)

    def look(self, state: PartitionState, before_ms: int, limit: int) -> list[bytes]:
        """The expired keys among the next ones."""
        if not self.cursor and before_ms < self.began_before_ms + SWEEP_EVERY_MS:
            return []
        if not self.cursor:
            self.began_before_ms = before_ms
        found = state.scan(self.cursor, limit)
        # The least key after the last one.
        self.cursor = found[-1][0] + b"\x00" if len(found) == limit else b""
        return [key for key, stamped in found if stamped_at_ms(stamped) < before_ms]
