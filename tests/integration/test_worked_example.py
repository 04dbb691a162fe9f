"""METRICS §7: the worked example, from events over the merge in ClickHouse to the views. Every number is exact."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from keeprate.sinks import queries
from keeprate.sinks.clickhouse import Client
from tests.reading import load, load_facts, reading
from tests.worked_example import MATURE_MS, START_MS, worked_example

pytestmark = pytest.mark.clickhouse

START_AT = datetime.fromtimestamp(START_MS / 1000, UTC)
SCOPE = queries.Scope(
    since=START_AT,
    until=START_AT + timedelta(hours=4),
    as_of=datetime.fromtimestamp(MATURE_MS / 1000, UTC),
    by=["app"],
)
RATES = {
    "shown_rate": 0.25,
    "acceptance_rate": 0.6,
    "efficiency": 0.15,
    "acceptance_frequency": 3,
    "contribution_speed": 28.5,
    "cpo": 1.425,
    "car": 0.75,
}
RETENTION = {
    30: (6, 3, 4, "1", "1/2", "1/2", "2/3", "2/3", "2/3"),
    120: (6, 2, 4, "1", "1/3", "1/3", "2/3", "2/3", "2/3"),
    300: (5, 2, 3, "5/6", "1/3", "2/5", "1/2", "3/5", "2/3"),
    600: (5, 2, 3, "5/6", "1/3", "2/5", "1/2", "3/5", "2/3"),
}
RETENTION_METRICS = (
    "retention_coverage",
    "persistence_rate",
    "persistence_observed",
    "fuzzy_persistence_lower",
    "fuzzy_persistence_observed",
    "fuzzy_persistence_paper",
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Client]:
    with reading() as client:
        yield client


@pytest.fixture(params=[load, load_facts], ids=["merged by Python", "merged by ClickHouse"])
def store(engine: Client, request: pytest.FixtureRequest) -> Client:
    """The store with the example in it, once as outcomes and once as one row per fact, everything twice."""
    request.param(engine, worked_example() * 2)
    return engine


def test_funnel_counts(store: Client) -> None:
    """40 opportunities, 10 shown, 6 accepted, 57 characters, two active hours."""
    (row,) = queries.funnel(store, SCOPE)
    assert row.dimensions == {"app": "worked-example"}
    assert (row.opportunities, row.shown, row.shown_read, row.accepted, row.accepted_full) == (40, 10, 8, 6, 6)
    assert (row.accepted_char, row.active_hours, row.user_days) == (57, 2, 1)
    assert (row.unanswered, row.orphans, row.orphan_accept) == (4, 0, 0)


def test_rates(store: Client) -> None:
    """The rates of the example's second line."""
    assert {row.metric: row.value for row in queries.rates(store, SCOPE, list(RATES))} == RATES


@pytest.mark.parametrize("horizon_s", RETENTION)
def test_retention_counts(store: Client, horizon_s: int) -> None:
    """O, U and M of the table."""
    row = next(row for row in queries.retention(store, SCOPE) if row.horizon_s == horizon_s)
    assert (row.observed, row.unchanged, row.mostly) == RETENTION[horizon_s][:3]
    assert row.accepted == 6


@pytest.mark.parametrize("horizon_s", RETENTION)
def test_retention_rates(store: Client, horizon_s: int) -> None:
    """The six rates of the table."""
    rows = queries.retention_rates(store, SCOPE, RETENTION_METRICS)
    got = {row.metric: row.value for row in rows if row.horizon_s == horizon_s}
    expected = [float(Fraction(str(value))) for value in RETENTION[horizon_s][3:]]
    assert [got[metric] for metric in RETENTION_METRICS] == expected


def test_a_bucket_is_a_cohort_of_its_own(store: Client) -> None:
    """Hourly buckets part the opportunities and the accepts without losing one."""
    hourly = queries.funnel(store, queries.Scope(SCOPE.since, SCOPE.until, SCOPE.as_of, bucket_s=3600))
    assert [row.bucket_at for row in hourly] == [START_AT, START_AT + timedelta(hours=1)]
    assert [row.shown for row in hourly] == [9, 1]
    assert sum(row.opportunities for row in hourly) == 40
    assert sum(row.accepted for row in hourly) == 6


def test_an_app_without_events_has_no_rows(store: Client) -> None:
    """A filter that nothing passes gives no row, not a row of zeros."""
    scope = queries.Scope(SCOPE.since, SCOPE.until, SCOPE.as_of, by=["app"], only={"app": ["it's", "another"]})
    assert queries.rates(store, scope) == []
    assert queries.retention_rates(store, scope) == []
    assert queries.feedback_rates(store, scope) == []
