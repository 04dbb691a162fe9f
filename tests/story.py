"""The demo's story as somebody walks it in a browser: from the first screen to two reviewers, step by step."""

import json
from datetime import timedelta
from typing import Final

from keeprate.deploy.releases.judging import find, findings
from keeprate.deploy.review.settings import Queue, ReviewSettings
from keeprate.sinks.closed import release_verdicts
from keeprate.sinks.reading.derive import derive_all
from keeprate.sinks.store.clickhouse import Client, connect
from keeprate.sinks.tables.migrate import migrate
from tests.devtools import Browser
from tests.looking import look
from tests.pages import NOW

REVIEWERS: Final = ("Ann", "Bob")
TEN: Final = Queue(
    name="ten", title="Ten that users did not keep", rule="not_kept", horizon_s=600, most=10, apps=("editor",)
)
SETTINGS: Final = ReviewSettings(queues=(TEN, *ReviewSettings().queues))
_SHOWN: Final = "document.querySelector('#review-item code')?.textContent"
_OVER: Final = "document.getElementById('review-sides').hidden"
_NOTHING_LEFT: Final = "document.querySelector('.queue.current .queue-open .soft')?.textContent === 'nothing for you'"


def copy_judged(url: str, copy_url: str) -> None:
    """A database with the same history, and with the verdicts that a monitor would have by now."""
    source, copy = (each.rpartition("/")[2] for each in (url, copy_url))
    migrate(copy_url)
    with connect(copy_url) as client:
        for table in ("generations", "feedback", "outcomes"):
            client.command(f"INSERT INTO {copy}.{table} SELECT * FROM {source}.{table}")
        derive_all(client)
        judge(client)


def judge(client: Client) -> None:
    """Keep the verdict on every release of the last weeks."""
    releases = find(client, NOW - timedelta(days=28), NOW)
    release_verdicts.keep(client, [each.kept for release in releases for each in findings(client, release, NOW)])


def find_what_got_worse(browser: Browser, address: str) -> None:
    """The first screen says which version, since when and where; a press says why."""
    browser.resize(1400, 1000)
    browser.open(address)
    browser.wait_for("!!document.querySelector('[data-verdict=worse] [data-where]')?.textContent")
    said = browser.text("#releases-list li:first-child")
    assert "worse" in said
    assert all(each in said for each in ("v4 after v3", "editor", "since ", "kept after ", " pp", "language")), said
    # Before anything else, and without a scroll.
    assert browser.evaluate("document.querySelector('#releases-list li').getBoundingClientRect().bottom") < 600
    browser.wait_for("!!document.querySelector('#series svg') && !!document.querySelector('#retention svg')")
    browser.wait_for("document.querySelectorAll('#more .key').length > 3")
    look(browser, "overview")
    browser.evaluate("document.querySelector('[data-verdict=worse] .sure a').click()")
    browser.wait_for("location.pathname === '/why' && !!document.querySelector('#difference .key-value')")
    assert browser.text("#difference .key-value").startswith("\N{MINUS SIGN}")
    assert "v4, since " in browser.text("#difference")
    browser.wait_for("document.querySelectorAll('#cuts table').length > 2")
    look(browser, "why")


def read_what_was_removed(browser: Browser) -> None:
    """From the difference to the suggestions behind it, and to what a user took out of one, word by word."""
    browser.evaluate("document.querySelector('#difference a').click()")
    browser.wait_for("location.pathname === '/suggestions' && document.querySelectorAll('#listed tbody tr').length > 5")
    versions = browser.evaluate("[...document.querySelectorAll('#listed td:nth-child(2)')].map((e) => e.textContent)")
    assert all(each.endswith("v4") for each in versions)
    browser.evaluate(
        "(s => { s.value = 'removed'; s.dispatchEvent(new Event('change')) })(document.getElementById('pick-fate'))"
    )
    browser.wait_for("location.search.includes('fate=removed') && !document.body.classList.contains('old')")
    removed = "[...document.querySelectorAll('#listed tbody tr')].find((each) => /removed/.test(each.textContent))"
    browser.wait_for(f"!!{removed}")
    look(browser, "suggestions")
    browser.evaluate(f"{removed}.querySelector('.open').click()")
    browser.wait_for("!!document.querySelector('#drawer .diff del')")
    assert "Removed" in browser.text("#drawer .drawer-body")
    look(browser, "suggestion", whole=False)
    browser.press("Escape")


def review_ten(browser: Browser, address: str) -> list[tuple[str, str]]:
    """Two people, each with a browser of their own, take turns until nothing is left. Who judged which suggestion."""
    desks = {name: _sit_down(browser, address, name) for name in REVIEWERS}
    judged: list[tuple[str, str]] = []
    before = browser.to_tab(desks["Ann"])
    look(browser, "review")
    while len(judged) < 40:
        shown = {name: _before(browser, desks[name]) for name in REVIEWERS}
        at_work = [name for name in REVIEWERS if shown[name]]
        assert len({shown[name] for name in at_work}) == len(at_work), shown
        if not at_work:
            break
        for name in at_work:
            judged.append((name, shown[name]))
            _judge(browser, desks[name], shown[name])
    browser.to_tab(desks["Bob"])
    assert "Nothing is left for you" in browser.text("#review-nothing")
    look(browser, "review-done")
    for name in REVIEWERS:
        browser.to_tab(desks[name])
        browser.open("about:blank")
    browser.to_tab(before)
    return judged


def _sit_down(browser: Browser, address: str, name: str) -> tuple[str, str | None]:
    """Open a queue by its address, be asked for a name, and give it."""
    before = browser.new_tab(apart=True)
    browser.open(f"{address}review?queue=ten&period=7d")
    browser.wait_for("document.getElementById('review-nothing').textContent.includes('Type your name above')")
    assert browser.text("#review-nothing").startswith("10 suggestions wait")
    browser.evaluate(
        f"document.getElementById('reviewer').value = '{name}'; document.getElementById('reviewer').onchange()"
    )
    browser.wait_for(f"!!{_SHOWN}")
    return browser.to_tab(before)


def _before(browser: Browser, tab: tuple[str, str | None]) -> str:
    """Which suggestion somebody has before them; '' where nothing is left for them."""
    browser.to_tab(tab)
    # Between two suggestions there may be none for a moment, until the next ones are held.
    found = browser.wait_for(f"{_OVER} ? {_NOTHING_LEFT} && 'nothing' : {_SHOWN}")
    return "" if found == "nothing" else str(found)


def _judge(browser: Browser, tab: tuple[str, str | None], identity: str) -> None:
    """Bad, and as it should have been; then the next one is there, or none is left."""
    browser.to_tab(tab)
    corrected = json.dumps(f"as it should have been: {identity}")
    browser.evaluate(
        "(press => { press('b', document.body); const text = document.querySelector('[name=corrected]');"
        f" text.value = {corrected}; press('Enter', text, true); }})((key, on, ctrlKey = false) =>"
        " on.dispatchEvent(new KeyboardEvent('keydown', { key, ctrlKey, bubbles: true, cancelable: true })))"
    )
    # The next one is shown when what was said of this one was taken, and one more is held.
    browser.wait_for(
        f"document.getElementById('judgement').getAttribute('aria-busy') === 'false' && "
        f"({_OVER} || {_SHOWN} !== {json.dumps(identity)})"
    )
