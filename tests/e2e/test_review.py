"""Reviews in a real browser: by keyboard, with hostile output, on a desk and on a phone."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keeprate.deploy.page.reviewing.desk import Desk
from keeprate.deploy.review.book import Book
from keeprate.deploy.review.sending import Outbox, pseudonym
from keeprate.deploy.review.settings import Criterion, ReviewSettings
from keeprate.deploy.store import StoreProcess
from keeprate.producers.testing import Recorded, recording
from tests.devtools import Browser
from tests.facts import START_MS, Facts
from tests.pages import land, serving

pytestmark = pytest.mark.browser

HOSTILE = "<img src=x onerror='window.pwned=1'> \u202egnp.exe\0 \N{PILE OF POO}"
SETTINGS = ReviewSettings(questions=(Criterion(name="tone", title="How does it sound?", answers=("kind", "rude")),))
NOW = datetime.fromtimestamp(START_MS / 1000, UTC) + timedelta(hours=2)


@pytest.fixture
def browser(require: Callable[[str], str]) -> Iterator[Browser]:
    """A browser whose console must stay silent."""
    with Browser(require("chromium")) as browser:
        yield browser
        assert browser.problems == []


@pytest.fixture
def emitted() -> Iterator[Recorded]:
    """What the page's SDK client emits."""
    with recording() as recorded:
        yield recorded


@pytest.fixture
def address(store: StoreProcess, emitted: Recorded) -> Iterator[str]:
    """A page that takes reviews, over three flagged suggestions and what judges and people said of them."""
    facts = Facts("support")
    events = []
    for at, name in enumerate(("first", "second", "third")):
        output = [{"role": "assistant", "content": f"{name}: {HOSTILE}"}]
        events.append(facts.generation(name, at * 1000, input=[{"role": "user", "content": "why?"}], output=output))
        events += [facts.action(name, "shown"), facts.flag(name, "wrong"), facts.evaluation(name, "llm", "good")]
    url = f"{store.url}/review_browser"
    land(url, events)
    desk = Desk(SETTINGS, Book(":memory:"), Outbox(brokers="nowhere:1"))
    with serving(url, NOW, desk) as address:
        yield address


def press(browser: Browser, key: str, control: bool = False) -> None:
    event = json.dumps({"key": key, "ctrlKey": control, "bubbles": True, "cancelable": True})
    browser.evaluate(f"(document.activeElement ?? document.body).dispatchEvent(new KeyboardEvent('keydown', {event}))")


def shows(browser: Browser, text: str) -> None:
    browser.wait_for(f"document.getElementById('review-item').textContent.includes({json.dumps(text)})")


def test_what_the_tab_key_reaches_is_seen(browser: Browser, address: str) -> None:
    """On Review and in the list of suggestions: in the order of the page, each with a ring; Escape leads back."""
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-reduced-motion", "value": "reduce"}])
    for page, opened in (("review?period=24h&queue=flagged", ""), ("suggestions?period=24h", "#listed .open")):
        browser.resize(1400, 1000)
        browser.open(f"{address}{page}")
        if not opened:
            browser.wait_for("document.querySelectorAll('.queue').length === 5")
            browser.evaluate(
                "document.getElementById('reviewer').value = 'Ann'; document.getElementById('reviewer').onchange()"
            )
            shows(browser, "third: ")
        else:
            browser.wait_for(f"!!document.querySelector({json.dumps(opened)})")
        browser.evaluate("document.querySelector('.skip').focus()")
        browser.press("Tab")
        reached: list[dict[str, Any]] = []
        while (at := browser.evaluate(FOCUSED)) is not None and len(reached) < 200:
            reached.append(at)
            browser.press("Tab")
        assert len(reached) > 15, reached
        unseen = [each["what"] for each in reached if not each["isSeen"]]
        assert unseen == [], unseen
        places = [each["place"] for each in reached]
        assert places == sorted(places), [each["what"] for each in reached]
        if opened:
            browser.evaluate(f"document.querySelector({json.dumps(opened)}).focus()")
            browser.press("Enter")
            browser.wait_for("document.getElementById('drawer').open && !!document.querySelector('.timeline li')")
            browser.press("Escape")
            browser.wait_for(
                "!document.getElementById('drawer').open && document.activeElement.matches('#listed .open')"
            )


FOCUSED = """(() => {
  const at = document.activeElement;
  if (at === document.body || at === document.documentElement) return null;
  const beside = at.matches('[type=radio], [type=checkbox]') ? at.nextElementSibling : null;
  const ringed = [at, beside].filter(Boolean).some((each) => getComputedStyle(each).outlineStyle !== 'none');
  const box = (beside ?? at).getBoundingClientRect();
  const isThere = box.width > 3 && box.height > 3 && box.bottom > 0 && box.top < innerHeight;
  const place = [...document.querySelectorAll('*')].indexOf(at);
  return { what: at.outerHTML.slice(0, 120), place, isSeen: ringed && isThere };
})()"""
"""What has the focus: where in the document, and whether it is in sight with a ring; null where nothing has it."""


def test_an_expert_reviews_by_keyboard(browser: Browser, address: str, emitted: Recorded) -> None:
    """A name, a queue, good or bad, a label, a correction, undo, skip: all of it without a mouse, nothing executed."""
    browser.resize(1400, 1000)
    browser.open(f"{address}review?period=24h")
    browser.wait_for("document.querySelectorAll('.queue').length === 5")
    assert "Say who you are" in browser.text("#review-off")
    browser.evaluate(
        "document.getElementById('reviewer').value = 'Ann'; document.getElementById('reviewer').onchange()"
    )
    browser.wait_for("document.querySelector('.queue-open .soft').textContent.startsWith('3')")
    browser.evaluate("document.querySelector('.queue-open').click()")
    shows(browser, "third: <img src=x onerror='window.pwned=1'> ⟨U+202E⟩gnp.exe␀")
    assert "good (llm)" not in browser.text("#review-item")
    for key in ("b", "1"):
        press(browser, key)
    browser.evaluate("document.querySelector('[name=corrected]').focus()")
    browser.evaluate("document.querySelector('[name=corrected]').value = 'as it should be'")
    press(browser, "Enter")
    assert emitted.events == []
    press(browser, "Enter", control=True)
    shows(browser, "second: ")
    assert [event.get("label") for event in emitted.events] == ["bad", "set", None]
    assert {event.get("annotator", event.get("user")) for event in emitted.events} == {pseudonym("Ann")}
    assert emitted.events[2].get("corrected_text") == "as it should be"
    press(browser, "Escape")
    press(browser, "u")
    shows(browser, "third: ")
    assert browser.evaluate("document.querySelector('[name=vote][value=bad]').checked")
    for key in ("g", "Enter"):
        press(browser, key)
    shows(browser, "second: ")
    press(browser, "s")
    shows(browser, "first: ")
    press(browser, "?")
    assert browser.evaluate("document.getElementById('keys-sheet').open")
    browser.press("Escape")
    press(browser, "g")
    browser.evaluate("document.querySelector('#judgement [type=submit]').focus()")
    browser.press("Enter")
    browser.wait_for(
        "!document.getElementById('review-nothing').hidden && document.getElementById('review-sides').hidden"
    )
    # The button is gone with the form, and the focus is not.
    browser.wait_for("document.activeElement.id === 'review-title'")
    browser.wait_for("document.querySelector('.queue').textContent.includes('you 2')")
    assert browser.evaluate("window.pwned") is None
    browser.resize(390, 800, mobile=True)
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390
    browser.open("about:blank")
