"""OTLP's JSON encoding to the same spans and log records as its protobuf encoding.

Differs from protobuf's own JSON mapping in that ids are hexadecimal, so it is read by hand (OTLP 1.x, "JSON Protobuf
Encoding"): names in lowerCamelCase, 64-bit integers as text or number, unknown names ignored.
"""

import base64
import binascii
from collections.abc import Iterator
from typing import Any, Final

from pydantic_core import from_json

from keeprate.producers.collector.errors import RequestError
from keeprate.producers.collector.gate.weight import MAX_SPAN_EVENTS, check_items, check_weight
from keeprate.producers.collector.otel.signals import Attributes, LogRecord, Span, SpanEvent

_STATUS_ERROR: Final = (2, "STATUS_CODE_ERROR")
_HEX: Final = frozenset("0123456789abcdef")
_SPAN_SCOPES: Final = ("scopeSpans", "instrumentationLibrarySpans")


def decode_json_spans(body: bytes) -> list[Span]:
    """The spans of an ExportTraceServiceRequest in JSON, of which there may be `weight.MAX_ITEMS`."""
    document = _document(body)
    found = _counted(document, "resourceSpans", _SPAN_SCOPES, "spans")
    check_items(sum(len(_list(span, "events")) for span in found), "events of spans", MAX_SPAN_EVENTS)
    return list(json_spans(document))


def decode_json_logs(body: bytes) -> list[LogRecord]:
    """The log records of an ExportLogsServiceRequest in JSON, of which there may be `weight.MAX_ITEMS`."""
    document = _document(body)
    _counted(document, "resourceLogs", ("scopeLogs",), "logRecords")
    return list(json_logs(document))


def _counted(document: dict[str, Any], groups: str, scopes: tuple[str, ...], items: str) -> list[dict[str, Any]]:
    """The items of a request, unless it has too many resources, scopes or items. Each step is bounded by the last."""
    owners = _objects(document, groups)
    check_items(len(owners), groups)
    for name in (scopes, (items,)):
        count = sum(len(_list(owner, each)) for owner in owners for each in name)
        check_items(count, name[0])
        owners = [entry for owner in owners for each in name for entry in _objects(owner, each)]
    return owners


def _document(body: bytes) -> dict[str, Any]:
    check_weight(body)
    try:
        return _object(from_json(body, allow_inf_nan=False), "body")
    except ValueError as error:
        raise RequestError(400, "not_json", f"the body is not JSON: {error}") from None


def json_spans(document: dict[str, Any]) -> Iterator[Span]:
    """The spans of a parsed request. Raises RequestError, naming the field that is not what OTLP says."""
    for resource_spans in _objects(document, "resourceSpans"):
        resource = _resource(resource_spans)
        for scope_spans in [scope for name in _SPAN_SCOPES for scope in _objects(resource_spans, name)]:
            for span in _objects(scope_spans, "spans"):
                yield _span(span, resource)


def _span(span: dict[str, Any], resource: Attributes) -> Span:
    status = _object(span.get("status") or {}, "status")
    return Span(
        trace_id=_id(span, "traceId"),
        span_id=_id(span, "spanId"),
        parent_span_id=_id(span, "parentSpanId"),
        name=_text(span, "name"),
        started_ms=_nanoseconds(span, "startTimeUnixNano"),
        ended_ms=_nanoseconds(span, "endTimeUnixNano"),
        failed=status.get("code") in _STATUS_ERROR,
        status_message=_text(status, "message"),
        attributes=_attributes(span, "attributes"),
        resource=resource,
        events=tuple(
            SpanEvent(_text(event, "name"), _nanoseconds(event, "timeUnixNano"), _attributes(event, "attributes"))
            for event in _objects(span, "events")
        ),
    )


def json_logs(document: dict[str, Any]) -> Iterator[LogRecord]:
    """The log records of a parsed request. Raises RequestError, naming the field that is not what OTLP says."""
    for resource_logs in _objects(document, "resourceLogs"):
        resource = _resource(resource_logs)
        for scope_logs in _objects(resource_logs, "scopeLogs"):
            for record in _objects(scope_logs, "logRecords"):
                yield _log(record, resource)


def _log(record: dict[str, Any], resource: Attributes) -> LogRecord:
    attributes = _attributes(record, "attributes")
    return LogRecord(
        trace_id=_id(record, "traceId"),
        span_id=_id(record, "spanId"),
        event_name=_text(record, "eventName") or str(attributes.get("event.name", "")),
        at_ms=_nanoseconds(record, "timeUnixNano") or _nanoseconds(record, "observedTimeUnixNano"),
        body=_value(record.get("body")),
        attributes=attributes,
        resource=resource,
    )


def _resource(group: dict[str, Any]) -> Attributes:
    return _attributes(_object(group.get("resource") or {}, "resource"), "attributes")


def _attributes(owner: dict[str, Any], name: str) -> Attributes:
    return {_text(pair, "key"): _value(pair.get("value")) for pair in _objects(owner, name)}


def _value(value: Any) -> Any:
    """An AnyValue in Python. Its depth is bounded by the parser's limit."""
    if value is None:
        return None
    holder = _object(value, "value")
    for kind, content in holder.items():
        match kind:
            case "stringValue" | "boolValue" | "doubleValue":
                return content if isinstance(content, str | bool | int | float) else None
            case "intValue":
                return _integer(content, "intValue")
            case "arrayValue":
                return [_value(entry) for entry in _list(_object(content, kind), "values")]
            case "kvlistValue":
                return _attributes(_object(content, kind), "values")
            case "bytesValue":
                return _bytes(content)
    return None


def _bytes(content: Any) -> str:
    try:
        return base64.b64decode(str(content), validate=True).hex()
    except (binascii.Error, ValueError):
        raise _malformed("bytesValue", "base64") from None


def _id(owner: dict[str, Any], name: str) -> str:
    identity = _text(owner, name).lower()
    if not _HEX.issuperset(identity):
        raise _malformed(name, "hexadecimal")
    return identity


def _text(owner: dict[str, Any], name: str) -> str:
    text = owner.get(name)
    if text is None:
        return ""
    if not isinstance(text, str):
        raise _malformed(name, "text")
    return text


def _nanoseconds(owner: dict[str, Any], name: str) -> int:
    """A time in nanoseconds, in milliseconds; 0 when it is absent."""
    return _integer(owner.get(name) or 0, name) // 1_000_000


def _integer(value: Any, name: str) -> int:
    if isinstance(value, str) and len(value) <= 20:
        try:
            value = int(value)
        except ValueError:
            raise _malformed(name, "a 64-bit integer") from None
    if isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**64:
        return value
    raise _malformed(name, "a 64-bit integer")


def _list(owner: dict[str, Any], name: str) -> list[Any]:
    entries = owner.get(name)
    if entries is None:
        return []
    if not isinstance(entries, list):
        raise _malformed(name, "an array")
    return entries


def _objects(owner: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [_object(entry, name) for entry in _list(owner, name)]


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _malformed(name, "an object")
    return value


def _malformed(name: str, expected: str) -> RequestError:
    return RequestError(400, "malformed", f"{name} is not {expected}", field=name)
