"""The one gate: from the bytes of a Kafka record, or from objects, to events, or to the reason why they are none.

    decode        a record's value: the join and the sink
    validate      an object: the SDK, importers
    validate_all  many objects: the collector

All three give the same verdict and the same event. Deterministic: the same bytes, recorded at the same time, give the
same event or the same refusal in every process, so that a replay after a crash takes the same decisions as the run
before it. An event has one form whatever it came as: ids in lower case, texts of `input` and `output` as messages,
fields in one order and no names twice.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_core import SchemaValidator, core_schema, to_json

from keeprate.schemas import explain
from keeprate.schemas.events import EVENT_TYPES, MAX_EVENT_BYTES, SCHEMA_VERSION, CheckedEvent, Event, Generation
from keeprate.schemas.explain import ContractError as ContractError
from keeprate.schemas.explain import ErrorType as ErrorType
from keeprate.schemas.free_form import fault_in
from keeprate.schemas.kinds import MAX_AHEAD_MS

EVENT_ADAPTER: Final[TypeAdapter[Event]] = TypeAdapter(CheckedEvent)
# Without the adapter's own layer, which costs a tenth of the whole.
_validate_json: Final = EVENT_ADAPTER.validator.validate_json
# Without fail_fast one batch could hold millions of faults, and pydantic describes each of them. Made of the adapter's
# schema: to read the types a second time takes every process as long as to start its interpreter.
_LIST: Final = core_schema.list_schema(EVENT_ADAPTER.core_schema, fail_fast=True)
_validate_list: Final = SchemaValidator(_LIST).validate_python
_CHUNK: Final = 1_000

NIL_ID: Final = "00000000-0000-0000-0000-000000000000"
"""What ClickHouse shows where it has no id, so it can be none."""
MAX_FIELDS: Final = 100
"""Of an event, its unknown fields included: pydantic describes each of these."""


def decode(value: bytes | None, recorded_ms: int | None = None, key: bytes | None = None) -> Event:
    """The event in a record's value. Raises ContractError; raises nothing else, whatever the bytes.

    recorded_ms: the record's own time in Kafka, for what is dated too long after it; None or not above 0 where Kafka
    has none.
    key: the record's, which decides its partition. An id in upper case there would have the event joined apart from
    all others of its generation, so such a record is refused. Other keys are not looked at.
    """
    if not value:
        raise ContractError("empty", "the record has no value; an event is a JSON object")
    if len(value) > MAX_EVENT_BYTES:
        raise _too_large(len(value))
    try:
        event: Event = _validate_json(value, strict=True)
    except ValidationError as error:
        raise _refusal(value, error) from None
    if key is not None and key != (identity := event["generation_id"].encode()) and key.lower() == identity:
        reason = "the record's key is the id in upper case, which is another partition's: write the key in lower case"
        raise ContractError("invalid", reason, "generation_id")
    return _checked(event, recorded_ms)


def validate(event: object, recorded_ms: int | None = None) -> Event:
    """The same check for an event that is still a Python object. Raises ContractError."""
    try:
        checked = EVENT_ADAPTER.validator.validate_python(event, strict=True)
    except ValidationError as error:
        raise _refusal(event, error) from None
    return _checked(checked, recorded_ms)


def validate_all(events: Sequence[object], recorded_ms: int | None = None) -> list[Event | ContractError]:
    """The same check for many: of each, in their order, the event or why it is none.

    One call per chunk without faults; two more for each item at fault.
    """
    verdicts: list[Event | ContractError] = []
    while len(verdicts) < len(events):
        chunk = events[len(verdicts) : len(verdicts) + _CHUNK]
        try:
            checked = _validate_list(chunk, strict=True)
        except ValidationError as error:
            at = int(error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"][0])
            checked = _validate_list(chunk[:at], strict=True)
            verdicts += [_verdict(event, recorded_ms) for event in checked]
            verdicts.append(_refusal(chunk[at], _fault_of(chunk[at])))
        else:
            verdicts += [_verdict(event, recorded_ms) for event in checked]
    return verdicts


def encode(event: Mapping[str, Any]) -> bytes:
    """Compact JSON, its type first, for readers that go by it, and without the fields that are None."""
    event = {"type": event["type"], **event}
    if None in event.values():
        event = {name: value for name, value in event.items() if value is not None}
    return to_json(event)


def encode_record(event: Mapping[str, Any], spare_bytes: int = 0) -> bytes:
    """The value of an event's record. Raises ContractError where it is too large to be decoded again.

    spare_bytes: how much is still to be added to it.
    """
    value = encode(event)
    if len(value) > MAX_EVENT_BYTES - spare_bytes:
        raise _too_large(len(value))
    return value


def decode_stored(value: bytes) -> Event:
    """A fact that passed the gate once, maybe an older one: no bounds are asked of it. Raises ContractError.

    Bounds are for what comes in. What is stored stays readable when they change, and folds to what it did.
    """
    try:
        event: Event = _unbounded_validator().validate_json(value, strict=True)
    except ValidationError as error:
        raise _refusal(value, error) from None
    return event


@cache
def _unbounded_validator() -> SchemaValidator:
    return SchemaValidator(_unbounded(EVENT_ADAPTER.core_schema))


_BOUNDS: Final = {
    **dict.fromkeys(("int", "float"), frozenset(("ge", "gt", "le", "lt"))),
    **dict.fromkeys(("list", "dict"), frozenset(("max_length",))),
}


def _unbounded(schema: Any) -> Any:
    if isinstance(schema, dict):
        without = _BOUNDS.get(schema["type"], frozenset()) if isinstance(schema.get("type"), str) else frozenset()
        return {name: _unbounded(part) for name, part in schema.items() if name not in without}
    if isinstance(schema, list | tuple):
        return type(schema)(map(_unbounded, schema))
    return schema


def _checked(event: Event, recorded_ms: int | None) -> Event:
    """What pydantic cannot be told."""
    if event["type"] == "generation":
        _check_free_form(event)
    if NIL_ID in (event["event_id"], event["generation_id"]):
        field = "event_id" if event["event_id"] == NIL_ID else "generation_id"
        raise ContractError("invalid", f"{NIL_ID}, the nil UUID, identifies nothing: make an id for each", field)
    if recorded_ms is not None and is_too_far_ahead(event["occurred_at"], recorded_ms):
        reason = explain.too_far_ahead(event["occurred_at"], recorded_ms, MAX_AHEAD_MS)
        raise ContractError("invalid", reason, "occurred_at")
    return event


def is_too_far_ahead(occurred_at: int, recorded_ms: int | None) -> bool:
    """Whether an event is dated so long after its record that its clock is none."""
    return recorded_ms is not None and occurred_at > recorded_ms + MAX_AHEAD_MS and recorded_ms > 0


def _verdict(event: Event, recorded_ms: int | None) -> Event | ContractError:
    try:
        return _checked(event, recorded_ms)
    except ContractError as error:
        return error


def _check_free_form(event: Generation) -> None:
    for name in ("parameters", "prompt_variables"):
        if (values := event.get(name)) and (fault := fault_in(values)):
            raise ContractError("invalid", fault, name)
    for name in ("input", "output"):
        for index, message in enumerate(event.get(name) or ()):  # type: ignore[var-annotated,arg-type]
            content = message["content"]
            # Nearly every message is a role and an ASCII text, and a look at it is all it costs.
            if type(content) is str and len(message) == 2 and content.isascii():
                continue
            if fault := fault_in(message):
                raise ContractError("invalid", fault, f"{name}.{index}")


def _too_large(size_bytes: int) -> ContractError:
    reason = f"{size_bytes} bytes; the limit is {MAX_EVENT_BYTES}: shorten the captured content"
    return ContractError("too_large", reason)


def unknown_type(given: object) -> ContractError:
    """The refusal of what says it is an event of no type of this contract."""
    reason = f"expected one of {', '.join(EVENT_TYPES)}{explain.GOT}{explain.shown(given)}"
    return ContractError("unknown_type", reason, "type")


def _fault_of(event: object) -> ValidationError:
    try:
        EVENT_ADAPTER.validator.validate_python(event, strict=True)
    except ValidationError as error:
        return error
    raise AssertionError("an event is at fault in a batch and not by itself")


def _refusal(value: object, error: ValidationError) -> ContractError:
    body: Any = value
    if isinstance(value, bytes):
        try:
            body = json.loads(value.decode("utf-8"))
        except UnicodeDecodeError as decode_error:
            return ContractError("not_utf8", f"byte {decode_error.start} is not UTF-8; send UTF-8 JSON")
        except (ValueError, RecursionError) as json_error:
            return ContractError("not_json", f"{json_error}; send one JSON object per record")
    if not isinstance(body, dict):
        reason = f"{explain.shown(body)} is not a JSON object; send one event per record"
        return ContractError("invalid", reason)
    version = body.get("schema_version")
    if isinstance(version, int) and not isinstance(version, bool) and version > SCHEMA_VERSION:
        known = f"is newer than this reader, which knows {SCHEMA_VERSION}: upgrade Keeprate, then replay"
        return ContractError("unknown_version", f"{explain.shown(version)} {known}", "schema_version")
    if body.get("type") not in EVENT_TYPES:
        return unknown_type(body.get("type"))
    if len(body) > MAX_FIELDS:
        return ContractError("too_large", f"{len(body)} fields; the limit is {MAX_FIELDS}: no event has so many")
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return ContractError("not_json", f"{first['msg']}; send one JSON object per record")
    return ContractError("invalid", *explain.explain(first, _schema()))


@cache
def _schema() -> dict[str, Any]:
    return EVENT_ADAPTER.json_schema()
