"""What Grafana does to a query before it sends it, as far as the dashboards ask for it.

Variables as https://grafana.com/docs/grafana/latest/dashboards/variables/variable-syntax/ says, for Prometheus as its
data source escapes them; macros as the README of grafana-clickhouse-datasource 4 does.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Values = Mapping[str, Sequence[str]]
"""What is chosen of each variable: of `All`, every value."""


@dataclass(frozen=True)
class Span:
    """The time that a dashboard shows, and the distance of its points."""

    since: datetime
    until: datetime
    step_s: int


@dataclass(frozen=True)
class Target:
    """One query of a panel."""

    board: str
    panel: str
    ref_id: str
    sql: str
    expression: str
    legend: str
    over_time: bool

    @property
    def name(self) -> str:
        return f"{self.board} / {self.panel} / {self.ref_id}"


def targets(board: str, text: str) -> Iterator[Target]:
    """Every query of a dashboard's JSON."""
    for panel in json.loads(text)["panels"]:
        for each in panel.get("targets", ()):
            sql, expression = each.get("rawSql", ""), each.get("expr", "")
            over_time = each.get("queryType") == "timeseries" or bool(each.get("range"))
            legend = each.get("legendFormat", "")
            yield Target(board, panel["title"], each["refId"], sql, expression, legend, over_time)


def promql(expression: str, values: Values, span: Span) -> str:
    """An expression as Prometheus gets it."""
    text = expression.replace("$__range", f"{int((span.until - span.since).total_seconds())}s")
    text = text.replace("$__rate_interval", f"{4 * span.step_s}s")
    for name, chosen in values.items():
        one = [re.sub(r"([\\^$.*+?()\[\]{}|])", r"\\\\\1", each) for each in chosen]
        text = text.replace(f"${name}", one[0] if len(one) == 1 else f"({'|'.join(one)})")
    return _complete(text)


def sql(statement: str, values: Values, span: Span) -> str:
    """A statement as ClickHouse gets it."""
    text = re.sub(r"\$__timeFilter_ms\((.*?)\)", lambda found: _between(found[1], span), statement)
    interval = rf"toStartOfInterval(toDateTime(\1), INTERVAL {span.step_s} second)"
    text = re.sub(r"\$__timeInterval\((.*?)\)", interval, text)
    for name, chosen in values.items():
        quoted = ",".join("'" + each.replace("'", "\\'") + "'" for each in chosen)
        text = text.replace(f"${{{name}:singlequote}}", quoted)
    return _complete(text)


def _between(column: str, span: Span) -> str:
    since, until = (f"fromUnixTimestamp64Milli({int(at.timestamp() * 1000)})" for at in (span.since, span.until))
    return f"{column} >= {since} AND {column} <= {until}"


def _complete(text: str) -> str:
    left = re.findall(r"\$[A-Za-z_{][\w:]*", text)
    if left:
        raise ValueError(f"nothing is known of {left}")
    return text


def legend(target: Target, labels: Mapping[str, Any]) -> str:
    """A series' name."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: str(labels.get(found[1], "")), target.legend) or str(dict(labels))
