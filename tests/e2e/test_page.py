"""The page in a real browser: its numbers are the queries', it follows the reader, and it survives its store."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from keeprate.deploy.page import files, happenings
from keeprate.deploy.page.access import login
from keeprate.deploy.page.access.people import FILE_NAME, add_token
from keeprate.deploy.page.access.settings import AccessSettings
from keeprate.deploy.page.answers import Json
from keeprate.deploy.page.api.questions import QUESTIONS, screen
from keeprate.deploy.page.exploring import listed, suites
from keeprate.deploy.page.parts.places import name_of
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.recent import Recent
from keeprate.deploy.page.reviewing.desk import Desk
from keeprate.deploy.page.selection import Selection, parse
from keeprate.deploy.review.book import Book
from keeprate.deploy.review.sending import Outbox
from keeprate.deploy.store import StoreProcess
from keeprate.producers.testing import recording
from keeprate.schemas.events import Event
from keeprate.sinks.reading import queries
from keeprate.sinks.reading.queries import Rate
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.store.clickhouse import connect
from keeprate.sinks.tables.migrate import migrate
from tests import desk, looking, story
from tests.devtools import Browser
from tests.looking import look
from tests.pages import NOW, NOW_MS, Held, firing, history, land, serving

pytestmark = pytest.mark.browser

DASH = NONE = "\u2013"
HOSTILE = "<img src=x onerror='window.pwned=1'>"
HOSTILE_VERSION = "<b onmouseover='window.pwned=1'>v9</b> %{x} {{7*7}}"
UNSEEN = "<svg/onload=window.pwned=1>\u202etxt.exe\x00 \U0001f600"
SEEN = "<svg/onload=window.pwned=1>\u27e8U+202E\u27e9txt.exe\u2400 \U0001f600"
PARTS = (".key", "#funnel li", "#compare tbody tr", "#feedback tbody tr", "#series svg", "#retention svg")
DRAWN = f"{json.dumps(PARTS)}.every(each => document.querySelector(each))"


@pytest.fixture(scope="module")
def chromium(require: Callable[[str], str]) -> Iterator[Browser]:
    """One browser for all; each test goes to a page of its own."""
    with Browser(require("chromium")) as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """The browser, at a desk's size, whose console must stay silent, and who finds no fault with what was looked at."""
    chromium.problems.clear()
    looking.faults.clear()
    chromium.resize(1280, 1400)
    chromium.prefer("light")
    yield chromium
    chromium.open("about:blank")
    assert chromium.problems == []
    assert looking.faults == {}


@contextmanager
def visited(browser: Browser, store_url: str, reviews: Desk | None = None) -> Iterator[str]:
    """A page of a test's own. The browser leaves before it ends: it asks again and again, and would ask nobody."""
    with serving(store_url, desk=reviews) as address:
        yield address
        browser.open("about:blank")


@pytest.fixture(scope="module")
def store_url(store: StoreProcess) -> str:
    """A database with the demo's history."""
    url = f"{store.url}/page_browser"
    land(url, history())
    return url


@pytest.fixture(scope="module")
def address(store_url: str) -> Iterator[str]:
    """The page over it."""
    with serving(store_url) as address:
        yield address


@pytest.fixture(scope="module")
def judged_url(store_url: str) -> str:
    """A database with the same history, and with the verdicts on its releases."""
    url = f"{store_url.rpartition('/')[0]}/page_first_screen"
    story.copy_judged(store_url, url)
    return url


def percent(value: float | None) -> str:
    """As the page writes a share."""
    if value is None:
        return NONE
    places = 2 if value != 0 and abs(value) < 0.00995 else 1
    return f"{value * 100:.{places}f}\u202f%"


def key_number(browser: Browser, metric: str) -> str:
    return browser.text(f"[data-metric={metric}] .key-value")


def choosing(select: str, value: str) -> str:
    """An expression that chooses an option, as a reader would."""
    return (
        f"(s => {{ s.value = '{value}'; s.dispatchEvent(new Event('change')) }})(document.getElementById('{select}'))"
    )


def acceptance(url: str, scope: Scope) -> list[Rate]:
    with connect(url) as client:
        return queries.rates(client, scope, ["acceptance_rate"])


def test_numbers_on_the_page_are_those_of_the_queries(browser: Browser, address: str, store_url: str) -> None:
    """Key numbers with interval and denominator, the funnel, and each cell of the table."""
    browser.open(f"{address}?period=7d&app=editor&horizon=600")
    browser.wait_for(DRAWN)
    scope = parse({"period": "7d", "app": "editor"}).scope("now", NOW)
    (row,) = acceptance(store_url, scope)
    assert key_number(browser, "acceptance_rate") == percent(row.value)
    assert row.interval_low is not None
    assert row.interval_high is not None
    between = f"{row.interval_low * 100:.1f}{DASH}{row.interval_high * 100:.1f}\u202f%"
    assert browser.text("[data-metric=acceptance_rate] .key-interval") == between
    basis = f"{row.numerator:,.0f} of {row.denominator:,.0f} shown"
    assert browser.text("[data-metric=acceptance_rate] .key-of") == basis
    with connect(store_url) as client:
        (counted,) = queries.funnel(client, scope)
        kept = {each.horizon_s: each for each in queries.retention(client, scope)}[600]
    for step, count in (("opportunities", counted.opportunities), ("shown", counted.shown), ("retained", kept.mostly)):
        assert browser.text(f"[data-step={step}] strong") == f"{count:,}"
    cut = parse({"period": "7d", "app": "editor", "by": "prompt_version"}).scope("grouped", NOW)
    # Orphans have no version yet, and nothing of them is in a rate.
    for each in (row for row in acceptance(store_url, cut) if row.denominator):
        cell = f"[data-group='{each.dimensions['prompt_version']}'] [data-metric=acceptance_rate] .rate-value"
        assert browser.text(cell) == percent(each.value)


def test_a_filter_changes_every_number_and_the_address(browser: Browser, address: str, store_url: str) -> None:
    """And a reload shows the same again, so that a link can be sent."""
    browser.open(f"{address}?period=30d")
    browser.wait_for(DRAWN)
    everything = key_number(browser, "acceptance_rate")
    browser.evaluate(choosing("filter-app", "support"))
    (row,) = acceptance(store_url, parse({"period": "30d", "app": "support"}).scope("now", NOW))
    expected = percent(row.value)
    assert expected != everything
    selector = "[data-metric=acceptance_rate] .key-value"
    browser.wait_for(f"document.querySelector('{selector}').textContent === {json.dumps(expected)}")
    apps = "[...document.querySelectorAll('#feedback td:nth-child(2)')]"
    browser.wait_for(f"{apps}.every(each => each.textContent === 'support')")
    assert browser.evaluate("location.search") == "?app=support&period=30d"
    browser.open(f"{address}?app=support&period=30d")
    browser.wait_for(DRAWN)
    assert key_number(browser, "acceptance_rate") == expected


def test_the_keyboard_filters_by_any_dimension(browser: Browser, address: str, store_url: str) -> None:
    """A dimension, a value and Enter: every number follows, the address holds it, and a press takes it away again."""
    browser.open(f"{address}?period=30d&by=model")
    browser.wait_for(DRAWN)
    everything = key_number(browser, "acceptance_rate")
    browser.evaluate(choosing("only-name", "language"))
    browser.wait_for("document.activeElement.id === 'only-value' && !!document.querySelector('#only-values option')")
    offered = browser.evaluate("[...document.querySelectorAll('#only-values option')].map(e => e.value)")
    assert "python" in offered
    browser.call("Input.insertText", text="python")
    browser.press("Enter")
    (row,) = acceptance(store_url, parse({"period": "30d", "language": "python"}).scope("now", NOW))
    assert percent(row.value) != everything
    shown = "document.querySelector('[data-metric=acceptance_rate] .key-value').textContent"
    browser.wait_for(f"{shown} === {json.dumps(percent(row.value))}")
    assert browser.evaluate("document.activeElement.id") == "only-name"
    assert browser.evaluate("location.search") == "?period=30d&by=model&only=language%3Dpython"
    browser.evaluate("document.querySelector('#only button').focus()")
    browser.press("Enter")
    browser.wait_for(f"{shown} === {json.dumps(everything)}")
    assert browser.evaluate("location.search") == "?period=30d&by=model"


def test_two_dimensions_cut_every_part(browser: Browser, address: str, store_url: str) -> None:
    """A link with two cuts and two values of a filter shows what its sender saw."""
    browser.open(f"{address}?period=30d&by=model&only=language%3Dpython&only=language%3Dgo")
    browser.wait_for(DRAWN)
    browser.evaluate(choosing("filter-and", "language"))
    cut = parse({"period": "30d", "by": "model,language", "language": ["python", "go"]}).scope("grouped", NOW)
    rows = {name_of(row): row for row in acceptance(store_url, cut) if row.denominator}
    groups = "[...document.querySelectorAll('#compare tbody tr')].map(e => e.dataset.group).sort()"
    browser.wait_for(f"{groups}.join('; ') === {json.dumps('; '.join(sorted(rows)))}")
    for name, row in rows.items():
        cell = f"[data-group='{name}'] [data-metric=acceptance_rate] .rate-value"
        assert browser.text(cell) == percent(row.value)
    browser.wait_for("document.querySelectorAll('#series-legend li').length > 1")
    assert set(browser.evaluate("[...document.querySelectorAll('#series-legend li')].map(e => e.textContent)")) <= {
        *rows
    }
    link = browser.evaluate("location.href")
    browser.open(link)
    browser.wait_for(DRAWN)
    assert browser.evaluate("document.getElementById('filter-and').value") == "language"
    assert browser.evaluate(groups) == sorted(rows)


def test_an_answer_to_an_old_selection_is_never_shown(
    browser: Browser, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old numbers are dimmed until the new ones are there, and the late answer of a selection between is dropped."""
    begun, go, answered = threading.Event(), threading.Event(), threading.Event()

    def slow(reads: Reads, selection: Selection) -> dict[str, Any]:
        if selection.only != {"app": ["editor"]}:
            return screen("screen", reads, selection)
        begun.set()
        assert go.wait(60)
        answered.set()
        return screen("screen", reads, selection)

    monkeypatch.setitem(QUESTIONS, "screen", slow)
    browser.open(f"{address}?period=30d")
    browser.wait_for(DRAWN)
    browser.evaluate(
        "window.shown = []; const key = '[data-metric=acceptance_rate] .key-value';"
        "new MutationObserver(() => window.shown.push(document.querySelector(key).textContent))"
        "  .observe(document.getElementById('keys'), { childList: true, subtree: true });"
        "window.polls = window.settled = 0; const asked = window.fetch; window.fetch = async (...all) => {"
        "  window.polls += 1;"
        "  try { const answer = await asked(...all); await answer.clone().text(); return answer; }"
        "  finally { window.settled += 1; } };"
    )
    before = key_number(browser, "acceptance_rate")
    busy = "document.getElementById('numbers').getAttribute('aria-busy')"
    opacity = "Number(getComputedStyle(document.getElementById('numbers')).opacity)"
    assert browser.evaluate(f"{choosing('filter-app', 'editor')}, {busy}") == "true"
    browser.wait_for(f"{opacity} < 0.5")
    assert key_number(browser, "acceptance_rate") == before
    assert begun.wait(30)
    browser.evaluate(choosing("filter-app", "support"))
    browser.wait_for(f"{busy} === 'false' && {opacity} === 1")
    chosen = key_number(browser, "acceptance_rate")
    browser.evaluate("window.polls = 0")
    go.set()
    assert answered.wait(30)
    # Two more polls: by then the late answer has come, if it comes at all.
    browser.wait_for("window.polls >= 2 && window.settled > 3")
    # The old ones may be drawn again while they are dimmed.
    shown = browser.evaluate("window.shown")
    assert shown[-1] == chosen
    assert set(shown) <= {before, chosen}
    browser.evaluate(choosing("filter-app", "editor"))
    browser.wait_for(f"{busy} === 'false' && {opacity} === 1")
    assert key_number(browser, "acceptance_rate") not in {before, chosen}


def test_numbers_do_not_wait_for_the_charts(browser: Browser, store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """plotly.js is asked for when the numbers are there, and the charts appear with it."""
    asked, go, compressed = threading.Event(), threading.Event(), files._plotly

    def slow() -> bytes:
        asked.set()
        assert go.wait(60)
        return compressed()

    monkeypatch.setattr(files, "_plotly", slow)
    # At an address of its own, of which the browser has kept nothing.
    with visited(browser, store_url) as address:
        browser.call("Page.navigate", url=f"{address}?period=7d")
        browser.wait_for("document.querySelectorAll('.key-value').length === 4")
        assert asked.wait(30)
        assert browser.evaluate("document.querySelector('.chart svg') === null")
        assert browser.evaluate("document.querySelectorAll('#compare tbody tr').length > 1")
        go.set()
        browser.wait_for(DRAWN)


def test_polling_keeps_elements_focus_and_zoom(browser: Browser, address: str) -> None:
    """Two polls of unchanged data leave the very same elements, and the focus where it was."""
    browser.open(f"{address}?period=7d")
    browser.wait_for(DRAWN)
    browser.evaluate(
        "window.polls = 0; const asked = window.fetch; window.fetch = (...all) => {"
        " if (String(all[0]).startsWith('api/screen')) window.polls += 1; return asked(...all); };"
        "window.row = document.querySelector('#feedback tbody tr'); window.card = document.querySelector('.key');"
        "document.querySelector('#feedback .open').focus();"
        "Plotly.relayout('series', {'yaxis.range': [0.1, 0.2]}).then(() => 1)"
    )
    browser.wait_for("window.polls >= 2")
    assert browser.evaluate("document.querySelector('#feedback tbody tr') === window.row")
    assert browser.evaluate("document.querySelector('.key') === window.card")
    assert browser.evaluate("document.activeElement.className") == "open"
    assert browser.evaluate("document.getElementById('series').layout.yaxis.range") == [0.1, 0.2]


def test_a_chart_is_as_wide_as_its_place_whenever_that_changes(browser: Browser, address: str) -> None:
    """Also while it is drawn: then a window's event comes to nobody."""
    browser.open(f"{address}?period=7d")
    browser.wait_for(DRAWN)
    fits = "(e => e.querySelector('svg').clientWidth === e.clientWidth)(document.getElementById('series'))"
    browser.wait_for(fits)
    browser.evaluate(
        "window.drawn = 0; const react = Plotly.react; Plotly.react = async (element, ...rest) => {"
        " const done = react(element, ...rest);"
        " if (element.id === 'series') document.getElementById('series').style.width = '300px';"
        " await done; window.drawn += 1; };"
        "document.querySelector('#pick-metric input:not(:checked)').click()"
    )
    browser.wait_for("window.drawn > 0")
    assert browser.evaluate("document.getElementById('series').clientWidth") == 300
    browser.wait_for(fits)
    browser.evaluate("document.getElementById('series').style.width = ''")
    browser.wait_for(f"document.getElementById('series').clientWidth > 400 && {fits}")


@pytest.fixture(scope="module")
def judged(store_url: str) -> Iterator[str]:
    """The page over the same history, with the verdicts on its releases."""
    url = f"{store_url.rpartition('/')[0]}/page_judged"
    story.copy_judged(store_url, url)
    with serving(url) as address:
        yield address


def test_the_label_of_a_release_is_never_cut(browser: Browser, judged: str) -> None:
    """However wide the chart is, and wherever in it the mark is: at its first moment, in the middle, at its last."""
    browser.open(f"{judged}?period=7d")
    browser.wait_for("!!document.querySelector('#series .annotation')")
    chart = "document.getElementById('series')"
    within = (
        f"(([first, ...rest], own) => first && [first, ...rest].every((each) => each.left >= own.left"
        f" && each.right <= own.right))([...{chart}.querySelectorAll('.annotation')]"
        f".map((each) => each.getBoundingClientRect()), {chart}.getBoundingClientRect())"
    )
    (at,) = browser.evaluate(f"{chart}.layout.annotations.slice(-1).map((each) => each.x)")
    hours = f"((from, to) => [from, to].map((each) => new Date(Date.parse('{at}Z') + each * 3600000).toISOString()))"
    for width in (1400, 800, 390):
        browser.resize(width, 1000, mobile=width < 500)
        browser.wait_for(f"{chart}.querySelector('svg').clientWidth === {chart}.clientWidth && {within}")
        for since, until in ((-100, 0.1), (-0.1, 100), (-50, 50)):
            browser.evaluate(f"Plotly.relayout('series', {{'xaxis.range': {hours}({since}, {until})}}).then(() => 1)")
            browser.wait_for(within)
    assert "…" not in browser.text("#series .annotation")


@pytest.mark.parametrize("page", ["", "why", "versions", "suggestions", "review"])
def test_every_number_is_read_without_moving_sideways(browser: Browser, judged: str, page: str) -> None:
    """On a phone, a tablet and at 200 %: no table is wider than its place, and each number has its name."""
    browser.open(f"{judged}{page}?period=7d&app=editor")
    browser.wait_for("document.querySelector('#numbers').getAttribute('aria-busy') !== 'true'")
    browser.wait_for("[...document.querySelectorAll('#numbers table')].some((each) => each.tBodies[0].rows.length)")
    wide = (
        "[document.documentElement, ...document.querySelectorAll('.scroll')]"
        ".filter((each) => each.scrollWidth > each.clientWidth).map((each) => each.outerHTML.slice(0, 200))"
    )
    unnamed = (
        "[...document.querySelectorAll('.cards td, .stacks td')].filter((each) => !each.dataset.label"
        " || getComputedStyle(each, '::before').content !== `\"${each.dataset.label}\"`).length"
    )
    for width in (1400, 800, 700, 390):
        browser.resize(width, 1000, mobile=width < 500)
        browser.wait_for(f"{wide}.length === 0", 10)
    assert browser.evaluate(unnamed) == 0


def test_times_have_one_form(browser: Browser, address: str) -> None:
    """The day and the minute, also of today; the zone is said once, at the foot."""
    browser.open(f"{address}?period=7d")
    browser.wait_for(DRAWN)
    today = browser.evaluate("import('./format.js').then((module) => module.time(Date.now()))")
    shown = browser.evaluate("[...document.querySelectorAll('#numbers time')].map((each) => each.textContent)")
    assert shown
    for each in (today, *shown):
        assert re.fullmatch(r"\d{1,2} [A-Z][a-z]{2,3} (\d{4} )?\d\d:\d\d", each), each
    zone = browser.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone")
    assert browser.evaluate("document.body.innerText").count(zone) == 1


def test_the_keyboard_opens_and_closes_a_generation(browser: Browser, address: str) -> None:
    """Enter on a row's button opens the drawer with what was captured and what happened; Escape goes back."""
    browser.open(f"{address}?period=7d&kind=edit")
    browser.wait_for(DRAWN)
    browser.evaluate("document.querySelector('#feedback .open').focus()")
    browser.press("Enter")
    browser.wait_for("document.querySelectorAll('.timeline li').length > 2")
    identity = browser.text(".drawer header code")
    sent: list[Event] = [event for event in history() if event["generation_id"] == identity]
    assert browser.evaluate("document.querySelectorAll('.timeline li').length") == len({e["event_id"] for e in sent})
    (generation,) = {event["event_id"]: event for event in sent if event["type"] == "generation"}.values()
    assert generation["type"] == "generation"
    assert generation["input"]
    assert generation["output"]
    texts = browser.evaluate("[...document.querySelectorAll('.message pre')].map(e => e.textContent)")
    edit = next(event for event in sent if event["type"] == "edit")
    assert edit["type"] == "edit"
    said = [message["content"] for message in (*generation["input"], *generation["output"])]
    assert texts == [*said, edit["corrected_text"]]
    browser.press("Escape")
    browser.wait_for("!document.getElementById('drawer').open")
    assert browser.evaluate("document.activeElement.className") == "open"


def test_a_late_generation_is_not_shown_over_another(
    browser: Browser, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The drawer holds what was opened last, in whatever order the answers come."""
    begun, go, answered, asked = threading.Event(), threading.Event(), threading.Event(), happenings.generation

    def slow(reads: Reads, app: str, generation_id: str) -> Json | None:
        if begun.is_set():
            return asked(reads, app, generation_id)
        begun.set()
        assert go.wait(60)
        answered.set()
        return asked(reads, app, generation_id)

    monkeypatch.setattr(happenings, "generation", slow)
    browser.open(f"{address}?period=7d&kind=edit")
    browser.wait_for(DRAWN)
    browser.evaluate(
        "window.settled = 0; const asked = window.fetch; window.fetch = async (...all) => {"
        "  const answer = await asked(...all); await answer.clone().text();"
        "  if (String(all[0]).includes('generations')) setTimeout(() => { window.settled += 1; }, 50);"
        "  return answer; };"
        "window.rows = [...document.querySelectorAll('#feedback .open')]; window.rows[0].click();"
    )
    assert begun.wait(30)
    late = browser.text(".drawer header code")
    browser.press("Escape")
    browser.wait_for("!document.getElementById('drawer').open")
    browser.evaluate("window.rows[1].click()")
    browser.wait_for("window.settled === 1 && document.querySelectorAll('.timeline li').length > 2")
    shown = browser.text(".drawer header code")
    go.set()
    assert answered.wait(30)
    browser.wait_for("window.settled === 2")
    assert browser.text(".drawer header code") == shown != late


def test_a_column_sorts_the_table(browser: Browser, address: str) -> None:
    """Ascending, descending, and said to screen readers; what has no value comes last, as support before 10 min."""
    browser.open(f"{address}?period=7d&horizon=300")
    browser.wait_for(DRAWN)
    press = "document.querySelector('[data-sort=retention]').click()"
    names = "[...document.querySelectorAll('#compare tbody tr')].map(e => e.dataset.group)"
    browser.evaluate(press)
    browser.wait_for("!!document.querySelector('th[aria-sort=descending] [data-sort=retention]')")
    falling = browser.evaluate(names)
    browser.evaluate(press)
    browser.wait_for("!!document.querySelector('th[aria-sort=ascending] [data-sort=retention]')")
    rising = browser.evaluate(names)
    with_value = [name for name in falling if not name.startswith("support")]
    assert rising[: len(with_value)] == with_value[::-1]
    assert {name.split()[0] for name in falling[len(with_value) :]} == {"support"}


def test_a_term_explains_itself_to_the_keyboard(browser: Browser, address: str) -> None:
    """Focus shows the definition and ties it to the term; Escape takes it away."""
    browser.open(f"{address}?period=7d")
    browser.wait_for(DRAWN)
    browser.evaluate("document.querySelector('[data-metric=retention] .term').focus()")
    assert "mostly still there" in browser.text("#tip:not([hidden])")
    assert browser.evaluate("document.activeElement.getAttribute('aria-describedby')") == "tip"
    browser.press("Escape")
    browser.wait_for("document.getElementById('tip').hidden")


def _hostile() -> list[dict[str, Any]]:
    identity = "019f0000-0000-7000-8000-00000000000{}"
    shared: dict[str, Any] = {
        "schema_version": 1,
        "app": "hostile",
        "environment": HOSTILE,
        "generation_id": identity.format(0),
        "user": HOSTILE,
    }
    generation: dict[str, Any] = {
        "type": "generation",
        "model": UNSEEN,
        "provider": HOSTILE,
        "prompt_version": HOSTILE_VERSION,
        "prompt_name": HOSTILE,
        "input": [{"role": HOSTILE, "content": HOSTILE}],
        "output": [{"role": "assistant", "content": "</pre><script>window.pwned=1</script>" + "x" * 300_000}],
    }
    said: list[dict[str, Any]] = [
        {"type": "action", "action": "shown"},
        {"type": "action", "action": "accept"},
        {"type": "vote", "value": -1, "comment": HOSTILE},
        {"type": "edit", "corrected_text": HOSTILE, "comment": UNSEEN},
    ]
    facts = [generation, *said]
    return [
        shared | fact | {"event_id": identity.format(number + 1), "occurred_at": NOW_MS - 60_000 + number}
        for number, fact in enumerate(facts)
    ]


def test_hostile_text_is_inert(browser: Browser, store: StoreProcess) -> None:
    """Names, comments and content are shown as they were written: in lists, filters, legends, charts and the drawer."""
    url = f"{store.url}/page_hostile"
    events: Any = []
    # Enough of them for a point in the chart, so that the name gets into its hover text.
    for copy in range(8):
        number = f"{copy:02d}"
        events += [
            event | {key: event[key][:24] + number + event[key][26:] for key in ("event_id", "generation_id")}
            for event in _hostile()
        ]
    land(url, events)
    with visited(browser, url) as address:
        browser.open(f"{address}?period=1h&app=hostile&metric=acceptance_rate")
        browser.wait_for(DRAWN)
        assert browser.text("#feedback .comment") in (HOSTILE, SEEN)
        assert browser.text("#series-legend li") == HOSTILE_VERSION
        assert HOSTILE in browser.text("#filter-environment")
        point = "document.querySelector('#series .scatterlayer .point')"
        browser.wait_for(f"!!{point}")
        middle = "(r => [r.left + r.width / 2, r.top + r.height / 2])"
        x, y = browser.evaluate(f"{middle}({point}.getBoundingClientRect())")
        browser.hover(x, y)
        browser.wait_for("document.querySelector('#series .hoverlayer')?.textContent.includes('v9')")
        assert HOSTILE_VERSION in browser.evaluate("document.querySelector('#series .hoverlayer').textContent")
        browser.evaluate("document.querySelector('#feedback .open').click()")
        browser.wait_for("document.querySelectorAll('.timeline li').length === 5")
        assert "</pre><script>window.pwned=1</script>" in browser.text(".drawer-body")
        assert f"{HOSTILE} / {SEEN}" in browser.text(".drawer-body .facts")
        assert "more characters" in browser.text(".drawer-body")
        # What is not seen turns nothing around and hides nothing, wherever it is; and a giant line breaks.
        assert not browser.evaluate("/[\\u0000\\u202e]/.test(document.body.textContent)")
        assert browser.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert browser.evaluate("(e => e.scrollWidth <= e.clientWidth)(document.querySelector('.drawer-body'))")
        markup = "main img, main b, dialog img, dialog script, dialog b"
        assert browser.evaluate(f"document.querySelectorAll('{markup}').length") == 0
        assert browser.evaluate("window.pwned === undefined")


def test_from_a_list_to_what_users_changed(browser: Browser, address: str) -> None:
    """Filters narrow the list, a row opens word by word, the arrow keys go on, and the address is of what is shown."""
    browser.open(f"{address}?period=7d&app=support")
    browser.wait_for(DRAWN)
    browser.evaluate("document.querySelector('[data-metric=correction_rate] .key-of a').click()")
    browser.wait_for("document.querySelectorAll('#listed tbody tr').length > 2")
    chips = (
        "[...document.querySelectorAll('#listed tbody tr td:nth-child(4)')].every(e => /corrected/.test(e.textContent))"
    )
    assert browser.evaluate(chips)
    browser.evaluate("document.querySelector('#listed .open').click()")
    browser.wait_for("!!document.querySelector('#drawer .diff del, #drawer .diff ins')")
    first = browser.text(".drawer header code")
    assert browser.evaluate("location.search").endswith(f"open=support%7E{first}")
    browser.evaluate("document.querySelector('#drawer [aria-label=\"The next one\"]').click()")
    browser.wait_for(f"document.querySelector('.drawer header code').textContent !== {json.dumps(first)}")
    browser.press("Escape")
    browser.wait_for("!document.getElementById('drawer').open && !location.search.includes('open')")
    browser.evaluate(choosing("pick-signal", ""))
    browser.wait_for("document.querySelectorAll('#listed tbody tr').length === 50")
    newest = browser.text("#listed tbody tr")
    browser.evaluate(choosing("pick-order", "worst"))
    browser.wait_for(f"document.querySelector('#listed tbody tr').textContent !== {json.dumps(newest)}")
    # Beyond the rows that are loaded the next one is fetched.
    browser.evaluate("document.querySelector('#listed tbody tr:last-child .open').click()")
    browser.wait_for("!!document.querySelector('#drawer [aria-label=\"The next one\"]')")
    last = browser.text(".drawer header code")
    browser.evaluate("document.querySelector('#drawer [aria-label=\"The next one\"]').click()")
    browser.wait_for("document.querySelectorAll('#listed tbody tr').length > 50")
    browser.wait_for(f"document.querySelector('.drawer header code').textContent !== {json.dumps(last)}")
    browser.press("Escape")
    before = browser.evaluate("document.querySelectorAll('#listed tbody tr').length")
    browser.evaluate("document.getElementById('listed-more').click()")
    browser.wait_for(f"document.querySelectorAll('#listed tbody tr').length > {before}")


def test_charts_and_lists_can_be_taken_along(browser: Browser, address: str) -> None:
    """A chart as a picture that the browser makes, and beside each its numbers, of what is chosen."""
    browser.open(f"{address}?period=7d&app=editor")
    browser.wait_for(DRAWN)
    browser.evaluate(
        "window.made = []; const make = URL.createObjectURL;"
        "URL.createObjectURL = (blob) => { window.made.push(blob); return make.call(URL, blob); };"
    )
    for name, kind in (("PNG", "image/png"), ("SVG", "image/svg+xml")):
        browser.evaluate(f"document.querySelector('[aria-label=\"Save series as {name}\"]').click()")
        browser.wait_for(f"window.made.some((blob) => blob.type.startsWith('{kind}') && blob.size > 5000)")
    links = browser.evaluate("[...document.querySelectorAll('a.download')].map((each) => each.getAttribute('href'))")
    assert {link.partition(".csv?")[0] for link in links} >= {
        "api/series",
        "api/retention",
        "api/funnel",
        "api/compare",
    }
    assert all("app=editor" in link for link in links)


def test_somebody_logs_in_sees_their_app_and_logs_out(browser: Browser, store_url: str, tmp_path: Path) -> None:
    """By a token that is typed in; the header says who they are, and other apps are not there to choose."""
    token = add_token(tmp_path / FILE_NAME, "ana", ["editor"], "viewer", None)
    by_tokens = login.access(AccessSettings(by="tokens", texts_from="reviewer"), tmp_path)
    with serving(store_url, access=by_tokens) as address:
        browser.open(f"{address}versions?period=7d")
        browser.wait_for("document.querySelector('#by-token') !== null")
        look(browser, "login")
        browser.evaluate(
            f"document.getElementById('token').value = {json.dumps(token)};"
            "document.querySelector('#by-token button').click()"
        )
        browser.wait_for("location.pathname === '/versions' && document.getElementById('who')?.hidden === false")
        assert browser.text("#who span") == "ana"
        browser.open(f"{address}?period=7d")
        browser.wait_for(DRAWN)
        assert browser.evaluate("[...document.getElementById('filter-app').options].map((each) => each.value)") == [
            "",
            "editor",
        ]
        browser.evaluate("document.querySelector('#feedback .open').click()")
        browser.wait_for("document.querySelector('.drawer-body')?.textContent.includes('hidden from your role')")
        browser.press("Escape")
        browser.evaluate("document.querySelector('#who button').click()")
        browser.wait_for("location.pathname === '/login'")
        assert browser.text("#said").startswith("You are logged out")
        browser.open("about:blank")


def test_from_red_to_green_and_to_a_test_case(browser: Browser, store: StoreProcess) -> None:
    """The story of a suite leads to the suggestion that it began with, which is made a test case by a press."""
    url = f"{store.url}/page_cases"
    land(url, [*desk.happened(), *desk.hidden()])
    with connect(url) as client:
        reads = Reads(client, NOW, Recent(time.monotonic))
        selection = parse({"app": desk.APP, "period": "24h"})
        rows = listed.rows_of(reads, suites.bounded(selection)).rows
        cases = suites.gathered(reads, rows, "http://page", []).cases
    (flagged,) = [case for case in cases if case.expected_from == "correction"]
    land(url, [*desk.ran(cases, "v4", 3, flagged.identity), *desk.ran(cases, "v5", 1)])
    with visited(browser, url) as address:
        browser.open(f"{address}cases?period=24h&app={desk.APP}&horizon=300")
        browser.wait_for("!!document.querySelector('.story')")
        told = browser.text(".story")
        assert all(each in told for each in ("green", "wrong", "v4, ", "1 case failed", "v5, ", "80% differs", "+83.3"))
        assert browser.evaluate("document.querySelectorAll('.runs tbody tr').length") == 2
        # Each case of the last run leads to its suggestion, whatever came of it.
        links = "[...document.querySelectorAll('.story .results li a')].map((each) => each.getAttribute('href'))"
        assert len(browser.evaluate(links)) == len(cases)
        assert any(flagged.generation_id in link for link in browser.evaluate(links))
        browser.resize(390, 1400, mobile=True)
        assert browser.evaluate("document.documentElement.scrollWidth") <= 390
        browser.evaluate("document.querySelector('.story li a').click()")
        browser.wait_for("!!document.querySelector('.test-case button')")
        assert browser.text(".drawer header code") == flagged.generation_id
        browser.evaluate("document.querySelector('.test-case button').click()")
        browser.wait_for("document.querySelector('.test-case').textContent.includes('1 case downloaded')")
        browser.open(f"{address}suggestions?period=24h&signal=flagged")
        browser.wait_for("document.querySelectorAll('#listed tbody tr').length === 2")
        browser.evaluate("document.getElementById('suggestions-cases').click()")
        said = "document.getElementById('suggestions-said').textContent"
        browser.wait_for(f"{said}.includes('1 suggestion is left out')")
        assert "content='full'" in browser.evaluate(said)


def test_an_empty_store_says_what_to_do_and_fills_by_itself(browser: Browser, store: StoreProcess) -> None:
    """It has the addresses to send to, says when an event arrived, and turns into numbers, without a reload."""
    url = f"{store.url}/page_empty"
    migrate(url)
    with visited(browser, url) as address:
        browser.open(address)
        browser.wait_for("!document.getElementById('empty').hidden")
        assert "keeprate demo" in browser.text("#empty")
        assert browser.evaluate("document.getElementById('numbers').hidden")
        browser.wait_for("document.querySelector('.first-event code').textContent.includes('brokers=')")
        assert "Waiting for your first event" in browser.text(".arrival")
        land(url, [event for event in history() if event["occurred_at"] > NOW_MS - 86_400_000])
        browser.wait_for("document.getElementById('empty').hidden && !document.getElementById('numbers').hidden", 60)
        browser.wait_for(DRAWN)
        # What lands in several inserts is there piece by piece.
        browser.wait_for(
            "document.querySelector('[data-metric=acceptance_rate] .key-value').textContent.endsWith('%')", 60
        )


def test_a_selection_without_data_shows_the_way_to_some(browser: Browser, address: str) -> None:
    """One button leads to everything there is."""
    browser.open(f"{address}?app=editor&environment=nowhere&period=1h")
    browser.wait_for("!document.getElementById('empty').hidden")
    browser.evaluate("document.querySelector('#empty button').click()")
    browser.wait_for("document.getElementById('empty').hidden")
    assert browser.evaluate("location.search") == "?period=90d"


@pytest.mark.parametrize("page", ["", "versions", "why", "suggestions", "review", "cases", "operations"])
def test_a_name_that_nobody_has_is_said_with_the_way_to_those_there_are(
    browser: Browser, address: str, page: str
) -> None:
    """On every page: which name, instead of numbers of nothing, and a press leads to an app that there is."""
    browser.open(f"{address}{page}?app=shop")
    browser.wait_for("!document.getElementById('empty').hidden")
    assert browser.evaluate("document.getElementById('numbers').hidden")
    assert "has the app “shop”." in browser.text("#empty")
    assert browser.evaluate("[...document.querySelectorAll('#empty .known button')].map((each) => each.textContent)")
    browser.evaluate("document.querySelector('#empty .known button').click()")
    browser.wait_for("document.getElementById('empty').hidden && !document.getElementById('numbers').hidden")
    assert "app=" in browser.evaluate("location.search")


def test_what_fires_is_on_the_first_screen(browser: Browser, store_url: str, judged_url: str) -> None:
    """With its severity, since when, and ways to what it is about and what to do; or why nothing is known of it."""
    held = Held([firing("Watchdog", "none", "")])
    with serving(judged_url, alertmanager=held) as address:
        browser.open(f"{address}?period=7d")
        browser.wait_for("document.getElementById('alerts-said').textContent === 'Nothing fires.'")
        browser.open("about:blank")
    with serving(store_url, alertmanager=held) as address:
        browser.open(f"{address}?period=7d")
        # Before anything is judged, that is no good news.
        said = "document.getElementById('alerts-said').textContent"
        browser.wait_for(f"{said}.startsWith('Nothing fires so far. No release is judged yet')")
        links = {"page_url": "http://elsewhere:1/why?app=editor&release=periods", "runbook_url": "http://w/r#watchdog"}
        held.found = [*(held.found or ()), firing("KeeprateReleaseWorse", summary="v4 keeps less", **links)]
        browser.wait_for("!!document.querySelector('#alerts-list li')")
        told = browser.text("#alerts-list li")
        assert all(
            each in told for each in ("critical", "v4 keeps less", "editor", "alert raised", "Why?", "What to do")
        )
        assert browser.evaluate("[...document.querySelectorAll('#alerts-list a')].map((each) => each.href)") == [
            f"{address}why?app=editor&release=periods",
            f"{address}runbook?app=editor#watchdog",
        ]
        held.found = None
        browser.wait_for("document.getElementById('alerts-said').textContent.includes('does not answer')")
        browser.open("about:blank")
    with serving(store_url) as address:
        browser.open(f"{address}?period=7d")
        browser.wait_for("document.getElementById('alerts-said').textContent.includes('No alert source is configured')")
        browser.open("about:blank")


@pytest.mark.clickhouse
def test_it_keeps_its_numbers_while_the_store_is_down_and_recovers(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A banner says since when they stand still; it goes when the store is back, and nobody reloads."""
    with StoreProcess(tmp_path_factory.mktemp("down") / "data") as own:
        url = f"{own.url}/keeprate"
        land(url, history())
        with visited(browser, url) as address:
            browser.open(f"{address}?period=7d")
            browser.wait_for(DRAWN)
            before = key_number(browser, "acceptance_rate")
            own.stop()
            browser.wait_for("!document.getElementById('banner').hidden")
            assert "The store does not answer" in browser.text("#banner")
            assert key_number(browser, "acceptance_rate") == before
            own.start()
            browser.wait_for("document.getElementById('banner').hidden", 60)
            assert key_number(browser, "acceptance_rate") == before
    # A browser logs every answer that is an error; those of the outage are the ones that belong here.
    browser.problems[:] = [problem for problem in browser.problems if "503" not in problem]


def test_before_a_release_is_judged_the_first_screen_says_that_it_is_not(browser: Browser, address: str) -> None:
    """In place of nothing, which reads like good news. The alerts say so too."""
    browser.open(f"{address}?period=7d")
    browser.wait_for(DRAWN)
    assert browser.text("#releases-said").startswith("No release is judged so far")
    assert not browser.evaluate("document.getElementById('releases').hidden")


def test_a_release_leads_with_what_users_keep_where_and_to_its_prompt(browser: Browser, judged_url: str) -> None:
    """What they keep is its first finding, with the languages by name; a press shows what changed in the prompt."""
    with visited(browser, judged_url) as address:
        browser.open(f"{address}?period=30d")
        browser.wait_for("!!document.querySelector('[data-verdict=worse] [data-where]')?.textContent")
        first = "#releases-list li:first-child"
        finding, where = (browser.text(f"{first} {each}") for each in (".finding", "[data-where]"))
        assert finding.startswith("kept after "), finding
        assert any(each in where for each in ("every language", "python", "typescript")), where
        assert "the period narrows the numbers below, and not this" in browser.text("#releases-said")
        browser.evaluate(f"document.querySelectorAll('{first} .sure a')[1].click()")
        browser.wait_for("location.pathname === '/versions' && !!document.querySelector('#prompts-shown .diff ins')")
        assert "v4 after v3" in browser.evaluate("document.getElementById('pick-prompts').selectedOptions[0].text")
        top = "document.getElementById('prompts').getBoundingClientRect().top"
        browser.wait_for(f"{top} > -50 && {top} < window.innerHeight")


LOOKS = "Object.fromEntries([...document.querySelectorAll('#series-legend li')].map((each) => [each.textContent,"
LOOKS += " [...each.querySelectorAll('path')].map((path) => path.outerHTML.replace(/stroke-dasharray=.*? /, ''))]))"


def test_a_version_keeps_its_colour_and_mark_whatever_the_period(browser: Browser, judged_url: str) -> None:
    """Also in a window that was never open before, and where another one is the largest."""
    seen: dict[str, list[str]] = {}
    with visited(browser, judged_url) as address:
        for period in ("7d", "30d", "24h", "90d"):
            browser.open(f"{address}?period={period}&app=editor")
            browser.wait_for(DRAWN)
            for name, look in browser.evaluate(LOOKS).items():
                assert seen.setdefault(name, look) == look, (period, name)
    assert len(seen) > 1
    assert len({look[0] for look in seen.values()}) == len(seen)


def test_a_release_before_the_period_is_on_the_chart_in_the_colour_of_its_line(
    browser: Browser, judged_url: str
) -> None:
    """At its first moment, with its day; and no label covers what is drawn."""
    with visited(browser, judged_url) as address:
        browser.open(f"{address}?period=24h&app=editor")
        browser.wait_for("!!document.querySelector('#series .annotation')")
        assert re.search(r"◂ editor v4, since \d+ \w+$", browser.text("#series .annotation"))
        (mark,) = browser.evaluate("document.getElementById('series').layout.shapes.map((each) => each.line.color)")
        lines = (
            "document.getElementById('series').data.filter((each) => each.name === 'v4').map((each) => each.line.color)"
        )
        assert browser.evaluate(lines) == [mark]
        label, plot = (
            f"document.querySelector('#series {each}').getBoundingClientRect()" for each in (".annotation", ".nsewdrag")
        )
        assert browser.evaluate(f"{label}.bottom <= {plot}.top + 1")


def test_a_control_that_changes_nothing_is_off_and_says_why(browser: Browser, judged_url: str) -> None:
    """A release is compared since it was released; two periods are what a period is for."""
    with visited(browser, judged_url) as address:
        browser.open(f"{address}why?app=editor")
        browser.wait_for("!!document.querySelector('#difference .key-value')")
        assert browser.evaluate("document.getElementById('filter-period').disabled")
        prompt = "document.querySelector('#difference a[href$=\"#prompts\"]').getAttribute('href')"
        assert "prompt=editor%2Fprompt_version%2F" in browser.evaluate(prompt)
        assert not browser.evaluate("document.getElementById('period-said').hidden")
        browser.evaluate(choosing("pick-release", "periods"))
        browser.wait_for("!document.getElementById('filter-period').disabled")
        assert browser.evaluate("document.getElementById('period-said').hidden")


@pytest.mark.parametrize("asked", ["?period=5d", "?only=foo%3Dbar", "versions?period=5d", "cases?only=foo%3Dbar"])
def test_an_address_that_asks_for_what_is_not_offered_says_so_with_a_way_out(
    browser: Browser, address: str, asked: str
) -> None:
    """It is not asked again and again, and nobody waits for it."""
    browser.open(f"{address}{asked}")
    browser.wait_for("document.getElementById('empty-title')?.textContent.startsWith('This address asks')")
    assert browser.evaluate("document.getElementById('numbers').hidden && document.getElementById('banner').hidden")
    assert ("'5d' is not offered" if "5d" in asked else "'foo' is no parameter") in browser.text("#empty")
    browser.evaluate("document.querySelector('#empty a').click()")
    browser.wait_for("location.search === '' && document.getElementById('empty')?.hidden")
    # A browser logs every answer that is an error.
    browser.problems[:] = [problem for problem in browser.problems if "400" not in problem]


@pytest.mark.parametrize("page", ["", "versions", "why", "suggestions", "review", "cases", "operations"])
def test_what_is_still_being_read_says_so(
    browser: Browser, store_url: str, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    """No page is empty while its numbers are on their way."""
    may = threading.Event()

    def slow(reads: Reads, selection: Selection, ask: Callable[..., Json | None]) -> Json | None:
        may.wait(30)
        return ask(reads, selection)

    for name, ask in list(QUESTIONS.items()):
        monkeypatch.setitem(QUESTIONS, name, partial(slow, ask=ask))
    said = (
        "[...document.querySelectorAll('main *')].some((each) => each.offsetParent && each.clientHeight > 0"
        " && getComputedStyle(each, '::before').content.includes('Reading'))"
    )
    with visited(browser, store_url) as address:
        try:
            browser.open(f"{address}{page}")
            browser.wait_for(said, 10)
        finally:
            may.set()
        browser.wait_for("document.body.classList.contains('read')")


def test_a_moment_that_an_alert_names_is_in_the_zone_of_all_others(browser: Browser, judged_url: str) -> None:
    """One screen has one clock, also over the turn of a year; what is no moment stays as it is."""
    held = Held([firing("KeeprateReleaseWorse", summary="v4 keeps less, since its release on 15 Nov 23:17 UTC")])
    browser.call("Emulation.setTimezoneOverride", timezoneId="America/New_York")
    try:
        with serving(judged_url, alertmanager=held) as address:
            browser.open(f"{address}?period=7d")
            browser.wait_for("!!document.querySelector('#alerts-list li')")
            assert "since its release on 15 Nov " in browser.text("#alerts-list strong")
            assert browser.text("#alerts-list strong").endswith("18:17")
            turn = "import('./format.js').then((module) => module.inZone('a 31 Dec 23:00 UTC, 45 Xyz 99:99 UTC',"
            assert browser.evaluate(f"{turn} Date.UTC(2026, 0, 2)))") == "a 31 Dec 2025 18:00, 45 Xyz 99:99 UTC"
            browser.open("about:blank")
    finally:
        browser.call("Emulation.setTimezoneOverride", timezoneId="")


def test_a_link_to_a_number_leads_to_it(browser: Browser, address: str) -> None:
    """Once it is drawn, with what stands above it in its height."""
    browser.open(f"{address}?app=editor&period=7d#latency_p95")
    place = "document.getElementById('latency_p95')?.getBoundingClientRect()"
    browser.wait_for(f"(({{top, bottom}}) => top > 0 && bottom < innerHeight)({place} ?? {{}})")


def test_the_story_from_the_first_screen_to_the_fix(
    browser: Browser, store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bad version, what was removed, two reviewers at once, their cases red and green, and what came of it."""
    url = f"{store_url.rpartition('/')[0]}/page_story"
    story.copy_judged(store_url, url)
    with recording() as emitted, visited(browser, url, Desk(story.SETTINGS, Book(":memory:"), Outbox("no:1"))) as page:
        story.find_what_got_worse(browser, page)
        story.read_what_was_removed(browser)
        judged = story.review_ten(browser, page)
        assert len({identity for _, identity in judged}) == len(judged) == 10
        assert {name for name, _ in judged} == set(story.REVIEWERS)
        land(url, story.with_history(emitted.events))
        path = tmp_path / "editor.jsonl"
        suite = story.export_cases(browser, page, path)
        assert {case.expected_from for case in suite.cases} == {"correction"}
        story.run_red_then_green(path, suite, emitted, monkeypatch)
        land(url, story.with_history(emitted.events))
        story.read_what_came_of_it(browser, page, suite)
        story.look_at_the_rest(browser, page, story.REST)
