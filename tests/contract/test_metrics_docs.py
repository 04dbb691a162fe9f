"""docs/metrics.md says what every column, count and rate means."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from keeprate.sinks.reading import queries
from keeprate.sinks.reading.measures import CHECKS, SUGGESTIONS
from keeprate.sinks.store.clickhouse import Client
from tests.integration.test_worked_example import SCOPE
from tests.reading import load, reading
from tests.worked_example import worked_example

pytestmark = pytest.mark.clickhouse
TEXT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
NAMED = set(re.findall(r"`([a-z_0-9.]+)`", TEXT))


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with reading() as client:
        load(client, worked_example())
        yield client


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
