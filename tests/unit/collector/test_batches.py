"""Bodies of POST /v1/events to records and refusals."""

import json
from typing import Any

import pytest

from keeprate.producers.collector.batches import AcceptedEvent, Origin, accept, read_batch, read_items
from keeprate.producers.collector.errors import Refusal, RequestError
from keeprate.producers.collector.gate.weight import MAX_ITEMS
from keeprate.producers.collector.otel.identity import Aliases, span_generation_id
from keeprate.schemas import decode
from keeprate.schemas.events import MAX_EVENT_BYTES

GENERATION = "0198c0de-0000-7000-8000-000000000001"
EVENT = "0198c0de-0000-7000-8000-000000000002"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
NOW_MS = 1_764_000_000_000


def origin(**known: Any) -> Origin:
    return Origin(**{"app": "demo", "received_ms": NOW_MS, "aliases": Aliases(), **known})


def vote(**fields: Any) -> dict[str, Any]:
    return {"type": "vote", "value": 1, "generation_id": GENERATION, **fields}


def accepted(*items: Any, **known: Any) -> tuple[list[AcceptedEvent], list[Refusal]]:
    return accept(read_items(json.dumps(items).encode(), "application/json"), origin(**known))


def test_what_the_request_says_of_every_item_may_be_left_out() -> None:
    """App, event id, schema version and time are filled in, and the record is a valid event."""
    [record], refusals = accepted(vote())
    event = decode.decode(record.value)
    assert refusals == []
    assert (event["app"], event["occurred_at"], event["schema_version"]) == ("demo", NOW_MS, 1)
    assert record.key == event["generation_id"] == GENERATION


def test_what_is_null_is_absent() -> None:
    """As everywhere in an event: also of the fields that the request fills in."""
    absent, null = vote(), vote(app=None, schema_version=None, occurred_at=None, event_id=None, user=None)
    records, refusals = accepted(absent, null, idempotency_key="k")
    first, second = (json.loads(record.value) for record in records)
    assert refusals == []
    assert first.pop("event_id") != second.pop("event_id")
    assert first == second


def test_a_complete_event_keeps_every_field() -> None:
    """What the client said is what Kafka gets."""
    given = vote(
        event_id=EVENT, schema_version=1, occurred_at=NOW_MS - 5, app="demo", comment='naïve "quote" \U0001f600'
    )
    [record], _ = accepted(given)
    assert json.loads(record.value) == given


@pytest.mark.parametrize(
    ("time", "milliseconds"),
    [("2025-01-02T03:04:05Z", 1735787045000), ("2025-01-02T03:04:05.678+01:00", 1735783445678)],
)
def test_a_time_as_text_becomes_milliseconds(time: str, milliseconds: int) -> None:
    """ISO 8601 with an offset is taken."""
    [record], _ = accepted(vote(occurred_at=time))
    assert decode.decode(record.value)["occurred_at"] == milliseconds


@pytest.mark.parametrize(
    ("item", "status", "error_type", "field"),
    [
        (vote(occurred_at="2026-01-02T03:04:05"), 422, "invalid", "occurred_at"),
        (vote(occurred_at="yesterday"), 422, "invalid", "occurred_at"),
        (vote(app="other"), 403, "forbidden", "app"),
        (vote(value=7), 422, "invalid", "value"),
        (vote(surprise=1), 422, "invalid", "surprise"),
        (vote(schema_version=2), 422, "unknown_version", "schema_version"),
        (vote(type="wish"), 422, "unknown_type", "type"),
        ({"type": "wish"}, 422, "unknown_type", "type"),
        ({}, 422, "unknown_type", "type"),
        (vote(generation_id=None), 422, "invalid", "generation_id"),
        (vote(generation_id="nobody"), 422, "invalid", "generation_id"),
        (vote(comment="x" * MAX_EVENT_BYTES), 413, "too_large", ""),
        (vote(context_sources=["x"] * 5000), 413, "too_large", ""),
        ({**vote(), **{f"f{n}": 1 for n in range(200)}}, 413, "too_large", ""),
        ("a text", 422, "invalid", ""),
        (None, 422, "invalid", ""),
    ],
)
def test_a_refusal_names_the_field_at_fault(item: Any, status: int, error_type: str, field: str) -> None:
    """The other items of the request are taken."""
    records, refusals = accepted(vote(), item, vote())
    assert [record.index for record in records] == [0, 2]
    [refusal] = refusals
    assert (refusal.index, refusal.status, refusal.error_type, refusal.field) == (1, status, error_type, field)
    assert refusal.reason


def test_refusals_come_in_the_order_of_the_items() -> None:
    """Faults that are found at different stages are still listed by index."""
    _, refusals = accepted(vote(value=7), vote(app="other"), vote(comment="x" * MAX_EVENT_BYTES), vote(value=8))
    assert [refusal.index for refusal in refusals] == [0, 1, 2, 3]


def test_trace_and_span_stand_for_the_generation() -> None:
    """An event without generation_id gets the identity of the span that it names."""
    [record], _ = accepted(vote(generation_id=None, trace_id=TRACE, span_id=SPAN))
    assert record.key == span_generation_id("demo", TRACE, SPAN)


def test_a_trace_alone_stands_for_its_generation_seen_lately() -> None:
    """The outermost generation of the trace is meant, and the last where there are several."""
    aliases = Aliases()
    for span, depth in (("a" * 16, 1), ("b" * 16, 0), ("c" * 16, 0), ("d" * 16, 1)):
        aliases.remember("demo", "trace", TRACE, span_generation_id("demo", TRACE, span), depth)
    [record], _ = accepted(vote(generation_id=None, trace_id=TRACE), aliases=aliases)
    assert record.key == span_generation_id("demo", TRACE, "c" * 16)


def test_a_response_id_stands_for_the_generation_seen_lately() -> None:
    """An app knows the provider's response id where an instrumentation hides the span's."""
    aliases = Aliases()
    aliases.remember("demo", "response", "chatcmpl-1", GENERATION)
    [record], _ = accepted(vote(generation_id=None, external_id="chatcmpl-1"), aliases=aliases)
    [stranger], _ = accepted(vote(generation_id=None, external_id="chatcmpl-1"), aliases=aliases, app="other")
    assert record.key == GENERATION
    assert stranger.key != GENERATION


def test_an_idempotency_key_makes_filled_in_ids_repeatable() -> None:
    """The same request sent again has the same event ids; another key, other ids, and so has what a page sends."""
    first, again, other, pages = (
        accepted(vote(), vote(), idempotency_key=key, feedback_only=scope)[0]
        for key, scope in (("upload-1", False), ("upload-1", False), ("upload-2", False), ("upload-1", True))
    )
    ids = [[json.loads(record.value)["event_id"] for record in records] for records in (first, again, other, pages)]
    assert ids[0] == ids[1]
    assert len({*ids[0], *ids[2], *ids[3]}) == 6


def test_without_keys_an_item_names_its_app() -> None:
    """A collector on a laptop takes any app's events, and still wants to know whose they are."""
    records, refusals = accepted(vote(app="a"), vote(), app=None)
    assert [json.loads(record.value)["app"] for record in records] == ["a"]
    assert [refusal.field for refusal in refusals] == ["app"]


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b'[{"a":1},{"b":2}]', "application/json"),
        (b'{"a":1}\n{"b":2}\n', "application/x-ndjson"),
        (b'{"a":1}\r\n\r\n  {"b":2}', "application/jsonl"),
        (b' [{"a":1},\n{"b":2}]', "text/plain"),
        (b'{"a":1}\n{"b":2}', ""),
    ],
)
def test_a_body_is_an_array_or_lines(body: bytes, media_type: str) -> None:
    """Lines are told from a document by the Content-Type, or by the content where a browser sends no useful type."""
    assert read_items(body, media_type) == [{"a": 1}, {"b": 2}]


def test_one_object_is_a_batch_of_one() -> None:
    """A single event needs no brackets, however it is laid out."""
    for media_type in ("application/json", "text/plain"):
        assert read_items(b'{\n "a": 1\n}', media_type) == [{"a": 1}]


def test_a_line_that_is_not_json_is_refused_alone() -> None:
    """The lines around it are taken."""
    good = json.dumps(vote()).encode()
    records, refusals = accept(read_items(good + b"\n{oops\n" + good, "application/x-ndjson"), origin())
    assert [record.index for record in records] == [0, 2]
    assert [(refusal.index, refusal.status, refusal.error_type) for refusal in refusals] == [(1, 400, "not_json")]


@pytest.mark.parametrize("between", [b', "comment": "a\nb"}, ', b'\n"comment": "ab"}, '])
@pytest.mark.parametrize("media_type", ["application/x-ndjson", "text/plain"])
def test_lines_are_not_read_as_one_text(between: bytes, media_type: str) -> None:
    """Two lines that are no JSON do not make two events together, with a comma where the line ended."""
    whole = json.dumps(vote(event_id=EVENT, schema_version=1, occurred_at=NOW_MS, app="demo")).encode()
    records, refusals, _ = read_batch(whole[:-1] + between + whole, media_type, origin())
    assert records == []
    assert [(refusal.index, refusal.error_type) for refusal in refusals] == [(0, "not_json"), (1, "not_json")]


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"\n\n", "application/x-ndjson", 400),
        (b"[", "application/json", 400),
        (b'{"a":NaN}', "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"[" * 2_000_000, "application/json", 413),
        (b"[" + b"{}," * MAX_ITEMS + b"{}]", "application/json", 413),
        (b"a,b\n1,2", "text/csv", 415),
    ],
)
def test_a_body_that_is_no_batch_is_refused_whole(body: bytes, media_type: str, status: int) -> None:
    """Nothing of it is sent to Kafka."""
    with pytest.raises(RequestError) as caught:
        read_items(body, media_type)
    assert caught.value.status == status


def test_every_item_at_fault_is_found_in_a_long_batch() -> None:
    """Validation stops at the first fault of a chunk and goes on behind it."""
    items = [vote(value=9 if index % 7 == 0 else 1) for index in range(2500)]
    records, refusals = accepted(*items)
    assert [refusal.index for refusal in refusals] == list(range(0, 2500, 7))
    assert len(records) + len(refusals) == 2500
