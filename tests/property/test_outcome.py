"""The law: outcomes form a join-semilattice, and ClickHouse merges as Python does."""

import math
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from chdb.session import Session
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from keeprate.schemas.decode import decode, encode
from keeprate.schemas.events import Event
from keeprate.schemas.lift import fold, gather, lift
from keeprate.schemas.outcome import (
    FIELDS,
    KEY_COLUMNS,
    Outcome,
    absorb,
    decode_outcome,
    encode_outcome,
    merge,
    merge_all,
)
from keeprate.schemas.registers import CORRECTION, FLAG, GENERATION, RETENTION, VOTE
from keeprate.schemas.structs.reading import struct_of
from tests.examples import examples
from tests.strategies import events, logs, odd_events, shuffled_with_duplicates

MERGED = (
    "FORMAT JSONEachRow "
    "SETTINGS output_format_json_named_tuples_as_objects=0, output_format_json_quote_64bit_integers=0"
)


def records(log: list[Event]) -> dict[str, bytes]:
    """Every suggestion's outcome as the bytes of its record."""
    return {key: encode_outcome(key, outcome) for key, outcome in fold(log).items()}


def _facts(log: list[Event]) -> list[Outcome]:
    return [outcome for event in log for _, outcome in lift(event)]


@given(st.data())
def test_any_order_and_any_duplication_give_the_same_bytes(data: st.DataObject) -> None:
    """Shuffling and repeating a log changes no outcome."""
    log = data.draw(logs())
    assert records(data.draw(shuffled_with_duplicates(log))) == records(log)


@given(st.lists(events(), min_size=3, max_size=3))
def test_merge_commutes_associates_and_is_idempotent(log: list[Event]) -> None:
    """The three laws, directly."""
    a, b, c = (merge_all(_facts([event])) for event in log)
    assert merge(a, b) == merge(b, a)
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    assert merge(a, a) == a
    assert merge(a, {}) == merge({}, a) == a


@given(st.lists(odd_events(), min_size=3, max_size=3))
def test_the_law_is_total(log: list[Event]) -> None:
    """Whatever the gate lets through merges, is written and read back, and counts: no number is beyond its column."""
    a, b, c = (fold([event]) for event in log)
    for key in a.keys() | b.keys() | c.keys():
        one, two, three = (outcomes.get(key, {}) for outcomes in (a, b, c))
        merged = merge(merge(one, two), three)
        assert merge(one, two) == merge(two, one)
        assert merged == merge(one, merge(two, three)) == merge(merged, one) == fold(log)[key]
        value = encode_outcome(key, merged)
        assert decode_outcome(value) == (key, merged)
        assert_finite(merged)


def assert_finite(value: object) -> None:
    """No number in an outcome is none, or larger than its column takes."""
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            assert_finite(each)
    elif isinstance(value, int | float):
        assert math.isfinite(value)
        assert isinstance(value, float) or -(2**63) <= value < 2**63


@given(st.data())
def test_a_log_of_odd_events_has_one_outcome_whatever_its_order(data: st.DataObject) -> None:
    """Shuffled, repeated, and as its records decode."""
    log = data.draw(st.lists(odd_events(), min_size=1, max_size=8))
    assert records([decode(encode(event)) for event in data.draw(shuffled_with_duplicates(log))]) == records(log)


@given(st.data())
def test_partial_outcomes_may_be_merged_in_any_grouping(data: st.DataObject) -> None:
    """A suggestion split over workers, replays or an eviction merges to what one worker would have."""
    facts = data.draw(st.permutations(_facts(data.draw(logs(12)))))
    cut = data.draw(st.integers(0, len(facts)))
    assert merge(merge_all(facts[:cut]), merge_all(facts[cut:])) == merge_all(facts)


@given(logs(8))
def test_merge_leaves_its_arguments_alone(log: list[Event]) -> None:
    """A state that is still referenced elsewhere is not changed under it."""
    outcomes = _facts(log)
    before = [encode_outcome(f"app/{uuid.UUID(int=0)}/0", outcome) for outcome in outcomes]
    merge_all(outcomes)
    assert before == [encode_outcome(f"app/{uuid.UUID(int=0)}/0", outcome) for outcome in outcomes]


@given(logs(8))
def test_absorbing_is_merging_in_place(log: list[Event]) -> None:
    """A sum of facts that its maker alone holds grows to what merging makes of them."""
    outcome: Outcome = {}
    for fact in _facts(log):
        absorb(outcome, fact)
    assert outcome == merge_all(_facts(log))


@given(logs())
def test_gathering_events_is_merging_what_they_lift_to(log: list[Event]) -> None:
    """The short way for actions says what the law says, of one suggestion and of many."""
    facts: dict[str, Outcome] = {}
    for event in log:
        assert set(gather(facts, struct_of(event))) == {key for key, _ in lift(event)}
    merged: dict[str, Outcome] = {}
    for event in log:
        for key, fact in lift(event):
            merged[key] = merge(merged.get(key, {}), fact)
    assert facts == merged


@given(logs(8))
def test_what_an_event_says_of_one_choice_is_no_other_choices(log: list[Event]) -> None:
    """Each of its outcomes may grow without the others."""
    lifted = [outcome for event in log for _, outcome in lift(event)]
    assert len({id(outcome) for outcome in lifted}) == len(lifted)
    maps = [id(value) for outcome in lifted for value in outcome.values() if isinstance(value, dict)]
    assert len(set(maps)) == len(maps)


@given(logs(8))
def test_a_record_holds_the_whole_outcome(log: list[Event]) -> None:
    """Reading a record back gives the outcome that was written, so a restart loses no fact."""
    for key, value in records(log).items():
        assert encode_outcome(*decode_outcome(value)) == value
        assert decode_outcome(value)[0] == key


@given(events())
def test_an_event_survives_its_encoding(event: Event) -> None:
    """Encoding leaves out what is None and nothing else."""
    assert list(lift(decode(encode(event)))) == list(lift(event))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    session = Session(str(tmp_path_factory.mktemp("engine")))
    columns = ", ".join((*KEY_COLUMNS, *(field.column() for field in FIELDS)))
    session.query("CREATE DATABASE law")
    session.query(
        f"CREATE TABLE law.outcomes ({columns}) ENGINE = AggregatingMergeTree "
        "ORDER BY (app, generation_id, choice_index)"
    )
    yield session
    session.close()


@pytest.mark.clickhouse
@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_clickhouse_merges_partial_outcomes_as_python_does(engine: Session, data: st.DataObject) -> None:
    """The facts of a log, one row each, shuffled and repeated over several parts, merge to Python's outcome."""
    log = data.draw(logs(16)) + data.draw(st.lists(odd_events(), max_size=4))
    arrivals = data.draw(shuffled_with_duplicates(log))
    engine.query("TRUNCATE TABLE law.outcomes")
    size = data.draw(st.integers(1, len(arrivals)))
    for start in range(0, len(arrivals), size):
        rows = [encode_outcome(key, fact) for event in arrivals[start : start + size] for key, fact in lift(event)]
        body = b"\n".join(rows).decode()
        engine.query(
            f"INSERT INTO law.outcomes SETTINGS input_format_json_named_tuples_as_objects=0 FORMAT JSONEachRow {body}"
        )
    if data.draw(st.booleans()):
        engine.query("OPTIMIZE TABLE law.outcomes FINAL")
    merged = engine.query(f"SELECT * FROM law.outcomes FINAL {MERGED}").bytes()
    got = sorted((from_json(line) for line in merged.splitlines()), key=_identity)
    expected = sorted((_as_row(from_json(value)) for value in records(log).values()), key=_identity)
    assert got == expected


def _identity(row: dict[str, Any]) -> tuple[str, str, int]:
    return row["app"], row["generation_id"], row["choice_index"]


def _as_row(outcome: Outcome) -> Outcome:
    """An outcome with what ClickHouse shows for fields that hold nothing."""
    row = dict(outcome)
    for field in FIELDS:
        if field.merge != "max":
            row.setdefault(field.name, {})
        elif field.default is not None:
            row.setdefault(field.name, field.default)
        else:
            row.setdefault(field.name, _empty_register(field.type))
    return row


def _empty_register(type_: str) -> list[Any]:
    elements = type_.removeprefix("Tuple(").removesuffix(")").split(", ")
    return ["" if element.endswith(" String") else 0 for element in elements]


@given(st.one_of(events(), odd_events()))
def test_a_register_says_by_name_what_its_event_says(event: Event) -> None:
    """Each column that is a field of the event holds it, or what stands for its absence."""
    said = {name: value for name, value in event.items() if value is not None}
    outcome = lift(event)[0][1]
    registers = {"votes": VOTE, "flags": FLAG, "corrections": CORRECTION, "retention": RETENTION}
    found = [(registers[name], value) for name in registers for value in outcome.get(name, {}).values()]
    found += [(GENERATION, outcome["generation"])] if "generation" in outcome else []
    for register, values in found:
        for column, value in zip(register.columns, values, strict=True):
            if not column.given:
                assert value == said.get(column.name, column.default), column.name
