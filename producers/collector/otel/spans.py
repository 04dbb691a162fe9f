"""Spans of GenAI instrumentation to generation events. Pure, but for the names it leaves in `Aliases`.

A call of a model and a step of an agent become one generation each; a step names the generation it is a part of. Other
spans (HTTP, databases, embeddings) are counted as ignored: an app exports all of its spans to one place.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic_core import to_json

from keeprate.producers.collector.batches import AcceptedEvent
from keeprate.producers.collector.errors import Refusal, item_refusal, refusal
from keeprate.producers.collector.otel import generations, messages, semconv
from keeprate.producers.collector.otel.generations import Event
from keeprate.producers.collector.otel.identity import Aliases, has_ids, named_event_id, span_generation_id
from keeprate.producers.collector.otel.messages import Message, name_of
from keeprate.producers.collector.otel.signals import Span
from keeprate.schemas import decode
from keeprate.schemas.events import MAX_EVENT_BYTES, SCHEMA_VERSION

_Key = tuple[str, str]

SPAN_REVISION: Final = 1
"""A span says all that is known of a call, so it holds over log records, which say parts of it (revision 0)."""


@dataclass(frozen=True, slots=True)
class RequestSource:
    """Who exported a request, and when.

    app: of the key; None without keys, and `service.name` then names it. salt: hashes the ids of users.
    """

    app: str | None
    received_ms: int
    aliases: Aliases
    salt: bytes


@dataclass(slots=True)
class Mapped:
    """What came of a request: records, refusals by index of span or log record, and counts of what was left aside.

    received_ms: when it came, for what is dated after that.
    """

    received_ms: int
    records: list[AcceptedEvent] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    ignored: dict[str, int] = field(default_factory=dict)

    def ignore(self, reason: str) -> None:
        """Count one span or record that is no concern of this project."""
        self.ignored[reason] = self.ignored.get(reason, 0) + 1

    def add(self, index: int, event: Event) -> None:
        """Check an event and keep its record, or its refusal. Content that does not fit is left out, and said so."""
        _fit(event)
        try:
            checked = decode.validate(event, self.received_ms)
            value = decode.encode_record(checked)
        except decode.ContractError as error:
            self.refusals.append(refusal(index, error))
        else:
            self.records.append(AcceptedEvent(index, checked["type"], checked["generation_id"], value))


def _fit(event: Event) -> None:
    left_out = []
    for name in ("input", "output", "prompt_variables", "parameters", "explanation", "comment"):
        if len(to_json(event, inf_nan_mode="null")) <= MAX_EVENT_BYTES:
            break
        if event.pop(name, None) is not None:
            left_out.append(name)
            event["attributes"] = {**(event.get("attributes") or {}), "keeprate.left_out": ",".join(left_out)}


def app_of(source: RequestSource, resource: Mapping[str, Any]) -> str:
    """The app that a span or record belongs to: the key's, or without keys the service's name."""
    return source.app or name_of(resource.get("service.name")) or ""


def map_spans(spans: Sequence[Span], source: RequestSource) -> Mapped:
    """Generations of the spans that are any, in order of the spans."""
    mapped = Mapped(source.received_ms)
    ancestry = Ancestry(spans)
    for index, span in enumerate(spans):
        operation = generations.operation_of(span.attributes)
        if operation is None:
            mapped.ignore("not_a_generation")
        elif not has_ids(span.trace_id, span.span_id):
            mapped.refusals.append(item_refusal(index, "invalid", "trace and span id of W3C's form", "trace_id"))
        else:
            event = _generation(span, operation, ancestry.parent_of(span), source)
            mapped.add(index, event)
            source.aliases.remember_generation(event)
    return mapped


def _generation(span: Span, operation: str, parent: Span | str | None, source: RequestSource) -> Event:
    app = app_of(source, span.resource)
    parent_id = parent.span_id if isinstance(parent, Span) else parent
    event = generations.describe(span.attributes, span.resource, source.salt) | {
        "type": "generation",
        "schema_version": SCHEMA_VERSION,
        "event_id": named_event_id(app, "span", span.trace_id, span.span_id),
        "generation_id": span_generation_id(app, span.trace_id, span.span_id),
        "revision": SPAN_REVISION,
        "app": app,
        "occurred_at": span.started_ms,
        "operation": operation,
        "trace_id": span.trace_id,
        "span_id": span.span_id,
        "latency_ms": max(span.ended_ms - span.started_ms, 0),
    }
    if parent_id:
        event["parent_generation_id"] = span_generation_id(app, span.trace_id, parent_id)
    if span.failed and "error_type" not in event:
        event["error_type"] = "error"
    if span.status_message:
        event["error_message"] = span.status_message
    inputs, outputs = _content(span)
    event = generations.with_content(event, inputs, outputs)
    return event | {"outcome": generations.outcome_of(event, span.attributes, span.failed)}


def _key(span: Span) -> _Key:
    return span.trace_id, span.span_id


class Ancestry:
    """The nearest generation around each span of a request. Every span is passed once, however deep the traces are."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._by_id = {_key(span): span for span in spans}
        self._nearest: dict[_Key, Span | str | None] = {}

    def parent_of(self, span: Span) -> Span | str | None:
        """The generation that a span is a part of: itself, or its span id where it was not exported with the span.

        A parent ends after its children, so an agent's own span often comes in a later request: a span that was not
        exported with this one is a generation when this one says that it runs within an agent.
        """
        found = self._at((span.trace_id, span.parent_span_id)) if span.parent_span_id else None
        if isinstance(found, Span):
            return None if _key(found) == _key(span) else found
        if found is None:
            return None
        inside = semconv.first(span.attributes, semconv.AGENT_MARKS) is not None
        agent = generations.operation_of(span.attributes) in ("invoke_agent", "invoke_workflow")
        return found if inside and not agent else None

    def _at(self, key: _Key) -> Span | str | None:
        """The nearest generation at or above a span; the id of a span that is not here; None at a root or in a ring."""
        passed: dict[_Key, None] = {}
        nearest: Span | str | None = None
        while key not in passed:
            if key in self._nearest:
                nearest = self._nearest[key]
                break
            passed[key] = None
            span = self._by_id.get(key)
            if span is None:
                nearest = key[1]
            elif generations.operation_of(span.attributes) is not None:
                nearest = span
            elif span.parent_span_id:
                key = (span.trace_id, span.parent_span_id)
                continue
            break
        self._nearest.update(dict.fromkeys(passed, nearest))
        return nearest


def _content(span: Span) -> tuple[list[Message], list[Message]]:
    inputs, outputs = generations.inputs_of(span.attributes), generations.outputs_of(span.attributes)
    if inputs or outputs:
        return inputs, outputs
    return event_messages((event.name, event.attributes) for event in span.events)


def event_messages(events: Iterable[tuple[str, Any]]) -> tuple[list[Message], list[Message]]:
    """Inputs and outputs from the events of a call, each a name and its body or attributes."""
    inputs: list[Message] = []
    outputs: list[Message] = []
    for name, content in events:
        if name in semconv.MESSAGE_EVENTS and isinstance(content, Mapping):
            nested = {key: messages.parsed(content[key]) for key in ("message", "tool_calls") if key in content}
            message = messages.to_message({**content, **nested}, semconv.MESSAGE_EVENTS[name])
            (outputs if name == semconv.CHOICE_EVENT else inputs).append(message)
        elif name in semconv.CONTENT_EVENTS and isinstance(content, Mapping):
            attribute, side = semconv.CONTENT_EVENTS[name]
            role = "user" if side == "input" else "assistant"
            (inputs if side == "input" else outputs).extend(messages.to_messages(content.get(attribute), role))
    return inputs[: messages.MAX_MESSAGES], outputs[: messages.MAX_MESSAGES]
