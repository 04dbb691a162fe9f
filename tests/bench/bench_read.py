"""Reading: what the page asks for its first screen, of a million suggestions and of a hundred, cold.

The suggestions are derived in the store from outcomes that are generated there (`read_outcomes.sql`). Cold: the engine
forgets what it has decompressed and looked up before each question, and nothing of an answer is kept. Beside them stand
the same questions to the plain views of `tests/reference`, which count straight from merged outcomes.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from keeprate.deploy.demo.simulate import simulate
from keeprate.deploy.demo.story import World
from keeprate.deploy.page import happenings
from keeprate.deploy.page.api.questions import SCREENS, screen
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.recent import Recent
from keeprate.deploy.page.selection import Selection, Span, parse
from keeprate.schemas.events import Event
from keeprate.schemas.outcome import FIELDS
from keeprate.schemas.topics import SOURCES, topic_of
from keeprate.sinks.checks.finding import Finding
from keeprate.sinks.checks.verification import CheckScope, verify
from keeprate.sinks.reading import hours
from keeprate.sinks.reading.derive import derive, statement
from keeprate.sinks.reading.lists import listing
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.store.clickhouse import Client, connect
from keeprate.sinks.store.servers import Servers
from keeprate.sinks.tables.migrate import apply, derive_anew, scripts
from tests import reference
from tests.bench.results import Bench, Result, result
from tests.pages import land_in

NAMES: Final = {
    "read.page_1m": "the page's first screen, the slowest of its periods and cuts, of 1,000,000 suggestions",
    "read.page_1m_rows": "the same, nothing summed by hours yet",
    "read.views_1m": "the same numbers by plain views over merged outcomes",
    "read.page_10m": "the page's first screen of 10,000,000 suggestions; measured when asked for by name",
    "read.page_100m": "the page's first screen of 100,000,000 suggestions; measured when asked for by name",
    "read.cuts_1m": "the page's first screen cut by two dimensions at once, the slowest of some pairs, of 1,000,000",
    "read.explorer_1m": "a list of suggestions, newest or worst first, the slowest of its filters, of 1,000,000",
    "read.explorer_100m": "the same of 100,000,000; measured when asked for by name, with the page",
    "read.pages_100m": "every page, the slowest, over a week and 90 days; measured when asked for by name, likewise",
    "read.verify": "keeprate verify of the last hour, of the demo's three weeks, without what it asks of Kafka",
    "read.landing": "deriving the suggestions of 50,000 outcomes that landed, the newest of 1,000,000",
}
_END_MS: Final = 1_795_800_000_000
_END_AT: Final = datetime.fromtimestamp(_END_MS / 1000, UTC)
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_DAYS: Final = 90
_USERS: Final = 2000
_ROWS_AT_ONCE: Final = 500_000
_LANDED: Final = 50_000
_OF_A_MILLION: Final = (
    "read.page_1m",
    "read.page_1m_rows",
    "read.views_1m",
    "read.cuts_1m",
    "read.explorer_1m",
    "read.landing",
)
_SIZES: Final = {"read.page_1m": 1_000_000, "read.page_10m": 10_000_000, "read.page_100m": 100_000_000}
_PERIODS: Final = ("24h", "7d", "30d", "90d")
_CUTS: Final = ("prompt_version", "model", "language", "app", "surface", "context_strategy")
_PAIRS: Final = ("app,prompt_version", "model,language", "surface,toolset")
_LISTS: Final[Sequence[Mapping[str, Any]]] = (
    *({"fate": fate} for fate in ("", "kept", "removed", "undone", "orphan")),
    *({"fate": "removed", "signals": (signal,), "order": "worst"} for signal in ("flagged", "downvoted")),
    {"text": "typescript"},
    {"text": "no such text"},
    {"only": {"model": ["m2"], "toolset": ["edit, search"]}},
)
"""What is asked of the list of suggestions: fates, signals, the order, a text, filters, and what is nowhere."""
_DEMO_EVENTS: Final = 50_000
_DEMO_DAYS: Final = 21
_INSERT: Final = " SETTINGS max_partitions_per_insert_block = 0, max_insert_block_size = 1000000"


def outcomes(first: int, count: int, rows: int, days: int = _DAYS, days_ago: int = 0) -> str:
    """A SELECT of generated outcomes: `count` from number `first` on, of `rows` over some days, the newest first.

    days_ago: how long before the end these days ended.
    """
    values = {"first": first, "count": count, "rows": rows, "users": _USERS, "end_ms": _END_MS}
    text = _filled("read_outcomes.sql", values | {"span_ms": days * _DAY_MS, "newest_ms": _END_MS - days_ago * _DAY_MS})
    for field in FIELDS:
        kind = field.type if field.merge == "max" else f"Map(String, {field.type})"
        text = text.replace(f"::{{{field.name}}}", f"::{kind}")
    return text


def _filled(name: str, values: Mapping[str, int]) -> str:
    text = (Path(__file__).parent / name).read_text()
    for key, value in values.items():
        text = text.replace(f"{{{key}}}", str(value))
    return text


def measure(bench: Bench) -> Iterator[Result]:
    """One store for each number of suggestions, and one with the demo."""
    if bench.wants("read.verify"):
        with _store(bench, 0) as client:
            yield _verify(bench, client)
    for name, rows in _SIZES.items():
        large = rows > 1_000_000
        wanted = name in bench.only if large else any(map(bench.wants, _OF_A_MILLION))
        if wanted:
            with _store(bench, rows) as client:
                yield from _large(bench, client, name, rows) if large else _million(bench, client, rows)


class _Many:
    """A connection to one engine for each thread: one answers one question at a time, and an HTTP client has many."""

    def __init__(self, url: str) -> None:
        self._url, self._own, self._all = url, threading.local(), list[Client]()

    def __getattr__(self, name: str) -> Any:
        if not hasattr(self._own, "client"):
            self._own.client = connect(self._url, "default")
            self._all.append(self._own.client)
        return getattr(self._own.client, name)

    def __enter__(self) -> Client:
        return cast(Client, self)

    def __exit__(self, *error: object) -> None:
        for client in self._all:
            client.close()


def _store(bench: Bench, rows: int) -> _Many:
    client = _Many(f"chdb://{bench.directory}/{rows}")
    apply(cast(Client, client), scripts())
    derive_anew(Servers([cast(Client, client)]))
    return client


def _million(bench: Bench, client: Client, full: int) -> Iterator[Result]:
    rows = bench.events(full)
    for first in range(0, rows, _ROWS_AT_ONCE):
        bench.say(f"outcomes {first:,} of {rows:,}")
        count = min(_ROWS_AT_ONCE, rows - first)
        client.command(f"INSERT INTO outcomes {outcomes(first, count, rows)}{_INSERT}")
        client.command(statement(outcomes(first, count, rows)) + _INSERT)
    client.command(
        "INSERT INTO hour_marks (app, hour, touched_at) SELECT app, hour, 1 FROM suggestions GROUP BY app, hour"
    )
    if bench.wants("read.page_1m_rows"):
        yield _page(bench, client, "read.page_1m_rows")
    _sum_all(bench, client)
    if bench.wants("read.page_1m"):
        yield _page(bench, client, "read.page_1m")
    if bench.wants("read.cuts_1m"):
        yield _page(bench, client, "read.cuts_1m", _PAIRS)
    if bench.wants("read.explorer_1m"):
        yield _explorer(bench, client, "read.explorer_1m")
    if bench.wants("read.views_1m"):
        reference.create(client)
        yield _timed(bench, client, "read.views_1m", lambda: _views(client, _selected("7d", "prompt_version")))
    if bench.wants("read.landing"):
        ids = client.query(
            f"SELECT app, toString(generation_id) FROM outcomes ORDER BY toUInt128(generation_id) DESC LIMIT {_LANDED}"
        )
        landed = [(str(app), str(generation_id)) for app, generation_id in ids]
        yield _timed(bench, client, "read.landing", lambda: derive(client, landed))


def _large(bench: Bench, client: Client, name: str, full: int) -> Iterator[Result]:
    """The two newest days are derived from outcomes, and the second of them is repeated: a day is like the others."""
    of_day = bench.events(full) // _DAYS
    for day in range(_DAYS):
        bench.say(f"suggestions of day {day + 1} of {_DAYS}, {of_day:,} each")
        if day > 1:
            client.command(f"INSERT INTO suggestions {_day(day - 1)}{_INSERT}")
            continue
        for first in range(0, of_day, _ROWS_AT_ONCE):
            count = min(_ROWS_AT_ONCE, of_day - first)
            client.command(statement(outcomes(first, count, of_day, 1, day)) + _INSERT)
    ((found,),) = client.query("SELECT count() FROM suggestions")
    assert found == of_day * _DAYS, f"{found:,} suggestions instead of {of_day * _DAYS:,}"
    client.command(
        "INSERT INTO hour_marks (app, hour, touched_at) SELECT app, hour, 1 FROM suggestions GROUP BY app, hour"
    )
    _sum_all(bench, client)
    yield _page(bench, client, name)
    if "read.explorer_100m" in bench.only and name == "read.page_100m":
        yield _explorer(bench, client, "read.explorer_100m")
    if "read.pages_100m" in bench.only and name == "read.page_100m":
        yield _pages(bench, client, "read.pages_100m")


def _verify(bench: Bench, client: Client) -> Result:
    """Of an hour of the demo, when what landed within it is all of its history, as on the first day."""
    bench.say("events of the demo")
    since_ms = _END_MS - _DEMO_DAYS * _DAY_MS
    rate = bench.events(_DEMO_EVENTS) * 1000 / (_END_MS - since_ms)
    sent = simulate(World.over(1, since_ms, _DEMO_DAYS), since_ms, _END_MS, rate)
    # An event that is sent twice merges with its other row, and is then asked of Kafka.
    log = list({each.event["event_id"]: each.event for each in sent if each.at <= _END_MS}.values())
    land_in(client, log)
    _account(client, log)
    scope = CheckScope(since=_END_AT - timedelta(hours=1), settled_s=0)
    found: list[Finding] = []
    timed = _timed(bench, client, "read.verify", lambda: found.extend(verify(client, None, scope).findings))
    assert not found, found[:3]
    return timed


def _account(client: Client, log: Sequence[Event]) -> None:
    """Of each topic one range, as a sink would have noted it."""
    for topic in SOURCES:
        count = sum(topic_of(event["type"]) is topic for event in log)
        ledger = ("sink", "topic", "partition", "first_offset", "last_offset", "rows")
        client.insert("ledger", ledger, [("bench", topic.name, 0, 0, count - 1, count)])


def _explorer(bench: Bench, client: Client, name: str) -> Result:
    """The slowest first page of a list, of each run."""
    slowest = []
    for run in range(bench.runs):
        bench.say(f"{name}: run {run + 1}")
        slowest.append(max(_once(client, partial(listing.page, client, _listed(**asked))) for asked in _LISTS))
    return result(name, "s", slowest)


def _pages(bench: Bench, client: Client, name: str) -> Result:
    """The slowest of all pages, with what can be chosen there, of each run."""
    slowest = []
    for run in range(bench.runs):
        took = []
        for shown in SCREENS:
            for period in ("7d", "90d"):
                took.append(_once(client, partial(_asked, client, shown, parse({"period": period}))))
                bench.say(f"{name}: run {run + 1}, {shown} of {period}: {took[-1]:.2f} s")
        slowest.append(max(took))
    return result(name, "s", slowest)


def _asked(client: Client, shown: str, selection: Selection) -> None:
    """All that a page asks at once, of a page that has kept nothing."""
    reads = Reads(client, _END_AT, Recent(time.monotonic))
    screen(shown, reads, happenings.known(reads, selection))


def _listed(only: Mapping[str, Sequence[str]] | None = None, **asked: Any) -> listing.Listing:
    scope = Scope(_END_AT - timedelta(days=_DAYS), _END_AT, _END_AT, only=only or {})
    return listing.Listing(scope, horizon_s=300, **asked)


def _day(days: int) -> str:
    until_ms = _END_MS - _DAY_MS
    values = {"days": days, "after_ms": until_ms - _DAY_MS, "until_ms": until_ms}
    values |= {"first_hour": (until_ms - _DAY_MS) // _HOUR_MS, "last_hour": until_ms // _HOUR_MS}
    return _filled("read_day.sql", values)


def _sum_all(bench: Bench, client: Client) -> None:
    done = 0
    while summed := hours.sum_quiet(client):
        done += summed
        bench.say(f"hours summed: {done:,}")


def _page(bench: Bench, client: Client, name: str, cuts: Sequence[str] = _CUTS) -> Result:
    """The slowest of the periods and cuts, of each run."""
    slowest = []
    for run in range(bench.runs):
        took = []
        for period in _PERIODS:
            for cut in cuts:
                bench.say(f"{name}: run {run + 1}, {period} by {cut}")
                took.append(_once(client, partial(_asked, client, "screen", _selected(period, cut))))
        slowest.append(max(took))
    return result(name, "s", slowest)


def _timed(bench: Bench, client: Client, name: str, ask: Callable[[], None]) -> Result:
    bench.say(name)
    return result(name, "s", [_once(client, ask) for _ in range(bench.runs)])


def _once(client: Client, ask: Callable[[], object]) -> float:
    for cache in ("MARK", "UNCOMPRESSED", "PRIMARY INDEX", "INDEX MARK", "INDEX UNCOMPRESSED"):
        client.command(f"SYSTEM DROP {cache} CACHE")
    began_s = time.perf_counter()
    ask()
    return time.perf_counter() - began_s


def _selected(period: str, cut: str) -> Selection:
    """The horizon and the metric are those that the page proposes."""
    return parse({"period": period, "by": cut})


def _views(client: Client, selection: Selection) -> None:
    """The screen's numbers of suggestions, by a view for each kind of rate and span."""
    spans: tuple[Span, ...] = ("now", "before", "grouped", "over_time")
    scopes = {span: selection.scope(span, _END_AT) for span in spans}
    for scope in scopes.values():
        for view in ("rates", "feedback_rates", "retention_rates"):
            reference.ask(client, view, scope)
