"""Spans and log records as plain values, whichever encoding they came in.

Ids are lower-case hexadecimal, times milliseconds, attributes Python values.
"""

from dataclasses import dataclass
from typing import Any, Final

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"

Attributes = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened within a span."""

    name: str
    at_ms: int
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Span:
    """One span. `parent_span_id` is empty at the root of a trace; `failed` says that its status is an error."""

    trace_id: str
    span_id: str
    parent_span_id: str
    name: str
    started_ms: int
    ended_ms: int
    failed: bool
    status_message: str
    attributes: Attributes
    resource: Attributes
    events: tuple[SpanEvent, ...]


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One log record or event. Trace and span id are empty where it was emitted outside a span."""

    trace_id: str
    span_id: str
    event_name: str
    at_ms: int
    body: Any
    attributes: Attributes
    resource: Attributes
