"""The report as one HTML file: tables, the retention curve as SVG, no script, and nothing that is loaded from anywhere.

It is built as a tree, so what apps named is text wherever it stands.
"""

from collections.abc import Sequence
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from keeprate.deploy.horizons import horizon_name
from keeprate.deploy.report.gathering import Report, notes
from keeprate.deploy.report.sheets import Cell, Sheet, SheetLine, curves, interval, keys, share, sheets
from keeprate.sinks.reading.queries import RetentionRate

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_STYLE: Final = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1d1f22; --soft: #5c6168; --line: #dcdcd6;
  --c0: #0b5cad; --c1: #c44e00; --c2: #007d5a; --c3: #a2407a; --c4: #8a6d00; --c5: #3d7f9e; }
@media (prefers-color-scheme: dark) { :root { --ground: #16181c; --ink: #eceef1; --soft: #a0a7b1; --line: #343941;
  --c0: #5ab0f2; --c1: #ff9a57; --c2: #3fc79a; --c3: #e495c4; --c4: #e3c04a; --c5: #9cd3ea; } }
body { margin: 0 auto; max-width: 1220px; padding: 24px; background: var(--ground); color: var(--ink);
  font: 14px/1.45 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
h1 { font-size: 22px; margin: 0; } h2 { font-size: 16px; margin: 28px 0 8px; }
p { margin: 4px 0; max-width: 80ch; } .soft, small, th { color: var(--soft); } small { font-size: 12px; }
.wide { overflow-x: auto; } table { border-collapse: collapse; min-width: 50%; }
th, td { padding: 5px 18px 5px 0; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { font-weight: 500; } th.name, td.name { text-align: left; color: var(--ink); font-weight: 600; }
td small { margin-left: 5px; } .single small { display: block; margin: 0; }
.chart { display: block; width: 100%; min-width: 560px; max-width: 760px; height: auto; }
svg text { fill: var(--soft); font-size: 12px; } .grid { stroke: var(--line); }
ul { list-style: none; display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0; padding: 0; }
li svg { display: inline-block; width: 28px; margin-right: 7px; vertical-align: middle; }
"""
_DASHES: Final = ("none", "6 4", "1.5 3", "6 3 1.5 3", "10 4", "10 3 1.5 3")
_WIDTH: Final = 760
_HEIGHT: Final = 300
_LEFT: Final = 52
_BOTTOM: Final = 30


def as_html(report: Report) -> str:
    """The whole file."""
    root = Element("html", lang="en")
    head, body = SubElement(root, "head"), SubElement(root, "body")
    SubElement(head, "meta", charset="utf-8")
    SubElement(head, "meta", {"http-equiv": "Content-Security-Policy", "content": _POLICY})
    SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    SubElement(head, "title").text = "Keeprate report"
    SubElement(head, "style").text = _STYLE
    _intro(body, report)
    for sheet in sheets(report):
        if sheet.title == "Retention":
            _chart(body, curves(report))
        _sheet(body, sheet, keys(report))
    for note in notes(report):
        SubElement(body, "p", {"class": "soft"}).text = f"Note: {note}."
    return "<!doctype html>\n" + tostring(root, encoding="unicode", method="html") + "\n"


def _intro(body: Element, report: Report) -> None:
    scope = report.scope
    SubElement(body, "h1").text = "What users kept"
    span = f"Generations of {scope.since:%Y-%m-%d %H:%M} to {scope.until:%Y-%m-%d %H:%M} UTC"
    chosen = "".join(f", {name.replace('_', ' ')} {' or '.join(values)}" for name, values in scope.only.items())
    SubElement(body, "p").text = f"{span}{chosen}, as of {scope.as_of:%Y-%m-%d %H:%M}."
    about = "Each rate with its interval at 95 % and its denominator. A rate without a denominator is a dash, never 0."
    SubElement(body, "p", {"class": "soft"}).text = about


def _sheet(body: Element, sheet: Sheet, segment: Sequence[str]) -> None:
    SubElement(body, "h2").text = sheet.title
    table = SubElement(_wide(body, sheet.title), "table", {"class": "single"} if sheet.single else {})
    head = SubElement(SubElement(table, "thead"), "tr")
    for name in segment:
        SubElement(head, "th", {"class": "name", "scope": "col"}).text = name.replace("_", " ")
    for name in sheet.columns:
        SubElement(head, "th", scope="col").text = name
    rows = SubElement(table, "tbody")
    for line in sheet.lines:
        _line(SubElement(rows, "tr"), line, sheet)


def _wide(body: Element, name: str) -> Element:
    """A place that scrolls sideways, by keyboard too."""
    return SubElement(body, "div", {"class": "wide", "tabindex": "0", "role": "region", "aria-label": name})


def _line(row: Element, line: SheetLine, sheet: Sheet) -> None:
    for name in line.where:
        SubElement(row, "td", {"class": "name"}).text = name
    for cell in line.cells:
        _cell(SubElement(row, "td"), cell, sheet.denominators)


def _cell(element: Element, cell: Cell, denominators: bool) -> None:
    if isinstance(cell, str):
        element.text = cell
        return
    element.text = share(cell.value)
    if cell.value is not None:
        of = f"of {cell.denominator:,.0f}" if denominators else ""
        SubElement(element, "small").text = " ".join(filter(None, (interval(cell), of)))


def _chart(body: Element, shown: dict[str, list[RetentionRate]]) -> None:
    """The curve of each segment; horizons are evenly spaced, as they grow geometrically."""
    if not shown:
        return
    SubElement(body, "h2").text = "Mostly kept, of what was observed"
    legend = SubElement(body, "ul")
    for number, name in enumerate(shown):
        entry = SubElement(legend, "li")
        swatch = SubElement(entry, "svg", {"viewBox": "0 0 28 12", "aria-hidden": "true"})
        SubElement(swatch, "path", {"d": "M0 6H28", **_stroke(number)})
        SubElement(entry, "span").text = name
    frame = _wide(body, "Retention curve")
    chart = SubElement(frame, "svg", {"class": "chart", "viewBox": f"0 0 {_WIDTH} {_HEIGHT}", "role": "img"})
    SubElement(chart, "title").text = "; ".join(_spoken(name, rates) for name, rates in shown.items())
    horizons = sorted({rate.horizon_s for rates in shown.values() for rate in rates})
    step = (_WIDTH - _LEFT - 30) / max(1, len(horizons) - 1)
    across = {horizon_s: _LEFT + 10 + place * step for place, horizon_s in enumerate(horizons)}
    _axes(chart, across)
    for number, rates in enumerate(shown.values()):
        _curve(chart, number, rates, across)


def _axes(chart: Element, across: dict[int, float]) -> None:
    for per_cent in (0, 25, 50, 75, 100):
        height = f"{_down(per_cent / 100):.1f}"
        SubElement(chart, "path", {"d": f"M{_LEFT} {height}H{_WIDTH - 10}", "class": "grid", "fill": "none"})
        label = SubElement(chart, "text", {"x": str(_LEFT - 8), "y": height, "dy": "4", "text-anchor": "end"})
        label.text = f"{per_cent} %"
    for horizon_s, at in across.items():
        label = SubElement(chart, "text", {"x": f"{at:.1f}", "y": str(_HEIGHT - 8), "text-anchor": "middle"})
        label.text = horizon_name(horizon_s)


def _curve(chart: Element, number: int, rates: Sequence[RetentionRate], across: dict[int, float]) -> None:
    points = [(across[rate.horizon_s], _down(rate.value or 0.0)) for rate in rates]
    line = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    SubElement(chart, "path", {"d": line, **_stroke(number)})
    for (x, y), rate in zip(points, rates, strict=True):
        colour = f"fill: var(--c{number})"
        SubElement(chart, "circle", {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "3.5", "style": colour})
        if rate.interval_low is not None and rate.interval_high is not None:
            between = f"M{x:.1f} {_down(rate.interval_low):.1f}V{_down(rate.interval_high):.1f}"
            SubElement(chart, "path", {"d": between, "style": f"stroke: var(--c{number})", "stroke-opacity": "0.5"})


def _stroke(number: int) -> dict[str, str]:
    style = f"stroke: var(--c{number}); fill: none"
    return {"style": style, "stroke-width": "2", "stroke-dasharray": _DASHES[number]}


def _down(value: float) -> float:
    return 10 + (1 - value) * (_HEIGHT - _BOTTOM - 10)


def _spoken(name: str, rates: Sequence[RetentionRate]) -> str:
    return f"{name} " + ", ".join(f"{share(rate.value)} after {horizon_name(rate.horizon_s)}" for rate in rates)
