"""Log records and events to feedback: evaluations, votes, flags, corrections, Copilot's edits, and captured messages.

Pure, but for the names it reads in `Aliases`. A record belongs to the generation that `identity.resolve` finds for it.
Records of any other name are counted as ignored: an app may export all of its logs to one place.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pydantic_core import to_json

from keeprate.producers.collector.errors import item_refusal
from keeprate.producers.collector.otel import copilot, evaluations, generations, semconv
from keeprate.producers.collector.otel.evaluations import FeedbackError
from keeprate.producers.collector.otel.generations import Event
from keeprate.producers.collector.otel.identity import has_ids, named_event_id, resolve
from keeprate.producers.collector.otel.signals import LogRecord, Span
from keeprate.producers.collector.otel.spans import Mapped, RequestSource, app_of, event_messages
from keeprate.schemas.events import SCHEMA_VERSION

LOG_REVISION: Final = 0

_FEEDBACK: Final[Mapping[str, Callable[[LogRecord], Event | None]]] = {
    semconv.EVALUATION_EVENT: evaluations.from_evaluation,
    **copilot.EVENTS,
}


def map_logs(records: Sequence[LogRecord], source: RequestSource) -> Mapped:
    """Feedback of the records that are any, then one partial generation for the messages of each span among them."""
    mapped = Mapped(source.received_ms)
    conversations: dict[tuple[str, str, str], list[int]] = {}
    for index, record in enumerate(records):
        name = record.event_name
        if name in _FEEDBACK:
            _add_feedback(mapped, index, record, source)
        elif name == semconv.DETAILS_EVENT:
            _add_details(mapped, index, record, source)
        elif (name in semconv.MESSAGE_EVENTS or name in semconv.CONTENT_EVENTS) and has_ids(
            record.trace_id, record.span_id
        ):
            key = (app_of(source, record.resource), record.trace_id, record.span_id)
            conversations.setdefault(key, []).append(index)
        else:
            mapped.ignore("not_feedback")
    for indexes in conversations.values():
        _add_conversation(mapped, indexes, records, source)
    return mapped


def map_span_events(spans: Sequence[Span], source: RequestSource) -> Mapped:
    """Evaluations that were recorded on the span they judge, as the conventions did before there were log events."""
    records = [
        LogRecord(span.trace_id, span.span_id, event.name, event.at_ms, None, event.attributes, span.resource)
        for span in spans
        for event in span.events
        if event.name == semconv.EVALUATION_EVENT
    ]
    return map_logs(records, source)


def _add_feedback(mapped: Mapped, index: int, record: LogRecord, source: RequestSource) -> None:
    try:
        said = _FEEDBACK[record.event_name](record)
    except FeedbackError as error:
        mapped.refusals.append(item_refusal(index, "invalid", str(error), error.field))
        return
    if said is None:
        mapped.ignore("not_feedback")
        return
    event = _envelope(record, source, said)
    if event is None:
        reason = "names no generation: emit it within the span it judges, or with gen_ai.response.id"
        mapped.refusals.append(item_refusal(index, "no_generation", reason, "trace_id"))
    else:
        mapped.add(index, event)


def _add_details(mapped: Mapped, index: int, record: LogRecord, source: RequestSource) -> None:
    """The event that says all of a call apart from its span: a generation of its own if no span ever comes."""
    said = generations.describe(record.attributes, record.resource, source.salt)
    said["operation"] = generations.operation_of(record.attributes) or "chat"
    said = generations.with_content(
        said, generations.inputs_of(record.attributes), generations.outputs_of(record.attributes)
    )
    said["outcome"] = generations.outcome_of(said, record.attributes, failed=False)
    event = _envelope(record, source, {**said, "type": "generation", "revision": LOG_REVISION})
    if event is None:
        mapped.refusals.append(item_refusal(index, "no_generation", "has neither trace nor response id", "trace_id"))
    else:
        mapped.add(index, event)


def _add_conversation(
    mapped: Mapped, indexes: Sequence[int], records: Sequence[LogRecord], source: RequestSource
) -> None:
    """What the log records of one span captured of its messages, as a generation that says no more than that."""
    record = records[indexes[0]]
    inputs, outputs = event_messages((records[index].event_name, _content(records[index])) for index in indexes)
    said = generations.with_content({"type": "generation", "revision": LOG_REVISION}, inputs, outputs)
    event = _envelope(record, source, said, *(str(records[index].at_ms) for index in indexes))
    if event is not None:
        mapped.add(indexes[0], event)


def _content(record: LogRecord) -> Any:
    return {**record.attributes, **record.body} if isinstance(record.body, Mapping) else record.attributes


def _envelope(record: LogRecord, source: RequestSource, said: Event, *parts: str) -> Event | None:
    """The event with what every event carries; None when nothing says which generation it speaks of."""
    app = app_of(source, record.resource)
    event = {**generations.whose(record.attributes, record.resource, source.salt), **said}
    event |= {"schema_version": SCHEMA_VERSION, "app": app, "occurred_at": record.at_ms or source.received_ms}
    if has_ids(record.trace_id, record.span_id):
        event |= {"trace_id": record.trace_id, "span_id": record.span_id}
    generation_id = _generation_of(record, event, source)
    if generation_id is None:
        return None
    if (choice_index := generations.count_of(record.attributes.get("keeprate.choice_index"))) is not None:
        event["choice_index"] = choice_index
    event["generation_id"] = generation_id
    # An exporter repeats a batch whose answer it did not see: what the record says is the fact's identity.
    said_bytes = to_json([record.attributes, record.body], inf_nan_mode="null").decode()
    event["event_id"] = named_event_id(app, record.event_name, generation_id, str(record.at_ms), said_bytes, *parts)
    return event


def _generation_of(record: LogRecord, event: Event, source: RequestSource) -> str | None:
    """The generation that a record names itself, was emitted in, or speaks of."""
    if given := record.attributes.get("keeprate.generation_id"):
        return str(given)
    response_id = str(event.get("external_id") or "")
    # What a call says of itself belongs to its own span; a judgement of it may be made in a span of the judge.
    own = event["type"] == "generation" and "span_id" in event
    return resolve(event["app"], event, source.aliases, "" if own else response_id)
