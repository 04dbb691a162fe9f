"""Closing batches: which are complete, by the watermark of each app, and keeping their counts.

Step by step for each app and kind: from the end of what is closed, to what the watermark allows, a day at a time.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from keeprate.deploy.monitor.labels import Admission, fold
from keeprate.sinks.closed import batches
from keeprate.sinks.closed.batches import BATCH, DAY, RETENTION
from keeprate.sinks.closed.watermarks import MEMORY, Progress
from keeprate.sinks.store.clickhouse import Client

CAUGHT_UP_MESSAGES: Final = 1000
MAX_HORIZONS: Final = 8
MAX_SPANS_AT_ONCE: Final = 60
"""Weeks of history take many: between two reads only so many are closed, so that what is exported stays fresh."""


@dataclass(frozen=True)
class ClosingSpan:
    """Batches of one kind and app that may close together."""

    kind: str
    app: str
    since: datetime
    until: datetime


def has_caught_up(lag_messages: int | None, progress: Mapping[str, Progress]) -> bool:
    """Whether the consumers are less than about a minute behind, so that what has occurred is also joined.

    lag_messages: over Keeprate's groups; None where Kafka does not say. Then the watermark alone decides.
    """
    last_minute = sum(each.recent for each in progress.values())
    return lag_messages is None or lag_messages <= max(CAUGHT_UP_MESSAGES, last_minute)


def spans(kind: str, app: str, since: datetime, watermark: datetime) -> Iterator[ClosingSpan]:
    """What may close, in steps of a day, so that a step fits into one insert and a restart repeats little."""
    since = _floor(since)
    until = batches.closable_until(kind, watermark)
    while since < until:
        step = min(since + DAY, until)
        yield ClosingSpan(kind, app, since, step)
        since = step


def _floor(at: datetime) -> datetime:
    return datetime.fromtimestamp(at.timestamp() // BATCH.total_seconds() * BATCH.total_seconds(), at.tzinfo)


def kinds_of(client: Client, app: str, watermark: datetime) -> list[str]:
    """The kinds of batches that an app has, generations last: a horizon more brings one more."""
    found = batches.horizons(client, app, watermark - MEMORY)
    retention = (f"{RETENTION}{each}" for each in found[:MAX_HORIZONS])
    return ["acceptance", "feedback", batches.SIGNAL, *retention, "generation"]


def close(
    client: Client, progress: Mapping[str, Progress], admission: Admission, max_spans: int = MAX_SPANS_AT_ONCE
) -> int:
    """Close and keep batches that are complete; how many spans that were: `max_spans` where there may be more.

    Raises StoreError between two spans.
    """
    number = 0
    for span in islice(_closable(client, progress), max_spans):
        counts = batches.count(client, span.kind, span.app, span.since, span.until)
        batches.store(client, span.kind, span.app, span.since, span.until, fold(counts, admission))
        number += 1
    return number


def _closable(client: Client, progress: Mapping[str, Progress]) -> Iterator[ClosingSpan]:
    closed = batches.closed_until(client)
    for app, reached in progress.items():
        # Generations wait the shortest and close last: while none of theirs can close, nothing else need be asked.
        until = batches.closable_until("generation", reached.watermark)
        if closed.get(("generation", app), until - BATCH) >= until:
            continue
        for kind in kinds_of(client, app, reached.watermark):
            since = closed.get((kind, app)) or batches.first_generation_at(client, app)
            if since is not None:
                yield from spans(kind, app, since, reached.watermark)
