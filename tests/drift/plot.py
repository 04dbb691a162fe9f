"""The plot of delay against volume in docs/drift.md, drawn from that page's own table of rivals.

python -m tests.drift.plot writes it; `make drift-bench DRIFT=--docs` does, too.
"""

import re
from math import log10
from pathlib import Path
from typing import Final

from tests.drift.measures import VOLUMES

DOCS: Final = Path(__file__).parents[2] / "docs"
PAGE: Final = DOCS / "drift.md"
PICTURE: Final = DOCS / "drift-delay.svg"
_ROW: Final = re.compile(r"^\| ([^|*]+?) \| ([^|]+) \| ([^|]+) \|(?: [^|]+ \|)?$", re.MULTILINE)
_COLOURS: Final = (
    "#0b6e4f",
    "#888888",
    "#c2571a",
    "#3b6fb6",
    "#9a4fb0",
    "#b08b00",
    "#d0306b",
    "#4aa3a2",
    "#5a5a9a",
    "#111111",
)
_WIDTH: Final = 380
_HEIGHT: Final = 300
_LEFT: Final = 46
_TOP: Final = 34
_FROM_H, _TO_H = 1.5, 200.0
Hours = list[float | None]


def rivals(page: str) -> dict[str, tuple[Hours, Hours]]:
    """Of the page's table: by name, the medians and the ninth deciles by volume; None for never."""
    table = page.partition("### Rivals")[2].partition("###")[0]
    found = {name: (_hours(median), _hours(p90)) for name, median, p90 in _ROW.findall(table)}
    return {name: each for name, each in found.items() if any(each[0])}


def svg(page: str) -> str:
    """Two plots side by side, with a legend below: hours to the first alarm by trials an hour, both logarithmic."""
    found = rivals(page)
    rows = (len(found) + 3) // 4
    height = _TOP + _HEIGHT + 52 + 20 * rows
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {2 * (_LEFT + _WIDTH) + 24} {height}" '
        'font-family="system-ui, sans-serif" font-size="12" fill="#444">',
        '<rect width="100%" height="100%" fill="#fff"/>',
    ]
    for panel, title in enumerate(("median", "nine of ten")):
        parts += _panel(panel * (_LEFT + _WIDTH + 12), title, {name: each[panel] for name, each in found.items()})
    for at, name in enumerate(found):
        x, y = _LEFT + at % 4 * 205, _TOP + _HEIGHT + 60 + at // 4 * 20
        parts.append(f'<line x1="{x}" y1="{y - 4}" x2="{x + 22}" y2="{y - 4}" {_stroke(at)}/>')
        parts.append(f'<text x="{x + 28}" y="{y}">{name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(left: int, title: str, found: dict[str, Hours]) -> list[str]:
    parts = [f'<text x="{left + _LEFT}" y="{_TOP - 12}" font-weight="600">Hours to the first alarm, {title}</text>']
    for hours in (2, 5, 10, 20, 50, 100):
        y = _y(hours)
        parts.append(f'<line x1="{left + _LEFT}" y1="{y}" x2="{left + _LEFT + _WIDTH}" y2="{y}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{left + _LEFT - 6}" y="{y + 4}" text-anchor="end">{hours}</text>')
    below, middle = _TOP + _HEIGHT + 18, 'text-anchor="middle"'
    parts += [f'<text x="{_x(left, volume)}" y="{below}" {middle}>{volume}</text>' for volume in VOLUMES]
    parts.append(f'<text x="{left + _LEFT}" y="{below + 16}">trials an hour; no point where it is never</text>')
    for at, delays in enumerate(found.values()):
        points = [(_x(left, volume), _y(hours)) for volume, hours in zip(VOLUMES, delays, strict=True) if hours]
        path = " ".join(f"{x},{y}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" {_stroke(at)}/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{_COLOURS[at % len(_COLOURS)]}"/>' for x, y in points]
    return parts


def _stroke(at: int) -> str:
    return f'stroke="{_COLOURS[at % len(_COLOURS)]}" stroke-width="{3 if at == 0 else 1.5}"'


def _x(left: int, volume: float) -> float:
    share = log10(volume / VOLUMES[0]) / log10(VOLUMES[-1] / VOLUMES[0])
    return round(left + _LEFT + 20 + share * (_WIDTH - 40), 1)


def _y(hours: float) -> float:
    share = log10(min(max(hours, _FROM_H), _TO_H) / _FROM_H) / log10(_TO_H / _FROM_H)
    return round(_TOP + _HEIGHT * (1 - share), 1)


def _hours(cell: str) -> Hours:
    return [None if each.strip() == "never" else float(each) for each in cell.split("/")]


if __name__ == "__main__":
    PICTURE.write_text(svg(PAGE.read_text("utf-8")), "utf-8")
