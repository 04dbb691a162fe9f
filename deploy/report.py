"""The report: what a scope's numbers are, gathered once, and shown as tables and a curve, as JSON or as CSV.

Entry points: `gather` reads; `show`, `as_json` and `as_csv` present, and change nothing.
"""

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from itertools import pairwise
from typing import Final, TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from keeprate.deploy.curve import horizon_name, retention_curve
from keeprate.deploy.terminal import printable
from keeprate.sinks.clickhouse import Client
from keeprate.sinks.reading import queries
from keeprate.sinks.reading.queries import FeedbackRate, Funnel, JudgeRate, Rate, Retention, RetentionRate, Segment
from keeprate.sinks.reading.scope import Scope

CURVE_METRIC: Final = "fuzzy_persistence_observed"
_ACCEPTANCE: Final = ("shown_rate", "acceptance_rate", "car", "efficiency", "touchless_rate")
_RETENTION: Final = ("retention_coverage", "persistence_rate", "fuzzy_persistence_lower", CURVE_METRIC)
_FEEDBACK: Final = ("vote_rate", "positive_vote_share", "correction_rate", "negative_feedback_rate")
_MAX_CURVES: Final = 6


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
    """Every rate as one line of a table: segment, metric, what it is of, and its seven numbers."""
    own = ("metric", "horizon_s", "label", "evaluation", "annotator", "numerator", "denominator", "value", "coverage")
    out = io.StringIO()
    writer = csv.DictWriter(
        out, ["bucket_at", *report.scope.by, *own, "interval_low", "interval_high"], lineterminator="\n"
    )
    writer.writeheader()
    for row in (*report.rates, *report.retention_rates, *report.feedback_rates, *report.judge_rates):
        values = asdict(row)
        writer.writerow(values.pop("dimensions") | values | {"bucket_at": row.bucket_at.isoformat()})
    return out.getvalue()


def show(report: Report, console: Console, curve: bool = True) -> None:
    """Print the tables that have rows, and the retention curve."""
    scope = report.scope
    console.print(
        f"generations of [bold]{scope.since:%Y-%m-%d %H:%M}[/bold] to [bold]{scope.until:%Y-%m-%d %H:%M}[/bold] UTC, "
        f"as of {scope.as_of:%Y-%m-%d %H:%M}; each rate with its interval at 95 % and [dim]its denominator[/dim]"
    )
    console.print(_acceptance(report))
    if report.retention:
        console.print(_retention(report))
        if curve:
            console.print("\n[bold]Mostly kept, of what was observed[/bold]")
            console.print(_curve(report, console))
    else:
        console.print("[dim]no retention checks yet: see docs/metrics.md for how they are sent[/dim]")
    for table in (_feedback(report), _flags(report), _judges(report)):
        if table.row_count:
            console.print(table)
    for note in notes(report):
        console.print(f"[yellow]note[/yellow] {note}", soft_wrap=True)


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


Shown = TypeVar("Shown", bound=Segment)


def _table(report: Report, title: str, *columns: str) -> Table:
    table = Table(title=f"\n{title}", title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for name in _keys(report):
        table.add_column(name, overflow="fold")
    for name in columns:
        table.add_column(name, justify="right")
    return table


def _keys(report: Report) -> list[str]:
    return [*(["bucket"] if report.scope.bucket_s else []), *report.scope.by]


def _where(report: Report, row: Segment) -> list[str]:
    bucket = [f"{row.bucket_at:%Y-%m-%d %H:%M}"] if report.scope.bucket_s else []
    return [*bucket, *(printable(row.dimensions[name]) or "(not known)" for name in report.scope.by)]


def _cells(report: Report, row: Segment) -> list[Text]:
    return [_cell(text) for text in _where(report, row)]


def _cell(text: str) -> Text:
    """What apps and users named, as it is: in a plain string, brackets are markup to rich."""
    return Text(printable(text))


def _by_segment(rows: Iterable[Shown]) -> dict[tuple[datetime, tuple[str, ...]], list[Shown]]:
    groups: dict[tuple[datetime, tuple[str, ...]], list[Shown]] = {}
    for row in rows:
        groups.setdefault((row.bucket_at, tuple(row.dimensions.values())), []).append(row)
    return groups


def _acceptance(report: Report) -> Table:
    names = ("opportunities", "shown", "accepted")
    table = _table(report, "Acceptance", *names, *(name.replace("_", " ") for name in _ACCEPTANCE), "coverage")
    rates = _by_segment(report.rates)
    for row in report.funnel:
        if not row.opportunities and report.scope.by:
            # Orphans alone: they have no dimensions yet, and a note counts them.
            continue
        own = {rate.metric: rate for rate in rates[row.bucket_at, tuple(row.dimensions.values())]}
        counts = [f"{getattr(row, name):,}" for name in names]
        cells = [rate_cell(own[name]) for name in _ACCEPTANCE]
        table.add_row(*_cells(report, row), *counts, *cells, share(own["acceptance_rate"].coverage))
    return table


def _retention(report: Report) -> Table:
    table = _table(
        report, "Retention", "after", "accepted", "coverage", "unchanged", "mostly, at least", "mostly, of observed"
    )
    for row in report.retention:
        own = {
            rate.metric: rate
            for rate in report.retention_rates
            if (rate.bucket_at, rate.dimensions, rate.horizon_s) == (row.bucket_at, row.dimensions, row.horizon_s)
        }
        cells = [share(own["retention_coverage"].value), *(rate_cell(own[name]) for name in _RETENTION[1:])]
        table.add_row(*_cells(report, row), horizon_name(row.horizon_s), f"{row.accepted:,}", *cells)
    return table


def _curve(report: Report, console: Console) -> Text:
    rows = [rate for rate in report.retention_rates if rate.metric == CURVE_METRIC and rate.value is not None]
    # The best observed first, where there are more than a reader can tell apart.
    groups = sorted(_by_segment(rows).values(), key=lambda group: -max(rate.denominator for rate in group))
    curves = {
        " ".join(_where(report, group[0])) or "all": {rate.horizon_s: rate.value or 0.0 for rate in group}
        for group in groups
    }
    shown = dict(list(curves.items())[:_MAX_CURVES])
    return retention_curve(shown, min(console.width, 100), console.is_terminal)


def _feedback(report: Report) -> Table:
    table = _table(report, "Feedback", *(name.replace("_", " ") for name in _FEEDBACK))
    for rows in _by_segment(report.feedback_rates).values():
        own = {row.metric: row for row in rows if not row.label}
        if any(own[name].numerator for name in _FEEDBACK):
            table.add_row(*_cells(report, rows[0]), *(rate_cell(own[name]) for name in _FEEDBACK))
    return table


def _flags(report: Report) -> Table:
    table = _table(report, "Flags", "label", "rate")
    for row in report.feedback_rates:
        if row.metric == "flag_rate" and row.label:
            table.add_row(*_cells(report, row), _cell(row.label), rate_cell(row))
    return table


def _judges(report: Report) -> Table:
    table = _table(report, "LLM judges against people", "evaluation", "judge", "agreement", "kappa", "coverage")
    # The rows of one judge lie together, sorted by metric: agreement, then kappa.
    for row, after in pairwise(report.judge_rates):
        if (row.metric, after.metric) == ("judge_agreement", "judge_kappa"):
            kappa = "-" if after.value is None else f"{after.value:.2f}"
            cells = (_cell(row.evaluation), _cell(row.annotator), rate_cell(row), kappa, share(row.coverage))
            table.add_row(*_cells(report, row), *cells)
    return table


def share(value: float | None) -> str:
    """A share for people: a percentage, or a dash where it is undefined."""
    return "-" if value is None else f"{value:.1%}".replace("%", " %")


def rate_cell(rate: Rate) -> str:
    """Value, interval and denominator of a rate in one cell."""
    if rate.value is None:
        return "-"
    interval = ""
    if rate.interval_low is not None and rate.interval_high is not None:
        interval = f" ({rate.interval_low:.0%}…{rate.interval_high:.0%})".replace("%", "")
    return f"{share(rate.value)}{interval} [dim]/{rate.denominator:,.0f}[/dim]"


def _json(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON")
