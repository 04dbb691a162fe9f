"""Looks at a page in a browser as people have it: desk, tablet and phone, light and dark; and keeps what it saw.

A picture of each is kept in `.artefacts/page`, for somebody to look at: of a desk in light and of a phone in dark, and
of all sizes in both themes with KEEPRATE_PICTURES=all. What a machine can tell is asserted:
nothing is wider than the window, and where it is asked for, axe finds no fault of accessibility.
"""

import os
from pathlib import Path
from typing import Final

from tests.devtools import Browser

ROOT: Final = Path(__file__).parents[1]
PICTURES: Final = ROOT / ".artefacts" / "page"
AXE: Final = ROOT / "tests" / "axe" / "node_modules" / "axe-core" / "axe.min.js"
SIZES: Final = ((1400, 1000), (800, 1000), (390, 844))
_TALLEST: Final = 3000
_AUDITED: Final = {(1400, "light"), (390, "dark")}
"""At these axe looks: each colour and each layout once."""
_LOOKS: Final = [
    (width, height, scheme)
    for width, height in SIZES
    for scheme in ("light", "dark")
    if (width, scheme) in _AUDITED or os.environ.get("KEEPRATE_PICTURES") == "all"
]
_RULES: Final = "{ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }"
_FAULTS: Final = (
    f"axe.run(document, {_RULES}).then((found) => found.violations.flatMap((rule) => rule.nodes.map("
    "(node) => `${rule.id}: ${node.html.slice(0, 160)} ${node.failureSummary.split('\\n')[1] ?? ''}`)))"
)
# Two frames: then styles are applied, and charts have been told of the new width.
_SETTLED: Final = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"


def look(browser: Browser, name: str, *, whole: bool = True, audit: bool = False) -> None:
    """Look at the page that is open. whole: as high as it is; else what the window shows, as where a dialog is open.

    audit: has axe look, too. Raises AssertionError for what is too wide, and for what axe finds.
    """
    PICTURES.mkdir(parents=True, exist_ok=True)
    if audit:
        assert AXE.exists(), "axe is not installed: make test does it, or npm ci --prefix tests/axe"
        browser.evaluate(AXE.read_text("utf-8") + "; 1")
    for width, height, scheme in _LOOKS:
        browser.prefer(scheme)
        browser.resize(width, height, mobile=width < 500)
        browser.evaluate(_SETTLED)
        assert browser.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
        if audit and (width, scheme) in _AUDITED:
            assert browser.evaluate(_FAULTS) == [], (name, width, scheme)
        if whole:
            full = browser.evaluate("document.documentElement.scrollHeight")
            browser.resize(width, min(full, _TALLEST), mobile=width < 500)
            browser.evaluate(_SETTLED)
        browser.screenshot(PICTURES / f"{name}-{width}-{scheme}.png")
    browser.prefer("light")
    browser.resize(1280, 1400)
