"""Sending the simulator's events: the past at once, the rest when it is due, and going on after a stop.

A run is a list of spans, each with a rate of events: the past at a low one, the present at a lively one, and a low one
again for the time in which nobody ran the demo. The list and the time up to which everything was sent are the whole
state, because the simulator can tell the rest again.
"""

import heapq
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

from keeprate.deploy.demo.simulate import Departure, simulate
from keeprate.deploy.demo.story import BAD, DAY_MS, EDITOR, Episode, Version, World

ECHO_MS = 3 * DAY_MS
"""Nothing is sent later than this after its session began: the longest is a late check of the next day, held back."""
LEAD_MS = 600_000
"""How long before the start the lively rate begins: the first minutes live then have checks of earlier sessions too."""
SAVE_EVERY_MS = 10_000
BAD_FOR_MS: Final = 3 * 3_600_000
_BAD_EVENTS_PER_S: Final = 0.6
_OTHERS: Final = 1_000_000


class DemoClock(Protocol):
    """What tells the time and waits; a test has its own."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch."""

    def sleep(self, seconds: float) -> None:
        """Return after this long."""


@dataclass(frozen=True)
class PacedSpan:
    """From when on sessions begin at which rate; until the next span."""

    start: int
    events_per_s: float


@dataclass(frozen=True)
class Playback:
    """What is to be told, and how far it was.

    brokers: where it was sent; another broker has seen nothing yet.
    sent_until: everything due up to then was sent, in milliseconds since the epoch.
    """

    world: World
    spans: tuple[PacedSpan, ...]
    brokers: str
    sent_until: int


def begin(seed: int, days: int, events: int, live_events_per_s: float, brokers: str, now_ms: int) -> Playback:
    """A first run: so many events over the days before now, then live; a live rate of zero ends it with the past."""
    start = (now_ms // DAY_MS - days) * DAY_MS
    past = PacedSpan(start, events * 1000 / (now_ms - start))
    return Playback(World.over(seed, start, days), (past, PacedSpan(now_ms - LEAD_MS, live_events_per_s)), brokers, 0)


def resume(run: Playback, live_events_per_s: float, now_ms: int) -> Playback:
    """The run that goes on from here: what is still due of it, the gap at the rate of the past, then live."""
    # Never before what was sent: of a session told in part, the rest would be orphans.
    past, live = run.spans[0], PacedSpan(max(run.sent_until, now_ms - LEAD_MS), live_events_per_s)
    if run.sent_until < past.start:
        return replace(run, spans=(past, live))
    told = [span for span in run.spans if span.start < run.sent_until]
    return replace(run, spans=(*told, replace(past, start=run.sent_until), live))


def told_from_the_start(run: Playback, brokers: str) -> Playback:
    """The same run for a broker that has seen none of it."""
    return replace(run, brokers=brokers, sent_until=0)


def expected_events(run: Playback, until: int) -> int:
    """About how many events are due of the run up to a time."""
    ends = [span.start for span in run.spans[1:]] + [until]
    spans = (
        (max(span.start, run.sent_until), min(end, until), span) for span, end in zip(run.spans, ends, strict=True)
    )
    return round(sum(max(0, end - start) / 1000 * span.events_per_s for start, end, span in spans))


def timeline(run: Playback) -> Iterator[Departure]:
    """What is still to be sent, by the time at which it is due. Endless, unless the last span's rate is zero."""
    parts = []
    for span, following in zip(run.spans, (*run.spans[1:], None), strict=True):
        end = following.start if following else None
        quiet = span.events_per_s <= 0 or (end is not None and end + ECHO_MS < run.sent_until)
        if not quiet:
            parts.append(simulate(run.world, span.start, end, span.events_per_s))
    return (sent for sent in heapq.merge(*parts, key=lambda sent: sent.at) if sent.at > run.sent_until)


@dataclass
class Pace:
    """When an item is sent: one of the past `speed` times faster than it happened (0: at once), others when due."""

    clock: DemoClock
    speed: float
    begun_at: int
    first_at: int | None = None

    def wait_for(self, at_ms: int) -> None:
        """Return when it is time for what is due at `at_ms`."""
        if self.first_at is None:
            self.first_at = at_ms
        due_at = at_ms
        if at_ms <= self.begun_at:
            due_at = self.begun_at + int((at_ms - self.first_at) / self.speed) if self.speed else 0
        while (left_ms := due_at - self.clock.now_ms()) > 0:
            self.clock.sleep(min(left_ms / 1000, 1.0))


def play(
    run: Playback,
    send: Callable[[Departure], None],
    pace: Pace,
    save: Callable[[Playback], None],
    progress: Callable[[int], None],
    until: int | None = None,
) -> Playback:
    """Send what the run still has, in order. Returns the run as it stands at `until`; else only by an exception.

    send: may block; raises to end the run.
    save: called now and then with how far it is, never further than what `send` returned from.
    progress: called with the due time of each item.
    """
    saved_at = 0
    for sent in timeline(run):
        if until is not None and sent.at > until:
            break
        pace.wait_for(sent.at)
        send(sent)
        # Two items may be due in one millisecond: only the one before it is surely over.
        run = replace(run, sent_until=sent.at - 1)
        progress(sent.at)
        if sent.at - saved_at >= SAVE_EVERY_MS and sent.at > pace.begun_at:
            saved_at = sent.at
            save(run)
    return replace(run, sent_until=until) if until is not None else run


def load(path: Path) -> Playback | None:
    """The run in a file, or None when there is none yet."""
    if not path.exists():
        return None
    state = json.loads(path.read_text("utf-8"))
    spans = tuple(PacedSpan(**span) for span in state["spans"])
    return Playback(_world(state["world"]), spans, state["brokers"], state["sent_until"])


def _world(state: Mapping[str, Any]) -> World:
    episodes = (
        Episode(**each | {"instead_of": tuple(each["instead_of"]), "version": Version(**each["version"])})
        for each in state.get("episodes", ())
    )
    return World(**{**state, "episodes": tuple(episodes)})


def bad_release(seed: int, now_ms: int) -> Iterator[Departure]:
    """What users of the editor's v5 did in the three hours before now, had it been released then. Others than the
    demo's: a run of the same seed goes on beside it."""
    since = now_ms - BAD_FOR_MS
    world = World.over(seed + _OTHERS, since // DAY_MS * DAY_MS - DAY_MS, 1)
    everybody = tuple(version.name for version in EDITOR.versions)
    world = replace(world, episodes=(Episode(EDITOR.name, everybody, BAD, since, now_ms),))
    for sent in simulate(world, since, now_ms, _BAD_EVENTS_PER_S):
        if sent.event["app"] == EDITOR.name and sent.at <= now_ms:
            yield sent


def store(run: Playback, path: Path) -> None:
    """Write the run to a file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(run)), "utf-8")
    fresh.replace(path)
