"""Queries of dashboards, answered by the engines."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from tests.dashboards.history import SPAN, Engines
from tests.dashboards.interpolation import Target, Values, legend, promql, sql


@dataclass(frozen=True)
class Series:
    """A line, a number, or a column's rows: points are of time and number, cells of a row's columns."""

    name: str
    points: list[tuple[float, float]]
    cells: dict[str, object]


def answer(engines: Engines, target: Target, values: Values) -> list[Series]:
    """What a query gives that can be shown: a number that is none is left out, as Grafana does."""
    if target.sql:
        return _rows(engines, sql(target.sql, values, SPAN))
    expression = promql(target.expression, values, SPAN)
    since, until = (str(at.timestamp()) for at in (SPAN.since, SPAN.until))
    if target.over_time:
        found = engines.ask("query_range", query=expression, start=since, end=until, step=str(SPAN.step_s))["result"]
    else:
        found = engines.ask("query", query=expression, time=until)["result"]
    return [each for each in (_series(target, one) for one in found) if each.points]


def _series(target: Target, found: Mapping[str, Any]) -> Series:
    samples = found.get("values") or [found["value"]]
    points = [(float(at), float(value)) for at, value in samples if isfinite(float(value))]
    labels = dict(found["metric"])
    return Series(legend(target, labels), points, {**labels, "Value": points[-1][1] if points else None})


def _rows(engines: Engines, statement: str) -> list[Series]:
    names = [name for name, *_ in engines.client.query(f"DESCRIBE ({statement})")]
    return [Series("", [], dict(zip(names, row, strict=True))) for row in engines.client.query(statement)]
