"""docs/metrics.md says what every column, count and rate means."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from keeprate.sinks.clickhouse import Client
from keeprate.sinks.reading import queries
from keeprate.sinks.reading.measures import CHECKS, SUGGESTIONS
from tests.integration.test_worked_example import SCOPE
from tests.reading import load, reading
from tests.worked_example import worked_example

pytestmark = pytest.mark.clickhouse
TEXT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
NAMED = set(re.findall(r"`([a-z_0-9.]+)`", TEXT))
WINDOWS_PAGE = (Path(__file__).parents[2] / "docs" / "windows.md").read_text()
WINDOW_VIEWS = {"window_counts": {"bucket_s"}, "window_retention": {"bucket_s", "as_of", "grace_s"}}


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with reading() as client:
        load(client, worked_example())
        yield client


def test_the_views_are_those_of_windows(client: Client) -> None:
    """All else is asked of the table."""
    listed = client.query("SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View'")
    assert {name for (name,) in listed} == {*WINDOW_VIEWS}


@pytest.mark.parametrize("view", WINDOW_VIEWS)
def test_every_count_of_windows_is_explained(client: Client, view: str) -> None:
    """On a page of their own; buckets are named by their pattern."""
    values = {"bucket_s": "0", "as_of": "'2040-01-01'", "grace_s": "300"}
    arguments = ", ".join(f"{name}={values[name]}" for name in sorted(WINDOW_VIEWS[view]))
    query = f"SELECT * FROM {view}(since='2020-01-01', until='2030-01-01', {arguments})"
    columns = json.loads(client.query_bytes(query, {}, "JSONCompactEachRowWithNames").splitlines()[0])
    patterns = re.compile(r"(latency|first_token|edit_distance)_(le_\d+_(ms|pct)|over)")
    named = set(re.findall(r"`([a-z_0-9]+)`", WINDOWS_PAGE))
    assert {name for name in columns if not patterns.fullmatch(name)} <= named


def test_every_column_is_explained(client: Client) -> None:
    """A column that the page does not name cannot be trusted by who reads it."""
    columns = client.query(
        "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = 'suggestions'"
    )
    assert len(columns) > 80
    assert {name for (name,) in columns} - NAMED == set()


def test_every_count_is_explained() -> None:
    """Of suggestions and at horizons."""
    assert {measure.name for measure in (*SUGGESTIONS, *CHECKS)} - NAMED == set()


def test_every_rate_is_explained(client: Client) -> None:
    """By the name that it has in the views."""
    rows = [
        *queries.rates(client, SCOPE),
        *queries.retention_rates(client, SCOPE),
        *queries.feedback_rates(client, SCOPE),
    ]
    assert {row.metric for row in rows} - NAMED == set()
