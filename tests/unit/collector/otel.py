"""Spans and log records for tests, as an instrumentation would make them."""

from typing import Any

from keeprate.producers.collector.otel.identity import Aliases
from keeprate.producers.collector.otel.signals import LogRecord, Span, SpanEvent
from keeprate.producers.collector.otel.spans import Mapped, RequestSource
from keeprate.schemas import decode

TRACE, SPAN, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
STARTED_MS = 1_764_000_000_000


def source(**known: Any) -> RequestSource:
    return RequestSource(
        **{"app": "demo", "received_ms": STARTED_MS + 5000, "aliases": Aliases(), "salt": b"pepper", **known}
    )


def span(attributes: dict[str, Any], span_id: str = SPAN, parent: str = "", **fields: Any) -> Span:
    known: dict[str, Any] = {
        "trace_id": TRACE,
        "span_id": span_id,
        "parent_span_id": parent,
        "name": "chat gpt-4o",
        "started_ms": STARTED_MS,
        "ended_ms": STARTED_MS + 1250,
        "failed": False,
        "status_message": "",
        "attributes": attributes,
        "resource": {"service.name": "shop", "deployment.environment.name": "production"},
        "events": (),
    }
    return Span(**{**known, **fields})


def event(name: str, **attributes: Any) -> SpanEvent:
    return SpanEvent(name, STARTED_MS, attributes)


def log(name: str, attributes: dict[str, Any], **fields: Any) -> LogRecord:
    known: dict[str, Any] = {
        "trace_id": TRACE,
        "span_id": SPAN,
        "event_name": name,
        "at_ms": STARTED_MS + 2000,
        "body": None,
        "attributes": attributes,
        "resource": {"service.name": "shop"},
    }
    return LogRecord(**{**known, **fields})


def events_of(mapped: Mapped) -> list[dict[str, Any]]:
    """The events that were mapped. They are valid, or `decode` raises."""
    return [dict(decode.decode(record.value)) for record in mapped.records]
