"""The typed answers: what page, report, API and monitor show. Each row is a segment of the scope, sorted.

It writes nothing and keeps nothing. What each number means: docs/metrics.md.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from statistics import fmean, median
from typing import Any, Final, TypeVar

from keeprate.sinks.reading import counting
from keeprate.sinks.reading.counting import Counts
from keeprate.sinks.reading.hours import Known
from keeprate.sinks.reading.rates import (
    ACCEPTANCE,
    FEEDBACK,
    LABELLED,
    RETENTION,
    Quotient,
    by_label,
    counts_of,
    judge,
)
from keeprate.sinks.reading.rates import Rate as Formula
from keeprate.sinks.reading.scope import DIMENSIONS, Scope, ScopeError
from keeprate.sinks.store.clickhouse import Client

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class CohortSegment:
    """Where a row belongs: the start of its bucket, and its values of the scope's dimensions ('' is not known)."""

    bucket_at: datetime
    dimensions: dict[str, str]


@dataclass(frozen=True)
class Rate(CohortSegment):
    """One rate. `value` is None when the denominator is 0, the interval when the rate is no share.

    coverage: the part of the whole that is settled or observed; None when there is no whole.
    interval_low, interval_high: Wilson's, at 95 %.
    """

    metric: str
    numerator: float
    denominator: float
    value: float | None
    coverage: float | None
    interval_low: float | None
    interval_high: float | None


@dataclass(frozen=True)
class RetentionRate(Rate):
    """A rate at a horizon."""

    horizon_s: int


@dataclass(frozen=True)
class FeedbackRate(Rate):
    """A rate of feedback; `label` holds the flag's label or the action, where the rate is of one."""

    label: str


@dataclass(frozen=True)
class JudgeRate(Rate):
    """How one LLM judge (`annotator`) agrees with people on one `evaluation`; `label` where the rate is of one."""

    evaluation: str
    annotator: str
    label: str


@dataclass(frozen=True)
class UserRate(CohortSegment):
    """The mean or median of a rate over users, and how many users have one."""

    metric: str
    value: float | None
    users: int


@dataclass(frozen=True)
class Funnel(CohortSegment):
    """Counts of distinct suggestions (docs/metrics.md), and of generations for the opportunities."""

    opportunities: int
    opportunities_settled: int
    shown: int
    shown_settled: int
    shown_read: int
    accepted: int
    accepted_full: int
    auto_applied: int
    rejected: int
    ignored: int
    superseded: int
    unanswered: int
    ended_unshown: int
    undone: int
    orphan_accept: int
    orphans: int
    accepted_char: float
    lines_suggested: float
    lines_accepted: float
    active_hours: int
    active_hours_any: int
    user_days: int
    used: int
    touchless: int
    cost_usd: float


@dataclass(frozen=True)
class Retention(CohortSegment):
    """Counts of accepted suggestions at a horizon (docs/metrics.md). `accepted` is A: those old enough."""

    horizon_s: int
    opportunities: int
    active_hours: int
    accepted: int
    observed: int
    unchanged: int
    mostly: int
    substantially_changed: int
    removed: int
    unobserved: int
    missing: int
    late: int
    maturing: int
    branch_changed: int
    zero_length: int
    retained_char: float


Row = TypeVar("Row", bound=CohortSegment)


def funnel(client: Client, scope: Scope) -> list[Funnel]:
    """The counts behind acceptance."""
    return funnel_of(scope, counted(client, scope, _own(Funnel)))


def counted(client: Client, scope: Scope, names: Collection[str] = (), summed: Known | None = None) -> list[Counts]:
    """Counts of suggestions, sorted, for `funnel_of`, `rates_of` and `feedback_rates_of`. names: of these; else all.
    summed: `splitting.known` of a span that holds the scope's, where several questions share it."""
    return sorted(counting.suggestions(client, scope, names, summed), key=lambda row: _segment(scope, row))


def counted_at_horizons(
    client: Client, scope: Scope, names: Collection[str] = (), summed: Known | None = None, only: int = 0
) -> list[Counts]:
    """Counts of retention, sorted, for `retention_of` and `retention_rates_of`. names, summed: as in `counted`.
    only: of one horizon, of the apps whose checks have it."""
    rows = counting.at_horizons(client, scope, names, summed, only)
    return sorted(rows, key=lambda row: (*_segment(scope, row), row["horizon_s"]))


def funnel_of(scope: Scope, rows: Iterable[Counts]) -> list[Funnel]:
    """The counts behind acceptance, of rows that hold them all."""
    names = _own(Funnel)
    return [_row(Funnel, scope, row, {name: row[name] for name in names}) for row in rows]


def rates(client: Client, scope: Scope, metrics: Sequence[str] = ()) -> list[Rate]:
    """The pooled rates of docs/metrics.md; all of them, or those named."""
    chosen = _metrics(ACCEPTANCE, metrics)
    return rates_of(scope, counted(client, scope, counts_of(ACCEPTANCE, chosen)), chosen)


def rates_of(scope: Scope, rows: Iterable[Counts], metrics: Sequence[str] = ()) -> list[Rate]:
    """The rates of counts that were asked already."""
    chosen = _metrics(ACCEPTANCE, metrics)
    return [_rate(Rate, scope, row, metric, ACCEPTANCE[metric](row)) for row in rows for metric in chosen]


def user_rates(client: Client, scope: Scope, metrics: Sequence[str] = ()) -> list[UserRate]:
    """The same rates as mean and median over users with a denominator."""
    by = [name for name in scope.by if name != "user"]
    values: dict[tuple[Any, ...], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    chosen = _metrics(ACCEPTANCE, metrics)
    each = Scope(**{**vars(scope), "by": [*by, "user"]})
    for row in counted(client, each, counts_of(ACCEPTANCE, chosen)):
        for metric in chosen if row["user"] else ():
            if (value := ACCEPTANCE[metric](row).value) is not None:
                values[row["bucket_ms"], *(row[name] for name in by)][metric].append(value)
    found = []
    for (bucket_ms, *names), of_segment in sorted(values.items()):
        segment = _bucket_at(bucket_ms), dict(zip(by, names, strict=True))
        for metric, of_users in sorted(of_segment.items()):
            found.append(UserRate(*segment, f"{metric}_user_mean", fmean(of_users), len(of_users)))
            found.append(UserRate(*segment, f"{metric}_user_p50", median(of_users), len(of_users)))
    return found


def retention(client: Client, scope: Scope) -> list[Retention]:
    """The counts behind retention, for every horizon that the checks of the scope's apps have."""
    return retention_of(scope, counted_at_horizons(client, scope, _own(Retention)))


def retention_of(scope: Scope, rows: Iterable[Counts]) -> list[Retention]:
    """The counts behind retention, of rows that hold them all."""
    names = _own(Retention)
    return [_row(Retention, scope, row, {name: row[name] for name in names}) for row in rows]


def retention_rates(client: Client, scope: Scope, metrics: Sequence[str] = ()) -> list[RetentionRate]:
    """The rates of retention of docs/metrics.md."""
    chosen = _metrics(RETENTION, metrics)
    return retention_rates_of(scope, counted_at_horizons(client, scope, counts_of(RETENTION, chosen)), chosen)


def retention_rates_of(scope: Scope, rows: Iterable[Counts], metrics: Sequence[str] = ()) -> list[RetentionRate]:
    """The rates of counts that were asked already."""
    return [
        _rate(RetentionRate, scope, row, metric, RETENTION[metric](row), horizon_s=row["horizon_s"])
        for row in rows
        for metric in _metrics(RETENTION, metrics)
    ]


def feedback_rates(client: Client, scope: Scope, metrics: Sequence[str] = ()) -> list[FeedbackRate]:
    """The rates of feedback of docs/metrics.md, flags per label and actions per action."""
    names = feedback_counts(metrics) | {count for metric, count in LABELLED.items() if not metrics or metric in metrics}
    return feedback_rates_of(scope, counted(client, scope, names), metrics)


def feedback_counts(metrics: Sequence[str] = ()) -> set[str]:
    """The names of the counts behind rates of feedback, but for those by label."""
    return counts_of(FEEDBACK, _metrics(FEEDBACK, metrics)) | {"opportunities", "displayed"}


def feedback_rates_of(scope: Scope, rows: Iterable[Counts], metrics: Sequence[str] = ()) -> list[FeedbackRate]:
    """The rates of counts that were asked already; by label where those were asked too."""
    found = []
    for row in rows:
        if not row["opportunities"] and not row["displayed"]:
            # Only orphans.
            continue
        quotients = [(metric, "", FEEDBACK[metric](row)) for metric in _metrics(FEEDBACK, metrics)] + by_label(row)
        for metric, label, quotient in sorted(quotients, key=lambda each: each[:2]):
            found.append(_rate(FeedbackRate, scope, row, metric, quotient, label=label))
    return found


def judge_rates(client: Client, scope: Scope, metrics: Sequence[str] = ()) -> list[JudgeRate]:
    """Agreement, kappa, and precision and recall per label, of each LLM judge against people."""
    pairs: dict[tuple[Any, ...], dict[tuple[str, str], int]] = defaultdict(dict)
    rows: dict[tuple[Any, ...], Counts] = {}
    for row in counting.judged(client, scope):
        key = (*_segment(scope, row), row["evaluation"], row["annotator"])
        rows[key] = row
        pairs[key][row["label"], row["truth"]] = row["pairs"]
    found = []
    for key in sorted(pairs):
        row = rows[key]
        names = {"evaluation": row["evaluation"], "annotator": row["annotator"]}
        for metric, label, quotient in sorted(judge(pairs[key]), key=lambda each: each[:2]):
            if not metrics or metric in metrics:
                found.append(_rate(JudgeRate, scope, row, metric, quotient, label=label, **names))
    return found


def dimension_values(
    client: Client, scope: Scope, dimension: str, limit: int = 1000, summed: Known | None = None
) -> list[str]:
    """The values that a dimension has within the scope, the most frequent first. summed: as in `counted`."""
    if dimension not in DIMENSIONS:
        raise ScopeError(f"{dimension}: no such dimension; choose from {', '.join(DIMENSIONS)}")
    each = Scope(**{**vars(scope), "by": [dimension], "bucket_s": 0})
    rows = counting.suggestions(client, each, ("opportunities", "shown"), summed)
    rows.sort(key=lambda row: (-row["opportunities"], -row["shown"], row[dimension]))
    return [row[dimension] for row in rows if row[dimension]][:limit]


def event_span(client: Client) -> tuple[datetime, datetime] | None:
    """When the first and the last generation occurred that the store knows of; None when it knows of none."""
    query = "SELECT min(cohort_ms), max(cohort_ms), count() FROM suggestions WHERE NOT orphan"
    first_ms, last_ms, count = client.query(query)[0]
    return (_bucket_at(first_ms), _bucket_at(last_ms)) if count else None


def _metrics(formulas: Mapping[str, Formula], metrics: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(metric for metric in formulas if not metrics or metric in metrics))


def _segment(scope: Scope, row: Counts) -> tuple[Any, ...]:
    return tuple(row[name] for name in scope.keys)


def _own(kind: type[CohortSegment]) -> list[str]:
    return [each.name for each in fields(kind) if each.name not in ("bucket_at", "dimensions")]


def _row(kind: type[Row], scope: Scope, row: Counts, own: Mapping[str, Any]) -> Row:
    return kind(bucket_at=_bucket_at(row["bucket_ms"]), dimensions={name: row[name] for name in scope.by}, **own)


def _rate(kind: type[Row], scope: Scope, row: Counts, metric: str, quotient: Quotient, **own: Any) -> Row:
    low, high = quotient.interval
    values = {
        "metric": metric,
        "numerator": float(quotient.numerator),
        "denominator": float(quotient.denominator),
        "value": quotient.value,
        "coverage": quotient.coverage,
        "interval_low": low,
        "interval_high": high,
    }
    return _row(kind, scope, row, values | own)


def _bucket_at(ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=ms)
