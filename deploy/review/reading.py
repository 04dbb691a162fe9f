"""What the store knows for reviews: a queue's candidates, and the agreement of all who judge. Reads only."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from keeprate.deploy.review import agreeing, picking
from keeprate.deploy.review.agreeing import Agreements
from keeprate.deploy.review.choosing import Candidate, Item
from keeprate.deploy.review.settings import Queue
from keeprate.sinks.reading import voices
from keeprate.sinks.reading.hours import Known
from keeprate.sinks.reading.lists.listing import Place, Suggestion, page
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.reading.voices import Scales
from keeprate.sinks.store.clickhouse import Client

_WEEK_S: Final = 7 * 86_400
_DAY_S: Final = 86_400
_MOST_DAYS: Final = 15


@dataclass(frozen=True)
class Queued:
    """A queue's suggestions in the order in which they are given out.

    goes_on: there may be more than it holds. looked_back_to: how far they were looked for; None once that is over.
    """

    candidates: Sequence[Candidate] = ()
    goes_on: bool = False
    looked_back_to: datetime | None = None


class Looking:
    """Looks for a queue's suggestions, the newest first: what one look does not reach, the next one goes on from.

    rows: what was found so far.
    """

    def __init__(self, queue: Queue, now: datetime, horizon_s: int, scales: Scales) -> None:
        self._queue = queue
        self._asked = picking.listing_of(queue, now, horizon_s, scales)
        self._next: Place | None = None
        self.rows: list[Suggestion] = []

    def look(self, client: Client, patience_s: float) -> Queued:
        """The queue as far as it is known after another look of at most so long. Raises StoreError."""
        asked = replace(self._asked, limit=self._asked.limit - len(self.rows), after=self._next)
        found = page(client, asked, patience_s)
        self.rows, self._next = [*self.rows, *found.rows], found.next
        is_over = found.next is None or len(self.rows) >= self._asked.limit
        reviewed = voices.reviewed(client, sorted({row.identity[:2] for row in self.rows}))
        chosen = picking.in_order(self._queue, self.rows, reviewed)
        return Queued(
            [
                Candidate(Item(*row.identity), self._queue.reviewers, reviewed.get(row.identity, frozenset()))
                for row in chosen
            ],
            goes_on=found.next is not None or len(chosen) < len(self.rows),
            looked_back_to=None if is_over else found.searched_until,
        )


def candidates(client: Client, queue: Queue, now: datetime, horizon_s: int, scales: Scales) -> Sequence[Candidate]:
    """The suggestions of a queue, however long it takes to find them. Raises StoreError."""
    return Looking(queue, now, horizon_s, scales).look(client, math.inf).candidates


def agreement(client: Client, scope: Scope, horizon_s: int, scales: Scales, summed: Known | None = None) -> Agreements:
    """How all who judge agree, of the suggestions of a scope. Raises StoreError.

    summed: what is known to be summed of a span that holds the scope's.
    """
    days = (scope.until - scope.since).total_seconds() / _DAY_S
    asked = replace(scope, by=(), bucket_s=_DAY_S if days <= _MOST_DAYS else _WEEK_S)
    heard = voices.heard(client, asked, horizon_s, summed)
    judged, said = voices.judgements(client, heard, scales), voices.said_and_kept(heard)
    return agreeing.agreements(judged, said, voices.words(client, asked, horizon_s, scales))
