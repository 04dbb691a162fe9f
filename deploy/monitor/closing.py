"""Closing batches: which are complete, by the watermark of each app, and keeping their counts.

Step by step for each app and kind: from the end of what is closed, to what the watermark allows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from keeprate.deploy.monitor.labels import Admission, fold
from keeprate.sinks.closed import batches
from keeprate.sinks.closed.batches import BATCH, DAY, RETENTION
from keeprate.sinks.closed.watermarks import MEMORY, Progress
from keeprate.sinks.store.clickhouse import Client

CAUGHT_UP_MESSAGES: Final = 1000
MAX_SPANS_AT_ONCE: Final = 60
"""Months of history take many: between two reads only so many are closed, so that what is exported stays fresh."""
ROWS_AT_ONCE: Final = 50_000
"""About as many as a step may come to: it fits into one insert, and a restart repeats little."""
_LONGEST: Final = 28 * DAY
_GROWS_BY: Final = 8


@dataclass(frozen=True)
class ClosingSpan:
    """Batches of one kind and app that may close together. horizons: those that the app's checks are counted by."""

    kind: str
    app: str
    since: datetime
    until: datetime
    horizons: Sequence[int] = ()


def has_caught_up(lag_messages: int | None, progress: Mapping[str, Progress]) -> bool:
    """Whether the consumers are less than about a minute behind, so that what has occurred is also joined.

    lag_messages: over Keeprate's groups; None where Kafka does not say. Then the watermark alone decides.
    """
    last_minute = sum(each.recent for each in progress.values())
    return lag_messages is None or lag_messages <= max(CAUGHT_UP_MESSAGES, last_minute)


def closable(kind: str, app: str, since: datetime, watermark: datetime) -> ClosingSpan:
    """What may close of a kind from a time on; it is empty where its end is not after its beginning."""
    return ClosingSpan(kind, app, _floor(since), batches.closable_until(kind, watermark))


def in_steps(span: ClosingSpan, keep: Callable[[ClosingSpan], int]) -> Iterator[ClosingSpan]:
    """Close a span part by part: a day, and then as much as fits, going by the part before. A question about many days
    costs little more than one about a single day.

    keep: closes a part, and returns how many rows it came to.
    """
    step, since = DAY, span.since
    while since < span.until:
        part = replace(span, since=since, until=min(since + step, span.until))
        step = next_step(step, keep(part))
        since = part.until
        yield part


def next_step(step: timedelta, rows: int) -> timedelta:
    """How long the next part may be when one of `step` came to so many rows: a day at least, however many those are."""
    return min(max(step * min(ROWS_AT_ONCE // max(rows, 1), _GROWS_BY), DAY), _LONGEST)


def _floor(at: datetime) -> datetime:
    return datetime.fromtimestamp(at.timestamp() // BATCH.total_seconds() * BATCH.total_seconds(), at.tzinfo)


def horizons_of(client: Client, app: str, until: datetime, closed: Iterable[tuple[str, str]]) -> list[int]:
    """The horizons that an app is counted by. One that was admitted stays, as other values of labels do, for as long as
    it is checked. closed: the kinds and apps that something is closed of."""
    admitted = [int(kind.removeprefix(RETENTION)) for kind, of in closed if of == app and kind.startswith(RETENTION)]
    return batches.horizons(client, app, until - MEMORY, until, admitted)


def kinds_of(horizons: Iterable[int]) -> list[str]:
    """The kinds of batches that an app has, generations last: a horizon more brings one more."""
    return ["acceptance", "feedback", batches.SIGNAL, *(f"{RETENTION}{each}" for each in horizons), "generation"]


def close(
    client: Client, progress: Mapping[str, Progress], admission: Admission, max_spans: int = MAX_SPANS_AT_ONCE
) -> int:
    """Close and keep batches that are complete; how many spans that were: `max_spans` where there may be more.

    Raises StoreError between two spans.
    """

    def keep(part: ClosingSpan) -> int:
        counts = batches.count(client, part.kind, part.app, part.since, part.until)
        if part.kind == "generation":
            counts += batches.beyond(client, part.app, part.since, part.until, part.horizons)
        batches.store(client, part.kind, part.app, part.since, part.until, fold(counts, admission))
        return len(counts)

    parts = (part for span in _closable(client, progress) for part in in_steps(span, keep))
    return sum(1 for _ in islice(parts, max_spans))


def _closable(client: Client, progress: Mapping[str, Progress]) -> Iterator[ClosingSpan]:
    closed = batches.closed_until(client)
    for app, reached in progress.items():
        # Generations wait the shortest and close last: while none of theirs can close, nothing else need be asked.
        until = batches.closable_until("generation", reached.watermark)
        if closed.get(("generation", app), until - BATCH) >= until:
            continue
        horizons = horizons_of(client, app, reached.watermark, closed)
        for kind in kinds_of(horizons):
            since = closed.get((kind, app)) or batches.first_generation_at(client, app)
            if since is not None:
                yield replace(closable(kind, app, since, reached.watermark), horizons=horizons)
