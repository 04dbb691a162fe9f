"""What became of every event that was emitted, in numbers that add up."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

DropReason = Literal["invalid", "too_large", "redaction", "full", "evicted", "refused", "closed", "exit", "crash"]

DROP_REASONS: Final[Mapping[DropReason, str]] = {
    "invalid": "the event breaks the contract; Stats.refusals says which field, and the log says it once per kind",
    "too_large": "the event is larger than 1 MiB; shorten the captured content",
    "redaction": "the redaction hook raised, so the event was withheld",
    "full": "the brokers and the disk took less than the app emitted, and memory was full",
    "evicted": "the oldest events made room for new ones when the spool reached its limit",
    "refused": "a broker or the collector refused the event for what it is; Stats.refusals says what for",
    "closed": "the client was closed before",
    "exit": "the app ended with undelivered events, and there was no disk to spool them to",
    "crash": "a former process of the app was killed while it held events in memory only",
}
"""Every reason with its meaning: the closed set of the label `reason`."""


@dataclass(frozen=True)
class Stats:
    """One client's accounts at one moment: accepted = delivered + pending + spooled + the sum of dropped.

    accepted: events given to `emit`, those taken over from a former process included.
    delivered: acknowledged by every replica, or by the collector, which waits for that.
    pending: on their way, in memory or being sent.
    spooled: on disk, waiting; they survive the process.
    dropped: lost, by reason. `DROP_REASONS` says what each means.
    adopted: of accepted, how many a former process left behind.
    refusals: contract errors by kind, as "type field", with their number; what an event went without because it could
        not be read; and what was refused behind the gate, as "refused type field" or Kafka's name for it. Beyond a
        hundred kinds they are counted as "other".
    last_error: the last error of the connection, by Kafka's name for it or as the HTTP status and what was said.
    """

    accepted: int = 0
    delivered: int = 0
    pending: int = 0
    spooled: int = 0
    dropped: Mapping[DropReason, int] = field(default_factory=dict)
    adopted: int = 0
    refusals: Mapping[str, int] = field(default_factory=dict)
    last_error: str = ""

    @property
    def lost(self) -> int:
        """Dropped for any reason."""
        return sum(self.dropped.values())
