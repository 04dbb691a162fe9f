"""What versions are compared by: the counts of a family's versions by the hour, of every metric that releases have.

Hours, because what is expected of a version is known by the hour too, and because sums are kept by the hour.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

from keeprate.sinks.reading import counting
from keeprate.sinks.reading.hours import FINAL
from keeprate.sinks.reading.rates import ACCEPTANCE, FEEDBACK, RETENTION, Rate, counts_of
from keeprate.sinks.reading.scope import SETTLE_S, Scope
from keeprate.sinks.store.clickhouse import Client

Component = Literal["prompt_version", "model", "context_strategy"]
FAMILY: Final[Mapping[Component, tuple[str, ...]]] = {
    "prompt_version": ("app", "prompt_name"),
    "model": ("app", "surface"),
    "context_strategy": ("app",),
}
"""The dimensions within which a version of a component replaces another."""
HOUR_S: Final = 3600
FEEDBACK_SETTLES_S: Final = 3600
"""How long feedback is waited for: what comes later is counted when it is judged again."""


@dataclass(frozen=True, kw_only=True)
class ReleaseMetric:
    """A metric that releases are judged in, and where it gets worse."""

    name: str
    more_is_better: bool
    at_horizons: bool = False


@dataclass(frozen=True, kw_only=True)
class RatedMetric(ReleaseMetric):
    """One that page and report show too: the rate that it is, what that is made of, and how long it takes to settle."""

    rate: Rate
    counts: frozenset[str]
    settle_s: int


def _metric(name: str, rates: Mapping[str, Rate], rate: str, *, better: bool, settle_s: int = SETTLE_S) -> RatedMetric:
    return RatedMetric(
        name=name,
        more_is_better=better,
        at_horizons=rates is RETENTION,
        rate=rates[rate],
        counts=frozenset(counts_of(rates, (rate,))),
        settle_s=settle_s,
    )


METRICS: Final = (
    _metric("acceptance", ACCEPTANCE, "acceptance_rate", better=True),
    _metric("retention", RETENTION, "fuzzy_persistence_observed", better=True),
    _metric("flag", FEEDBACK, "flag_rate", better=False, settle_s=FEEDBACK_SETTLES_S),
    _metric("correction", FEEDBACK, "correction_rate", better=False, settle_s=FEEDBACK_SETTLES_S),
    _metric("negative", FEEDBACK, "negative_feedback_rate", better=False, settle_s=FEEDBACK_SETTLES_S),
)


@dataclass(frozen=True)
class Versions:
    """Some versions of one family."""

    component: Component
    family: tuple[str, ...]
    names: tuple[str, ...]

    def scope(self, since: datetime, until: datetime, as_of: datetime) -> Scope:
        only = {name: [value] for name, value in zip(FAMILY[self.component], self.family, strict=True)}
        return Scope(since, until, as_of, [self.component], only | {self.component: list(self.names)})


@dataclass(frozen=True)
class VersionCount:
    """Trials and successes of a version, of one metric and horizon (0 where it has none); of a window, or of a user."""

    metric: ReleaseMetric
    horizon_s: int
    version: str
    at_s: int
    user: str
    trials: int
    successes: int


def traffic(client: Client, component: Component, since: datetime, until: datetime) -> list[tuple[Any, ...]]:
    """Generations by family, version and hour: a tuple, the version, the hour in seconds, and how many."""
    by = (*FAMILY[component], component)
    rows = counting.suggestions(client, Scope(since, until, until, by, bucket_s=HOUR_S), ("opportunities",))
    return [
        (tuple(row[name] for name in by[:-1]), row[component], row["bucket_ms"] // 1000, row["opportunities"])
        for row in rows
    ]


def first_at(client: Client, versions: Versions, hour_s: int) -> datetime:
    """When the first generation of versions occurred, that is known to be in an hour."""
    begins = datetime.fromtimestamp(hour_s, UTC)
    scope = versions.scope(begins, begins + timedelta(seconds=HOUR_S), begins)
    query = f"SELECT min(cohort_ms) FROM suggestions FINAL WHERE {scope.condition()} AND NOT orphan"
    ((first_ms,),) = client.query(query, scope.parameters(), FINAL)
    return datetime.fromtimestamp(first_ms / 1000, UTC)


def by_hour(
    client: Client, versions: Versions, since: datetime, until: datetime, as_of: datetime
) -> list[VersionCount]:
    """What is settled, as of a time, of the generations of a span, by the hour, in order."""
    scope = replace(versions.scope(since, until, as_of), bucket_s=HOUR_S)
    return sorted(_counts(client, scope, versions), key=lambda each: each.at_s)


def by_user(
    client: Client, versions: Versions, since: datetime, until: datetime, as_of: datetime
) -> list[VersionCount]:
    """The same by user; of those that are known."""
    scope = versions.scope(since, until, as_of)
    found = _counts(client, replace(scope, by=[*scope.by, "user"]), versions)
    return [each for each in found if each.user]


def _counts(client: Client, scope: Scope, versions: Versions) -> Iterator[VersionCount]:
    of_suggestions = [each for each in METRICS if not each.at_horizons]
    # An era is told apart where something more is settled: acceptance before flags.
    settles = sorted({each.settle_s for each in of_suggestions}, reverse=True)
    edges = [scope.as_of - timedelta(seconds=each) for each in settles]
    eras = [max(scope.since, min(scope.until, each)) for each in edges]
    names = frozenset[str]().union(*(each.counts for each in of_suggestions))
    rows = counting.suggestions(client, replace(scope, eras=eras), names)
    for metric in of_suggestions:
        yield from _of_rows(metric, rows, versions, settles.index(metric.settle_s))
    for metric in (each for each in METRICS if each.at_horizons):
        yield from _of_rows(metric, counting.at_horizons(client, scope, metric.counts), versions)


def _of_rows(
    metric: RatedMetric, rows: Sequence[counting.Counts], versions: Versions, last_era: int = 0
) -> Iterator[VersionCount]:
    sums: dict[tuple[int, str, int, str], list[float]] = defaultdict(lambda: [0, 0])
    for row in rows:
        if row.get("era", 0) <= last_era:
            quotient = metric.rate(row)
            key = (row.get("horizon_s", 0), row[versions.component], row["bucket_ms"] // 1000, row.get("user", ""))
            sums[key][0] += quotient.denominator
            sums[key][1] += quotient.numerator
    for (horizon_s, version, at_s, user), (trials, successes) in sums.items():
        if trials:
            # Feedback may be of what was never shown or accepted.
            successes = min(successes, trials)
            yield VersionCount(metric, horizon_s, version, at_s, user, int(trials), int(successes))
