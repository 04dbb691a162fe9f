"""One gate: the collector, an object's check and a record's decoding give one verdict, on anything."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from pydantic_core import PydanticSerializationError, to_json

from keeprate.producers.collector.batches import AcceptedEvent, Origin, accept, read_batch, read_items
from keeprate.producers.collector.errors import RequestError
from keeprate.producers.collector.otel.identity import Aliases
from keeprate.schemas.decode import NIL_ID, ContractError, decode, encode, validate, validate_all
from keeprate.schemas.events import Event
from keeprate.schemas.json_schema import event_schema
from keeprate.sinks.landing.rows import sort
from keeprate.streams.join.judging import judge, judge_each
from tests.strategies import BASE_MS, events
from tests.streaming import Stored
from tests.unit.sinks.records import FakeRecord

FIELDS = sorted({name for form in event_schema()["$defs"].values() for name in form["properties"]} - {"type"})
TOKENS = ("NaN", "-Infinity", "1e400", "-1e400", "1e308", "-0", "1E2", "1.0", "5e-324", "0.1e1", str(2**64), "1" * 400)
"""Numbers as JSON may write them; not every reader takes each."""
IDENTITIES = (NIL_ID, "0198C0DE-0000-7000-8000-000000000010", "0198c0de-0000-7000-8000-00000000001", "urn:uuid:x")
TEXTS = ("", "x" * 201, "\x00", "a\x1fb", "\U0001f600", "ü", "2026-11-27", "Z", "\n", "x_pin", "accept")
NUMBERS = (0, 1, -1, 63, 64, 65, 2**31, 2**32, 10**9, 10**9 + 1, 2**53, 2**63, 2**64, 0.5, 1e6, 1e15, 1e16, 1e300)


def deep(levels: int) -> Any:
    """Lists within each other."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def foreign() -> st.SearchStrategy[Any]:
    """What only Python has, and an app may put into its parameters."""
    return st.sampled_from(
        [
            *(float("nan"), float("inf"), 2**70, "\ud800", {"\udfff": 1}, {1: 2}, (1, 2), {3}, b"bytes", b"\xff"),
            *(Decimal("NaN"), datetime(2026, 1, 1, tzinfo=UTC), object(), 1j, deep(99), deep(100), deep(101)),
        ]
    )


def odd(*more: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Values that are odd somewhere."""
    scalars = st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
        *map(st.sampled_from, (IDENTITIES, TEXTS, NUMBERS, (deep(99), deep(101), deep(150), deep(195), deep(250)))),
        st.text(st.characters(codec="utf-8"), max_size=8), *more,
    )  # fmt: skip
    names = st.sampled_from(("role", "content", "name", "tool_calls", "a", ""))
    return st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3), max_leaves=6
    ) | st.sampled_from(([0] * 65, ["a"] * 65, ["a"] * 4097, [{"role": "r", "content": "c"}] * 64))


@st.composite
def items(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> dict[str, Any]:
    """An event with some of its fields changed, or with some that are another's."""
    item: dict[str, Any] = dict(draw(events()))
    for name in draw(st.lists(st.sampled_from([*FIELDS, "parameters", "output", "surprise"]), max_size=3)):
        item[name] = draw(values)
    item["type"] = draw(st.sampled_from([item["type"], item["type"], item["type"], "generation", "wish", None, 1]))
    if item["generation_id"] is None or isinstance(item["occurred_at"], str):
        item |= {"generation_id": NIL_ID, "occurred_at": 0}
    return item


def written(item: dict[str, Any], twice: str | None) -> bytes:
    """The item's JSON, one of its names maybe given twice."""
    text = json.dumps(item, default=str)
    for token in TOKENS:
        text = text.replace(json.dumps(f"raw {token}"), token)
    if twice is not None:
        text = f"{{{json.dumps(twice)}: {json.dumps(NIL_ID)}, {text[1:]}"
    return text.encode("utf-8", "surrogatepass")


def verdict(judge: Callable[[], Event]) -> Event | str:
    """The event, or why it is none; raises whatever else comes out."""
    try:
        return judge()
    except ContractError as error:
        return str(error)


def decoded(value: bytes) -> Event | None:
    found = verdict(partial(decode, value, BASE_MS))
    if isinstance(found, str):
        assert 0 < len(found.encode()) < 1000
        return None
    return found


def collected(value: bytes) -> AcceptedEvent | None:
    origin = Origin(app=None, received_ms=BASE_MS, aliases=Aliases())
    try:
        records, refusals = accept(read_items(b"[" + value + b"]", "application/json"), origin)
    except RequestError:
        return None
    assert len(records) + len(refusals) == 1
    return records[0] if records else None


RAW = st.sampled_from([f"raw {token}" for token in TOKENS])


def answered(body: bytes, kind: str, app: str | None, *, one_by_one: bool) -> Any:
    """What becomes of a body, read in whichever way its items allow, or as items that are looked at one by one."""
    origin = Origin(app, BASE_MS, Aliases(), idempotency_key="k")
    try:
        if not one_by_one:
            records, refusals, users = read_batch(body, kind, origin)
        else:
            given = read_items(body, kind)
            records, refusals = accept(given, origin)
            users = {given[record.index]["user"] for record in records if given[record.index].get("user")}
    except RequestError as error:
        return str(error), error.status
    # As text, because 1 is not 1.0 there; as values, because exponents have two forms.
    return [(each.index, each.type, each.key, repr(json.loads(each.value))) for each in records], refusals, set(users)


@given(
    st.lists(events().map(dict) | items(odd(RAW)), min_size=1, max_size=3),
    st.sampled_from(["application/json", "application/x-ndjson", ""]),
    st.booleans(),
    st.sampled_from([b"", b" ", b"\n", b",", b"x", b"\xef\xbb\xbf"]),
)
def test_whole_events_are_taken_as_items_that_are_looked_at_one_by_one(
    batch: list[dict[str, Any]], kind: str, keyed: bool, before: bytes
) -> None:
    """A body that is read by structs gives the same records, refusals and users, in every form of a body."""
    values = [written(item, None) for item in batch]
    bodies = [b"[" + b",".join(values) + b"]", b"\n".join(values), values[0]]
    app = str(batch[0].get("app")) if keyed else None
    for body in bodies:
        quick, slow = (answered(before + body, kind, app, one_by_one=each) for each in (False, True))
        assert quick == slow


@given(items(odd(RAW)), st.sampled_from([None, None, "event_id", "generation_id", "app", "surprise"]))
def test_the_collector_takes_what_decode_takes(item: dict[str, Any], twice: str | None) -> None:
    """And what it sends to Kafka decodes to the same event, under that event's key."""
    value = written(item, twice)
    event, record = decoded(value), collected(value)
    assert (record is None) == (event is None)
    if record is not None and event is not None:
        assert decode(record.value, BASE_MS) == {name: said for name, said in event.items() if said is not None}
        assert record.value == encode(event)
        assert record.key == event["generation_id"] == event["generation_id"].lower()


@given(items(odd(foreign())))
def test_an_object_is_judged_as_its_json_is(item: dict[str, Any]) -> None:
    """What cannot be written as JSON, or not read again, is no event as an object either."""
    event = verdict(partial(validate, item, BASE_MS))
    assert not isinstance(event, str) or event.encode()
    try:
        value = to_json(item)
    except (PydanticSerializationError, ValueError):
        assert isinstance(event, str)
        return
    read = decoded(value)
    if not has_foreign_shape(item):
        assert isinstance(event, str) == (read is None)
    if not isinstance(event, str):
        assert read is not None
        assert encode(event) == encode(read)


def has_foreign_shape(item: dict[str, Any]) -> bool:
    """Whether a field has a value that is refused for its Python type, though its JSON would do: a tuple, a date."""
    declared = {name: value for name, value in item.items() if name not in FREE_FORM}
    return bool(json.loads(to_json(declared)) != declared)


FREE_FORM = ("parameters", "prompt_variables", "input", "output")


@given(st.lists(items(odd()), max_size=3))
def test_many_are_judged_as_each_is(batch: list[dict[str, Any]]) -> None:
    """Faults in a batch change nothing for their neighbours."""
    found = [str(each) if isinstance(each, ContractError) else each for each in validate_all(batch, BASE_MS)]
    assert found == [verdict(partial(validate, item, BASE_MS)) for item in batch]


@given(st.binary(max_size=200) | st.text().map(str.encode))
@example(b"[" * 1000)
def test_any_bytes_are_an_event_or_a_refusal(value: bytes) -> None:
    """Nothing else comes out."""
    decoded(value)


_TIMES = st.sampled_from([-1, 0, 1, BASE_MS - 86_400_001, BASE_MS, 2**62])


@given(events().map(dict) | items(odd(RAW)), _TIMES, st.sampled_from([None, b"\xff", "own", "upper"]))
def test_the_join_and_the_sink_refuse_the_same_records(item: dict[str, Any], at_ms: int, kind: Any) -> None:
    """By value, time and key, in a batch as in a record's own place, and in the same words."""
    value, identity = written(item, None), str(item["generation_id"])
    key = {"own": identity.encode(), "upper": identity.upper().encode()}.get(kind, kind)
    stored = Stored(value, 0, timestamp=at_ms, key=key)
    landed = sort(stored.topic, 0, [FakeRecord(0, value, stored.key, at_ms)]).rejects
    expected = [(error.error_type, error.field, error.reason) for _, error in landed]
    for judged in (judge([stored], lambda keys: {}), judge_each([stored], lambda keys: {})):
        letters = [refusal.letter for refusal in judged.sifted.refusals]
        assert [(letter.error_type, letter.field, letter.reason) for letter in letters] == expected
