"""The page for tests: events landed in a store as the sink would, and the application served at a fixed time."""

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache

import uvicorn

from keeprate.deploy.alerting.alertmanager import Alertmanager, AlertmanagerError, Firing
from keeprate.deploy.demo.simulate import simulate
from keeprate.deploy.demo.story import DAY_MS, World
from keeprate.deploy.local.process import accepts, free_port
from keeprate.deploy.page.access.doors import PageAccess
from keeprate.deploy.page.app import page
from keeprate.deploy.page.reviewing.desk import Desk
from keeprate.deploy.page.source import Source
from keeprate.schemas.decode import encode
from keeprate.schemas.events import Event
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import encode_outcome
from keeprate.schemas.topics import topic_of
from keeprate.sinks.reading.derive import derive_all
from keeprate.sinks.store.clickhouse import Client, connect
from keeprate.sinks.tables.migrate import migrate

START_MS = 20_600 * DAY_MS
NOW_MS = START_MS + 9 * DAY_MS
NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)


class Held(Alertmanager):
    """An Alertmanager that holds what a test says; None for one that does not answer."""

    def __init__(self, found: Sequence[Firing] | None) -> None:
        super().__init__("http://alertmanager")
        self.found = found

    def alerts(self, labels: Mapping[str, str] | None = None) -> list[Firing]:
        if self.found is None:
            raise AlertmanagerError("no Alertmanager answers at http://alertmanager: refused")
        return list(self.found)


def firing(name: str, severity: str = "critical", app: str = "editor", **annotations: str) -> Firing:
    """An alert as an Alertmanager has it, since `NOW`."""
    labels = {"alertname": name, "severity": severity} | ({"app": app} if app else {})
    return Firing(labels, {"summary": f"{name} of {app}", **annotations}, NOW, ("pages",), False, False)


@cache
def history() -> tuple[Event, ...]:
    """Nine days of the demo's apps, as far as they were sent before `NOW`."""
    world = World.over(7, START_MS, 9)
    return tuple(sent.event for sent in simulate(world, START_MS, NOW_MS, 0.02) if sent.at <= NOW_MS)


def land(url: str, events: Iterable[Event]) -> None:
    """Bring the store at `url` up to date, and put facts and outcomes of the events into it."""
    migrate(url)
    with connect(url) as client:
        land_in(client, list(events))


def land_in(client: Client, log: Sequence[Event]) -> None:
    """Put facts and outcomes of a log into a store."""
    columns = ("event", "topic", "partition", "offset", "recorded_at", "stored_at")
    for table in ("generations", "feedback"):
        of_table = [event for event in log if (event["type"] == "generation") == (table == "generations")]
        client.insert(table, columns, [_row(event, offset) for offset, event in enumerate(of_table)])
    rows = [encode_outcome(key, outcome) for key, outcome in fold(log).items()]
    settings = {"input_format_json_named_tuples_as_objects": 0}
    client.insert_bytes("outcomes", (), b"\n".join(rows), "JSONEachRow", settings)
    derive_all(client)


def _row(event: Event, offset: int) -> tuple[object, ...]:
    recorded_at = datetime.fromtimestamp(event["occurred_at"] / 1000, UTC)
    stored_at = recorded_at + timedelta(milliseconds=700)
    return encode(event).decode(), topic_of(event["type"]).name, 0, offset, recorded_at, stored_at


@contextmanager
def serving(
    url: str,
    now: datetime = NOW,
    desk: Desk | None = None,
    access: PageAccess = PageAccess(),  # noqa: B008, it is frozen
    alertmanager: Alertmanager | None = None,
) -> Iterator[str]:
    """The address of the page over the store at `url`, for which it is always `now`. access: whom it lets in."""
    port = free_port()
    application = page(Source(url), now=lambda: now, desk=desk, access=access, alertmanager=alertmanager)
    config = uvicorn.Config(application, port=port, log_level="error", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not accepts(port):
            assert thread.is_alive(), "the page's server ended"
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join()
