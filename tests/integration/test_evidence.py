"""Single facts read back: each span is half-open, so that two spans that meet tell nothing twice."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from keeprate.sinks.facts import evidence
from keeprate.sinks.store.clickhouse import Client
from tests.facts import START_MS, Facts
from tests.reading import load_all, reading

pytestmark = pytest.mark.clickhouse

AT = datetime.fromtimestamp(START_MS / 1000, UTC) + timedelta(seconds=3)
SPANS = ((AT - timedelta(hours=1), AT), (AT, AT + timedelta(hours=1)))


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """One vote, check, orphan and refusal, all at the moment at which the two spans meet."""
    facts = Facts()
    with reading() as client:
        check = facts.check("a", 1, "abcd", "abcd")
        load_all(client, [facts.vote("a", 1, at=3000), {**check, "occurred_at": START_MS + 3000}])  # type: ignore[list-item]
        columns = ("topic", "partition", "offset", "stage", "error_type", "refused_at", "recorded_at")
        client.insert("dead_letters", columns, [("keeprate.feedback", 0, 1, "sink", "invalid", AT, AT)])
        yield client


def test_what_is_at_the_border_is_told_once(client: Client) -> None:
    """By the span that begins with it."""
    for read in (evidence.remarks, evidence.refusals, evidence.orphans, evidence.horizons):
        assert [len(read(client, *span)) for span in SPANS] == [0, 1], read.__name__
