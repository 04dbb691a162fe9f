"""`keeprate reconcile`: gaps, duplicates and refusals that were put there are found, and nothing else."""

import json
import random
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from keeprate.deploy.commands.read.reconcile import read_stats
from keeprate.deploy.commands.tree import app
from keeprate.sinks.checks.accounting import Gap
from keeprate.sinks.checks.reconcile import Seen, balance, merged_numbers, producers, unmerged_numbers, unnumbered
from keeprate.sinks.kafka.records import Record, TopicPartition
from keeprate.sinks.store.clickhouse import Client, connect
from tests.unit.sinks.records import FakeRecord

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=2)


@pytest.fixture
def url(database: str) -> str:
    """A database of the test's own, migrated."""
    return database


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    """A connection to it, in which nothing merges."""
    with connect(url) as own:
        for table in ("generations", "feedback"):
            own.command(f"SYSTEM STOP MERGES {table}")
        yield own


def _event(producer: str, seq: int | None, event_id: str | None = None) -> str:
    number = {} if seq is None else {"producer_seq": seq}
    return json.dumps(
        {
            "event_id": event_id or str(uuid.uuid4()),
            "schema_version": 1,
            "type": "action",
            "occurred_at": 1_764_000_000_000,
            "app": "editor" if producer < "q" else "chat",
            "generation_id": str(uuid.UUID(int=0)),
            "producer_id": producer,
            **number,
        }
    )


def _land(client: Client, events: Iterable[str], at: datetime = LONG_AGO) -> None:
    """Alternating between the tables, as generations and their feedback do."""
    rows = [(event, "t", 0, offset, at) for offset, event in enumerate(events)]
    for table, part in (("generations", rows[::2]), ("feedback", rows[1::2])):
        client.insert(table, ("event", "topic", "partition", "offset", "recorded_at"), part)


def _refuse(client: Client, values: Iterable[str], at: datetime = LONG_AGO) -> None:
    columns = ("topic", "partition", "offset", "stage", "error_type", "value", "recorded_at")
    rows = [("t", 0, n, stage, "invalid", value, at) for n, value in enumerate(values) for stage in ("sink", "join")]
    client.insert("dead_letters", columns, rows)


def _run(url: str, *arguments: str, code: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["reconcile", "--store", url, "--json", *arguments])
    assert result.exit_code == code, result.output
    return dict(json.loads(result.stdout))


def _ranges(numbers: set[int], highest: int) -> list[tuple[int, int]]:
    """The gaps, one number at a time."""
    found: list[tuple[int, int]] = []
    for number in range(1, highest + 1):
        if number in numbers:
            continue
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def test_injected_gaps_duplicates_and_refusals_are_found_exactly(client: Client) -> None:
    """A seeded history of several producers against a count made one event at a time."""
    rng = random.Random(11)
    facts, letters, expected = [], [], []
    for producer in ("p1", "p2", "q1"):
        numbers = set(range(1, 301))
        lost = {n for n in numbers if rng.random() < 0.05} | set(range(100, 120))
        refused = {n for n in numbers - lost if rng.random() < 0.05}
        landed = sorted(numbers - lost - refused)
        ids = {n: str(uuid.uuid4()) for n in landed}
        copied = rng.sample(landed, 9)
        facts += [_event(producer, n, ids[n]) for n in landed]
        # A copy of an event lands in the same table: its neighbour in the list of facts keeps it there.
        copies = [_event(producer, n, ids[n]) for n in copied]
        _land_copies(client, landed, copied, copies, len(facts) - len(landed))
        collided = rng.sample(landed, 4)
        facts += [_event(producer, n) for n in collided]
        letters += [_event(producer, n)[:-1] + ', "cut' for n in sorted(refused)]
        # One that was refused and landed when it was replayed.
        letters += [_event(producer, landed[0])]
        highest = max(landed[-1], *refused)
        gaps = _ranges(set(landed) | refused, highest)
        expected.append((producer, len(landed), len(refused), 4, 9, gaps))
    _land(client, facts)
    _refuse(client, letters)
    found = producers(client, ranges=1000)
    said = [(o.producer_id, o.landed, o.dead_lettered, o.collisions, o.copies, list(o.gaps)) for o in found]
    assert said == expected
    for one in found:
        assert one.missing == sum(last - first + 1 for first, last in one.gaps)


def _land_copies(client: Client, landed: list[int], copied: list[int], copies: list[str], begins_at: int) -> None:
    for number, copy in zip(copied, copies, strict=True):
        table = ("generations", "feedback")[(begins_at + landed.index(number)) % 2]
        columns = ("event", "topic", "partition", "offset", "recorded_at")
        client.insert(table, columns, [(copy, "t", 0, 0, LONG_AGO)])


def test_what_a_client_says_explains_its_gaps(url: str, client: Client, tmp_path: Path) -> None:
    """Evicted and waiting events are no loss; one more is."""
    _land(client, [_event("p1", n) for n in range(1, 101) if n not in (7, 8, 50)])
    assert _run(url, code=1)["totals"]["unexplained"] == 3
    stats = {
        "producer_id": "p1",
        "accepted": 103,
        "delivered": 97,
        "dropped": {"evicted": 2, "invalid": 2},
        "spooled": 2,
    }
    path = tmp_path / "stats.json"
    path.write_text(json.dumps(stats))
    (one,) = _run(url, "--stats", str(path))["producers"]
    assert (one["emitted"], one["waiting"], one["unexplained"], one["missing"]) == (103, 2, 0, 3)
    path.write_text(json.dumps(stats | {"spooled": 1}))
    (one,) = _run(url, "--stats", str(path), code=1)["producers"]
    assert one["unexplained"] == 1
    assert one["gaps"] == [[7, 8], [50, 50]]


def test_another_apps_events_change_no_account(client: Client) -> None:
    """Whoever sends under the producer_id of another app fills none of its gaps, and makes it emit no more."""
    _land(client, [_event("p1", n) for n in (1, 2, 5)])
    (before,) = producers(client)
    _land(client, [_event("p1", n).replace('"editor"', '"intruder"') for n in (3, 4, 99)])
    account = {one.app: one for one in producers(client)}
    assert account["editor"] == before
    assert (account["intruder"].landed, account["intruder"].highest) == (3, 99)
    stats = {("editor", "p1"): {"accepted": 5, "dropped": {"evicted": 2}}}
    found = {one.seen.app: one for one in balance(account.values(), stats, NOW, timedelta(minutes=15))}
    assert (found["editor"].unexplained, found["intruder"].has_stats) == (0, False)
    with pytest.raises(ValueError, match="editor and intruder"):
        balance(account.values(), {("", "p1"): {"accepted": 5}}, NOW, timedelta(minutes=15))


class Kafka:
    """Records without a row, as Kafka has them."""

    def __init__(self, values: Iterable[str]) -> None:
        self._records: list[Record] = [FakeRecord(n, value.encode()) for n, value in enumerate(values)]

    def read(self, at: TopicPartition, gaps: Sequence[Gap]) -> Iterator[Record]:
        return iter(self._records)


def test_an_event_that_was_sent_again_is_in_the_account(client: Client) -> None:
    """Its row has one of the two numbers; Kafka's copy has the other one. A record that has no row explains nothing."""
    twice, last = str(uuid.uuid4()), str(uuid.uuid4())
    _land(client, [_event("p1", 1), _event("p1", 4, twice), _event("p1", 5, last), _event("p1", 3)])
    (alone,) = producers(client)
    assert (alone.missing, alone.gaps) == (1, ((2, 2),))
    copies = Kafka([_event("p1", 2, twice), _event("p1", 7, last), _event("p1", 6)])
    merged = merged_numbers(client, copies, {("t", 0): [(0, 2)]})
    assert merged == {("editor", "p1"): {2, 7}}
    (one,) = producers(client, merged=merged)
    assert (one.merged, one.highest, one.missing, one.gaps) == (2, 7, 1, ((6, 6),))
    (account,) = balance([one], {}, NOW, timedelta(minutes=15))
    assert (account.emitted, account.unexplained) == (7, 1)


def test_an_event_that_was_sent_again_is_in_the_account_before_it_merges(url: str, client: Client) -> None:
    """Both rows are there, and the numbers of both are explained without Kafka: nothing else is."""
    twice = str(uuid.uuid4())
    events = [_event("p1", 1), _event("p1", 2, twice), _event("p1", 5)]
    for offset, event in enumerate([*events, _event("p1", 4, twice)]):
        client.insert(
            "feedback", ("event", "topic", "partition", "offset", "recorded_at"), [(event, "t", 0, offset, LONG_AGO)]
        )
    assert list(unmerged_numbers(client)) == [("editor", "p1")]
    (one,) = _run(url, "--offline", code=1)["producers"]
    assert (one["landed"], one["merged"], one["copies"], one["gaps"]) == (3, 1, 1, [[3, 3]])
    assert (one["emitted"], one["unexplained"]) == (5, 1)


def test_what_a_person_reads_fits_80_columns(url: str, client: Client) -> None:
    """With gaps, copies, collisions, drops by reason and events without a number."""
    producer = str(uuid.uuid4())
    _land(client, [*(_event(producer, n) for n in range(1, 2000, 2)), _event(producer, 1), _event("", None)])
    said = CliRunner().invoke(app, ["reconcile", "--store", url, "--offline", "--ranges", "100", "--all"]).output
    assert "did not arrive" in said
    assert [line for line in said.splitlines() if len(line) > 80] == []


def test_an_active_producer_is_not_blamed_for_what_is_on_its_way(url: str, client: Client) -> None:
    """Gaps of a producer whose newest event is young are shown, and are no failure."""
    _land(client, [_event("p1", n) for n in (1, 2, 5)], datetime.now(UTC))
    (one,) = _run(url)["producers"]
    assert (one["state"], one["gaps"]) == ("active", [[3, 4]])
    (one,) = _run(url, "--active-min", "0", code=1)["producers"]
    assert one["state"] == "closed"


def test_apps_and_producers_select(url: str, client: Client) -> None:
    """Only those that are asked for."""
    _land(client, [_event(producer, n) for producer in ("p1", "p2", "q1") for n in (1, 2)])
    assert [one["producer_id"] for one in _run(url, "--app", "chat")["producers"]] == ["q1"]
    assert [one["producer_id"] for one in _run(url, "--producer", "p2")["producers"]] == ["p2"]


def test_events_without_a_number_are_counted_and_not_judged(url: str, client: Client) -> None:
    """What came without the SDK has no gaps."""
    _land(client, [_event("", None), _event("p1", None)])
    assert unnumbered(client) == 2
    assert _run(url)["producers"] == []
    assert "no number" in CliRunner().invoke(app, ["reconcile", "--store", url]).stdout


def test_a_person_reads_the_account_in_a_line(url: str, client: Client) -> None:
    """The sum, the ranges, and what to do for more."""
    _land(client, [_event("p1", n) for n in (1, 2, 6, 8)])
    result = CliRunner().invoke(app, ["reconcile", "--store", url, "--ranges", "1"])
    assert "emitted 8 = landed 4 + dead-lettered 0 + unexplained 4" in result.stdout
    assert "4 numbers did not arrive: 3-5, …" in result.stdout
    assert "--stats" in result.stdout


def test_a_client_of_which_nothing_arrived_is_in_the_account() -> None:
    """Its accounts are all that is known of it."""
    (one,) = balance([], {("a", "p9"): {"accepted": 5, "dropped": {"exit": 5}}}, NOW, timedelta(minutes=15))
    assert (one.emitted, one.unexplained, one.is_sound, one.seen.missing) == (5, 0, True, 0)
    (one,) = balance([], {("a", "p9"): {"accepted": 5}}, NOW, timedelta(minutes=15))
    assert not one.is_sound


def test_drops_of_a_former_process_are_not_the_adopters() -> None:
    """What was taken over is neither emitted by it nor lost by it, and it says that it is not exact."""
    seen = Seen("p1", "a", 10, 0, 0, 0, 1, 10, LONG_AGO)
    stats = {("", "p1"): {"accepted": 16, "adopted": 6, "dropped": {"crash": 2}}}
    (one,) = balance([seen], stats, NOW, timedelta(minutes=15))
    assert (one.emitted, one.unexplained, one.is_exact) == (10, 0, False)


def test_a_producer_that_counts_from_zero_has_no_gap_for_it() -> None:
    """Another client than ours may."""
    assert Seen("p1", "a", 4, 0, 0, 0, 0, 3, LONG_AGO).missing == 0


ONE = {"producer_id": "p1", "accepted": 1}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ONE),
        json.dumps([ONE]),
        json.dumps({"p1": {"accepted": 1}}),
        json.dumps(ONE | {"accepted": 0}) + "\n" + json.dumps(ONE),
    ],
)
def test_accounts_are_read_in_the_forms_that_are_at_hand(text: str) -> None:
    """One client, a list, by producer, or a line each; of one client's several, the latest."""
    assert read_stats(text) == {("", "p1"): ONE}


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"accepted": 1}', "nonsense"])
def test_accounts_of_no_form_are_refused_with_the_form(text: str) -> None:
    """The error shows what to write."""
    if text:
        with pytest.raises(ValueError, match="--stats"):
            read_stats(text)
    else:
        assert read_stats(text) == {}
