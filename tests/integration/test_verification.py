"""Offsets that went back, and stream and facts that disagree, on the real engine; Kafka's offsets are laid out."""

import json
import random
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from keeprate.schemas.decode import decode, encode
from keeprate.schemas.events import Event
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import encode_outcome
from keeprate.schemas.topics import FEEDBACK, GENERATIONS, JOIN_GROUP, OUTCOMES
from keeprate.sinks.checks.accounting import check_accounting
from keeprate.sinks.checks.agreement import judge, suspects
from keeprate.sinks.checks.backwards import check_history, check_offsets, committed_of, offset_findings
from keeprate.sinks.checks.settling import settled_partitions
from keeprate.sinks.checks.verification import STAGES, CheckScope, Kafka, verify
from keeprate.sinks.kafka.positions import Offsets
from keeprate.sinks.kafka.records import Record, TopicPartition
from keeprate.sinks.landing.flush import INSERT_SETTINGS
from keeprate.sinks.landing.rows import sort
from keeprate.sinks.reading.derive import derive_all
from keeprate.sinks.store.clickhouse import Client, connect
from keeprate.sinks.upkeep.recompute import GenerationFilter, count_facts, pages
from tests.streaming import story
from tests.unit.sinks.records import FakeRecord

SINK = "keeprate-sink"
TOPIC = FEEDBACK.name
COLUMNS = ("sink", "topic", "partition", "first_offset", "last_offset", "rows", "schema_revision", "stored_at")
NOW = datetime.now(UTC)


@dataclass
class Laid:
    """Kafka's offsets as a test lays them out, and the records of one partition."""

    held: dict[TopicPartition, int] = field(default_factory=dict)
    groups: dict[str, Offsets] = field(default_factory=dict)
    records: Sequence[Record] = ()

    def ends(self, topics: Sequence[str]) -> Offsets:
        return {at: end for at, end in self.held.items() if at[0] in topics}

    def committed(self, group: str, topics: Sequence[str]) -> Offsets:
        return {at: offset for at, offset in self.groups.get(group, {}).items() if at[0] in topics}

    def read(self, at: TopicPartition, gaps: Sequence[tuple[int, int]]) -> Iterator[Record]:
        return (one for one in self.records if any(first <= one.offset() <= last for first, last in gaps))


@pytest.fixture
def client(database: str) -> Iterator[Client]:
    """A database of the test's own, migrated."""
    with connect(database) as own:
        yield own


def account(client: Client, first: int, last: int, revision: int = 7, at: datetime = NOW, topic: str = TOPIC) -> None:
    client.insert("ledger", COLUMNS, [(SINK, topic, 0, first, last, last - first + 1, revision, at)])


def land(client: Client, values: Sequence[bytes], topic: str = TOPIC) -> None:
    records: list[Record] = [FakeRecord(n, value, source=topic) for n, value in enumerate(values)]
    for table, rows in sort(topic, 0, records).tables.items():
        if len(rows):
            settings = {**INSERT_SETTINGS, **dict(table.settings)}
            client.insert_bytes(table.name, table.columns, b"".join(rows.encoded), table.format, settings)


def land_outcomes(client: Client, values: Sequence[bytes]) -> None:
    land(client, [encode_outcome(*item) for item in fold(map(decode, values)).items()], OUTCOMES.name)
    derive_all(client)


def laid(committed: int, end: int, outcomes: int = 0) -> Laid:
    ends = {(TOPIC, 0): end, (OUTCOMES.name, 0): outcomes}
    return Laid(ends, {SINK: {(TOPIC, 0): committed}, JOIN_GROUP: {(TOPIC, 0): end}})


@pytest.fixture
def values() -> list[bytes]:
    """The events of some suggestions, as records' values."""
    return [encode(event) for event in story(random.Random(4), "editor", 40)]


@pytest.mark.parametrize(
    ("committed", "end", "wrong"),
    [(20, 30, ""), (10, 30, ""), (9, 30, "went back"), (21, 30, "skips"), (20, 5, "lost records")],
)
def test_a_committed_offset_is_within_the_last_range(client: Client, committed: int, end: int, wrong: str) -> None:
    """Its beginning and its end are both right: a flush stores the range before it commits."""
    account(client, 0, 9)
    account(client, 10, 19)
    kafka = laid(committed, end)
    found = offset_findings([one for one in check_offsets(client, kafka) if one.group == SINK])
    assert [wrong in finding.detail for finding in found] == [True] * bool(wrong)


def test_a_group_that_stands_before_where_it_stood_is_found(client: Client) -> None:
    """Also the join, of which there is no ledger."""
    before = committed_of(check_offsets(client, laid(20, 30)))
    kafka = laid(20, 30)
    kafka.groups[JOIN_GROUP] = {(TOPIC, 0): 12}
    (finding,) = offset_findings(check_offsets(client, kafka), before)
    assert (finding.check, finding.where) == ("I6", f"{JOIN_GROUP} {TOPIC}/0")


def test_a_ledger_in_which_something_went_back_is_found(client: Client) -> None:
    """An older version after a newer one; an earlier range stored after a later one, beyond what clocks differ."""
    for first, revision, minutes in ((0, 7, 0), (10, 6, 1), (20, 6, 2), (30, 7, 0)):
        account(client, first, first + 9, revision, NOW + timedelta(minutes=minutes))
    assert [finding.where.split()[-1] for finding in check_history(client)] == ["10-19", "30-39"]
    assert check_history(client, NOW + timedelta(minutes=2)) == []


def everywhere() -> frozenset[int]:
    return frozenset(range(4))


def test_stream_and_facts_that_agree_are_counted(client: Client, values: list[bytes]) -> None:
    """Per partition and day, each generation once."""
    land(client, values)
    land_outcomes(client, values)
    lines, findings = judge(client, suspects(client, GenerationFilter(), settled_s=0), everywhere)
    assert findings == []
    assert sum(line.facts for line in lines) == len({decode(value)["generation_id"] for value in values})


def test_a_generation_without_outcome_and_an_outcome_without_fact_are_found(client: Client) -> None:
    """Each with its app, partition and day; with a span of time as well as without."""
    one, other = ([encode(event) for event in story(random.Random(n), f"app-{n}", 5)] for n in (1, 2))
    land(client, one)
    land_outcomes(client, other)
    found = suspects(client, GenerationFilter(), settled_s=0)
    lines, findings = judge(client, found, everywhere)
    assert {finding.check for finding in findings} == {"I7"}
    assert sum(line.missing for line in lines) == len(found.missing) > 0
    assert sum(line.orphans for line in lines) == len(found.orphans) > 0
    spanned = suspects(client, GenerationFilter(since=datetime(2020, 1, 1, tzinfo=UTC)), settled_s=0)
    assert spanned.missing == found.missing
    dated = {each for each in found.orphans if each[1][14] == "7"}
    assert spanned.orphans.keys() >= dated


def test_what_arrives_in_between_is_no_fault(client: Client, values: list[bytes]) -> None:
    """The second look, behind the wait, decides."""
    land(client, values)
    found = suspects(client, GenerationFilter(), settled_s=0)
    assert found.missing

    def settled() -> frozenset[int]:
        land_outcomes(client, values)
        return everywhere()

    assert judge(client, found, settled)[1] == []


def test_a_partition_that_lags_waits(client: Client, values: list[bytes]) -> None:
    """And facts that landed just now are not even suspected."""
    land(client, values)
    lines, findings = judge(client, suspects(client, GenerationFilter(), settled_s=0), frozenset)
    assert (findings, sum(line.waiting for line in lines)) == ([], sum(line.facts for line in lines))
    assert not suspects(client, GenerationFilter(), settled_s=600).missing


@pytest.mark.parametrize(
    ("joined", "landed", "outcomes_landed", "settled"),
    [(10, 10, 4, {0}), (9, 10, 4, set()), (10, 9, 4, set()), (10, 10, 3, set())],
)
def test_a_partition_is_settled_when_both_sides_are_rows(
    client: Client, joined: int, landed: int, outcomes_landed: int, settled: set[int]
) -> None:
    """Joined, its facts landed, and the outcomes of what was joined landed too."""
    account(client, 0, landed - 1)
    account(client, 0, outcomes_landed - 1, topic=OUTCOMES.name)
    kafka = laid(10, 10, outcomes=4)
    kafka.held[GENERATIONS.name, 0] = 0
    kafka.groups[JOIN_GROUP] = {(TOPIC, 0): joined}
    assert settled_partitions(client, kafka, patience_s=0) == settled


def test_a_pass_finds_what_the_join_lost_and_judges_nothing_that_lags(client: Client, values: list[bytes]) -> None:
    """The outcomes of half of the events: a fault once the partition is settled, waiting before."""
    land(client, values)
    land_outcomes(client, values[: len(values) // 2])
    account(client, 0, len(values) - 1)
    account(client, 0, 0, topic=OUTCOMES.name)
    kafka = laid(len(values), len(values), outcomes=1)
    scope = CheckScope(settled_s=0)
    report = verify(client, Kafka(kafka, kafka, patience_s=0), scope)
    assert {finding.check for finding in report.findings} == {"I4", "I7"}
    kafka.groups[JOIN_GROUP] = {(TOPIC, 0): 1}
    report = verify(client, Kafka(kafka, kafka, patience_s=0), scope)
    assert report.findings == []
    assert sum(line.waiting for line in report.agreements) > 0


def test_shares_are_disjoint_and_together_all(client: Client, values: list[bytes]) -> None:
    """A bounded pass looks at one of them; as many passes as there are shares look at every generation once."""
    land(client, values)
    land_outcomes(client, values)
    everything = verify(client, None, CheckScope(settled_s=0))
    limit = -(-count_facts(client, GenerationFilter()) // 3)
    passes = [verify(client, None, CheckScope(settled_s=0, max_facts=limit, turn=turn)) for turn in range(3)]
    assert {report.shares for report in passes} == {3}
    assert sum(report.outcomes for report in passes) == everything.outcomes
    facts = [sum(line.facts for line in report.agreements) for report in passes]
    assert sum(facts) == sum(line.facts for line in everything.agreements)
    assert passes[0].outcomes < everything.outcomes


def test_a_bounded_account_looks_at_so_many_offsets(client: Client, values: list[bytes]) -> None:
    """The first of them, across gaps; what it does not look at it does not report."""
    land(client, values[:1])
    account(client, 0, 20)
    records = [FakeRecord(n, values[n]) for n in range(21)]
    ((finding,), _) = check_accounting(client, Laid(records=records), max_offsets=5)
    assert finding.where == f"{TOPIC}/0 1-5"


def test_times_that_no_clock_shows_end_no_pass(client: Client, values: list[bytes]) -> None:
    """The year 2128, the last that a fact may have, and an id whose milliseconds reach beyond all years."""
    land(client, values)
    land_outcomes(client, values)
    for number, (at_ms, first) in enumerate(((5_000_000_000_000, "01"), (253_402_300_799_999, "ff"))):
        ids = (f"{first}ffffff-ffff-7fff-bfff-{number:012x}", str(uuid.uuid4()))
        event = {"type": "vote", "value": 1, "app": "editor", "schema_version": 1, "occurred_at": at_ms, "user": "u"}
        text = json.dumps({**event, "generation_id": ids[0], "event_id": ids[1]})
        client.insert("feedback", ("event", "topic", "partition", "offset"), [(text, TOPIC, 0, 1000 + number)])
        outcomes = fold([cast(Event, json.loads(text))])
        land(client, [encode_outcome(*item) for item in outcomes.items()], OUTCOMES.name)
    # An outcome without a fact is dated by its id.
    alone = fold([cast(Event, json.loads(text) | {"generation_id": "fffffffe-ffff-7fff-bfff-000000000000"})])
    land(client, [encode_outcome(*item) for item in alone.items()], OUTCOMES.name)
    told: list[str] = []
    for scope, orphans in (
        (CheckScope(settled_s=0), 1),
        (CheckScope(settled_s=0, since=datetime(2020, 1, 1, tzinfo=UTC)), 0),
    ):
        report = verify(client, None, scope, on_stage=lambda stage, done, total: told.append(stage))
        assert {finding.check for finding in report.findings} <= {"I4", "I7"}
        assert sum(line.orphans for line in report.agreements) == orphans
    assert {"generations", "facts"} <= set(told) <= set(STAGES)


class Growing:
    """A store in which another generation begins whenever it is asked."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._next = 0

    def query(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
        self._next += 1
        event = {"type": "vote", "value": 1, "app": "editor", "schema_version": 1, "occurred_at": 1_764_000_000_000}
        ids = {"generation_id": f"0fffffff-ffff-7fff-bfff-{self._next:012x}", "event_id": str(uuid.uuid4())}
        row = (json.dumps(event | ids), TOPIC, 0, 10_000 + self._next)
        self._client.insert("feedback", ("event", "topic", "partition", "offset"), [row])
        assert self._next < 100, "it runs after what comes"
        return self._client.query(statement, parameters)


def test_pages_end_while_generations_begin(client: Client, values: list[bytes]) -> None:
    """A reader that is slower than they come would never be done: what begins later is for the next pass."""
    land(client, values)
    found = list(pages(cast(Client, Growing(client)), GenerationFilter(), rows=5))
    assert len(found) > 1
