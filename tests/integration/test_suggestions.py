"""Suggestions behind the store's door: derived when outcomes land, verified, repaired, built anew, summed by hours."""

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from keeprate.deploy.store import StoreProcess
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import encode_outcome, parse_key
from keeprate.sinks.checks.verify import check_suggestions
from keeprate.sinks.kafka.records import Record
from keeprate.sinks.landing.flush import Destination, Flush
from keeprate.sinks.landing.intent import Intent
from keeprate.sinks.reading import hours, queries, rebuild
from keeprate.sinks.reading.derive import derive, derive_each
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.store.clickhouse import Client, connect
from keeprate.sinks.tables.migrate import derive_anew, migrate
from keeprate.sinks.upkeep.recompute import write
from tests.streaming import BASE_MS, story
from tests.unit.sinks.doubles import Doubles
from tests.unit.sinks.records import FakeRecord

SINCE = datetime.fromtimestamp(BASE_MS / 1000, UTC) - timedelta(days=1)
SCOPE = Scope(SINCE, SINCE + timedelta(days=40), SINCE + timedelta(days=90), by=["app"])


@pytest.fixture
def client(store: StoreProcess) -> Iterator[Client]:
    """A database of the test's own, migrated."""
    url = f"{store.url}/suggestions_{uuid.uuid4().hex[:8]}"
    migrate(url)
    with connect(url) as client:
        yield client


def numbers(client: Client) -> object:
    """What the reader says."""
    return queries.funnel(client, SCOPE), queries.retention(client, SCOPE), queries.feedback_rates(client, SCOPE)


def test_what_lands_is_derived(client: Client) -> None:
    """By the flush that lands it; twice is once."""
    outcomes = fold(story(random.Random(1), "editor", 30))
    records: list[Record] = [
        FakeRecord(number, encode_outcome(*item), source="keeprate.outcomes")
        for number, item in enumerate(outcomes.items())
    ]
    for _ in range(2):
        flush = Flush(("keeprate.outcomes", 0), Intent(0, len(records) - 1, "1.1"), records, step=1)
        doubles = Doubles()
        flush.run(Destination("sink", doubles, doubles, client, 3))
    assert client.query("SELECT count() FROM suggestions FINAL") == [(len(outcomes),)]
    assert check_suggestions(client, settled_s=0, sleep=lambda _: None) == []


def test_what_is_not_what_its_outcome_comes_to_is_found_and_repaired(client: Client) -> None:
    """A row that was lost, one that was changed, and an outcome whose derivation never ran."""
    log = story(random.Random(2), "editor", 30)
    write(client, fold(log))
    assert check_suggestions(client, settled_s=0, sleep=lambda _: None) == []
    client.command("ALTER TABLE suggestions DELETE WHERE cityHash64(generation_id) % 7 = 0 SETTINGS mutations_sync = 2")
    client.command(
        "ALTER TABLE suggestions UPDATE accepted = NOT accepted WHERE cityHash64(generation_id) % 7 = 1 "
        "SETTINGS mutations_sync = 2"
    )
    found = check_suggestions(client, settled_s=0, sleep=lambda _: None)
    assert found
    assert {finding.check for finding in found} == {"I4"}
    check_suggestions(client, settled_s=0, repair=True)
    assert check_suggestions(client, settled_s=0, sleep=lambda _: None) == []


def test_sums_of_hours_change_no_number_behind_the_door(client: Client) -> None:
    """As the monitor makes them; what lands later is counted at once."""
    write(client, fold(story(random.Random(3), "editor", 40)))
    before = numbers(client)
    assert hours.sum_quiet(client, quiet_s=0) > 0
    assert hours.sum_quiet(client, quiet_s=0) == 0
    assert numbers(client) == before
    more = fold(story(random.Random(4), "chat", 40))
    write(client, more)
    both = numbers(client)
    assert both != before
    hours.sum_quiet(client, quiet_s=0)
    assert numbers(client) == both


def test_an_hour_that_was_touched_just_now_is_not_summed(client: Client) -> None:
    """A derivation that is under way must not be half of a sum."""
    write(client, fold(story(random.Random(5), "editor", 5)))
    assert hours.sum_quiet(client) == 0


def test_all_are_built_anew_while_more_lands(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a definition that changed: the same numbers where it means the same, and nothing that landed is left out."""
    first, later = fold(story(random.Random(6), "editor", 30)), fold(story(random.Random(7), "chat", 30))
    write(client, first)
    monkeypatch.setattr(rebuild, "ROWS_AT_ONCE", 7)
    told: list[rebuild.Rebuilt] = []
    pages: list[int] = []

    def on_page(rows: int) -> None:
        if not pages:
            write(client, later)
        pages.append(rows)

    monkeypatch.setattr(rebuild, "checksum", lambda: "another")
    derive_anew(client, on_page, told.append)
    (done,) = told
    assert len(pages) > 3
    assert done.changed == {}
    assert client.query("SELECT count() FROM suggestions FINAL") == [(len(first) + len(later),)]
    assert check_suggestions(client, settled_s=0, sleep=lambda _: None) == []
    derive_anew(client, on_page, told.append)
    assert len(told) == 1


def test_many_generations_are_derived_in_a_few_statements(client: Client) -> None:
    """Ids stand in the statement, which is longer than an address may be."""
    outcomes = fold(story(random.Random(8), "editor", 3))
    write(client, outcomes)
    client.command("TRUNCATE TABLE suggestions")
    absent = {("editor", str(uuid.uuid4())) for _ in range(25_000)}
    derive(client, absent | {parse_key(key)[:2] for key in outcomes})
    assert client.query("SELECT count() FROM suggestions FINAL") == [(len(outcomes),)]
    derive_each(client, set())
