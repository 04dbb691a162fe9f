"""`keeprate verify` finds what is missing, tells duplicates from losses, and repairs outcomes."""

import json
import random
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import pytest

from keeprate.schemas.decode import ContractError, decode, decode_stored, encode
from keeprate.schemas.ids import uuid7
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import encode_outcome
from keeprate.schemas.structs.reading import struct_of
from keeprate.sinks.checks.accounting import check_accounting, check_ledger
from keeprate.sinks.checks.conflicts import repeated
from keeprate.sinks.checks.verify import check_outcomes
from keeprate.sinks.erasure import forget as forgetting
from keeprate.sinks.kafka.records import Record, TopicPartition
from keeprate.sinks.landing.flush import INSERT_SETTINGS, LEDGER_COLUMNS
from keeprate.sinks.landing.rows import sort
from keeprate.sinks.reading.derive import derive_all
from keeprate.sinks.store.clickhouse import Client, connect
from keeprate.sinks.store.servers import Servers
from keeprate.sinks.upkeep.recompute import GenerationFilter
from tests.streaming import story
from tests.unit.sinks.records import FakeRecord

TOPIC = "keeprate.feedback"


@pytest.fixture
def client(database: str) -> Iterator[Client]:
    """A database of the test's own, migrated."""
    with connect(database) as own:
        yield own


@pytest.fixture
def values() -> list[bytes]:
    """The events of some suggestions, as records' values."""
    return [encode(event) for event in story(random.Random(4), "editor", 40)]


def _land(client: Client, values: Sequence[bytes], topic: str = TOPIC, first: int = 0) -> None:
    records: list[Record] = [FakeRecord(first + n, value, source=topic) for n, value in enumerate(values)]
    for table, rows in sort(topic, 0, records).tables.items():
        if len(rows):
            settings = {**INSERT_SETTINGS, **dict(table.settings)}
            client.insert_bytes(table.name, table.columns, b"".join(rows.encoded), table.format, settings)


def _account(client: Client, first: int, last: int, rows: int) -> None:
    client.insert("ledger", LEDGER_COLUMNS, [("s", TOPIC, 0, first, last, rows, 0, 0, last - first + 1 - rows, 3, "")])


def _land_outcomes(client: Client, values: Sequence[bytes]) -> None:
    outcomes = fold(map(decode, values))
    _land(client, [encode_outcome(*item) for item in outcomes.items()], "keeprate.outcomes")
    derive_all(client)


class Topic:
    """Kafka's copy of the records from an offset on."""

    passes = 0

    def __init__(self, values: Sequence[bytes], begins_at: int = 0) -> None:
        self._records: list[Record] = [FakeRecord(n + begins_at, value) for n, value in enumerate(values[begins_at:])]

    def read(self, at: TopicPartition, gaps: Sequence[tuple[int, int]]) -> Iterator[Record]:
        self.passes += 1
        for record in self._records:
            if any(first <= record.offset() <= last for first, last in gaps):
                yield record


def test_a_sound_store_has_no_findings(client: Client, values: list[bytes]) -> None:
    """Ranges that tile, a row for each offset, and outcomes that are the fold of the facts."""
    _land(client, values)
    _land_outcomes(client, values)
    _account(client, 0, 9, 10)
    _account(client, 10, len(values) - 1, len(values) - 10)
    assert check_ledger(client) == []
    assert check_accounting(client, None) == ([], [])
    done = check_outcomes(client, settled_s=0)
    assert (done.checked, done.findings, done.facts) == (len(fold(map(decode, values))), [], len(values))


def test_facts_of_an_older_gate_still_fold_to_their_outcomes(
    client: Client, values: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store of the last version holds what is beyond today's bounds, and is sound."""
    body = {"occurred_at": 5, "latency_ms": 2**53, "cost_usd": 1e12, "output": [{"role": "a", "content": "b"}] * 70}
    old = [encode(json.loads(value) | body) for value in values if b'"type":"generation"' in value]
    assert old
    with pytest.raises(ContractError):
        decode(old[0])
    monkeypatch.setattr("keeprate.sinks.landing.rows.read", lambda value, *_: struct_of(decode_stored(value)))
    _land(client, old)
    outcomes = fold(map(decode_stored, old))
    _land(client, [encode_outcome(*item) for item in outcomes.items()], "keeprate.outcomes")
    done = check_outcomes(client, settled_s=0)
    assert (done.checked, done.findings, done.unread) == (len(outcomes), [], [])


def test_whatever_form_a_record_has_its_row_and_its_outcome_agree(client: Client, values: list[bytes]) -> None:
    """Ids in upper case, names given twice and texts for messages: readers of JSON differ in these."""
    generation = next(json.loads(value) for value in values if b'"type":"generation"' in value)
    parent = uuid7()
    odd = generation | {
        "event_id": generation["event_id"].upper(),
        "generation_id": generation["generation_id"].upper(),
        "parent_generation_id": parent.upper(),
        "output": "text",
    }
    value = f'{{"app": "other", "generation_id": "{uuid7()}", {json.dumps(odd)[1:]}'.encode()
    _land(client, [value])
    _land_outcomes(client, [value])
    ((app, generation_id, stored_parent, output),) = client.query(
        "SELECT app, toString(generation_id), parent_generation_id, JSONExtractRaw(event, 'output') FROM generations"
    )
    assert (app, generation_id, stored_parent) == (generation["app"], generation["generation_id"], parent)
    assert json.loads(output) == [{"role": "assistant", "content": "text"}]
    done = check_outcomes(client, settled_s=0)
    assert (done.checked, done.findings, done.unread) == (1, [], [])


def test_gaps_overlaps_and_wrong_sums_of_the_ledger_are_found(client: Client) -> None:
    """Each of the three is named with its range."""
    for first, last, rows in ((0, 9, 10), (11, 20, 10), (20, 30, 11)):
        _account(client, first, last, rows)
    client.insert("ledger", LEDGER_COLUMNS, [("s", TOPIC, 0, 31, 40, 3, 0, 0, 0, 3, "")])
    assert [finding.where.split()[-1] for finding in check_ledger(client)] == ["11-20", "20-30", "31-40"]


def test_a_record_that_is_nowhere_is_found(client: Client, values: list[bytes]) -> None:
    """An offset within the ledger's ranges that has neither a row nor a dead letter, and whose event has no row."""
    _land(client, values[:6])
    _account(client, 0, 6, 7)
    ((finding,), _) = check_accounting(client, Topic(values))
    assert (finding.where, "offset 6" in finding.detail) == (f"{TOPIC}/0 6-6", True)


def test_a_duplicate_that_merged_is_no_loss(client: Client, values: list[bytes]) -> None:
    """An event that was sent twice is one row: Kafka's copy of the second tells."""
    _land(client, values[:5])
    _account(client, 0, 5, 6)
    assert check_accounting(client, Topic([*values[:5], values[2]])) == ([], [])
    ((unknown,), _) = check_accounting(client, Topic(values, begins_at=100))
    assert "no longer holds" in unknown.detail


def test_outcomes_that_lack_something_are_found_and_repaired(client: Client, values: list[bytes]) -> None:
    """What the join has not seen is inserted from the facts, and merges; then nothing is left to find."""
    _land(client, values)
    _land_outcomes(client, values[: len(values) // 2])
    findings = check_outcomes(client, settled_s=0, repair=Servers([client])).findings
    assert findings
    assert all("lacks" in finding.detail for finding in findings)
    assert check_outcomes(client, settled_s=0).findings == []


def test_an_outcome_that_knows_more_than_the_facts_is_found(client: Client, values: list[bytes]) -> None:
    """A fact that the sink lost shows as an outcome with more than the facts say."""
    _land(client, values[:-1])
    _land_outcomes(client, values)
    (finding,) = check_outcomes(client, settled_s=0).findings
    assert "more than" in finding.detail or "without facts" in finding.detail


def test_what_just_arrived_is_left_for_the_next_time(client: Client, values: list[bytes]) -> None:
    """The join may not have published yet what the sink has just landed."""
    _land(client, values)
    done = check_outcomes(client, settled_s=600)
    assert (done.checked, done.findings) == (0, [])


class Counting:
    """A store that counts what it is asked."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.asked = 0

    def query(self, statement: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
        self.asked += 1
        return self._client.query(statement, parameters)


def test_many_duplicates_cost_a_few_questions(client: Client, values: list[bytes]) -> None:
    """Kafka is read in one pass, and the store is asked for many events at a time."""
    _land(client, values[:3])
    copies = [values[n % 3] for n in range(400)]
    _account(client, 0, 402, 403)
    topic, store = Topic([*values[:3], *copies]), Counting(client)
    told: list[tuple[int, int]] = []
    found = check_accounting(cast(Client, store), topic, on_offsets=lambda *each: told.append(each))
    assert found == ([], [])
    assert (topic.passes, store.asked) == (1, 2 + 2 * 2)
    assert told == [(200, 400), (400, 400)]


def _other(record: bytes, **fields: Any) -> bytes:
    return encode({**decode(record), **fields})


def _vote(values: Sequence[bytes]) -> bytes:
    return next(value for value in values if b'"type":"vote"' in value)


def test_an_id_that_was_used_for_two_contents_is_told(client: Client, values: list[bytes]) -> None:
    """It is no duplicate, and no loss: the one is a row, the outcome has both, and no finding says otherwise."""
    vote = _vote(values)
    other = _other(vote, value=-1 if b'"value":1' in vote else 1)
    _land(client, values)
    _land_outcomes(client, [*values, other])
    _account(client, 0, len(values), len(values) + 1)
    findings, (conflict,) = check_accounting(client, Topic([*values, other]))
    assert findings == []
    assert (conflict.app, conflict.event_id) == ("editor", decode(vote)["event_id"])
    assert conflict.where == f"{TOPIC}/0/{len(values)}"
    more = check_outcomes(client, settled_s=0).findings
    assert check_outcomes(client, settled_s=0, conflicts=[conflict]).findings == []
    # Which of the two the outcome holds is decided by its merge, and the row by the store's.
    assert {each.detail.partition(" in ")[2] for each in more} <= {"votes"}
    # What no event says is a finding all the same.
    _land_outcomes(client, [*values, other, _other(vote, event_id=str(uuid.uuid4()), user="somebody")])
    assert len(check_outcomes(client, settled_s=0, conflicts=[conflict]).findings) == 1


def test_two_rows_of_one_id_are_told_apart(client: Client, values: list[bytes]) -> None:
    """Not merged yet, of two generations, or a generation and a vote: each says something else. A copy does not."""
    vote = _vote(values)
    _land(client, values)
    _land(client, [_other(vote, producer_id="p", producer_seq=7)], first=1000)
    assert repeated(client, GenerationFilter()) == []
    _land(client, [_other(values[0], generation_id=str(uuid.uuid4()))], first=1001)
    _land(client, [_other(vote, comment="another one")], first=1002)
    told = repeated(client, GenerationFilter())
    assert {one.event_id for one in told} == {decode(vote)["event_id"], decode(values[0])["event_id"]}


def test_a_copy_of_a_forgotten_event_is_no_conflict(client: Client, values: list[bytes]) -> None:
    """The row says less than the record in Kafka does, and the same."""
    vote = _vote(values)
    written = _other(vote, user="9f86d081884c7d65", comment="long")
    _land(client, [written])
    person = forgetting.find(client, "9f86d081884c7d65")
    forgetting.forget(client, person, "test", settle_s=0)
    _account(client, 0, 1, 2)
    assert check_accounting(client, Topic([written, written])) == ([], [])
    _, told = check_accounting(client, Topic([written, _other(written, value=0)]))
    assert len(told) == 1


def test_a_fact_of_an_older_contract_is_told_and_not_raised(client: Client, values: list[bytes]) -> None:
    """Its generation is not judged: the outcome has it as an earlier version read it. Nor does it look lost."""
    vote = _vote(values)
    _land(client, values)
    _land_outcomes(client, values)
    old = json.loads(vote) | {"event_id": str(uuid.uuid4()), "value": 7, "verdict": "fine"}
    text = json.dumps(old)
    client.insert("feedback", ("event", "topic", "partition", "offset"), [(text, TOPIC, 0, 1000)])
    done = check_outcomes(client, settled_s=0)
    assert done.findings == []
    assert [(one.app, one.event_id, "value" in one.reason) for one in done.unread] == [
        ("editor", old["event_id"], True)
    ]
    _account(client, 0, len(values) - 1, len(values))
    _account(client, len(values), len(values), 1)
    assert check_accounting(client, Topic([*values, text.encode()])) == ([], [])
