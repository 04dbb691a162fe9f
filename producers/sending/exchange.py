"""The exchange: records go out, answers come back, by Kafka or by HTTPS. Only the sender's thread uses it."""

from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from keeprate.producers.sending.backlog import Backlog
from keeprate.producers.sending.segments import Segment

Fate = Literal["delivered", "refused", "resend"]


class Answer(NamedTuple):
    """What became of one record.

    fate: `delivered` when every replica has it, `refused` when it is at fault itself and sending it again cannot help.
    error: what it was refused for, or kept from; empty where we took it back ourselves. reason: the same in words.
    """

    segment: Segment
    offset: int
    fate: Fate
    error: str = ""
    reason: str = ""


OnError = Callable[[str, bool], None]
"""Takes an error that is not one record's, and whether it is likely to pass by itself at once."""


class Exchange(Protocol):
    """The talk with whoever takes records.

    in_flight: records that it took and has not answered for.
    """

    in_flight: int

    @property
    def is_open(self) -> bool:
        """Whether records can be handed over."""

    def open(self, on_error: OnError) -> None:
        """Be ready for records."""

    def hand_over(self, backlog: Backlog) -> int:
        """Take the next records of the backlog; how many it took."""

    def answers(self, timeout_s: float) -> list[Answer]:
        """What has become of records meanwhile, waiting for the first answer for at most `timeout_s`."""

    def take_back(self) -> list[Answer]:
        """Give up what is held, and be closed; what was already known, and what was given up."""

    def abandon(self) -> None:
        """In a forked child: never touch what is the parent's."""
