"""The JavaScript package in a real browser, towards the collector's real application: nothing stored is lost."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.devtools import Browser
from tests.javascript.kills import FAULTS, Campaign, campaign
from tests.javascript.shop import Shop, open_shop

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def chromium(require: Callable[[str], str], node: Path) -> str:
    return require("chromium")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, node: Path) -> Iterator[Shop]:
    with open_shop(tmp_path_factory.mktemp("shop")) as shop:
        yield shop


@pytest.fixture(scope="module")
def browser(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(chromium, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def killing(chromium: str) -> Iterator[Campaign]:
    """Trials over one profile; `make js-fault` makes hundreds."""
    with campaign(chromium, 7) as running:
        yield running


@pytest.mark.parametrize("fault", FAULTS)
def test_what_was_stored_arrives_whatever_is_killed(killing: Campaign, fault: str) -> None:
    """Of a page that is killed in the middle of sending, the next one delivers what is left; the accounts add up."""
    outcome = killing.trial(fault)
    assert outcome.clean, outcome
    assert outcome.events > 0


def test_two_tabs_send_each_event_once(browser: Browser, shop: Shop) -> None:
    """Both emit, one sends for both, and when it is closed the other goes on."""
    shop.publisher.mood = "well"
    shop.publisher.events.clear()
    _visit(browser, shop)
    first = browser.new_tab()
    _visit(browser, shop)
    emit = "for (let at = 0; at < 40; at++) handle.vote(1); client.flush(20000)"
    assert browser.evaluate(f"{emit}.then(left => left + 0)") == 0
    second = browser.to_tab(first)
    assert browser.evaluate(f"{emit}.then(left => left + 0)") == 0
    assert len(shop.ids) == len(set(shop.ids)) == 80
    assert {event["user"] for event in shop.publisher.events} == {"h4sh"}
    browser.close_tab()
    browser.to_tab(second)
    assert browser.evaluate(f"{emit}.then(left => left + 0)") == 0
    assert len(shop.ids) == len(set(shop.ids)) == 120
    stats = browser.evaluate("client.stats()")
    assert (stats["accepted"], stats["delivered"], stats["spooled"], stats["lost"]) == (120, 120, 0, 0)


def test_a_full_storage_holds_nothing_up(browser: Browser, tmp_path: Path) -> None:
    """What cannot be stored goes from memory, at once, and is accounted for."""
    with open_shop(tmp_path) as shop:
        browser.open("about:blank")
        browser.call("Storage.overrideQuotaForOrigin", origin=shop.url.partition("/#")[0], quotaSize=1)
        _visit(browser, shop)
        browser.evaluate("for (let at = 0; at < 30; at++) handle.vote(1, { comment: 'x'.repeat(9000) })")
        assert browser.evaluate("client.flush(20000)") == 0
        stats = browser.evaluate("client.stats()")
        assert "Quota" in stats["last_error"], stats
        assert browser.evaluate("stored.length") == 0
        assert stats["delivered"] == stats["accepted"] == 30 == len(set(shop.ids))
        browser.open("about:blank")


def test_a_page_that_is_left_sends_what_it_has(browser: Browser, shop: Shop) -> None:
    """In a request that outlives it, although it would have waited for more."""
    shop.publisher.mood = "well"
    _visit(browser, shop)
    slow = "new client.constructor('shop', { ...client.settings, spool: undefined, lingerMs: 600000 })"
    browser.evaluate(f"void (window.late = {slow})")
    browser.evaluate("void late.feedback('0197c0de-0000-7000-8000-000000000002').vote(1)")
    assert browser.evaluate("late.flush(20000)") == 0
    browser.evaluate("new Promise(wake => setTimeout(wake, 200))")
    shop.publisher.events.clear()
    browser.evaluate("void late.feedback('0197c0de-0000-7000-8000-000000000002').vote(-1)")
    browser.wait_for("late.stats().then(stats => stats.spooled === 1)")
    assert shop.ids == []
    browser.close_tab()
    browser.wait_for("new Promise(wake => setTimeout(() => wake(true), 50))")
    for _ in range(100):
        if shop.ids:
            break
        browser.evaluate("new Promise(wake => setTimeout(wake, 50))")
    assert [event["value"] for event in shop.publisher.events] == [-1]


def _visit(browser: Browser, shop: Shop) -> None:
    browser.open("about:blank")
    browser.open(shop.url)
    browser.wait_for("window.client && client.stats().then(() => true, () => true)")
