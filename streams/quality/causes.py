"""Which drifted series are told together: those of one prompt, and those of an app that changed at once. Pure.

A cause has the name of the prompt that was found first. It keeps that for as long as one of its series is in alarm, so
that whoever was told of it is not told anew when another joins or the first recovers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

TOGETHER_S: Final = 3600
"""Changes that probably began within an hour of each other began together."""
_PART_OF_DELAY: Final = 0.25
"""When a change began is known the worse the longer it took to find: to about a quarter of that."""


@dataclass(frozen=True)
class DriftAlarm:
    """A series in alarm: of which prompt, since when (seconds since the epoch), and of which cause it is."""

    prompt: str
    since: int
    cause: str


def cause_of(prompt: str, since: int, found_at: int, others: Iterable[DriftAlarm]) -> str:
    """The cause of an alarm that is raised now, given those of its app that stand. since: when the change began."""
    known = list(others)
    if any(each.cause == prompt for each in known):
        return prompt
    if own := [each for each in known if each.prompt == prompt]:
        return own[0].cause
    tolerance = max(TOGETHER_S, _PART_OF_DELAY * (found_at - since))
    near = [each for each in known if abs(each.since - since) <= tolerance]
    return min(near, key=lambda each: (abs(each.since - since), each.cause)).cause if near else prompt
