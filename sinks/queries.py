"""Typed reads over the views: what the report, the page and the exporter show.

Every function takes a ClickHouse client and a `Scope` and returns rows, sorted, with aware UTC times. It writes nothing
and keeps nothing. What each number means: docs/metrics.md.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from keeprate.sinks.clickhouse import Client

DIMENSIONS: Final = (
    "app",
    "environment",
    "user",
    "operation",
    "surface",
    "language",
    "provider",
    "model",
    "prompt_name",
    "prompt_version",
    "context_strategy",
    "step",
    "experiment",
    "variant",
)
"""What numbers can be cut and filtered by."""

SETTLE_S: Final = 600
"""How long a user has to answer, and the answer to arrive, before silence counts as one: 5 minutes each."""
GRACE_S: Final = 300
"""How long after its horizon a retention check has to arrive before it counts as unobserved."""


class ScopeError(ValueError):
    """A scope names a dimension that does not exist, or a span that holds no time. Says which, and what would do."""


@dataclass(frozen=True)
class Scope:
    """Which suggestions to count, and how to cut them.

    since, until: the generation's occurred_at, from `since` up to and without `until`.
    as_of: the event time up to which the log is taken as complete. What is younger than its window is not settled.
    by: the dimensions to cut by; the others are pooled.
    only: the values to keep, by dimension.
    bucket_s: the length of a time bucket, aligned to the epoch; 0 for one bucket.
    settle_s, grace_s: how long to wait for an answer, and for a check after its horizon.
    horizons: in seconds; none for those that each app's checks have.
    """

    since: datetime
    until: datetime
    as_of: datetime
    by: Sequence[str] = ()
    only: Mapping[str, Sequence[str]] = field(default_factory=dict)
    bucket_s: int = 0
    settle_s: int = SETTLE_S
    grace_s: int = GRACE_S
    horizons: Sequence[int] = ()

    def __post_init__(self) -> None:
        for name in (*self.by, *self.only):
            if name not in DIMENSIONS:
                raise ScopeError(f"{name}: no such dimension; choose from {', '.join(DIMENSIONS)}")
        if not self.since < self.until:
            raise ScopeError(f"since: {self.since.isoformat()} is not before until, {self.until.isoformat()}")

    def parameters(self) -> dict[str, Any]:
        """The scope as ClickHouse's query parameters."""
        return {
            "by": list(self.by),
            "only_names": list(self.only),
            "only_values": [list(values) for values in self.only.values()],
            "since": _moment(self.since),
            "until": _moment(self.until),
            "as_of": _moment(self.as_of),
            "bucket_s": self.bucket_s,
            "settle_s": self.settle_s,
            "grace_s": self.grace_s,
            "horizons": list(self.horizons),
        }


_COMMON: Final = (
    "by={by:Array(String)}, only=mapFromArrays({only_names:Array(String)}, {only_values:Array(Array(String))}), "
    "since={since:DateTime64(3, 'UTC')}, until={until:DateTime64(3, 'UTC')}, bucket_s={bucket_s:UInt32}"
)
_AS_OF: Final = "as_of={as_of:DateTime64(3, 'UTC')}"
_SETTLED: Final = f"{_COMMON}, {_AS_OF}, settle_s={{settle_s:UInt32}}"
_MATURED: Final = f"{_COMMON}, {_AS_OF}, grace_s={{grace_s:UInt32}}, horizons={{horizons:Array(UInt64)}}"


@dataclass(frozen=True)
class Segment:
    """Where a row belongs: the start of its bucket, and its values of the scope's dimensions ('' is not known)."""

    bucket_at: datetime
    dimensions: dict[str, str]


@dataclass(frozen=True)
class Rate(Segment):
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
class UserRate(Segment):
    """The mean or median of a rate over users, and how many users have one."""

    metric: str
    value: float | None
    users: int


@dataclass(frozen=True)
class Funnel(Segment):
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
class Retention(Segment):
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


Row = TypeVar("Row", bound=Segment)


def funnel(client: Client, scope: Scope) -> list[Funnel]:
    """The counts behind acceptance."""
    return _read(client, Funnel, f"funnel({_SETTLED})", scope)


def rates(client: Client, scope: Scope, metrics: Sequence[str] = ()) -> list[Rate]:
    """The pooled rates of docs/metrics.md; all of them, or those named."""
    return _read(client, Rate, f"rates({_SETTLED})", scope, metrics)


def user_rates(client: Client, scope: Scope, metrics: Sequence[str] = ()) -> list[UserRate]:
    """The same rates as mean and median over users."""
    return _read(client, UserRate, f"user_rates({_SETTLED})", scope, metrics)


def retention(client: Client, scope: Scope) -> list[Retention]:
    """The counts behind retention, for every horizon that the checks of the scope's apps have."""
    return _read(client, Retention, f"retention({_MATURED})", scope)


def retention_rates(client: Client, scope: Scope, metrics: Sequence[str] = ()) -> list[RetentionRate]:
    """The rates of retention of docs/metrics.md."""
    return _read(client, RetentionRate, f"retention_rates({_MATURED})", scope, metrics)


def feedback_rates(client: Client, scope: Scope, metrics: Sequence[str] = ()) -> list[FeedbackRate]:
    """The rates of feedback of docs/metrics.md, flags per label and actions per action."""
    return _read(client, FeedbackRate, f"feedback_rates({_COMMON})", scope, metrics)


def judge_rates(client: Client, scope: Scope, metrics: Sequence[str] = ()) -> list[JudgeRate]:
    """Agreement, kappa, and precision and recall per label, of each LLM judge against people."""
    return _read(client, JudgeRate, f"judge_rates({_COMMON})", scope, metrics)


def dimension_values(client: Client, scope: Scope, dimension: str, limit: int = 1000) -> list[str]:
    """The values that a dimension has within the scope, the most frequent first."""
    if dimension not in DIMENSIONS:
        raise ScopeError(f"{dimension}: no such dimension; choose from {', '.join(DIMENSIONS)}")
    parameters = scope.parameters() | {"by": [dimension], "limit": limit}
    query = (
        f"SELECT {dimension} FROM cohort({_COMMON}) WHERE {dimension} != '' "
        f"GROUP BY {dimension} ORDER BY count() DESC, {dimension} LIMIT {{limit:UInt32}}"
    )
    return [row[0] for row in client.query(query, parameters=parameters)]


def event_span(client: Client) -> tuple[datetime, datetime] | None:
    """When the first and the last generation occurred that the store knows of; None when it knows of none."""
    query = "SELECT min(generated_at), max(generated_at), count(generated_at) FROM suggestions"
    first, last, count = client.query(query)[0]
    return (_aware(first), _aware(last)) if count else None


def _read(client: Client, kind: type[Row], source: str, scope: Scope, metrics: Sequence[str] = ()) -> list[Row]:
    own = [each.name for each in fields(kind) if each.name not in ("bucket_at", "dimensions")]
    # A segment is what the scope cuts by, in its order; within one, names sort like the views list them.
    order = ["bucket_at", *scope.by, *(name for name in ("evaluation", "annotator", "horizon_s") if name in own)]
    query = f"SELECT {', '.join(['bucket_at', *scope.by, *own])} FROM {source}"
    parameters = scope.parameters()
    if metrics:
        query += " WHERE metric IN {metrics:Array(String)}"
        parameters["metrics"] = list(metrics)
    if "metric" in own:
        order += [name for name in ("metric", "label") if name in own]
    result = client.query(f"{query} ORDER BY {', '.join(order)}", parameters=parameters)
    return [_row(kind, scope.by, own, values) for values in result]


def _row(kind: type[Row], by: Sequence[str], own: list[str], values: Sequence[Any]) -> Row:
    dimensions = dict(zip(by, values[1 : 1 + len(by)], strict=True))
    named = dict(zip(own, values[1 + len(by) :], strict=True))
    return kind(bucket_at=_aware(values[0]), dimensions=dimensions, **named)


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _aware(at: datetime) -> datetime:
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
