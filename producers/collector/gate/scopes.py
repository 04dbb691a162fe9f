"""What a key of scope `feedback` may say. Such a key stands in a page that anybody can read. Pure.

It speaks for users, of outputs that others made: actions, flags, votes, edits and retention checks. It cannot make or
replace a generation, judge as an annotator, correct as an expert, hold against a later fact by its revision, or add to
the account of another producer.
"""

from collections.abc import Mapping
from typing import Any, Final

FEEDBACK_TYPES: Final = ("action", "flag", "vote", "edit", "retention_check")
_SERVERS: Final = ("generation", "evaluation")
_RESERVED: Final = ("revision", "producer_id", "producer_seq")


def beyond_feedback(event: Mapping[str, Any]) -> tuple[str, str] | None:
    """The field of an event that a key of scope `feedback` may not send, and why; None when it may be sent."""
    if event.get("type") in _SERVERS:
        said = f"a key of scope feedback sends {', '.join(FEEDBACK_TYPES)}; send this with a key of scope all"
        return "type", said
    for name in _RESERVED:
        if event.get(name) is not None:
            return name, "not with a key of scope feedback: leave it out, or send with a key of scope all"
    if event.get("type") == "edit" and event.get("origin") not in (None, "user"):
        return "origin", "a key of scope feedback sends what users correct: leave it out, or say user"
    return None
