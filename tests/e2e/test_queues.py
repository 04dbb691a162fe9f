"""Queues in a real browser: their sizes are true, and nothing of a suggestion is out of sight."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from keeprate.deploy.page.reviewing.desk import Desk
from keeprate.deploy.review.book import Book
from keeprate.deploy.review.reading import Looking, Queued
from keeprate.deploy.review.sending import Outbox
from keeprate.deploy.store import StoreProcess
from keeprate.producers.testing import recording
from tests.devtools import Browser
from tests.pages import history, land, serving
from tests.story import SETTINGS

pytestmark = pytest.mark.browser

NAMED = "(i => { i.value = 'Ann'; i.onchange() })(document.getElementById('reviewer'))"
TEN = "document.querySelector('.queue')"


@pytest.fixture
def browser(require: Callable[[str], str]) -> Iterator[Browser]:
    """A browser whose console must stay silent."""
    with Browser(require("chromium")) as browser:
        yield browser
        browser.open("about:blank")
        assert browser.problems == []


@pytest.fixture(scope="module")
def url(store: StoreProcess) -> str:
    """A database with the demo's history."""
    url = f"{store.url}/queues_browser"
    land(url, history())
    return url


def desk() -> Desk:
    return Desk(SETTINGS, Book(":memory:"), Outbox(brokers="nowhere:1"))


def test_a_full_queue_says_or_more_and_its_suggestion_is_all_in_sight(browser: Browser, url: str) -> None:
    """Down to what its user did last: that is what it is in its queue for."""
    with recording(), serving(url, desk=desk()) as address:
        browser.resize(1400, 900)
        browser.open(f"{address}review?queue=ten&period=7d")
        browser.evaluate(NAMED)
        browser.wait_for("!!document.querySelector('#review-item .timeline li')")
        browser.wait_for(f"{TEN}?.textContent.includes('10 or more for you')")
        assert "0 of 10 or more done" in browser.text(".queue")
        for width in (1400, 390):
            browser.resize(width, 844)
            hidden = "(e => e.scrollHeight - e.clientHeight)(document.getElementById('review-item'))"
            assert browser.evaluate(hidden) <= 1
        assert "After 10\u202fmin: " in browser.text("#review-item")
        browser.open("about:blank")


def test_a_queue_that_is_looked_for_says_how_far_and_fills_by_itself(
    browser: Browser, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no share of anything until it is whole."""
    goes_on, whole = threading.Event(), Looking.look

    def part(self: Looking, client: Any, patience_s: float) -> Queued:
        found = whole(self, client, patience_s)
        self.rows.clear()
        if goes_on.is_set():
            return found
        at = found.candidates[:3]
        return Queued(at, True, self._asked.scope.since)

    monkeypatch.setattr(Looking, "look", part)
    with recording(), serving(url, desk=desk()) as address:
        browser.open(f"{address}review?queue=ten&period=7d")
        browser.wait_for(f"{TEN}?.textContent.includes('0 done, 3 found so far: looked back to ')")
        assert browser.evaluate(f"{TEN}.querySelector('.share-bar').style.getPropertyValue('--share')") == "0%"
        goes_on.set()
        browser.wait_for(f"{TEN}?.textContent.includes('0 of 10 or more done')")
        browser.open("about:blank")


def test_what_was_read_ahead_is_read_again_once_it_is_shown(browser: Browser, url: str) -> None:
    """A look at it that came meanwhile is there; and nothing that was read for one queue is shown in another."""
    with recording(), serving(url, desk=desk()) as address:
        browser.open(f"{address}review?queue=ten&period=7d")
        browser.evaluate(NAMED)
        browser.wait_for("!!document.querySelector('#review-item .timeline li')")
        count = "performance.getEntriesByType('resource').filter((each) => each.name.includes('/review/items/')).length"
        browser.wait_for(f"{count} === 2")
        # Half a minute passes.
        browser.evaluate("(now => { performance.now = () => now() + 30_000 })(performance.now.bind(performance))")
        browser.evaluate("document.body.dispatchEvent(new KeyboardEvent('keydown', { key: 's', bubbles: true }))")
        # The next one was read ahead and is read again, and so is the one after it for the first time.
        browser.wait_for(f"{count} === 4")
        browser.open("about:blank")
