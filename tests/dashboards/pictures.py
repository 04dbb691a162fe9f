"""Drawings of the dashboards, of what the engines answer: `python -m tests.dashboards.pictures DIRECTORY`.

A page for each, its panels where Grafana would have them. Plotly draws them, not Grafana: they show whether queries,
names and places make sense together.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import plotly.offline

from keeprate.deploy.grafana.writing import texts
from tests.dashboards.answers import Series, answer
from tests.dashboards.history import Engines, engines
from tests.dashboards.interpolation import Values, targets

_STYLE = """body{font:13px sans-serif;background:#f4f5f5;margin:8px}
main{display:grid;grid-template-columns:repeat(24,1fr);grid-auto-rows:32px;gap:6px}
section{background:#fff;border:1px solid #ddd;overflow:hidden;padding:4px 8px}
h2,h3{margin:2px 0;font-size:14px}section.row{background:none;border:0}
b{font-size:30px}table{border-collapse:collapse;font-size:12px}td,th{padding:2px 8px;text-align:left}"""


def main(directory: Path) -> None:
    """Write a page for each dashboard. Needs promtool and prometheus."""
    directory.mkdir(parents=True, exist_ok=True)
    promtool, prometheus = (shutil.which(name) or name for name in ("promtool", "prometheus"))
    with tempfile.TemporaryDirectory() as scratch, engines(Path(scratch), promtool, prometheus) as both:
        values = both.every_value()
        for name, text in texts().items():
            (directory / f"{Path(name).stem}.html").write_text(_page(both, name, text, values), "utf-8")
    (directory / "plotly.js").write_text(plotly.offline.get_plotlyjs(), "utf-8")


def _page(both: Engines, name: str, text: str, values: Values) -> str:
    found: dict[str, list[Series]] = {}
    for target in targets(name, text):
        found.setdefault(target.panel, []).extend(answer(both, target, values))
    board = json.loads(text)
    drawn = "".join(_panel(panel, found.get(panel["title"], [])) for panel in board["panels"])
    head = (
        f'<meta charset="utf-8"><title>{board["title"]}</title><style>{_STYLE}</style><script src="plotly.js"></script>'
    )
    return f"<!doctype html>{head}<h2>{board['title']}</h2><main>{drawn}</main>"


def _panel(panel: Mapping[str, Any], found: Sequence[Series]) -> str:
    at = panel["gridPos"]
    place = f"grid-column:{at['x'] + 1}/span {at['w']};grid-row:{at['y'] + 1}/span {at['h']}"
    if panel["type"] == "row":
        return f'<section class="row" style="{place}"><h2>{escape(panel["title"])}</h2></section>'
    draw = {"timeseries": _lines, "stat": _number, "table": _table}[panel["type"]]
    title = f'<h3 title="{escape(panel["description"])}">{escape(panel["title"])}</h3>'
    return f'<section style="{place}">{title}{draw(panel, found) if found else "no data"}</section>'


def _number(panel: Mapping[str, Any], found: Sequence[Series]) -> str:
    return f"<b>{found[0].points[-1][1]:.4g}</b> {panel['fieldConfig']['defaults'].get('unit', '')}"


def _lines(panel: Mapping[str, Any], found: Sequence[Series]) -> str:
    figure = go.Figure()
    for each in found if found[0].points else _columns(found):
        times = [datetime.fromtimestamp(at, UTC) for at, _ in each.points]
        figure.add_scatter(x=times, y=[value for _, value in each.points], name=each.name, mode="lines+markers")
    height = panel["gridPos"]["h"] * 38 - 40
    unit = panel["fieldConfig"]["defaults"].get("unit", "")
    figure.update_layout(height=height, margin={"l": 45, "r": 5, "t": 5, "b": 20}, yaxis_title=unit, template="none")
    return str(figure.to_html(include_plotlyjs=False, full_html=False))


def _columns(found: Sequence[Series]) -> list[Series]:
    """Rows of SQL over time as lines: one for each column of numbers, and what the other columns tell apart."""
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in found:
        at = row.cells["time"]
        kind = " ".join(str(cell) for cell in row.cells.values() if isinstance(cell, str))
        for column, cell in row.cells.items():
            if isinstance(at, datetime) and isinstance(cell, int | float):
                lines.setdefault(f"{column} {kind}", []).append((at.timestamp(), float(cell)))
    return [Series(name, points, {}) for name, points in lines.items()]


def _table(panel: Mapping[str, Any], found: Sequence[Series]) -> str:
    names = {name: name for name in found[0].cells}
    for transformation in panel.get("transformations", ()):
        options = transformation["options"]
        places = sorted(options["indexByName"], key=options["indexByName"].__getitem__)
        names = {name: options["renameByName"][name] for name in places}
    head = "".join(f"<th>{escape(heading)}</th>" for heading in names.values())
    body = "".join(f"<tr>{''.join(f'<td>{_cell(row.cells.get(name))}</td>' for name in names)}</tr>" for row in found)
    return f"<table><tr>{head}</tr>{body}</table>"


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) and value < 1e9 else escape(str(value))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
