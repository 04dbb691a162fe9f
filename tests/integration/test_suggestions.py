"""Suggestions behind the store's door: derived when outcomes land, verified, repaired, built anew, summed by hours."""

import random
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from typing import Any

import pytest

from keeprate.deploy.store import StoreProcess
from keeprate.schemas.decode import validate
from keeprate.schemas.events import Event
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import encode_outcome, parse_key
from keeprate.sinks.checks.sums import check_sums
from keeprate.sinks.checks.verify import check_suggestions
from keeprate.sinks.kafka.records import Record
from keeprate.sinks.landing.flush import Destination, Flush
from keeprate.sinks.landing.intent import Intent
from keeprate.sinks.landing.shards import Shard
from keeprate.sinks.reading import counting, hours, queries, rebuild
from keeprate.sinks.reading.counting import MOST_HORIZONS
from keeprate.sinks.reading.derive import derivation, derive, derive_each, merged
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.store.clickhouse import Client, connect
from keeprate.sinks.store.servers import Servers
from keeprate.sinks.tables.migrate import derive_anew
from keeprate.sinks.upkeep.recompute import write
from tests.streaming import BASE_MS, story, wait_until
from tests.unit.sinks.doubles import Doubles
from tests.unit.sinks.records import FakeRecord

SINCE = datetime.fromtimestamp(BASE_MS / 1000, UTC) - timedelta(days=1)
REMOVED = {"status": "removed", "original_length": 9}
SCOPE = Scope(SINCE, SINCE + timedelta(days=40), SINCE + timedelta(days=90), by=["app"])


@pytest.fixture
def client(database: str) -> Iterator[Client]:
    """A database of the test's own, migrated."""
    with connect(database) as own:
        yield own


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
        flush.run(Destination("sink", doubles, doubles, [Shard(client)], 3))
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
    check_suggestions(client, settled_s=0, repair=Servers([client]))
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


def test_what_lands_while_sums_are_checked_is_no_finding(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between both questions of every look, in hours that are summed and in those that are not."""
    untouched = story(random.Random(13), "support", 5, BASE_MS - 7_200_000)
    write(client, fold([*untouched, *story(random.Random(12), "editor", 20)]))
    hours.sum_quiet(client, quiet_s=0)
    seeds, ask = iter(range(100, 200)), counting.suggestions

    def asked_while_more_lands(store: Client, *asked: Any) -> list[counting.Counts]:
        found = ask(store, *asked)
        write(
            client,
            fold([*story(random.Random(seed := next(seeds)), "editor", 3), *story(random.Random(seed), "chat", 3)]),
        )
        return found

    monkeypatch.setattr(counting, "suggestions", asked_while_more_lands)
    assert check_sums(client) == []
    assert next(seeds) > 101


def test_a_sum_that_is_not_its_suggestions_is_found_and_made_again(client: Client) -> None:
    """What was lost of the cache, or written into it, is told by verify; without a sum there is nothing to tell."""
    write(client, fold(story(random.Random(11), "editor", 40)))
    before = numbers(client)
    assert check_sums(client) == []
    hours.sum_quiet(client, quiet_s=0)
    assert check_sums(client) == []
    for table in (hours.sums_table(), hours.checks_table()):
        client.command(f"TRUNCATE TABLE {table}")
    assert {finding.check for finding in check_sums(client)} == {"I4"}
    assert check_sums(client, repair=Servers([client]))
    assert check_sums(client) == []
    assert hours.sum_quiet(client, quiet_s=0) > 0
    assert check_sums(client) == []
    assert numbers(client) == before


def test_a_segment_of_nothing_but_orphans_is_in_no_answer_about_retention(client: Client) -> None:
    """Also where its hour is summed: an answer has the same rows with sums and without."""
    log = [event for event in story(random.Random(12), "editor", 40) if event["type"] == "generation"]
    orphans = [event for event in story(random.Random(13), "editor", 40) if event["type"] != "generation"]
    checks = [event | {"type": "retention_check", "horizon_s": 300, "elapsed_ms": 300_000, **REMOVED} for event in log]
    write(client, fold([*log, *orphans, *(validate(_without_model(each)) for each in checks)]))
    scope = replace(SCOPE, by=["model"], bucket_s=3600)
    plain = queries.counted_at_horizons(client, scope)
    assert {row["model"] for row in plain} == {"m1", "m2"}
    hours.sum_quiet(client, quiet_s=0)
    assert _sorted(queries.counted_at_horizons(client, scope)) == _sorted(plain)


def test_of_too_many_horizons_the_same_are_told_with_sums_and_without(client: Client) -> None:
    """Also where only some hours are summed, and the others have horizons of their own."""
    log = story(random.Random(14), "editor", 40)
    made_up = [
        _removed(event, horizon_s)
        for place, event in enumerate(event for event in log if event["type"] == "generation")
        for horizon_s in (300, *range(1000 + 30 * place, 1030 + 30 * place))
    ]
    write(client, fold([*log[: len(log) // 2], *made_up[: 20 * 31]]))
    hours.sum_quiet(client, quiet_s=0)
    write(client, fold([*log, *made_up]))
    partly, most = queries.counted_at_horizons(client, SCOPE), counting.most_checked(client, SCOPE)
    assert len(partly) == MOST_HORIZONS
    assert {("editor", row["horizon_s"]) for row in partly} == set(most)
    assert 300 in {row["horizon_s"] for row in partly}
    hours.sum_quiet(client, quiet_s=0)
    for summed in (None, hours.Known(0, 0)):
        assert queries.counted_at_horizons(client, SCOPE, (), summed) == partly
        assert counting.most_checked(client, SCOPE, summed=summed) == most
    assert any(row["observed"] for row in partly)


def _removed(event: Any, horizon_s: int) -> Event:
    check = {"type": "retention_check", "horizon_s": horizon_s, "elapsed_ms": horizon_s * 1000}
    return validate(_without_model(event | check | REMOVED))


def _without_model(event: Any) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "model"} | {"event_id": str(uuid.uuid4())}


def _sorted(rows: list[dict[str, Any]]) -> list[list[tuple[str, Any]]]:
    return sorted(sorted(row.items(), key=itemgetter(0)) for row in rows)


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
    derive_anew(Servers([client]), on_page, told.append)
    (done,) = told
    assert len(pages) > 3
    assert done.changed == {}
    assert client.query("SELECT count() FROM suggestions FINAL") == [(len(first) + len(later),)]
    assert check_suggestions(client, settled_s=0, sleep=lambda _: None) == []
    derive_anew(Servers([client]), on_page, told.append)
    assert len(told) == 1


def test_a_derivation_that_was_at_work_at_the_swap_is_not_lost(store: StoreProcess, client: Client) -> None:
    """It writes into the table that was there when it began, and ends when the other one has its place."""
    write(client, fold(story(random.Random(9), "editor", 10)))
    later = fold(story(random.Random(10), "chat", 10))
    slowly = f"SELECT * FROM ({derivation(merged('1'))}) WHERE sleepEachRow(0.08) = 0 SETTINGS max_block_size = 8"
    ((database,),) = client.query("SELECT currentDatabase()")
    with connect(f"{store.url}/{database}") as another, ThreadPoolExecutor(1) as thread:

        def on_page(rows: int) -> None:
            write(client, later, "outcomes_later")
            client.command("INSERT INTO outcomes SELECT * FROM outcomes_later")
            running.append(thread.submit(another.command, f"INSERT INTO suggestions {slowly}"))
            wait_until(lambda: client.query(at_work) == [(1,)])

        at_work = (
            "SELECT count() FROM system.processes WHERE startsWith(query, 'INSERT INTO suggestions SELECT * FROM')"
        )
        running: list[Future[None]] = []
        client.command("CREATE TABLE outcomes_later AS outcomes")
        rebuild.rebuild(Servers([client]), on_page)
        running[0].result()
    assert check_suggestions(client, settled_s=0, sleep=lambda _: None) == []


def test_many_generations_are_derived_in_a_few_statements(client: Client) -> None:
    """Ids stand in the statement, which is longer than an address may be."""
    outcomes = fold(story(random.Random(8), "editor", 3))
    write(client, outcomes)
    client.command("TRUNCATE TABLE suggestions")
    absent = {("editor", str(uuid.uuid4())) for _ in range(25_000)}
    derive(client, absent | {parse_key(key)[:2] for key in outcomes})
    assert client.query("SELECT count() FROM suggestions FINAL") == [(len(outcomes),)]
    derive_each(client, set())
