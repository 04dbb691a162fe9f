"""The page: how long a browser that has never been here waits for numbers, and then for charts.

The history of the demo, in a store that runs, as in `keeprate up`. The page and Chromium start anew for each run, so
nothing is known to them. The time counts from the navigation, by the browser's own clock, to the frame after the one
that has the numbers.
"""

import shutil
import time
from collections.abc import Iterator
from typing import Final

from keeprate.deploy.demo.simulate import simulate
from keeprate.deploy.demo.story import DAY_MS, World
from keeprate.deploy.local.process import ChildProcess, accepts, free_port
from keeprate.deploy.local.stack import keeprate
from keeprate.deploy.store import StoreProcess
from tests.bench.results import Bench, Result, result
from tests.devtools import Browser
from tests.pages import land

NAMES: Final = {
    "read.first_numbers": "the page of the demo's history, from navigation to numbers on the screen, cold, in Chromium",
    "read.first_charts": "the same, to the charts",
}
_DAYS: Final = 21
_EVENTS: Final = 50_000
_WATCH: Final = """
const seen = (name, selector) => {
  const watch = new MutationObserver(() => {
    if (!document.querySelector(selector)) return;
    watch.disconnect();
    requestAnimationFrame(() => setTimeout(() => { window[name] = performance.now(); }));
  });
  watch.observe(document, { childList: true, subtree: true });
};
seen("firstNumbers", ".key-value");
seen("firstCharts", "#series svg .scatterlayer");
"""


def measure(bench: Bench) -> Iterator[Result]:
    """One store for all runs."""
    chromium = shutil.which("chromium")
    if chromium is None:
        bench.say("there is no chromium: nothing is measured")
        return
    numbers_s, charts_s = [], []
    bench.say("the demo's history")
    with StoreProcess(bench.directory / "store") as store:
        url = f"{store.url}/keeprate"
        _land_demo(url, bench.events(_EVENTS))
        for run in range(bench.runs):
            bench.say(f"run {run + 1} of {bench.runs}")
            for_numbers_s, for_charts_s = _first(url, chromium, bench)
            numbers_s.append(for_numbers_s)
            charts_s.append(for_charts_s)
    yield result("read.first_numbers", "s", numbers_s)
    yield result("read.first_charts", "s", charts_s)


def _land_demo(url: str, events: int) -> None:
    now_ms = time.time_ns() // 1_000_000
    start_ms = (now_ms // DAY_MS - _DAYS) * DAY_MS
    rate = events * 1000 / (now_ms - start_ms)
    history = simulate(World.over(1, start_ms, _DAYS), start_ms, now_ms, rate)
    land(url, [sent.event for sent in history if sent.at <= now_ms])


def _first(url: str, chromium: str, bench: Bench) -> tuple[float, float]:
    """How long until numbers, and until charts, in seconds."""
    port = free_port()
    argv = keeprate("page", "--port", str(port), "--store-url", url)
    page = ChildProcess("page", argv, bench.directory / "page.log", {"KEEPRATE_DATA_DIR": str(bench.directory)})
    with page, Browser(chromium) as browser:
        page.wait_ready(lambda: accepts(port), 60)
        browser.call("Page.addScriptToEvaluateOnNewDocument", source=_WATCH)
        browser.open(f"http://127.0.0.1:{port}/")
        browser.wait_for("window.firstCharts", 60)
        return browser.evaluate("firstNumbers") / 1000, browser.evaluate("firstCharts") / 1000
