"""Counting the fields of a protobuf body before it is parsed."""

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from keeprate.producers.collector.errors import RequestError
from keeprate.producers.collector.otel import wire
from keeprate.producers.collector.otel.wire import MAX_FIELDS, UNCOUNTED_BYTES, check_fields


def request(attributes: int, content_bytes: int = 0) -> bytes:
    """One span with so many attributes, the last of which is as long as asked for."""
    message = ExportTraceServiceRequest()
    span = message.resource_spans.add().scope_spans.add().spans.add(name="chat", start_time_unix_nano=1)
    for number in range(attributes):
        span.attributes.add(key=f"a{number}").value.double_value = 0.5
    span.attributes.add(key="content").value.string_value = "x" * content_bytes
    return message.SerializeToString()


def test_a_large_body_of_content_passes() -> None:
    """Long messages are what makes a batch large; the text in them is not looked into."""
    check_fields(request(100, content_bytes=8 << 20), "traces")


def test_fields_are_counted_through_every_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attribute is four fields: itself, its key, its value, and what the value holds."""
    monkeypatch.setattr(wire, "UNCOUNTED_BYTES", 0)
    body = request(1000)
    # Two levels, the span, its name and time, and the attribute `content`.
    fields = 5 + 4 * 1000 + 4
    monkeypatch.setattr(wire, "MAX_FIELDS", fields)
    check_fields(body, "traces")
    monkeypatch.setattr(wire, "MAX_FIELDS", fields - 1)
    with pytest.raises(RequestError) as caught:
        check_fields(body, "traces")
    assert caught.value.status == 413


def test_a_large_body_of_tiny_messages_is_refused() -> None:
    """Two bytes each on the wire, a hundred in memory."""
    with pytest.raises(RequestError):
        check_fields(b"\x0a\x00" * MAX_FIELDS * 2, "traces")


def test_a_small_body_is_not_counted() -> None:
    """It cannot become large."""
    check_fields(b"\x0a\x00" * (UNCOUNTED_BYTES // 2), "traces")


@pytest.mark.parametrize("tail", [b"\x0a", b"\x0a\xff", b"\xff" * 20, b"\x0a\x7f", b"\x0b"])
def test_what_is_malformed_is_left_to_the_parser(tail: bytes) -> None:
    """Counting never raises anything but its own refusal."""
    check_fields(request(1, content_bytes=2 << 20) + tail, "traces")
