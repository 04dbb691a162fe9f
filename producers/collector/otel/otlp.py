"""OTLP requests in protobuf to plain spans and log records. Pure; what is malformed raises RequestError.

The messages are those of OpenTelemetry's own package.
"""

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as LogMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from keeprate.producers.collector.errors import RequestError
from keeprate.producers.collector.gate.weight import MAX_SPAN_EVENTS, check_items, check_weight
from keeprate.producers.collector.otel.signals import Attributes, LogRecord, Span, SpanEvent
from keeprate.producers.collector.otel.wire import check_fields


def decode_protobuf_spans(body: bytes) -> list[Span]:
    """The spans of an ExportTraceServiceRequest, of which there may be `weight.MAX_ITEMS`."""
    check_fields(body, "traces")
    request = ExportTraceServiceRequest()
    _parse(request, body)
    check_items(len(request.resource_spans), "resources")
    check_items(sum(len(group.scope_spans) for group in request.resource_spans), "scopes")
    scopes = [scope for group in request.resource_spans for scope in group.scope_spans]
    check_items(sum(len(scope.spans) for scope in scopes), "spans")
    check_items(sum(len(span.events) for scope in scopes for span in scope.spans), "events of spans", MAX_SPAN_EVENTS)
    return list(_protobuf_spans(request))


def decode_protobuf_logs(body: bytes) -> list[LogRecord]:
    """The log records of an ExportLogsServiceRequest, of which there may be `weight.MAX_ITEMS`."""
    check_fields(body, "logs")
    request = ExportLogsServiceRequest()
    _parse(request, body)
    check_items(len(request.resource_logs), "resources")
    check_items(sum(len(group.scope_logs) for group in request.resource_logs), "scopes")
    check_items(sum(len(scope.log_records) for group in request.resource_logs for scope in group.scope_logs), "records")
    return list(_protobuf_logs(request))


def _parse(request: ExportTraceServiceRequest | ExportLogsServiceRequest, body: bytes) -> None:
    # An attribute's text may be JSON, which is read later.
    check_weight(body)
    try:
        request.ParseFromString(body)
    except (DecodeError, ValueError) as error:
        raise RequestError(400, "not_protobuf", f"the body is not {type(request).__name__}: {error}") from None


def _protobuf_spans(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource_spans in request.resource_spans:
        resource = _attributes(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield _protobuf_span(span, resource)


def _protobuf_span(span: SpanMessage, resource: Attributes) -> Span:
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex(),
        name=span.name,
        started_ms=span.start_time_unix_nano // 1_000_000,
        ended_ms=span.end_time_unix_nano // 1_000_000,
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        status_message=span.status.message,
        attributes=_attributes(span.attributes),
        resource=resource,
        events=tuple(
            SpanEvent(event.name, event.time_unix_nano // 1_000_000, _attributes(event.attributes))
            for event in span.events
        ),
    )


def _protobuf_logs(request: ExportLogsServiceRequest) -> Iterator[LogRecord]:
    for resource_logs in request.resource_logs:
        resource = _attributes(resource_logs.resource.attributes)
        for scope_logs in resource_logs.scope_logs:
            for record in scope_logs.log_records:
                yield _protobuf_log(record, resource)


def _protobuf_log(record: LogMessage, resource: Attributes) -> LogRecord:
    attributes = _attributes(record.attributes)
    return LogRecord(
        trace_id=record.trace_id.hex(),
        span_id=record.span_id.hex(),
        event_name=record.event_name or str(attributes.get("event.name", "")),
        at_ms=(record.time_unix_nano or record.observed_time_unix_nano) // 1_000_000,
        body=_value(record.body),
        attributes=attributes,
        resource=resource,
    )


def _attributes(pairs: Any) -> Attributes:
    return {pair.key: _value(pair.value) for pair in _typed(pairs)}


def _typed(pairs: Any) -> Iterator[KeyValue]:
    yield from pairs


def _value(value: AnyValue) -> Any:
    """A protobuf AnyValue in Python. Its depth is bounded by protobuf's own limit of 100 nested messages."""
    kind = value.WhichOneof("value")
    match kind:
        case None:
            return None
        case "array_value":
            return [_value(entry) for entry in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case "bytes_value":
            return value.bytes_value.hex()
        case _:
            return getattr(value, kind)
