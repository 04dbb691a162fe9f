"""All rows of a scope, read once; JSON and CSV are these rows."""

import csv
import io
import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime

from keeprate.deploy.page.exploring.sheet import safe
from keeprate.sinks.reading import queries
from keeprate.sinks.reading.queries import FeedbackRate, Funnel, JudgeRate, Rate, Retention, RetentionRate
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.store.clickhouse import Client


@dataclass(frozen=True)
class Report:
    """All rows of one scope."""

    scope: Scope
    funnel: list[Funnel]
    rates: list[Rate]
    retention: list[Retention]
    retention_rates: list[RetentionRate]
    feedback_rates: list[FeedbackRate]
    judge_rates: list[JudgeRate]

    @property
    def empty(self) -> bool:
        """Whether the scope holds no suggestion at all, not even an orphan."""
        return not self.funnel


def gather(client: Client, scope: Scope) -> Report:
    """Read everything that the report shows. Raises StoreError."""
    rows, at_horizons = queries.counted(client, scope), queries.counted_at_horizons(client, scope)
    return Report(
        scope,
        queries.funnel_of(scope, rows),
        queries.rates_of(scope, rows),
        queries.retention_of(scope, at_horizons),
        queries.retention_rates_of(scope, at_horizons),
        queries.feedback_rates_of(scope, rows),
        queries.judge_rates(client, scope),
    )


def as_json(report: Report) -> str:
    """The report as one JSON object, times in ISO 8601; an undefined rate has the value null."""
    body = {field.name: getattr(report, field.name) for field in fields(Report) if field.name != "scope"}
    rows = {name: [asdict(row) for row in rows] for name, rows in body.items()}
    return json.dumps({"scope": asdict(report.scope)} | rows, default=_json, ensure_ascii=False, indent=2)


def as_csv(report: Report) -> str:
    """Every rate as a line of a table: segment, metric, what it is of, its seven numbers; safe for spreadsheets."""
    own = ("metric", "horizon_s", "label", "evaluation", "annotator", "numerator", "denominator", "value", "coverage")
    out = io.StringIO()
    writer = csv.DictWriter(
        out, ["bucket_at", *report.scope.by, *own, "interval_low", "interval_high"], lineterminator="\n"
    )
    writer.writeheader()
    for row in (*report.rates, *report.retention_rates, *report.feedback_rates, *report.judge_rates):
        values = asdict(row)
        cells = values.pop("dimensions") | values | {"bucket_at": row.bucket_at.isoformat()}
        writer.writerow({name: safe(cell) if isinstance(cell, str) else cell for name, cell in cells.items()})
    return out.getvalue()


def notes(report: Report) -> list[str]:
    """What a reader of the numbers should know before believing them."""
    found = []
    if orphans := sum(row.orphans for row in report.funnel):
        found.append(f"{orphans} suggestions have feedback and no generation yet; they are in no rate (orphans)")
    if unsettled := sum(row.shown - row.shown_settled for row in report.funnel):
        found.append(
            f"{unsettled} suggestions were shown less than {report.scope.settle_s} s ago and may still be accepted"
        )
    if late := sum(row.late for row in report.retention):
        found.append(f"{late} retention checks came too late for their horizon and count as unobserved")
    if moved := sum(row.branch_changed for row in report.retention):
        found.append(f"{moved} retention checks were made on another branch and are left out")
    return found


def _json(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON")
