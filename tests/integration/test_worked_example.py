"""The worked example, from events over the merge in ClickHouse to the views. Every number is exact."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from keeprate.schemas.lift import lift
from keeprate.schemas.outcome import Outcome, encode_outcome, merge
from keeprate.sinks.reading import queries
from keeprate.sinks.reading.derive import derive_all
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.store.clickhouse import Client
from tests.reading import load, load_facts, reading
from tests.worked_example import MATURE_MS, NUMBERS, START_MS, numbers, worked_example

pytestmark = pytest.mark.clickhouse

START_AT = datetime.fromtimestamp(START_MS / 1000, UTC)
SCOPE = Scope(
    since=START_AT,
    until=START_AT + timedelta(hours=4),
    as_of=datetime.fromtimestamp(MATURE_MS / 1000, UTC),
    by=["app"],
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


def test_every_number_of_the_example_comes_back(store: Client) -> None:
    """The funnel, the rates and the retention table, exactly."""
    assert numbers(store) == NUMBERS


def test_a_bucket_is_a_cohort_of_its_own(store: Client) -> None:
    """Hourly buckets part the opportunities and the accepts without losing one."""
    hourly = queries.funnel(store, Scope(SCOPE.since, SCOPE.until, SCOPE.as_of, bucket_s=3600))
    assert [row.bucket_at for row in hourly] == [START_AT, START_AT + timedelta(hours=1)]
    assert [row.shown for row in hourly] == [9, 1]
    assert sum(row.opportunities for row in hourly) == 40
    assert sum(row.accepted for row in hourly) == 6


def test_an_app_without_events_has_no_rows(store: Client) -> None:
    """A filter that nothing passes gives no row, not a row of zeros."""
    scope = Scope(SCOPE.since, SCOPE.until, SCOPE.as_of, by=["app"], only={"app": ["it's", "another"]})
    assert queries.rates(store, scope) == []
    assert queries.retention_rates(store, scope) == []
    assert queries.feedback_rates(store, scope) == []


def test_states_that_grow_over_several_parts_are_read_whole(engine: Client) -> None:
    """Orphans that are joined later: a register is read as a whole, not each of its elements by itself."""
    log = [event for number in range(30) for event in worked_example(f"app-{number}")]
    Random(0).shuffle(log)
    states: dict[str, Outcome] = {}
    rows = []
    for event in log:
        for key, fact in lift(event):
            states[key] = merge(states.get(key, {}), fact)
            rows.append(encode_outcome(key, states[key]))
    engine.command("TRUNCATE TABLE outcomes")
    settings = {"input_format_json_named_tuples_as_objects": 0}
    for first in range(0, len(rows), 300):
        engine.insert_bytes("outcomes", (), b"\n".join(rows[first : first + 300]), "JSONEachRow", settings)
        derive_all(engine)
    assert [numbers(engine, f"app-{number}") for number in range(30)] == [NUMBERS] * 30
