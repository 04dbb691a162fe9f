"""What `decode` accepts is taken by everything after it: the sink's judgement, the real tables, every question."""

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeprate.schemas.decode import ContractError, decode
from keeprate.schemas.events import Event
from keeprate.schemas.lift import fold, lift
from keeprate.schemas.outcome import encode_outcome
from keeprate.schemas.topics import FEEDBACK, OUTCOMES
from keeprate.sinks.landing.flush import INSERT_SETTINGS
from keeprate.sinks.landing.rows import sort
from keeprate.sinks.reading.derive import derive_all
from keeprate.sinks.store.clickhouse import Client
from tests.examples import examples
from tests.fault.content import values
from tests.fault.content.grammar import HOSTILE, Events
from tests.fault.content.innocent import everything_said
from tests.reading import reading
from tests.strategies import BASE_MS
from tests.unit.sinks.records import FakeRecord

pytestmark = [pytest.mark.clickhouse, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def engine() -> Iterator[Client]:
    with reading() as client:
        yield client


def _land(client: Client, topic: str, bodies: list[bytes]) -> None:
    """Every one of these records is a row, and the table takes it."""
    records = [FakeRecord(offset, body, time_ms=BASE_MS) for offset, body in enumerate(bodies)]
    batch = sort(topic, 0, records)
    assert [letter.text for _, letter in batch.rejects] == []
    assert sum(map(len, batch.tables.values())) == len(bodies)
    for table, rows in batch.tables.items():
        # One by one would be said of one by one: a batch with a row at fault is refused whole.
        data, more = b"".join(rows.encoded), dict(table.settings)
        client.insert_bytes(table.name, table.columns, data, table.format, {**INSERT_SETTINGS, **more})


def _derive(client: Client) -> None:
    client.command("TRUNCATE TABLE suggestions")
    derive_all(client)


def _accepted(seed: int, count: int) -> tuple[list[bytes], list[Event]]:
    """Odd events of a seed, as bytes and as `decode` understands them, without those that it refuses."""
    events, bodies, understood = Events(random.Random(seed), BASE_MS), [], []
    for _ in range(count):
        body = values.encoded(events.mutated()[1])
        try:
            understood.append(decode(body, BASE_MS))
        except ContractError:
            continue
        bodies.append(body)
    return bodies, understood


@settings(max_examples=examples(3))
@given(st.integers(0, 2**32))
def test_what_decode_accepts_lands_and_is_read(engine: Client, seed: int) -> None:
    """As facts, as outcomes merged here and by the engine; and no question fails or is answered NaN."""
    bodies, log = _accepted(seed, 40)
    outcomes = fold(log)
    for table in ("generations", "feedback", "outcomes"):
        engine.command(f"TRUNCATE TABLE {table}")
    _land(engine, FEEDBACK.name, bodies)
    _land(engine, OUTCOMES.name, [encode_outcome(key, fact) for event in log for key, fact in lift(event)])
    _derive(engine)
    merged_by_the_engine = everything_said(engine, HOSTILE, BASE_MS)
    engine.command("TRUNCATE TABLE outcomes")
    _land(engine, OUTCOMES.name, [encode_outcome(key, outcome) for key, outcome in outcomes.items()])
    _derive(engine)
    assert engine.query("SELECT count() FROM suggestions") == [(len(outcomes),)]
    assert everything_said(engine, HOSTILE, BASE_MS) == merged_by_the_engine
