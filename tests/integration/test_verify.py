"""`keeprate verify` finds what is missing, tells duplicates from losses, and repairs outcomes."""

import random
import uuid
from collections.abc import Iterator, Sequence

import pytest

from keeprate.deploy.store import StoreProcess
from keeprate.schemas.decode import decode, encode
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import encode_outcome
from keeprate.sinks.clickhouse import Client, connect
from keeprate.sinks.flush import INSERT_SETTINGS, LEDGER_COLUMNS
from keeprate.sinks.migrate import migrate
from keeprate.sinks.partition import TopicPartition
from keeprate.sinks.rows import Record, sort
from keeprate.sinks.verify import check_accounting, check_ledger, check_outcomes
from tests.streaming import story
from tests.unit.sinks.records import FakeRecord

TOPIC = "keeprate.feedback"


@pytest.fixture
def client(store: StoreProcess) -> Iterator[Client]:
    """A database of the test's own, migrated."""
    url = f"{store.url}/verify_{uuid.uuid4().hex[:8]}"
    migrate(url)
    with connect(url) as own:
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


class Topic:
    """Kafka's copy of the records from an offset on."""

    def __init__(self, values: Sequence[bytes], begins_at: int = 0) -> None:
        self._records: list[Record] = [FakeRecord(n + begins_at, value) for n, value in enumerate(values[begins_at:])]

    def read(self, at: TopicPartition, first: int, last: int) -> list[Record]:
        return [record for record in self._records if first <= record.offset() <= last]


def test_a_sound_store_has_no_findings(client: Client, values: list[bytes]) -> None:
    """Ranges that tile, a row for each offset, and outcomes that are the fold of the facts."""
    _land(client, values)
    _land_outcomes(client, values)
    _account(client, 0, 9, 10)
    _account(client, 10, len(values) - 1, len(values) - 10)
    assert check_ledger(client) == []
    assert check_accounting(client, None) == []
    checked, findings = check_outcomes(client, settled_s=0)
    assert (checked, findings) == (len(fold(map(decode, values))), [])


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
    (finding,) = check_accounting(client, Topic(values))
    assert (finding.where, "offset 6" in finding.detail) == (f"{TOPIC}/0 6-6", True)


def test_a_duplicate_that_merged_is_no_loss(client: Client, values: list[bytes]) -> None:
    """An event that was sent twice is one row: Kafka's copy of the second tells."""
    _land(client, values[:5])
    _account(client, 0, 5, 6)
    assert check_accounting(client, Topic([*values[:5], values[2]])) == []
    (unknown,) = check_accounting(client, Topic(values, begins_at=100))
    assert "no longer holds" in unknown.detail


def test_outcomes_that_lack_something_are_found_and_repaired(client: Client, values: list[bytes]) -> None:
    """What the join has not seen is inserted from the facts, and merges; then nothing is left to find."""
    _land(client, values)
    _land_outcomes(client, values[: len(values) // 2])
    _, findings = check_outcomes(client, settled_s=0, repair=True)
    assert findings
    assert all("lacks" in finding.detail for finding in findings)
    assert check_outcomes(client, settled_s=0)[1] == []


def test_an_outcome_that_knows_more_than_the_facts_is_found(client: Client, values: list[bytes]) -> None:
    """A fact that the sink lost shows as an outcome with more than the facts say."""
    _land(client, values[:-1])
    _land_outcomes(client, values)
    (finding,) = check_outcomes(client, settled_s=0)[1]
    assert "more than" in finding.detail or "without facts" in finding.detail


def test_what_just_arrived_is_left_for_the_next_time(client: Client, values: list[bytes]) -> None:
    """The join may not have published yet what the sink has just landed."""
    _land(client, values)
    assert check_outcomes(client, settled_s=600) == (0, [])
