"""A double for the tests of apps: the client itself, with a list in place of Kafka and a clock that the test turns.

    client = RecordingKeeprate()
    answer(client, "how?")
    (vote,) = client.of_type("vote")

What it takes and refuses is what the real client takes and refuses, because all but the delivery is the real client.
`recording` does it to the clients that an app opens itself; `keeprate.producers.pytest_plugin` has that as a fixture.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self

from keeprate.producers.sdk import lifetime
from keeprate.producers.sdk.client import Keeprate
from keeprate.producers.sdk.tracking import Clock, Tracker
from keeprate.producers.sending.outlet import Outlet
from keeprate.producers.sending.stats import DropReason, Stats
from keeprate.schemas.decode import decode
from keeprate.schemas.events import Event

BEGINS_AT_MS = 1_800_000_000_000


class Recorded:
    """What clients emitted.

    events: in order, as a processor would read them. dropped: others, by reason; the log says of each kind why.
    """

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.dropped: Counter[DropReason] = Counter()

    def of_type(self, event_type: str) -> list[Event]:
        """The events of one type."""
        return [event for event in self.events if event["type"] == event_type]


class _Recorder:
    """Takes events into a list, at once and for good."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self._delivered = 0
        self._dropped: Counter[DropReason] = Counter()
        self._is_closed = False

    def prepare(self) -> None:
        """Nothing to do."""

    def put(self, topic: int, key: bytes, body: bytes, wait_s: float | None = 0.0) -> DropReason | None:
        """Record the event as a processor would read it."""
        if self._is_closed:
            self.count_drop("closed")
            return "closed"
        self._delivered += 1
        self._recorded.events.append(decode(b'%b,"producer_seq":%d}' % (body[:-1], self._delivered)))
        return None

    def count_drop(self, reason: DropReason) -> None:
        """Account for an event that was not taken."""
        self._dropped[reason] += 1
        self._recorded.dropped[reason] += 1

    def stats(self) -> Stats:
        """What was recorded counts as delivered."""
        accepted = self._delivered + sum(self._dropped.values())
        return Stats(accepted=accepted, delivered=self._delivered, dropped=dict(self._dropped))

    def flush(self, timeout_s: float | None) -> int:
        """Nothing is ever pending."""
        return 0

    def close(self, timeout_s: float) -> None:
        """Take no more."""
        self._is_closed = True

    def abandon(self) -> None:
        """Nothing to do."""


class RecordingKeeprate(Keeprate):
    """A client without brokers, disk and threads. A wrong event raises, unless `strict=False`."""

    def __init__(self, app: str = "test", *, strict: bool = True, **settings: Any) -> None:
        self._recorded = Recorded()
        self._passed_s = 0.0
        clock = Clock(lambda: self._passed_s, lambda: BEGINS_AT_MS + round(self._passed_s * 1000))
        super().__init__(app, strict=strict, clock=clock, **settings)
        # It holds nothing that the exit of the process would have to save.
        lifetime.detach(self)

    @property
    def events(self) -> list[Event]:
        """What was emitted, in order."""
        return self._recorded.events

    def of_type(self, event_type: str) -> list[Event]:
        """The events of one type."""
        return self._recorded.of_type(event_type)

    def advance(self, seconds: float) -> Self:
        """Let time pass, and make the retention checks that come due."""
        # Horizon by horizon, as a running clock would meet them.
        until_s = self._passed_s + seconds
        while (due_s := self._tracker.next_due_s()) is not None and due_s <= until_s:
            self._passed_s = max(self._passed_s, due_s)
            self._tracker.make_due()
        self._passed_s = until_s
        return self

    def _check_route(self) -> None:
        """There is none."""

    def _new_tracker(self, *, has_thread: bool = False) -> Tracker:
        return super()._new_tracker(has_thread=False)

    def _new_delivery(self) -> Outlet:
        return _Recorder(self._recorded)


@contextmanager
def recording() -> Iterator[Recorded]:
    """Every client of the process, open already or opened meanwhile, emits into a list; then all is as it was."""
    recorded = Recorded()
    opened = [client for client in lifetime.remembered() if isinstance(client, Keeprate)]
    deliveries = [client._delivery for client in opened]
    real = {name: getattr(Keeprate, name) for name in ("_new_delivery", "_check_route")}
    made = {"_new_delivery": lambda client: _Recorder(recorded), "_check_route": lambda client: None}
    try:
        for name, method in made.items():
            setattr(Keeprate, name, method)
        for client in opened:
            client._delivery = _Recorder(recorded)
        yield recorded
    finally:
        for name, method in real.items():
            setattr(Keeprate, name, method)
        for client, delivery in zip(opened, deliveries, strict=True):
            client._delivery = delivery
