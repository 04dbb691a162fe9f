"""Looks at a page in a browser as people have it: desk, tablet and phone, light and dark; and keeps what it saw.

A picture of each is kept in `.artefacts/page`, for somebody to look at: of a desk in light and of a phone in dark, and
of all sizes in both themes with KEEPRATE_PICTURES=all. What a machine can tell is asserted by the test that looks:
nothing is wider than the window, and axe finds no fault of accessibility.
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
# Two frames: then styles are applied, and charts have been told of the new width, which takes them a while.
_SETTLED: Final = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
_FITS: Final = (
    "new Promise((done) => { const began = performance.now(); const look = () => {"
    "const wide = document.documentElement.scrollWidth;"
    "const window_ = document.documentElement.clientWidth;"
    "if (wide <= window_ || performance.now() - began > 5000) done(wide); else setTimeout(look, 100); }; look(); })"
)

faults: Final[dict[str, list[str]]] = {}
"""By picture: all that is wrong with it. Whoever looks clears it before, and asserts afterwards that it is empty."""


def look(browser: Browser, name: str, *, whole: bool = True) -> None:
    """Look at the page that is open. whole: as high as it is; else what the window shows, as where a dialog is open.

    What is too wide, and what axe finds, is in `faults` from then on: one look more tells more.
    """
    PICTURES.mkdir(parents=True, exist_ok=True)
    assert AXE.exists(), "axe is not installed: make test does it, or npm ci --prefix tests/axe"
    browser.evaluate(AXE.read_text("utf-8") + "; 1")
    for width, height, scheme in _LOOKS:
        browser.prefer(scheme)
        browser.resize(width, height, mobile=width < 500)
        browser.evaluate(_SETTLED)
        if (wide := browser.evaluate(_FITS)) > width:
            faults[f"{name} {width} {scheme}"] = [f"{wide} pixels wide"]
        if (width, scheme) in _AUDITED and (found := browser.evaluate(_FAULTS)):
            faults[f"{name} {width} {scheme}, axe"] = found
        if whole:
            full = browser.evaluate("document.documentElement.scrollHeight")
            browser.resize(width, min(full, _TALLEST), mobile=width < 500)
            browser.evaluate(_SETTLED)
        browser.screenshot(PICTURES / f"{name}-{width}-{scheme}.png")
    browser.prefer("light")
    browser.resize(1280, 1400)
