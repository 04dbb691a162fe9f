"""Which suggestions a reviewer is given: those that are begun first, and none that has all its reviewers. Pure.

A slot is one reviewer's place at one suggestion, whatever queue it came from: who has seen it is not given it again.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

State = Literal["reserved", "done", "skipped", "read"]


class Item(NamedTuple):
    """The suggestion that is reviewed."""

    app: str
    generation_id: str
    choice_index: int


@dataclass(frozen=True)
class Slot:
    """A reviewer's place at a suggestion. until_ms: when a reservation ends; what is done or skipped stays.

    read: they know what others say of it, and are not asked any more.
    """

    item: Item
    reviewer: str
    queue: str
    state: State
    until_ms: int
    at_ms: int

    def holds(self, now_ms: int) -> bool:
        """Whether it counts as one of the item's reviewers."""
        return self.state == "done" or self.is_reserved(now_ms)

    def is_reserved(self, now_ms: int) -> bool:
        """Whether its reviewer may take their time."""
        return self.state == "reserved" and now_ms < self.until_ms


@dataclass(frozen=True)
class Candidate:
    """A suggestion of a queue that wants so many reviewers. known: who has judged it, as the store knows."""

    item: Item
    reviewers: int
    known: frozenset[str] = field(default=frozenset())


def taken(candidate: Candidate, slots: Iterable[Slot], now_ms: int) -> frozenset[str]:
    """Who holds a place at a candidate, of its slots and of what the store knows."""
    return candidate.known | {slot.reviewer for slot in slots if slot.holds(now_ms)}


def may_hold(candidate: Candidate, slots: Sequence[Slot], reviewer: str, now_ms: int) -> bool:
    """Whether there is a place for the reviewer, or they have it; none for who knows what others say."""
    if any(slot.reviewer == reviewer and slot.state == "read" for slot in slots):
        return False
    return len(taken(candidate, slots, now_ms) - {reviewer}) < candidate.reviewers


def choose(
    candidates: Sequence[Candidate], slots: Iterable[Slot], reviewer: str, wanted: int, now_ms: int
) -> list[Candidate]:
    """What the reviewer is to have: what they hold already, then what others have begun, then the rest in order."""
    by_item = _by_item(slots)
    open_ = [each for each in candidates if _is_open(each, by_item[each.item], reviewer, now_ms)]
    return sorted(open_, key=lambda each: _rank(each, by_item[each.item], reviewer, now_ms))[:wanted]


def open_for(candidates: Sequence[Candidate], slots: Iterable[Slot], reviewer: str, now_ms: int) -> int:
    """How many there are for the reviewer to do."""
    by_item = _by_item(slots)
    return sum(_is_open(each, by_item[each.item], reviewer, now_ms) for each in candidates)


def complete(candidates: Sequence[Candidate], slots: Iterable[Slot]) -> int:
    """How many have all the reviewers that they want."""
    by_item = _by_item(slots)
    done = (each.known | {slot.reviewer for slot in by_item[each.item] if slot.state == "done"} for each in candidates)
    return sum(len(who) >= each.reviewers for each, who in zip(candidates, done, strict=True))


def _is_open(candidate: Candidate, slots: Sequence[Slot], reviewer: str, now_ms: int) -> bool:
    seen = any(slot.reviewer == reviewer and slot.state != "reserved" for slot in slots)
    return not seen and reviewer not in candidate.known and may_hold(candidate, slots, reviewer, now_ms)


def _rank(candidate: Candidate, slots: Sequence[Slot], reviewer: str, now_ms: int) -> int:
    if any(slot.reviewer == reviewer and slot.is_reserved(now_ms) for slot in slots):
        return 0
    return 1 if candidate.known or any(slot.state == "done" for slot in slots) else 2


def _by_item(slots: Iterable[Slot]) -> Mapping[Item, Sequence[Slot]]:
    found: dict[Item, list[Slot]] = defaultdict(list)
    for slot in slots:
        found[slot.item].append(slot)
    return found
