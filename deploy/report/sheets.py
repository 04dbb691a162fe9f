"""The tables of a report: what stands in which column, whoever shows it. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final, TypeVar

from keeprate.deploy.horizons import horizon_name
from keeprate.deploy.report.gathering import Report
from keeprate.deploy.terminal import printable
from keeprate.sinks.reading.queries import CohortSegment, Rate, RetentionRate

CURVE_METRIC: Final = "fuzzy_persistence_observed"
NOT_KNOWN: Final = "(not known)"
_MAX_CURVES: Final = 6
_MAX_LABELS: Final = 20
"""Of flags in one segment. Users name them, and a terminal is not the place for ten thousand."""
_ACCEPTANCE: Final = ("shown_rate", "acceptance_rate", "car", "efficiency", "touchless_rate")
_RETENTION: Final = ("persistence_rate", "fuzzy_persistence_lower", CURVE_METRIC)
_FEEDBACK: Final = ("vote_rate", "positive_vote_share", "correction_rate", "negative_feedback_rate")

Cell = str | Rate


@dataclass(frozen=True)
class SheetLine:
    """One row: the segment that it is of, and its cells."""

    where: tuple[str, ...]
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Sheet:
    """One table.

    single: a segment has one line. denominators: whether a rate's own is shown, where no other column has it.
    """

    title: str
    columns: tuple[str, ...]
    lines: tuple[SheetLine, ...]
    single: bool = False
    denominators: bool = True


def sheets(report: Report) -> list[Sheet]:
    """The tables that have rows."""
    every = (_acceptance(report), _retention(report), _feedback(report), _flags(report), _judges(report))
    return [sheet for sheet in every if sheet.lines]


def keys(report: Report) -> tuple[str, ...]:
    """What a line's segment is named by."""
    return (*(["bucket"] if report.scope.bucket_s else []), *report.scope.by)


def curves(report: Report) -> dict[str, list[RetentionRate]]:
    """The retention curve of each segment by its name, the best observed first, as many as a reader can tell apart."""
    rows = [rate for rate in report.retention_rates if rate.metric == CURVE_METRIC and rate.value is not None]
    groups = sorted(_by_segment(rows).values(), key=lambda group: -max(rate.denominator for rate in group))
    named = ((" · ".join(_where(report, group[0])) or "all", group) for group in groups[:_MAX_CURVES])
    return {name: sorted(group, key=lambda rate: rate.horizon_s) for name, group in named}


def share(value: float | None) -> str:
    """A share for people: a percentage, or a dash where it is undefined."""
    return "-" if value is None else f"{value:.1%}".replace("%", " %")


def interval(rate: Rate) -> str:
    """Its interval for people, in per cent, as exact as its share; '' where it has none."""
    if rate.value is None or rate.interval_low is None or rate.interval_high is None:
        return ""
    return f"({rate.interval_low:.1%}…{rate.interval_high:.1%})".replace("%", "")


def _acceptance(report: Report) -> Sheet:
    counts = ("opportunities", "shown", "accepted")
    rates, lines = _by_segment(report.rates), []
    for row in report.funnel:
        if not row.opportunities and report.scope.by:
            # Orphans alone: they have no dimensions yet, and a note counts them.
            continue
        own = {rate.metric: rate for rate in rates[_segment(row)]}
        counted = (f"{getattr(row, name):,}" for name in counts)
        cells: tuple[Cell, ...] = (*counted, *(own[name] for name in _ACCEPTANCE))
        lines.append(SheetLine(_where(report, row), (*cells, share(own["acceptance_rate"].coverage))))
    columns = (*counts, *(name.replace("_", " ") for name in _ACCEPTANCE), "coverage")
    return Sheet("Acceptance", columns, tuple(lines), single=True)


def _retention(report: Report) -> Sheet:
    rates: dict[tuple[object, ...], dict[str, RetentionRate]] = {}
    for rate in report.retention_rates:
        rates.setdefault((*_segment(rate), rate.horizon_s), {})[rate.metric] = rate
    lines = []
    for row in report.retention:
        own = rates[*_segment(row), row.horizon_s]
        observed = f"{row.observed:,} ({share(own['retention_coverage'].value)})"
        cells: tuple[Cell, ...] = (horizon_name(row.horizon_s), f"{row.accepted:,}", observed)
        lines.append(SheetLine(_where(report, row), (*cells, *(own[name] for name in _RETENTION))))
    columns = ("after", "accepted", "observed", "unchanged", "mostly, at least", "mostly, of observed")
    return Sheet("Retention", columns, tuple(lines), denominators=False)


def _feedback(report: Report) -> Sheet:
    lines = []
    for rows in _by_segment(report.feedback_rates).values():
        own = {row.metric: row for row in rows if not row.label}
        if any(own[name].numerator for name in _FEEDBACK):
            lines.append(SheetLine(_where(report, rows[0]), tuple(own[name] for name in _FEEDBACK)))
    return Sheet("Feedback", tuple(name.replace("_", " ") for name in _FEEDBACK), tuple(lines), single=True)


def _flags(report: Report) -> Sheet:
    lines: list[SheetLine] = []
    labelled = [row for row in report.feedback_rates if row.metric == "flag_rate" and row.label]
    for rows in _by_segment(labelled).values():
        shown = sorted(rows, key=lambda row: -row.numerator)[:_MAX_LABELS] if len(rows) > _MAX_LABELS else rows
        lines += [SheetLine(_where(report, row), (printable(row.label), row)) for row in shown]
        if left := len(rows) - len(shown):
            lines.append(SheetLine(_where(report, rows[0]), (f"{left:,} more: --json has them", "")))
    return Sheet("Flags", ("label", "rate"), tuple(lines))


def _judges(report: Report) -> Sheet:
    lines = []
    # The rows of one judge lie together, sorted by metric: agreement, then kappa.
    for row, after in pairwise(report.judge_rates):
        if (row.metric, after.metric) == ("judge_agreement", "judge_kappa"):
            kappa = "-" if after.value is None else f"{after.value:.2f}"
            names = (printable(row.evaluation), printable(row.annotator))
            lines.append(SheetLine(_where(report, row), (*names, row, kappa, share(row.coverage))))
    columns = ("evaluation", "judge", "agreement", "kappa", "coverage")
    return Sheet("LLM judges against people", columns, tuple(lines))


def _where(report: Report, row: CohortSegment) -> tuple[str, ...]:
    return tuple(_names(report, row))


def _names(report: Report, row: CohortSegment) -> Iterator[str]:
    if report.scope.bucket_s:
        yield f"{row.bucket_at:%Y-%m-%d %H:%M}"
    for name in report.scope.by:
        yield printable(row.dimensions[name]) or NOT_KNOWN


Shown = TypeVar("Shown", bound=CohortSegment)


def _segment(row: CohortSegment) -> tuple[datetime, tuple[str, ...]]:
    return row.bucket_at, tuple(row.dimensions.values())


def _by_segment(rows: Iterable[Shown]) -> dict[tuple[datetime, tuple[str, ...]], list[Shown]]:
    groups: dict[tuple[datetime, tuple[str, ...]], list[Shown]] = {}
    for row in rows:
        groups.setdefault(_segment(row), []).append(row)
    return groups
