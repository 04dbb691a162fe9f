"""Forgetting in the real engine: the statements do what `schemas.forgotten` does, and the command around them."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic_core import from_json
from typer.testing import CliRunner, Result

from keeprate.deploy.commands.tree import app as commands
from keeprate.deploy.local.process import free_port
from keeprate.deploy.store import StoreProcess
from keeprate.producers.sdk.content import ContentPolicy
from keeprate.schemas.dead_letters import dead_letter, encode_headers
from keeprate.schemas.decode import ContractError, decode, encode
from keeprate.schemas.events import Event
from keeprate.schemas.forgotten import ERASED, NOBODY, digest
from keeprate.schemas.lift import fold, lift
from keeprate.schemas.outcome import canonical, encode_outcome
from keeprate.sinks.erasure.forget import REFRESH_S, Person, Watch, count, find, forget, load, receipts
from keeprate.sinks.erasure.statements import TABLES
from keeprate.sinks.facts.dead_letters import Filter, open_records
from keeprate.sinks.landing.rows import OUTCOMES_TABLE, sort
from keeprate.sinks.reading.derive import derive_all
from keeprate.sinks.store.clickhouse import Client, StoreUnavailableError, connect
from keeprate.sinks.tables.migrate import migrate
from keeprate.sinks.upkeep import recompute
from tests.examples import examples
from tests.facts import Facts
from tests.people import PSEUDONYM, SECRET, USER, forgotten, personal_logs
from tests.reading import load_all
from tests.unit.sinks.records import FakeRecord


@pytest.fixture(scope="module")
def shared(store: StoreProcess) -> Iterator[Client]:
    """One database for many small logs."""
    url = f"{store.url}/people_{uuid.uuid4().hex[:8]}"
    migrate(url)
    with connect(url) as own:
        yield own


@pytest.fixture
def url(database: str) -> str:
    """A database of the test's own, migrated."""
    return database


@pytest.fixture
def client(url: str) -> Iterator[Client]:
    """A connection to it."""
    with connect(url) as own:
        yield own


def _events(client: Client) -> dict[str, Event]:
    """Every stored event, by id."""
    rows = [row for table in recompute.FACTS for row in client.query(f"SELECT event FROM {table} FINAL")]
    return {event["event_id"]: event for event in (decode(text.encode()) for (text,) in rows)}


def _columns(client: Client, table: str) -> list[dict[str, Any]]:
    """The rows without the event's own bytes."""
    answer = client.query_bytes(f"SELECT * EXCEPT event FROM {table} FINAL ORDER BY app, generation_id, event_id")
    return [from_json(line) for line in answer.splitlines()]


def _load(client: Client, log: list[Event]) -> None:
    """Facts as a sink lands them, and each fact's part of an outcome as a row of its own."""
    for table in (*TABLES, "forgotten"):
        client.command(f"TRUNCATE TABLE {table}")
    load_all(client, log)
    client.command("TRUNCATE TABLE outcomes")
    for event in log:
        rows = b"\n".join(encode_outcome(*part) for part in lift(event))
        client.insert_bytes("outcomes", (), rows, OUTCOMES_TABLE.format, dict(OUTCOMES_TABLE.settings))
    derive_all(client)


def _stored(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for page in recompute.pages(client, recompute.GenerationFilter()):
        found |= recompute.stored(client, page)
    return found


def _without_nulls(event: Event) -> dict[str, Any]:
    return {name: value for name, value in event.items() if value is not None}


@settings(max_examples=examples(4), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(personal_logs())
@pytest.mark.parametrize("app", ["", "chat"])
def test_the_statements_do_what_the_sink_does(shared: Client, app: str, log: list[Event]) -> None:
    """Events, their columns and outcomes are rewritten to what `Forgotten` makes of them, and the note is the same."""
    _load(shared, log)
    person = Person(app, digest(USER), PSEUDONYM)
    looked = count(shared, Person(app, person.digest))
    columns = ("kind", "app", "key", "pseudonym", "person")
    shared.insert("forgotten", columns, [("user", app, person.digest, PSEUDONYM, person.digest)])
    receipt = forget(shared, person, "test", settle_s=0)
    assert (receipt.rows if receipt else dict.fromkeys(TABLES, 0)) == looked
    who = load(shared)
    assert who == forgotten(log, app=app)
    assert _events(shared) == {event["event_id"]: _without_nulls(who.event(event)) for event in log}
    rewritten = {table: _columns(shared, table) for table in recompute.FACTS}
    assert _stored(shared) == {key: canonical(outcome) for key, outcome in fold(map(who.event, log)).items()}
    assert not any(count(shared, person).values())
    # What a sink lands of the same records has the same columns.
    load_all(shared, [who.event(event) for event in log])
    for table, rows in rewritten.items():
        for ours, theirs in zip(rows, _columns(shared, table), strict=True):
            assert _comparable(ours) == _comparable(theirs)


def _comparable(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("offset", "stored_at")}


def _sink(topic: str, records: list[FakeRecord], client: Client) -> None:
    """Land records as a sink does that knows who is forgotten."""
    for table, rows in sort(topic, 0, records, load(client)).tables.items():
        if len(rows):
            data = b"".join(rows.encoded)
            client.insert_bytes(table.name, table.columns, data, table.format, dict(table.settings))


def _everything(client: Client) -> str:
    """All text that the tables hold."""
    return "".join(client.query_bytes(f"SELECT * FROM {table}").decode() for table in (*TABLES, "forgotten"))


def _story() -> list[Event]:
    """A person's suggestion that somebody else judges, and a suggestion of somebody else."""
    facts = Facts()
    return [
        facts.generation("a", user="person-77", session="sitting-1", input=[{"role": "user", "content": SECRET}]),
        facts.action("a", "accept", length=4, session="sitting-1"),
        facts.vote("a", 1, user="person-77", comment=SECRET),
        facts.vote("a", -1, user="u2", comment="too long"),
        facts.check("a", 30, "abcd", current_text=SECRET),
        facts.generation("b", user="u2", input=[{"role": "user", "content": "kept"}]),
    ]


def test_what_arrives_later_brings_nothing_back(client: Client) -> None:
    """The log read again from the start, a late event, and the join's outcome land without the person."""
    log = _story()
    load_all(client, log)
    assert forget(client, find(client, "person-77"), "test", settle_s=0) is not None
    before = _events(client), _stored(client)
    late = Facts()
    late_vote = late.vote(
        "a", 0, at=9000, user="person-77", comment=SECRET, event_id="0198c0de-0000-7000-8000-0000000000ff"
    )
    for topic, events in (("keeprate.generations", log[:1]), ("keeprate.feedback", log[1:5])):
        _sink(topic, [FakeRecord(n, encode(event), source=topic) for n, event in enumerate(events)], client)
    assert _events(client) == before[0]
    joined = fold([*log, late_vote])
    _sink("keeprate.feedback", [FakeRecord(9, encode(late_vote))], client)
    _sink("keeprate.outcomes", [FakeRecord(n, encode_outcome(*item)) for n, item in enumerate(joined.items())], client)
    text = _everything(client)
    assert "secret" not in text
    assert "person-77" not in text
    assert "sitting-1" not in text
    after = _stored(client)
    key = f"app/{log[0]['generation_id']}/0"
    # The late vote is the person's second word, not a second person's.
    assert len(after[key]["votes"]) == 2
    assert after == recompute.recomputed(iter(_events(client).values()))


def _letter(topic_offset: int, value: bytes | None, reason: str = "required, and absent") -> FakeRecord:
    headers = encode_headers(
        dead_letter(
            ContractError("invalid", reason, "app"), "sink", "keeprate.feedback", 0, topic_offset, 1, [("h", b"x")]
        )
    )
    return FakeRecord(topic_offset, value, own_headers=headers, source="keeprate.dead-letters")


def test_dead_letters_are_searched_through_escapes(client: Client) -> None:
    """Of JSON, and of JSON within it: the store finds what the sink finds."""
    user, inner = "alice@example.org", r'{"user": "alice\u0040example.org", "oops'
    held = [inner, json.dumps({"body": inner}), json.dumps({"body": json.dumps({"body": inner})}) + "}"]
    others = [r'{"user": "alice\u0041example.org"', r"\u005c \ud83d \u00e9 \u0000 \u12"]
    letters = [_letter(n, value.encode()) for n, value in enumerate([*held, *others])]
    _sink("keeprate.dead-letters", letters, client)
    assert count(client, find(client, user))["dead_letters"] == len(held)
    forget(client, find(client, user), "1.2.3", settle_s=0)
    _sink("keeprate.dead-letters", [_letter(n + 10, value.encode()) for n, value in enumerate(held)], client)
    rows = client.query("SELECT offset FROM dead_letters FINAL WHERE reason != {erased:String}", {"erased": ERASED})
    assert sorted(offset for (offset,) in rows) == [len(held), len(held) + 1]


def test_dead_letters_lose_their_bytes_and_stay_counted(client: Client) -> None:
    """Stored or to come: no key, headers or reason, and of the bytes the producer's number. Stored ones are closed."""
    held = b'{"user": "person-77", "producer_id": "p1", "producer_seq": 7, "cut": \xff'
    of_others = b'{"user": "person-770"}'
    _sink("keeprate.dead-letters", [_letter(1, held, "person-77 is no app"), _letter(2, of_others)], client)
    assert count(client, find(client, "person-77"))["dead_letters"] == 1
    forget(client, find(client, "person-77"), "test", settle_s=0)
    _sink("keeprate.dead-letters", [_letter(3, held), _letter(4, None), _letter(5, b'"person-77"')], client)
    rows = client.query("SELECT offset, error_type, reason, value, length(headers) FROM dead_letters ORDER BY offset")
    number = '{"producer_id":"p1","producer_seq":7}'
    assert rows == [
        (1, "invalid", ERASED, number, 0),
        (2, "invalid", "required, and absent", of_others.decode(), 1),
        (3, "invalid", ERASED, number, 0),
        (4, "invalid", "required, and absent", None, 1),
        (5, "invalid", ERASED, None, 0),
    ]
    assert [letter.offset for letter in open_records(client, Filter(), 10)] == [2, 4]
    assert client.query("SELECT offset, action::String, note FROM dead_letter_actions") == [(1, "dropped", "forgotten")]


def test_numbers_by_user_stay_what_they_were(client: Client) -> None:
    """Funnel, user hours and votes before and after, of METRICS' kind: not one changes."""
    log = [
        event
        for n, user in enumerate(["person-77", "u2", "u3", "person-77"])
        for facts in (Facts(),)
        for event in (
            facts.generation(f"s{n}", user=user, at=n * 1_000_000, event_id=f"0198c0de-0000-7000-8000-00000000000{n}"),
            facts.action(
                f"s{n}", "shown", at=n * 1_000_000, length=5, event_id=f"0198c0de-0000-7000-8000-00000000001{n}"
            ),
            facts.vote(f"s{n}", 1, user=user, event_id=f"0198c0de-0000-7000-8000-00000000002{n}"),
        )
    ]
    load_all(client, log)
    query = (
        "SELECT count(), uniqExact(user), uniqExact(user, toStartOfHour(cohort_at)), sum(shown), sum(votes_positive) "
        "FROM suggestions FINAL"
    )
    before = client.query(query)
    forget(client, find(client, "person-77"), "test", settle_s=0)
    assert client.query(query) == before
    assert not client.query("SELECT 1 FROM suggestions WHERE user = 'person-77'")


def test_again_changes_nothing_and_a_narrower_note_is_not_needed(client: Client) -> None:
    """The second time there is no receipt; one for an app is covered by one for all; pseudonyms stay."""
    load_all(client, _story())
    forget(client, find(client, "person-77"), "test", settle_s=0)
    noted = find(client, "person-77")
    assert noted.pseudonym
    assert find(client, "person-77", "app").pseudonym == noted.pseudonym
    events = _events(client)
    assert forget(client, noted, "test", settle_s=0) is None
    assert forget(client, find(client, "person-77", "app"), "test", settle_s=0) is None
    assert _events(client) == events
    assert len(receipts(client)) == 1


def test_one_app_is_forgotten_and_others_are_not(client: Client) -> None:
    """The same hash in another app stays."""
    others = Facts("other")
    mine = Facts("app")
    log = [mine.generation("a"), others.generation("b", event_id="0198c0de-0000-7000-8000-000000000001")]
    load_all(client, log)
    forget(client, find(client, "u1", "app"), "test", settle_s=0)
    left = {event["app"]: event["user"] for event in _events(client).values()}
    assert left["other"] == "u1"
    assert str(left["app"]).startswith("forgotten-")


def test_an_insert_tried_again_after_forgetting_adds_nothing(client: Client) -> None:
    """A batch that landed before its sink died is recognised by its token, although its bytes are others now."""
    facts = [FakeRecord(n, encode(event)) for n, event in enumerate(_story()[1:5])]
    token: dict[str, str | int] = {"insert_deduplication_token": "one", "insert_deduplicate": 1, "async_insert": 0}
    client.command("SYSTEM STOP MERGES feedback")

    def land() -> None:
        for table, rows in sort("keeprate.feedback", 0, facts, load(client)).tables.items():
            if len(rows):
                client.insert_bytes(table.name, table.columns, b"".join(rows.encoded), table.format, token)

    land()
    client.command("SYSTEM START MERGES feedback")
    forget(client, find(client, "person-77"), "test", settle_s=0)
    client.command("SYSTEM STOP MERGES feedback")
    land()
    assert client.query("SELECT count() FROM feedback") == [(4,)]
    assert "person-77" not in _everything(client)
    client.command("SYSTEM START MERGES feedback")


def test_a_sink_learns_of_it_in_time_and_does_not_guess(client: Client) -> None:
    """The set is the same object until somebody is added, and no older than REFRESH_S; no answer is an error."""
    now_s = 100.0
    current = Watch(client, lambda: now_s)
    nobody = current()
    assert not nobody
    forget(client, find(client, "u1"), "test", settle_s=0)
    now_s += REFRESH_S - 0.1
    assert current() is nobody
    now_s += 0.1
    known = current()
    assert known.user("any", "u1")
    now_s += REFRESH_S
    assert current() is known


def test_without_the_store_nobody_is_assumed_to_be_known() -> None:
    """A sink that cannot ask lands nothing."""
    with pytest.raises(StoreUnavailableError), connect(f"http://127.0.0.1:{free_port()}/x") as away:
        Watch(away)()


def _invoked(url: str, *arguments: str) -> Result:
    return CliRunner().invoke(commands, ["forget", "--store", url, *arguments])


def _run(url: str, *arguments: str, code: int = 0) -> str:
    result = _invoked(url, *arguments)
    assert result.exit_code == code, result.output
    return result.stdout


def test_the_command_looks_first_and_leaves_a_receipt(url: str, client: Client) -> None:
    """A dry run counts and changes nothing; --yes rewrites as many; the receipt names no user."""
    load_all(client, _story())
    before = _everything(client)
    planned = json.loads(_run(url, "--user", "person-77", "--json"))
    assert planned["rows"] == {"generations": 1, "feedback": 3, "outcomes": 1, "suggestions": 1, "dead_letters": 0}
    assert "add --yes" in _run(url, "--user", "person-77")
    assert _everything(client) == before
    done = json.loads(_run(url, "--user", "person-77", "--yes", "--settle-s", "0", "--json"))
    assert done["receipt"]["rows"] == planned["rows"]
    assert done["kafka_days"]["keeprate.feedback"] == 30
    (listed,) = json.loads(_run(url, "--list", "--json"))
    assert listed == done["receipt"]
    assert listed["person"] == digest("person-77")
    assert "person-77" not in _everything(client) + _run(url, "--list")
    assert "nothing left to do" in _run(url, "--user", "person-77", "--yes")
    assert _run(url, "--list").count(done["receipt"]["receipt_id"]) == 1


def test_what_the_command_says_fits_80_columns(url: str, client: Client) -> None:
    """The plan, the receipt, the list, the line about Kafka, and what it refuses."""
    load_all(client, _story())
    mine = ("--user", "person-77", "--app", "app")
    said = [_run(url, *mine), _run(url, *mine, "--yes", "--settle-s", "0"), _run(url, *mine), _run(url, "--list")]
    said += [_invoked(url, "--user", "bob@example.org").output, _invoked(url, "--user", "0" * 32).output]
    assert [line for text in said for line in text.splitlines() if len(line) > 80] == []
    assert all("Kafka still holds" in text for text in said[:3])


def test_a_user_is_hashed_as_the_sdk_does(url: str, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the salt of the option, of the environment, or the app's name; a hash is found in either case."""
    facts = Facts()
    names = {salt: ContentPolicy("full", salt.encode()).user_hash("alice@example.org") for salt in ("s3", "env", "app")}
    load_all(client, [facts.generation(salt, user=name) for salt, name in names.items()])
    alice = ("--user", "alice@example.org", "--json")
    assert json.loads(_run(url, *alice, "--salt", "s3"))["rows"]["generations"] == 1
    assert json.loads(_run(url, *alice, "--app", "app"))["rows"]["generations"] == 1
    assert json.loads(_run(url, "--user", names["s3"].upper(), "--json"))["rows"]["generations"] == 1
    monkeypatch.setenv("KEEPRATE_USER_SALT", "env")
    _run(url, *alice, "--yes", "--settle-s", "0")
    left = {event["user"] for event in _events(client).values()}
    assert names["env"] not in left
    assert left > {names["s3"], names["app"]}


def test_a_user_of_whom_nothing_is_found_is_no_success(url: str, client: Client) -> None:
    """It says so aloud; of a name that is no hash, what to give instead, and then nothing is changed."""
    load_all(client, _story())
    for arguments in ((), ("--yes", "--settle-s", "0")):
        result = CliRunner().invoke(commands, ["forget", "--store", url, "--user", "bob@example.org", *arguments])
        assert result.exit_code == 1
        assert "Events hold hashes of users, and this is none" in " ".join(result.stderr.split())
        assert not result.stdout
        assert "--salt" in result.stderr
    assert load(client) == NOBODY
    result = CliRunner().invoke(commands, ["forget", "--store", url, "--user", "0" * 32])
    assert (result.exit_code, "nothing of this user was found" in result.stderr) == (1, True)


@pytest.mark.parametrize("arguments", [[], ["--list", "--user", "u1"]])
def test_the_command_wants_a_user_or_the_list(url: str, arguments: list[str]) -> None:
    """One of the two, and it says so."""
    result = CliRunner().invoke(commands, ["forget", "--store", url, *arguments])
    assert result.exit_code == 2
    assert "--user" in result.output
