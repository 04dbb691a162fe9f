"""Lists in a real browser: a page of one is full or goes on looking by itself, and says how far it has looked."""

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from keeprate.deploy.page.exploring import listed
from keeprate.deploy.store import StoreProcess
from keeprate.sinks.reading.lists import candidates, listing
from keeprate.sinks.reading.lists.listing import Listing, Page, page
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.store.clickhouse import connect
from tests import desk, looking
from tests.devtools import Browser
from tests.facts import Facts
from tests.looking import look
from tests.pages import NOW, history, land, serving

pytestmark = pytest.mark.browser

ROWS = "document.querySelectorAll('#listed tbody tr').length"
STATE = "document.getElementById('listed-state').textContent"
V4 = "suggestions?period=7d&app=editor&only=prompt_version%3Dv4&horizon=600"


@pytest.fixture(scope="module")
def url(store: StoreProcess) -> str:
    """A database with the demo's history."""
    url = f"{store.url}/lists_browser"
    land(url, history())
    return url


@pytest.fixture
def browser(require: Callable[[str], str]) -> Iterator[Browser]:
    """A browser whose console must stay silent."""
    looking.faults.clear()
    with Browser(require("chromium")) as browser:
        yield browser
        assert browser.problems == []
        assert looking.faults == {}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that is so slow that a few hours are all that one answer looks through."""
    monkeypatch.setattr(listing, "PATIENCE_S", 0.0)
    monkeypatch.setattr(candidates, "FIRST", 4)
    monkeypatch.setattr(candidates, "next_size", lambda size, took_s, left_s: 4)
    monkeypatch.setattr(candidates, "FIRST_SPAN", 20)


@contextmanager
def visited(browser: Browser, url: str) -> Iterator[str]:
    """A page over the store, which the browser leaves before it ends."""
    with serving(url) as address:
        yield address
        browser.open("about:blank")


def of_v4(url: str, **asked: Any) -> list[str]:
    """The ids of a list of version 4, all of it."""
    scope = Scope(NOW - timedelta(days=7), NOW, NOW, only={"app": ["editor"], "prompt_version": ["v4"]})
    with connect(url) as client:
        rows = page(client, Listing(scope, horizon_s=600, limit=1000, **asked), 60.0).rows
    return [row.identity[1] for row in rows]


def shown(browser: Browser) -> list[str]:
    """The ids of the rows, in their order."""
    keys = browser.evaluate("[...document.querySelectorAll('#listed tbody tr')].map((each) => each.dataset.key)")
    return [key.split("~")[1] for key in keys]


@pytest.mark.usefixtures("impatient")
def test_a_page_of_a_list_fills_by_itself(browser: Browser, url: str) -> None:
    """Whatever one answer holds: 50 rows, the right ones in order, without a press; and a press gives 50 more."""
    whole = of_v4(url, fate="accepted")
    assert len(whole) > 100
    with visited(browser, url) as address:
        browser.open(f"{address}{V4}&fate=accepted")
        browser.wait_for(f"{ROWS} === 50")
        assert shown(browser) == whole[:50]
        assert not browser.evaluate("document.getElementById('listed-more').hidden")
        browser.evaluate("document.getElementById('listed-more').click()")
        browser.wait_for(f"{ROWS} === 100")
        assert shown(browser) == whole[:100]


@pytest.mark.usefixtures("impatient")
def test_the_worst_are_those_of_the_whole_period(browser: Browser, url: str) -> None:
    """However old: each rank is looked for in all of it before the next; and what is the worst is said."""
    whole = of_v4(url, fate="not_kept", order="worst")
    with visited(browser, url) as address:
        browser.open(f"{address}{V4}&fate=not_kept&order=worst")
        browser.wait_for(f"{ROWS} === {min(50, len(whole))}")
        assert shown(browser) == whole[:50]
        browser.wait_for(f"{STATE}.includes('The worst first: what users said against, what they removed')")
        look(browser, "suggestions-worst")


@pytest.mark.usefixtures("impatient")
def test_while_a_list_is_looked_for_it_says_how_far(
    browser: Browser, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And never that there is nothing before all of the period was looked through; a press is not needed."""
    goes_on, held = threading.Event(), threading.Event()

    def held_back(client: Any, asked: Listing, *more: Any) -> Page:
        if asked.after is not None:
            held.set()
            goes_on.wait(30)
        return page(client, asked, *more)

    monkeypatch.setattr(listed, "page", held_back)
    with visited(browser, url) as address:
        browser.open(f"{address}{V4}&text=nothing-is-called-so")
        browser.wait_for(f"{STATE}.includes('Looked back to ') && {STATE}.includes('looking further')")
        assert held.wait(30)
        assert browser.evaluate("document.getElementById('listed-nothing').hidden")
        assert browser.evaluate("document.getElementById('listed-more').hidden")
        goes_on.set()
        browser.wait_for("!document.getElementById('listed-nothing').hidden")
        assert browser.text("#listed-nothing") == "No suggestion is like that in this selection."
        assert browser.evaluate(STATE) == ""


@pytest.mark.usefixtures("impatient")
def test_the_beginning_of_an_id_finds_it(browser: Browser, url: str) -> None:
    """In one answer, wherever in the period it is: ids are in order."""
    oldest = of_v4(url, fate="accepted")[-1]
    with visited(browser, url) as address:
        browser.open(f"{address}{V4}&text={oldest[:13].upper()}")
        browser.wait_for(f"{STATE}.includes(' in all')")
        assert oldest in shown(browser)
        assert all(each.startswith(oldest[:13]) for each in shown(browser))


def test_what_is_shown_of_another_search_says_so(browser: Browser, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the moment that something else is asked for until its rows are there."""
    goes_on = threading.Event()

    def held_back(client: Any, asked: Listing, *more: Any) -> Page:
        if asked.text:
            goes_on.wait(30)
        return page(client, asked, *more)

    monkeypatch.setattr(listed, "page", held_back)
    with visited(browser, url) as address:
        browser.open(f"{address}{V4}")
        browser.wait_for(f"{ROWS} === 50")
        typed = "(i => { i.value = 'python'; i.oninput() })(document.getElementById('pick-text'))"
        browser.evaluate(typed)
        browser.wait_for(f"{STATE} === 'Looking …' && document.body.classList.contains('old')")
        goes_on.set()
        browser.wait_for(f"{STATE} !== 'Looking …' && !document.body.classList.contains('old')")
        languages = "[...document.querySelectorAll('#listed td:nth-child(5)')].map((each) => each.textContent)"
        assert all("python" in each for each in browser.evaluate(languages))


def test_test_cases_are_of_the_whole_list(
    browser: Browser, store: StoreProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little one answer holds; and what became of the suggestions is said, with what to do with the file."""
    url = f"{store.url}/lists_cases"
    land(url, desk.happened())
    with visited(browser, url) as address:
        for name, value in (("FIRST", 1), ("next_size", lambda size, took_s, left_s: 1)):
            monkeypatch.setattr(candidates, name, value)
        monkeypatch.setattr(listing, "PATIENCE_S", 0.0)
        browser.open(f"{address}suggestions?period=24h&app={desk.APP}")
        browser.wait_for(f"{STATE}.includes(' in all')")
        browser.evaluate(
            "window.names = []; const click = HTMLAnchorElement.prototype.click;"
            "HTMLAnchorElement.prototype.click = function () { window.names.push(this.download); click.call(this); };"
            "document.getElementById('suggestions-cases').click()"
        )
        said = "document.getElementById('suggestions-said').textContent"
        browser.wait_for(f"{said}.includes('downloaded')")
        text = browser.evaluate(said)
        assert json.loads(browser.evaluate("JSON.stringify(window.names)")) == [f"cases-{desk.APP}.jsonl"]
        assert "of 26 suggestions" in text, text
        assert "ask the same as another" in text, text
        assert f"keeprate cases run cases-{desk.APP}.jsonl" in text, text
        assert "keeprate cases gate" in text, text
        assert browser.evaluate("document.querySelector('#suggestions-said a').getAttribute('href')").startswith(
            "cases"
        )


def test_why_a_change_cannot_be_read_is_said(browser: Browser, store: StoreProcess) -> None:
    """Where looks came without the text as it was then: what would do, and nothing of it where the text came."""
    editor = Facts("editor")
    events = []
    for name, more in (("without", {}), ("with", {"current_text": "abxy"})):
        events += [
            editor.generation(name, output="abcd", content_mode="full"),
            editor.action(name, "accept", accept_seq=1, length=4),
            editor.check(name, 300, "abxy", accept_seq=1, **more),
        ]
    url = f"{store.url}/lists_changed"
    land(url, events)
    said = "document.querySelector('#drawer .drawer-body').textContent"
    with visited(browser, url) as address:
        for name, is_told in (("without", True), ("with", False)):
            identity = uuid.uuid5(uuid.NAMESPACE_URL, name)
            browser.open(f"{address}suggestions?open=editor~{identity}")
            browser.wait_for(f"document.querySelector('#drawer .timeline') && {said}.includes('50.0')")
            assert browser.evaluate(f"{said}.includes('without current_text')") is is_told
            assert browser.evaluate("!!document.querySelector('#drawer .diff ins')") is not is_told


def test_a_page_without_suites_leads_to_a_list_and_names_the_gate(browser: Browser, url: str) -> None:
    """The way from suggestions to a gate, in its order."""
    with visited(browser, url) as address:
        browser.open(f"{address}cases?period=7d")
        browser.wait_for("!document.getElementById('stories-nothing').hidden")
        assert "keeprate cases gate" in browser.text("#stories-nothing")
        browser.evaluate("document.querySelector('#stories-nothing a').click()")
        browser.wait_for(f"location.pathname === '/suggestions' && {ROWS} > 5")


def test_what_an_address_says_in_vain_is_told(browser: Browser, url: str) -> None:
    """A span of time that no page takes, and an id that is none."""
    with visited(browser, url) as address:
        browser.open(f"{address}suggestions?from=2026-01-02&to=2026-01-01")
        browser.wait_for("!document.getElementById('ignored').hidden")
        assert browser.text("#ignored").startswith("The address says from and to, which changes nothing here")
        browser.open(f"{address}suggestions?period=7d")
        browser.wait_for(f"{ROWS} === 50")
        assert browser.evaluate("document.getElementById('ignored').hidden")
        assert browser.problems == []
        browser.open(f"{address}suggestions?open=editor~nope")
        browser.wait_for(
            "document.querySelector('#drawer .drawer-error')?.textContent.startsWith('no such suggestion')"
        )
        # The browser itself says that there was a 404.
        browser.problems.clear()
