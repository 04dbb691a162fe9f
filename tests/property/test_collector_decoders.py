"""Whatever bytes a client sends, a decoder answers with values or with a clear refusal."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from keeprate.producers.collector.batches import Origin, accept, read_items
from keeprate.producers.collector.errors import RequestError
from keeprate.producers.collector.gate.bodies import ENCODINGS, Body
from keeprate.producers.collector.otel import logs, otlp, otlp_json, semconv, spans
from keeprate.producers.collector.otel.identity import Aliases
from keeprate.producers.collector.otel.spans import Mapped, RequestSource
from keeprate.schemas import decode
from tests.strategies import BASE_MS, events

MEDIA_TYPES = ("application/json", "application/x-ndjson", "text/plain")
NAMES = sorted(
    {
        *semconv.INPUTS,
        *semconv.OUTPUTS,
        *semconv.OPERATIONS,
        *semconv.FINISH_REASONS,
        *semconv.TOOL_DEFINITIONS,
        *semconv.USERS,
        *(name for names in (*semconv.NAMES.values(), *semconv.COUNTS.values()) for name in names),
        *("gen_ai.prompt.0.content", "gen_ai.completion.0.role", "gen_ai.completion.0.tool_calls.0.name"),
        *("gen_ai.evaluation.name", "gen_ai.evaluation.score.value", "gen_ai.evaluation.score.label"),
        *("outcome", "rating", "time_delay_ms", "accepted", "keeprate.generation_id", "keeprate.choice_index"),
    }
)
RECORD_NAMES = sorted({*logs._FEEDBACK, *semconv.MESSAGE_EVENTS, *semconv.CONTENT_EVENTS, semconv.DETAILS_EVENT, "log"})
IDS = st.sampled_from([b"", b"\1" * 8, b"\2" * 16, bytes(16), b"\3" * 3])
TIMES = st.sampled_from([0, 1, 1_764_000_000_000_000_000, 2**64 - 1])

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.sampled_from(
        ["chat", "execute_tool", "user_vote", "accepted", "positive", "[]", "{}", '[{"role":1}]', "[[", "1"]
    ),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "parts", "type", "name", "tool_calls", "message"]), inner)
    ),
    max_leaves=8,
)
attributes = st.dictionaries(st.sampled_from(NAMES), values, max_size=6)


def any_value(value: Any) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case list():
            message = AnyValue()
            message.array_value.values.extend(any_value(entry) for entry in value)
            message.array_value.SetInParent()
            return message
        case dict():
            message = AnyValue()
            message.kvlist_value.SetInParent()
            for name, entry in value.items():
                message.kvlist_value.values.add(key=name, value=any_value(entry))
            return message
        case _:
            return AnyValue()


def json_value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case str():
            return {"stringValue": value}
        case list():
            return {"arrayValue": {"values": [json_value(entry) for entry in value]}}
        case dict():
            return {"kvlistValue": {"values": json_pairs(value)}}
        case _:
            return {}


def json_pairs(pairs: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": json_value(value)} for name, value in pairs.items()]


@st.composite
def traces(draw: st.DrawFn) -> tuple[bytes, list[dict[str, Any]]]:
    """A trace request in protobuf, and its spans as OTLP's JSON has them."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    told = []
    for _ in range(draw(st.integers(1, 4))):
        trace_id, span_id, parent = draw(IDS), draw(IDS), draw(IDS)
        start, end = draw(TIMES), draw(TIMES)
        said = draw(attributes)
        events = draw(st.lists(st.tuples(st.sampled_from(RECORD_NAMES), attributes), max_size=2))
        span = scope.spans.add(
            trace_id=trace_id,
            span_id=span_id,
            parent_span_id=parent,
            name="s",
            start_time_unix_nano=start,
            end_time_unix_nano=end,
        )
        span.status.code = draw(st.sampled_from([0, 1, 2]))  # type: ignore[assignment]
        for name, value in said.items():
            span.attributes.add(key=name, value=any_value(value))
        for event_name, event_said in events:
            event = span.events.add(name=event_name, time_unix_nano=start)
            for name, value in event_said.items():
                event.attributes.add(key=name, value=any_value(value))
        told.append(
            {
                "traceId": trace_id.hex(),
                "spanId": span_id.hex().upper(),
                "parentSpanId": parent.hex(),
                "name": "s",
                "startTimeUnixNano": str(start),
                "endTimeUnixNano": end,
                "status": {"code": int(span.status.code)},
                "attributes": json_pairs(said),
                "events": [
                    {"name": event_name, "timeUnixNano": str(start), "attributes": json_pairs(event_said)}
                    for event_name, event_said in events
                ],
            }
        )
    return request.SerializeToString(), told


@st.composite
def log_requests(draw: st.DrawFn) -> bytes:
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for _ in range(draw(st.integers(1, 4))):
        record = scope.log_records.add(
            trace_id=draw(IDS), span_id=draw(IDS), event_name=draw(st.sampled_from(RECORD_NAMES))
        )
        record.time_unix_nano = draw(TIMES)
        record.body.CopyFrom(any_value(draw(values)))
        for name, value in draw(attributes).items():
            record.attributes.add(key=name, value=any_value(value))
    return request.SerializeToString()


def refusal_of(read: Callable[[], Any]) -> RequestError | None:
    """The refusal that a reader gave, None when it gave values. Any other error is the test's to report."""
    try:
        read()
    except RequestError as error:
        return error
    return None


def source() -> RequestSource:
    return RequestSource("demo", 1_764_000_000_000, Aliases(), b"pepper")


def assert_accounted(mapped: Mapped, count: int) -> None:
    for record in mapped.records:
        event = decode.decode(record.value)
        assert (event["app"], event["generation_id"]) == ("demo", record.key)
    for refusal in mapped.refusals:
        assert refusal.reason
        assert 0 <= refusal.index < count


@given(st.lists(events(), min_size=1, max_size=8), st.sampled_from(MEDIA_TYPES))
def test_every_valid_event_is_accepted_as_it_is(batch: list[Any], media_type: str) -> None:
    """In an array and in lines, with the values that it had."""
    body = json.dumps(batch).encode()
    if media_type == "application/x-ndjson":
        body = b"\n".join(json.dumps(event).encode() for event in batch)
    origin = Origin(app=None, received_ms=BASE_MS, aliases=Aliases())
    records, refusals = accept(read_items(body, media_type), origin)
    assert refusals == []
    assert [json.loads(record.value) for record in records] == [json.loads(decode.encode(event)) for event in batch]


json_documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["type", "value", "app", "generation_id", "occurred_at", "trace_id"]), inner)
    ),
    max_leaves=20,
)


@given(json_documents | st.lists(json_documents), st.sampled_from(MEDIA_TYPES))
def test_any_json_is_accounted_item_by_item(document: Any, media_type: str) -> None:
    """Each item is a record or a refusal, never both and never neither."""
    origin = Origin(app="demo", received_ms=BASE_MS, aliases=Aliases())
    body = json.dumps(document).encode()
    if error := refusal_of(lambda: read_items(body, media_type)):
        assert 400 <= error.status < 500
        return
    items = read_items(body, media_type)
    records, refusals = accept(items, origin)
    indexes = [record.index for record in records] + [refusal.index for refusal in refusals]
    assert sorted(indexes) == list(range(len(items)))


@given(st.binary(max_size=400), st.sampled_from(MEDIA_TYPES), st.sampled_from(["", *ENCODINGS]))
def test_any_bytes_are_read_or_refused(wire: bytes, media_type: str, encoding: str) -> None:
    """No other error comes out, whatever goes in."""
    readers = (
        lambda body: read_items(body, media_type),
        otlp.decode_protobuf_spans,
        otlp.decode_protobuf_logs,
        otlp_json.decode_json_spans,
        otlp_json.decode_json_logs,
    )

    def inflate() -> bytes:
        body = Body(encoding, 1 << 16)
        body.add(wire)
        return body.content()

    if error := refusal_of(inflate):
        assert 400 <= error.status < 500
        return
    content = inflate()
    for reader in readers:
        error = refusal_of(partial(reader, content))
        assert error is None or 400 <= error.status < 500


@given(traces())
def test_protobuf_and_json_say_the_same_spans(request: tuple[bytes, list[dict[str, Any]]]) -> None:
    """One request in both encodings gives the same spans, but for numbers that JSON cannot write."""
    wire, told = request
    document = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": told}]}]})
    if "NaN" in document or "Infinity" in document:
        return
    assert repr(otlp.decode_protobuf_spans(wire)) == repr(otlp_json.decode_json_spans(document.encode()))


@given(traces())
def test_any_spans_are_mapped_or_refused(request: tuple[bytes, list[dict[str, Any]]]) -> None:
    """Each span is a record, a refusal or counted as ignored."""
    found = otlp.decode_protobuf_spans(request[0])
    mapped = spans.map_spans(found, source())
    assert_accounted(mapped, len(found))
    assert len(mapped.records) + len(mapped.refusals) + sum(mapped.ignored.values()) == len(found)
    assert_accounted(logs.map_span_events(found, source()), 10)


@given(log_requests())
def test_any_log_records_are_mapped_or_refused(wire: bytes) -> None:
    """Whatever their attributes and bodies hold."""
    found = otlp.decode_protobuf_logs(wire)
    assert_accounted(logs.map_logs(found, source()), len(found))


@pytest.mark.parametrize("reader", [otlp_json.decode_json_spans, otlp_json.decode_json_logs])
@given(document=json_documents)
def test_any_json_is_no_otlp_without_a_refusal(reader: Any, document: Any) -> None:
    """A field of the wrong type is named."""
    for body in (document, {"resourceSpans": document, "resourceLogs": document}):
        error = refusal_of(partial(reader, json.dumps(body).encode()))
        assert error is None or error.status == 400


def deep_any_value(depth: int) -> bytes:
    """An AnyValue with lists in lists, by hand: protobuf's own objects refuse to be nested that deep."""
    value = b"\x0a\x01x"
    for _ in range(depth):
        inner = b"\x0a" + varint(len(value)) + value
        value = b"\x2a" + varint(len(inner)) + inner
    return value


def varint(number: int) -> bytes:
    digits = b""
    while number > 127:
        digits += bytes([number & 127 | 128])
        number >>= 7
    return digits + bytes([number])


def test_deep_nesting_ends_in_a_refusal() -> None:
    """Parsers have a limit of depth, and ours is theirs."""
    wire = deep_any_value(5000)
    # The body of a log record, and what is around it: field 5 of it, and three messages of fields 2, 2 and 1.
    for tag in (b"\x2a", b"\x12", b"\x12", b"\x0a"):
        wire = tag + varint(len(wire)) + wire
    for reader, body in (
        (otlp.decode_protobuf_logs, wire),
        (otlp_json.decode_json_spans, b'{"resourceSpans":' * 5000),
        (lambda body: read_items(body, "application/json"), b'{"a":' * 5000),
    ):
        error = refusal_of(partial(reader, body))
        assert error is not None
        assert error.status == 400
