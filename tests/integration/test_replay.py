"""`keeprate replay` on a store with facts: what it says, what it writes, and what it cannot mend."""

import json
import random
import uuid
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from keeprate.deploy.commands.tree import app
from keeprate.deploy.store import StoreProcess
from keeprate.schemas.decode import encode
from keeprate.schemas.events import Event
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import Outcome, canonical
from keeprate.sinks.store.clickhouse import Client, connect, database_of
from keeprate.sinks.tables.migrate import migrate
from keeprate.sinks.upkeep.recompute import GenerationFilter, Unread, events, pages, recomputed, stored, write
from tests.facts import START_MS, Facts
from tests.reading import load_all
from tests.streaming import story


@pytest.fixture
def url(database: str) -> str:
    """A database of the test's own, migrated."""
    return database


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    """A connection to it."""
    with connect(url) as own:
        yield own


LOG = [*story(random.Random(3), "editor", 60), *story(random.Random(5), "chat", 40)]


def _load(client: Client, log: list[Event], outcomes_of: Iterable[Event]) -> None:
    load_all(client, log)
    client.command("TRUNCATE TABLE outcomes")
    write(client, fold(outcomes_of))


def _all(client: Client, table: str = "outcomes") -> dict[str, Outcome]:
    held: dict[str, Outcome] = {}
    for page in pages(client, GenerationFilter()):
        held |= stored(client, page, table)
    return held


def _expected(log: Iterable[Event]) -> dict[str, Outcome]:
    return {key: canonical(outcome) for key, outcome in fold(log).items()}


def _run(url: str, *arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["replay", "--store", url, *arguments])
    assert result.exit_code == code, result.output
    return result.stdout


def _never(unread: Unread) -> None:
    raise AssertionError(unread)


@pytest.mark.parametrize("rows", [1, 7, 10_000])
@pytest.mark.parametrize("size_bytes", [1, 10_000, 1 << 30])
def test_pages_hold_each_generation_whole_and_once(client: Client, rows: int, size_bytes: int) -> None:
    """However small the pages are, their outcomes are those of the whole log; facts of no outcome come too."""
    log = LOG[:90]
    _load(client, log, log[45:])
    found: dict[str, Outcome] = {}
    for page in pages(client, GenerationFilter(), rows, size_bytes):
        said = recomputed(events(client, page, _never))
        assert not said.keys() & found.keys()
        found |= said
    assert found == _expected(log)


def test_a_dry_run_says_what_it_would_write_and_writes_nothing(url: str, client: Client) -> None:
    """Half of the outcomes are missing: the numbers say so, and the table stays as it is."""
    _load(client, LOG, LOG[: len(LOG) // 2])
    before = _all(client)
    said = json.loads(_run(url, "--json"))
    missing = sum(before.get(key) != value for key, value in _expected(LOG).items())
    assert said["dry_run"]
    assert (said["events"], said["outcomes"], said["lacking"]) == (len(LOG), len(fold(LOG)), missing)
    assert (said["more"], said["written"]) == (0, 0)
    assert f"would write {missing} to outcomes; add --yes" in _run(url)
    assert _all(client) == before


def test_what_is_written_is_the_fold_of_the_facts(url: str, client: Client) -> None:
    """After --yes every outcome is the recomputed one, again changes nothing, and --verify agrees."""
    _load(client, LOG, LOG[::3])
    assert json.loads(_run(url, "--yes", "--json"))["written"] > 0
    assert _all(client) == _expected(LOG)
    assert json.loads(_run(url, "--yes", "--json"))["written"] == 0
    _run(url, "--verify")


def test_apps_and_generations_select(url: str, client: Client) -> None:
    """Only what is selected is rebuilt."""
    _load(client, LOG, [])
    generation = next(event for event in LOG if event["app"] == "editor")["generation_id"]
    _run(url, "--app", "chat", "--yes")
    _run(url, "--generation", generation, "--yes")
    chosen = [event for event in LOG if event["app"] == "chat" or event["generation_id"] == generation]
    assert _all(client) == _expected(chosen)


def test_a_span_of_time_selects_generations_with_all_of_their_events(url: str, client: Client) -> None:
    """A generation with one event in the span is rebuilt from every event that it has."""
    facts = Facts()
    early, late = [
        [facts.generation(name, at), facts.vote(name, 1, at + 60_000)] for name, at in (("a", 0), ("b", 9**7))
    ]
    _load(client, [*early, *late], [])
    since = datetime.fromtimestamp(START_MS / 1000, UTC) + timedelta(seconds=30)
    until = since + timedelta(minutes=1)
    _run(url, "--since", since.isoformat(), "--until", until.isoformat(), "--yes")
    assert _all(client) == _expected(early)


def test_verify_lists_what_differs_field_by_field_and_fails(url: str, client: Client) -> None:
    """A vote that only the facts have, and one that only the outcome has."""
    facts = Facts()
    log = [facts.generation("a"), facts.generation("b"), facts.vote("a", 1), facts.vote("b", -1, user="u9")]
    _load(client, log[:3], [log[0], log[1], log[3]])
    said = json.loads(_run(url, "--verify", "--json", code=1))
    assert (said["lacking"], said["more"], said["fields"]) == (1, 1, {"votes": 2})
    by_key = {one["key"]: one for one in said["differences"]}
    lacking = by_key[f"app/{log[0]['generation_id']}/0"]
    more = by_key[f"app/{log[1]['generation_id']}/0"]
    assert [(one["field"], one["stored"]) for one in lacking["fields"]] == [("votes['u1']", None)]
    assert [(one["field"], one["facts"]) for one in more["fields"]] == [("votes['u9']", None)]
    shown = _run(url, "--verify", "--show", "1", code=1)
    assert shown.count("votes['") == 1


def test_a_table_beside_takes_what_an_insert_cannot_mend(url: str, client: Client) -> None:
    """An outcome that holds too much stays so after --yes; a rebuilt table, exchanged, does not."""
    facts = Facts()
    log = [facts.generation("a"), facts.action("a", "shown", length=10)]
    _load(client, log, [*log, facts.action("a", "shown", length=99)])
    _run(url, "--yes")
    _run(url, "--verify", code=1)
    assert json.loads(_run(url, "--into", "rebuilt", "--json"))["lacking"] == 1
    assert not client.query("SELECT 1 FROM system.tables WHERE database = currentDatabase() AND name = 'rebuilt'")
    _run(url, "--into", "rebuilt", "--yes")
    assert _all(client, "rebuilt") == _expected(log)
    client.command("EXCHANGE TABLES outcomes AND rebuilt")
    _run(url, "--verify")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--into", "generations", "--yes"], "take another name"),
        (["--into", "a-b", "--yes"], "letters, digits and _"),
        (["--since", "yesterday"], "--since yesterday"),
        (["--generation", "7"], "--generation 7"),
        (["--yes", "--verify"], "one of them"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_option(url: str, arguments: list[str], says: str) -> None:
    """The command ends with 2 and names what to change; no table is made or written."""
    result = CliRunner().invoke(app, ["replay", "--store", url, *arguments])
    assert result.exit_code == 2
    assert says in result.output


def test_the_bytes_of_a_fact_are_the_only_source(client: Client) -> None:
    """The recomputation reads the stored event, so a fact that was landed twice and not merged counts once."""
    _load(client, LOG[:20], [])
    rows = [(encode(event).decode(), "t", 0, n) for n, event in enumerate(LOG[:20]) if event["type"] != "generation"]
    client.insert("feedback", ("event", "topic", "partition", "offset"), rows)
    found: dict[str, Outcome] = {}
    for page in pages(client, GenerationFilter()):
        found |= recomputed(events(client, page, _never))
    assert found == _expected(LOG[:20])


def test_facts_alone_bring_every_number_back(client: Client, url: str, store: StoreProcess) -> None:
    """A backup of the facts is one of everything: every outcome and suggestion of the lost store comes back."""
    load_all(client, LOG)
    rows = "SELECT * EXCEPT derived_at FROM suggestions FINAL ORDER BY app, generation_id, choice_index"
    lost, counted = _all(client), client.query(rows)
    assert counted
    elsewhere = f"{store.url}/restored_{uuid.uuid4().hex[:8]}"
    migrate(elsewhere)
    with connect(elsewhere) as restored:
        for table in ("generations", "feedback"):
            restored.command(f"INSERT INTO {table} SELECT * FROM {database_of(url)}.{table}")
        _run(elsewhere, "--yes")
        assert _all(restored) == lost
        assert restored.query(rows) == counted
