"""The demo's story as somebody walks it in a browser: from the first screen to the fix, step by step."""

import json
import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import pytest
from typer.testing import CliRunner

from keeprate.deploy.cases import running
from keeprate.deploy.cases.suite import Suite, read_lines
from keeprate.deploy.commands.tree import app as commands
from keeprate.deploy.releases.judging import find, findings
from keeprate.deploy.review.settings import Queue, ReviewSettings
from keeprate.producers.testing import Recorded
from keeprate.schemas.events import Event
from keeprate.sinks.closed import release_verdicts
from keeprate.sinks.reading.derive import derive_all
from keeprate.sinks.store.clickhouse import Client, connect
from keeprate.sinks.tables.migrate import migrate
from tests.devtools import Browser
from tests.looking import look
from tests.pages import NOW, NOW_MS, history

REVIEWERS: Final = ("Ann", "Bob")
TEN: Final = Queue(
    name="ten", title="Ten that users did not keep", rule="not_kept", horizon_s=600, most=10, apps=("editor",)
)
SETTINGS: Final = ReviewSettings(queues=(TEN, *ReviewSettings().queues))
HOUR_MS: Final = 3_600_000
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


def with_history(said: Sequence[Event]) -> list[Event]:
    """What was said of suggestions, after all that the demo tells of them: their outcomes as a worker has them."""
    about = {event["generation_id"] for event in said}
    return [*(event for event in history() if event["generation_id"] in about), *said]


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


def export_cases(browser: Browser, address: str, path: Path) -> Suite:
    """What the page gives as a suite of what was not kept, in a file: the cases that the experts corrected."""
    browser.open(f"{address}suggestions?period=7d&app=editor&fate=not_kept&horizon=600")
    browser.wait_for("document.querySelectorAll('#listed tbody tr').length >= 10")
    browser.evaluate(
        "const make = URL.createObjectURL;"
        "URL.createObjectURL = (blob) => { window.made = blob.text(); return make.call(URL, blob); };"
        "document.getElementById('suggestions-cases').click()"
    )
    browser.wait_for("document.getElementById('suggestions-said').textContent.includes('downloaded')")
    text: str = browser.evaluate("window.made")
    lines = [line for line in text.splitlines() if '"expected_from": "correction"' in line]
    assert 1 <= len(lines) <= 10, text[:2000]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return read_lines(lines)


def run_red_then_green(path: Path, suite: Suite, emitted: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suite against version 4 of a command, which the gate stops, and against version 5, which it lets through."""
    answers, script = path.with_name("answers.json"), path.with_name("answer.py")
    answers.write_text(json.dumps({case.identity: case.expected for case in suite.cases}), "utf-8")
    script.write_text(
        "import json, sys\n"
        "case = json.load(sys.stdin)\n"
        f"answers = json.load(open({str(answers)!r}, encoding='utf-8'))\n"
        "print(answers[case['case']] if sys.argv[1] == 'v5' else 'no')\n",
        "utf-8",
    )
    before = len(emitted.events)
    monkeypatch.setenv("KEEPRATE_URL", "https://collector.example")
    monkeypatch.setenv("KEEPRATE_KEY", "kr_test")
    for version, hours_ago, code in (("v4", 3, 1), ("v5", 1, 0)):
        at_ms = NOW_MS - hours_ago * HOUR_MS
        clock = SimpleNamespace(monotonic=time.monotonic, time_ns=lambda at_ms=at_ms: at_ms * 1_000_000)
        monkeypatch.setattr(running, "time", clock)
        command = shlex.join([sys.executable, "-I", "-S", str(script), version])
        _invoke(0, "cases", "run", str(path), "--command", command, "--version", version)
        said = _invoke(code, "cases", "gate", str(path))
        assert said.startswith("red: 0 of" if code else "green: ")
    assert len(emitted.events) == before + 2 * len(suite.cases)


def _invoke(code: int, *arguments: str) -> str:
    done = CliRunner().invoke(commands, arguments)
    assert done.exit_code == code, done.output
    return done.output


def read_what_came_of_it(browser: Browser, address: str, suite: Suite) -> None:
    """The suite's story: the suggestions, the run that went red, the one that made it green."""
    count = len(suite.cases)
    browser.open(f"{address}cases?period=7d&app=editor")
    browser.wait_for("!!document.querySelector('.story')")
    told = browser.text(".story")
    assert all(each in told for each in ("green", "v4, ", f"{count} cases failed", "v5, ", f"{count} again")), told
    assert browser.evaluate("document.querySelectorAll('.runs tbody tr').length") == 2
    look(browser, "cases")
    browser.evaluate("document.querySelector('.story li a').click()")
    browser.wait_for("document.querySelector('#drawer .timeline')?.textContent.includes('case: passed')")
    assert browser.text(".drawer header code") in {case.generation_id for case in suite.cases}


def look_at_the_rest(browser: Browser, address: str, ready: Iterable[tuple[str, str, str]]) -> None:
    """Pages that the story does not lead to. ready: of each its address, its picture's name, and what has come then."""
    for path, name, condition in ready:
        browser.resize(1400, 1000)
        browser.open(f"{address}{path}")
        browser.wait_for(condition)
        look(browser, name)


REST: Final[Sequence[tuple[str, str, str]]] = (
    ("versions?app=editor", "versions", "document.querySelectorAll('#funnels article').length > 1"),
    ("operations", "operations", "!!document.getElementById('ledger').textContent"),
    ("cases?period=1h&app=support", "cases-nothing", "!document.getElementById('stories-nothing').hidden"),
    ("runbook", "runbook", "!!document.querySelector('.runbook h2')"),
    ("?period=7d&by=model,language&only=language%3Dpython&only=language%3Dgo", "overview-cut",
     "document.querySelectorAll('#compare tbody tr').length > 2 && !!document.querySelector('#retention svg')"),
)  # fmt: skip
