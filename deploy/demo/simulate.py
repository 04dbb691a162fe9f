"""From a world and a span of time to the events of that span, in the order in which they are sent.

The span is cut into hours. Each session has its own randomness, seeded by the world, the hour and its number within the
hour, so that a session is the same whatever span is asked for and whatever else happens; the rate only says how many of
an hour's sessions there are.
"""

import heapq
import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from keeprate.deploy.demo.scenes import SCENES
from keeprate.deploy.demo.session import Visit, new_session
from keeprate.deploy.demo.story import APPS, World
from keeprate.schemas.events import Event

HOUR_MS = 3_600_000
EVENTS_PER_SESSION = 17.5
"""The mean, measured over a month; from it a rate of events becomes a rate of sessions."""
QUIET = 0.3
"""Traffic in the deepest night and on a Sunday, against the busiest hour. Never nothing: the users live all over."""


@dataclass(frozen=True)
class Departure:
    """An event and when it leaves the app, in milliseconds since the epoch."""

    at: int
    event: Event


def rhythm(at_ms: int) -> float:
    """Traffic of the hour against the mean of the week, which is 1 to within a hundredth."""
    hours = at_ms / HOUR_MS
    # Busiest at 14:00 UTC. The epoch was a Thursday, so days 2 and 3 of its week are Saturday and Sunday.
    day = (1 + math.cos((hours - 14) * math.tau / 24)) / 2
    weekend = int(hours // 24) % 7 in (2, 3)
    shape = QUIET + (1 - QUIET) * day
    return shape * (0.45 if weekend else 1.0) / 0.548


def simulate(world: World, start: int, end: int | None, events_per_s: float) -> Iterator[Departure]:
    """Everything that comes of the sessions which begin in [start, end), by the time of its sending; endless if None.

    Deterministic, and what is sent may lie beyond `end`: a check of the next day, or what an offline client held back.
    """
    waiting: list[tuple[int, int, Event]] = []
    order = itertools.count()
    first_hour = start // HOUR_MS
    for hour in itertools.count(first_hour):
        hour_at = hour * HOUR_MS
        if end is not None and hour_at >= end:
            break
        # Nothing of this hour or a later one is sent before the hour begins.
        while waiting and waiting[0][0] < hour_at:
            yield _sent(heapq.heappop(waiting))
        for session in _sessions(world, hour, events_per_s):
            if session.now >= start and (end is None or session.now < end):
                for sent in _play(session):
                    heapq.heappush(waiting, (sent.at, next(order), sent.event))
    while waiting:
        yield _sent(heapq.heappop(waiting))


def _sent(entry: tuple[int, int, Event]) -> Departure:
    return Departure(entry[0], entry[2])


def _sessions(world: World, hour: int, events_per_s: float) -> Iterator[Visit]:
    """The sessions that begin within an hour. A higher rate appends to those of a lower one."""
    expected = events_per_s * 3600 / EVENTS_PER_SESSION * rhythm(hour * HOUR_MS + HOUR_MS // 2)
    # Rounded by chance, so that the mean is right at rates below one session an hour.
    count = int(expected + Random(f"{world.seed}/{world.start_at}/{hour}").random())
    for number in range(count):
        rng = Random(f"{world.seed}/{world.start_at}/{hour}/{number}")
        at_ms = hour * HOUR_MS + rng.randrange(HOUR_MS)
        app = rng.choices(APPS, [app.share for app in APPS])[0]
        yield new_session(world, app, rng, at_ms)


def _play(session: Visit) -> list[Departure]:
    SCENES[session.app.name](session)
    return deliver(session)


def deliver(session: Visit) -> list[Departure]:
    """The session's events as the network treats them: delayed, out of order, twice, or not at all.

    A generation that is lost leaves orphans behind, so its feedback waits for something that never comes.
    """
    rng = session.rng
    offline_until = session.now + rng.randint(300, 21_600) * 1000 if rng.random() < 0.02 else 0
    sent = []
    for event in session.events:
        if event["type"] == "generation" and rng.random() < 0.004:
            continue
        at_ms = max(_settled_at(event), offline_until) + rng.randint(5, 250)
        if rng.random() < 0.02:
            at_ms += int(rng.expovariate(1 / 60_000))
        sent.append(Departure(at_ms, event))
        if rng.random() < 0.012:
            sent.append(Departure(at_ms + rng.randint(500, 90_000), event))
    return sent


def _settled_at(event: Event) -> int:
    """When the app knows the event: a generation is told of once its call is over."""
    if event["type"] == "generation":
        return event["occurred_at"] + (event.get("latency_ms") or 0)
    return event["occurred_at"]
