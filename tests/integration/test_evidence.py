"""Single facts read back: each span is half-open, so that two spans that meet tell nothing twice."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from keeprate.schemas.decode import encode
from keeprate.sinks.facts import evidence, said
from keeprate.sinks.reading.counting import MOST_HORIZONS
from keeprate.sinks.reading.derive import derive_all
from keeprate.sinks.store.clickhouse import Client
from tests.facts import START_MS, Facts
from tests.reading import load, load_all, reading

pytestmark = pytest.mark.clickhouse

AT = datetime.fromtimestamp(START_MS / 1000, UTC) + timedelta(seconds=3)
REFUSED = ("topic", "partition", "offset", "stage", "error_type", "refused_at", "recorded_at")
SPANS = ((AT - timedelta(hours=1), AT), (AT, AT + timedelta(hours=1)))


@pytest.fixture
def client() -> Iterator[Client]:
    """One vote, checked generation, orphan and refusal, all at the moment at which the two spans meet."""
    facts = Facts()
    with reading() as client:
        load_all(client, [facts.vote("a", 1, at=3000), facts.generation("b", at=3000), facts.check("b", 1, "abcd")])
        client.insert("dead_letters", REFUSED, [("keeprate.feedback", 0, 1, "sink", "invalid", AT, AT)])
        yield client


def test_what_is_at_the_border_is_told_once(client: Client) -> None:
    """By the span that begins with it."""
    for read in (said.remarks, evidence.refusals, evidence.orphans, evidence.horizons):
        assert [len(read(client, *span)) for span in SPANS] == [0, 1], read.__name__


def test_horizons_that_somebody_makes_up_are_few(client: Client) -> None:
    """Those of most suggestions are offered; a check of no generation weighs nothing, however many there are."""
    facts = Facts()
    log = [event for name in "ab" for event in (facts.generation(name), facts.check(name, 600, "abcd"))]
    made_up = [facts.check("a", 1000 + number, "abcd") for number in range(MOST_HORIZONS)]
    unknown = [facts.check(f"x{number}", 1 + number % 90, "abcd") for number in range(300)]
    span = (AT - timedelta(days=1), AT + timedelta(days=1))
    load_all(client, [*log, *made_up, *unknown])
    found = evidence.horizons(client, *span)["app"]
    assert len(found) == MOST_HORIZONS
    assert found == sorted(found)
    assert found[0] == 600
    assert found[-1] < 1000 + MOST_HORIZONS
    for few_or_many in (unknown[:3], unknown):
        load_all(client, few_or_many)
        assert evidence.horizons(client, *span) == {}


def test_what_landed_last_has_its_fate(client: Client) -> None:
    """For whoever waits for a first event: its suggestion is an orphan, joined, or not seen by a worker yet."""
    vote = Facts("late").vote("b", 1)
    columns = ("event", "topic", "partition", "offset", "recorded_at", "stored_at")
    stored_at = datetime.now(UTC) + timedelta(hours=1)
    since = stored_at - timedelta(minutes=1)
    client.insert("feedback", columns, [(encode(vote).decode(), "keeprate.feedback", 0, 9, AT, stored_at)])
    assert (found := evidence.newest_landed(client, since)) is not None
    assert (found.event["event_id"], found.fate) == (vote["event_id"], "waiting")
    load(client, [vote])
    derive_all(client)
    assert (found := evidence.newest_landed(client, since)) is not None
    assert found.fate == "orphan"
    client.insert("dead_letters", REFUSED, [("keeprate.feedback", 0, 1, "sink", "invalid", AT, AT)])
    assert (refused := evidence.newest_refused(client, AT)) is not None
    assert refused["error_type"] == "invalid"
