"""What the store knows for reviews: a queue's candidates, and the agreement of all who judge. Reads only."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from keeprate.deploy.review import agreeing, picking
from keeprate.deploy.review.agreeing import Agreements
from keeprate.deploy.review.choosing import Candidate, Item
from keeprate.deploy.review.settings import Queue
from keeprate.sinks.reading import voices
from keeprate.sinks.reading.hours import Known
from keeprate.sinks.reading.lists.listing import page
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.reading.voices import Scales
from keeprate.sinks.store.clickhouse import Client

PATIENCE_S: Final = 3.0
_WEEK_S: Final = 7 * 86_400
_DAY_S: Final = 86_400
_MOST_DAYS: Final = 15


def candidates(
    client: Client, queue: Queue, now: datetime, horizon_s: int, scales: Scales, patience_s: float = PATIENCE_S
) -> list[Candidate]:
    """The suggestions of a queue in the order in which they are given out. Raises StoreError.

    patience_s: how long they are looked for, the newest first; what is found by then is the queue.
    """
    rows = page(client, picking.listing_of(queue, now, horizon_s, scales), patience_s).rows
    reviewed = voices.reviewed(client, sorted({row.identity[:2] for row in rows}))
    chosen = picking.in_order(queue, rows, reviewed)
    return [Candidate(Item(*row.identity), queue.reviewers, reviewed.get(row.identity, frozenset())) for row in chosen]


def agreement(client: Client, scope: Scope, horizon_s: int, scales: Scales, summed: Known | None = None) -> Agreements:
    """How all who judge agree, of the suggestions of a scope. Raises StoreError.

    summed: what is known to be summed of a span that holds the scope's.
    """
    days = (scope.until - scope.since).total_seconds() / _DAY_S
    asked = replace(scope, by=(), bucket_s=_DAY_S if days <= _MOST_DAYS else _WEEK_S)
    heard = voices.heard(client, asked, horizon_s, summed)
    judged, said = voices.judgements(client, heard, scales), voices.said_and_kept(heard)
    return agreeing.agreements(judged, said, voices.words(client, asked, horizon_s, scales))
