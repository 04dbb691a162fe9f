"""What a reviewer asks for and says: queues with their progress, what is theirs to do, a judgement, a step back.

The order in which a judgement is kept: the place is held, the events are taken by the SDK, the place is done. So what
fails between two of them is said again, and said twice is said once: of one person's words the latest holds.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from keeprate.deploy.page import happenings
from keeprate.deploy.page.answers import Json
from keeprate.deploy.page.exploring.changes import output_of
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.reviewing.blind import blinded, sways
from keeprate.deploy.page.reviewing.queues import Queues
from keeprate.deploy.review import saying
from keeprate.deploy.review.book import Book, ReviewProgress, TakenError
from keeprate.deploy.review.choosing import Candidate, Item, Slot, complete, open_for
from keeprate.deploy.review.reading import Queued
from keeprate.deploy.review.saying import Standing
from keeprate.deploy.review.sending import Outbox, UnsentError
from keeprate.deploy.review.settings import RULES, Queue, ReviewSettings
from keeprate.sinks.store.clickhouse import to_ms

AHEAD: Final = 2
"""A reviewer holds the suggestion before them and the next one, which is read meanwhile."""
_QUEUES_AT_ONCE: Final = ThreadPoolExecutor(5, "queue")
"""Each looks for its suggestions for up to three seconds, and nobody waits for the sum of them."""
_DAY: Final = timedelta(days=1)

May = Callable[[str], bool]
"""Whether the reviewer may judge suggestions of an app."""


class GoneError(Exception):
    """What a reviewer wants to do cannot be done any more, or not yet. The message says what would do."""


@dataclass(frozen=True)
class Reviewer:
    """id: the pseudonym that their events have. name: as the page calls them. may: in which apps.

    is_known: a login named them, not they themselves.
    """

    id: str
    name: str
    may: May
    is_known: bool = False


class Desk:
    """Where reviewers work. Threads share it."""

    def __init__(self, settings: ReviewSettings, book: Book, outbox: Outbox) -> None:
        self.settings = settings
        self._book = book
        self._outbox = outbox
        self._queues = Queues(settings.scales)

    def close(self) -> None:
        """Deliver what was said, and let go of the file."""
        self._outbox.close()
        self._book.close()

    def board(self, reads: Reads, who: Reviewer | None, app: str) -> Json:
        """The queues with what is in them and who did what, and what can be said."""
        settings, now_ms = self.settings, to_ms(reads.now)
        progress = [each for each in self._book.progress(to_ms(reads.now - _DAY)) if reads.sight.may(each.app)]
        seen = {each.reviewer for each in progress} | ({who.id} if who else set())
        return {
            "on": True,
            "reviewer": None if who is None else {"id": who.id, "name": who.name, "is_known": who.is_known},
            "reservation_min": settings.reservation_min,
            "names": {reviewer: name for reviewer, name in self._book.names().items() if reviewer in seen},
            "waiting": self._outbox.waiting(),
            "labels": [each.model_dump() for each in settings.labels],
            "questions": [each.model_dump() for each in settings.questions],
            "queues": [
                shown | {"progress": _summed([each for each in progress if each.queue == queue.name])}
                for queue, shown in zip(
                    settings.queues,
                    _QUEUES_AT_ONCE.map(lambda queue: self._shown(queue, reads, who, app, now_ms), settings.queues),
                    strict=True,
                )
            ],
        }

    def _shown(self, queue: Queue, reads: Reads, who: Reviewer | None, app: str, now_ms: int) -> Json:
        queued = self._queues.of(reads, queue)
        found = _of(queued, app, who.may if who else reads.sight.may)
        slots = self._book.slots([each.item for each in found])
        return {
            **queue.model_dump(include={"name", "title", "rule", "reviewers", "blind", "share"}),
            "meaning": RULES[queue.rule],
            "suggestions": len(found),
            "goes_on": queued.goes_on,
            "looked_back_to": None if queued.looked_back_to is None else to_ms(queued.looked_back_to),
            "complete": complete(found, slots),
            "open": open_for(found, slots, who.id if who else "", now_ms),
        }

    def claim(self, reads: Reads, who: Reviewer, queue_name: str, app: str) -> Json:
        """What is the reviewer's to do now and next: theirs alone until the reservation ends."""
        queue, now_ms = self._queue(queue_name), to_ms(reads.now)
        self._book.name(who.id, who.name)
        found = _of(self._queues.of(reads, queue), app, who.may)
        until_ms = self._until_ms(now_ms)
        items = self._book.claim(queue.name, found, who.id, AHEAD, now_ms, until_ms)
        return {"items": [item._asdict() for item in items], "until": until_ms}

    def item(self, reads: Reads, who: Reviewer, queue_name: str, item: Item) -> Json | None:
        """All that the reviewer may see of a suggestion that they hold; None where nothing of it is there."""
        queue = self._queue(queue_name)
        self._held(reads, who, queue, item)
        found = happenings.generation(reads, item.app, item.generation_id)
        # Whichever queue they name, the one by which it is theirs may hide more; of what is not theirs all is hidden.
        own = self._own(who, item)
        return None if found is None else blinded(found, not own or any(each.blind for each in (queue, *own)))

    def story(self, reads: Reads, who: Reviewer, app: str, generation_id: str, found: Json) -> Json:
        """A generation as somebody may see it elsewhere who may review it.

        What they hold is as their queue shows it, until they have spoken. Of anything else they see all, and are not
        given it any more: agreement with what one has read is none.
        """
        if not any(sways(event, all_of_it=True) for event in found["events"]):
            return found
        held = self._book.read(app, generation_id, who.id, to_ms(reads.now))
        queues = [self.settings.queue(name) for name in held]
        return blinded(found, any(queue is not None and queue.blind for queue in queues)) if held else found

    def held(self, reads: Reads, who: Reviewer) -> frozenset[str]:
        """The generations of which a suggestion is theirs to judge, in whichever queue."""
        return self._book.held(who.id, to_ms(reads.now))

    def read_cases(self, reads: Reads, who: Reviewer, seen: Sequence[tuple[str, str]]) -> None:
        """They have read what was said of these generations, each an app and an id: it counts as read in full."""
        self._book.read_all([each for each in seen if who.may(each[0])], who.id, to_ms(reads.now))

    def submit(self, reads: Reads, who: Reviewer, queue_name: str, item: Item, body: Mapping[str, Any]) -> Json:
        """Take a judgement. Raises SaidError, GoneError and UnsentError."""
        queue, now_ms = self._queue(queue_name), to_ms(reads.now)
        said = saying.judgement(body, self.settings)
        if not self._outbox.reaches(item.app):
            raise UnsentError(f"no key for {item.app}: put one under [send.keys] of the review configuration")
        output = None if said.corrected is None else self._output(reads, item)
        slot, standing = self._hold(reads, who, queue, item, now_ms)
        at_ms = now_ms if slot is None else max(now_ms, slot.at_ms + 1)
        events, after = saying.events_of(item, who.id, queue.name, said, output, standing, at_ms)
        sent = self._outbox.send(events)
        self._book.finish(Slot(item, who.id, queue.name, "done", 0, at_ms), after)
        return {"sent": sent, "events": len(events)}

    def skip(self, reads: Reads, who: Reviewer, queue_name: str, item: Item) -> Json:
        """Give a suggestion to others: the reviewer sees it no more."""
        queue, now_ms = self._queue(queue_name), to_ms(reads.now)
        self._hold(reads, who, queue, item, now_ms)
        self._book.finish(Slot(item, who.id, queue.name, "skipped", 0, now_ms), {})
        return {"skipped": True}

    def undo(self, reads: Reads, who: Reviewer, queue_name: str) -> Json:
        """Take back what the reviewer did last in a queue; it is theirs to do again. Raises GoneError."""
        queue, now_ms = self._queue(queue_name), to_ms(reads.now)
        last = self._book.last(queue.name, who.id)
        if last is None:
            raise GoneError("there is nothing of yours in this queue to take back")
        item, at_ms = last.slot.item, max(now_ms, last.slot.at_ms + 1)
        if not who.may(item.app):
            raise GoneError(f"you may not review {item.app} any more")
        self._hold(reads, who, queue, item, now_ms)
        events = saying.withdrawal(item, who.id, queue.name, last.standing, at_ms)
        sent = self._outbox.send(events)
        self._book.finish(Slot(item, who.id, queue.name, "reserved", self._until_ms(now_ms), at_ms), {})
        return {"item": item._asdict(), "words": last.standing.get(saying.WORDS, {}), "sent": sent}

    def _queue(self, name: str) -> Queue:
        queue = self.settings.queue(name)
        if queue is None:
            raise GoneError(
                f"{name[:60]!r} is no queue; there are {', '.join(each.name for each in self.settings.queues)}"
            )
        return queue

    def _held(self, reads: Reads, who: Reviewer, queue: Queue, item: Item) -> Candidate:
        """The candidate, where the reviewer has a place at it or may take one. Raises GoneError."""
        candidates = _of(self._queues.of(reads, queue), item.app, who.may)
        found = next((each for each in candidates if each.item == item), None)
        # It may have left the queue meanwhile, and is theirs all the same.
        states = {slot.state for slot in self._book.slots([item]) if slot.reviewer == who.id}
        if "read" in states:
            raise GoneError("you have read what others say of this suggestion: take the next one of the queue")
        has = bool(states)
        if found is None and not (has and who.may(item.app)):
            raise GoneError("this suggestion is not yours to review: take the next one of the queue")
        # It wants no more reviewers because another queue is named than the one by which it is theirs.
        return found or Candidate(item, min(each.reviewers for each in (queue, *self._own(who, item))))

    def _own(self, who: Reviewer, item: Item) -> list[Queue]:
        """The queue by which a suggestion is, or was, the reviewer's, where there still is one of its name."""
        mine = [self.settings.queue(slot.queue) for slot in self._book.slots([item]) if slot.reviewer == who.id]
        return [queue for queue in mine if queue is not None]

    def _hold(self, reads: Reads, who: Reviewer, queue: Queue, item: Item, now_ms: int) -> tuple[Slot | None, Standing]:
        candidate = self._held(reads, who, queue, item)
        try:
            return self._book.hold(queue.name, candidate, who.id, now_ms, self._until_ms(now_ms))
        except TakenError:
            raise GoneError(
                f"your {self.settings.reservation_min:g} minutes were over and others have taken this one: "
                "nothing was sent; take the next one"
            ) from None

    def _output(self, reads: Reads, item: Item) -> str | None:
        found = happenings.generation(reads, item.app, item.generation_id)
        return output_of(found["generation"] if found else None, item.choice_index)

    def _until_ms(self, now_ms: int) -> int:
        return now_ms + round(self.settings.reservation_min * 60_000)


def _of(queued: Queued, app: str, may: May) -> list[Candidate]:
    """The suggestions that a reviewer may judge; of one app, where one is chosen."""
    return [each for each in queued.candidates if may(each.item.app) and app in ("", each.item.app)]


def _summed(progress: Sequence[ReviewProgress]) -> list[Json]:
    """What each reviewer did, in all apps together."""
    found: dict[str, Json] = {}
    for each in progress:
        mine = found.setdefault(each.reviewer, {"reviewer": each.reviewer, "done": 0, "today": 0, "skipped": 0})
        for name in ("done", "today", "skipped"):
            mine[name] += getattr(each, name)
    return list(found.values())
