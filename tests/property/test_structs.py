"""The fast way to read events takes what `decode` takes, and nothing else, and reads the same."""

import json
import random
import tracemalloc
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keeprate.schemas import json_schema
from keeprate.schemas.decode import decode, encode
from keeprate.schemas.events import EVENT_TYPES, Event
from keeprate.schemas.lift import lift
from keeprate.schemas.structs import forms
from keeprate.schemas.structs.reading import mapping_of, read
from tests.fault.content import values
from tests.fault.content.grammar import Events
from tests.property.test_gate import RAW, items, odd, verdict, written
from tests.strategies import BASE_MS, events, odd_events

EXAMPLES = sorted((Path(json_schema.__file__).parent / "examples").rglob("*.json"))


def said(event: Event) -> dict[str, Any]:
    """What an event says: what is absent and what is null are the same."""
    return {name: value for name, value in event.items() if value is not None}


def check(value: bytes, recorded_ms: int | None = BASE_MS, key: bytes | None = None) -> bool:
    """Read a record both ways. Returns whether the fast one took it alone."""
    expected, event = verdict(partial(decode, value, recorded_ms, key)), verdict(partial(read, value, recorded_ms, key))
    if isinstance(expected, str):
        assert event == expected
        return False
    # As text, because 1 is not 1.0 there, and -0.0 not 0.0.
    assert repr(sorted(mapping_of(event).items())) == repr(sorted(said(expected).items()))
    assert list(json.loads(forms.encode_struct(event)).items()) == list(json.loads(encode(expected)).items())
    assert decode(forms.encode_struct(event)) == said(expected)
    assert repr(lift(event)) == repr(lift(expected))
    try:
        return bool(forms.CHECKS[expected["type"]](forms.decode_struct(value), key))
    except (ValueError, RecursionError):
        return False


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_each_golden_example_is_read_the_fast_way(path: Path) -> None:
    """As the gate writes it, it needs no second look, unless its messages have fields of their own."""
    for each in json.loads(path.read_text("utf-8")):
        sent = json.dumps(each.get("given", each)).encode()
        check(sent, None)
        if not isinstance(event := verdict(partial(decode, sent)), str):
            assert check(encode(event), None) or b"refusal" in sent


@given(events() | odd_events())
def test_what_the_gate_writes_is_read_the_fast_way(event: Event) -> None:
    """Whatever its fields."""
    check(encode(event))


KEYS = st.sampled_from([None, b"\xff", b"", "own", "upper"])


@given(items(odd(RAW)), st.sampled_from([None, None, "event_id", "app", "type", "length"]), KEYS)
def test_what_is_odd_is_judged_alike(item: dict[str, Any], twice: str | None, kind: Any) -> None:
    """Odd values, names that are there twice, keys: one verdict, in the same words."""
    identity = str(item["generation_id"])
    check(written(item, twice), BASE_MS, {"own": identity.encode(), "upper": identity.upper().encode()}.get(kind, kind))


@given(st.binary(max_size=200) | st.text().map(str.encode))
@example(b"[" * 100_000)
@example(b'{"type":"generation","parameters":' + b"[" * 100_000)
@example(b'\xef\xbb\xbf{"type":"vote"}')
def test_any_bytes_are_judged_alike(value: bytes) -> None:
    """Nothing but an event or a refusal comes out."""
    check(value)


@pytest.mark.parametrize("seed", range(8))
def test_hostile_records_are_judged_alike(seed: int) -> None:
    """Those that drive the faults of content."""
    hostile = Events(random.Random(seed), BASE_MS)
    taken = [check(values.encoded(hostile.mutated()[1])) for _ in range(250)]
    assert any(taken)
    assert not all(taken)


TEXTS = ("accept\n", "x_a\n", "\n", "chat\n", "a\u0661", "\u017f", "\u212a", "x_\u0131", "\x00", "accept ", "Accept")


@given(events(), st.sampled_from(["app", "action", "label", "name", "trace_id", "span_id"]), st.sampled_from(TEXTS))
def test_a_pattern_matches_the_same_texts(event: Event, name: str, text: str) -> None:
    """Python's expressions and Rust's differ at the end of a line and beyond ASCII."""
    check(json.dumps({**event, name: text}).encode())


@given(events(), st.sampled_from([-1, 1]))
def test_an_id_takes_no_digit_from_the_next_one(event: Event, digits: int) -> None:
    """Both together have the right number of them."""
    event_id, generation_id = event["event_id"], event["generation_id"]
    both, end = event_id + generation_id, len(event_id) + digits
    moved: dict[str, Any] = {**event, "event_id": both[:end], "generation_id": both[end:]}
    check(json.dumps(moved).encode(), BASE_MS, moved["generation_id"].encode())


@pytest.mark.parametrize("name", ["app", "trace_id", "span_id", "action"])
def test_what_matches_no_pattern_is_not_kept(name: str) -> None:
    """Texts that were seen are remembered, and anybody may send long ones."""
    ids = dict.fromkeys(("event_id", "generation_id"), "0198c0de-0000-7000-8000-000000000001")
    event = {"type": "action", "action": "accept", **ids, "schema_version": 1, "occurred_at": BASE_MS, "app": "a"}
    sent = (json.dumps({**event, name: str(number) + "!" * 200_000}).encode() for number in range(50))
    tracemalloc.start()
    try:
        assert all(isinstance(verdict(partial(read, value)), str) for value in sent)
        assert tracemalloc.get_traced_memory()[0] < 2_000_000
    finally:
        tracemalloc.stop()


def test_every_type_of_event_has_a_struct() -> None:
    """A type that is added is there by itself."""
    assert tuple(forms.STRUCTS) == EVENT_TYPES


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "int", "multiple_of": 5},
        {"type": "str", "strip_whitespace": True},
        {"type": "url"},
        {"type": "list", "items_schema": {"type": "int"}, "min_length": 1},
    ],
    ids=lambda schema: "-".join(schema),
)
def test_a_bound_of_a_kind_that_is_not_known_here_is_not_left_out(schema: dict[str, Any]) -> None:
    """Who adds one hears of it when the module is imported."""
    with pytest.raises(TypeError, match="no struct can be made"):
        forms._Forms({}).type_of(schema)


def test_a_rule_between_fields_is_the_one_that_pydantic_asks() -> None:
    """Not a copy of it."""
    ids = dict.fromkeys(("event_id", "generation_id"), "0198c0de-0000-7000-8000-000000000001")
    vote = forms.STRUCTS["vote"](**ids, schema_version=1, occurred_at=BASE_MS, app="a")
    with pytest.raises(ValueError, match="exactly one of them"):
        forms.CHECKS["vote"](vote, None)
