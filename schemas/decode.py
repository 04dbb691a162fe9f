"""From the bytes of a Kafka record to an event, or to the reason why it is none.

Deterministic: the same bytes give the same event or the same refusal in every process, so that a replay after a crash
takes the same decisions as the run before it.
"""

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any, Final, Literal

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from keeprate.schemas.events import (
    ACTIONS,
    EVENT_TYPES,
    MAX_EVENT_BYTES,
    SCHEMA_VERSION,
    CheckedEvent,
    Event,
    Generation,
)

ErrorType = Literal["empty", "too_large", "not_utf8", "not_json", "unknown_version", "unknown_type", "invalid"]

EVENT_ADAPTER: Final[TypeAdapter[Event]] = TypeAdapter(CheckedEvent)
# Without the adapter's own layer, which costs a tenth of the whole.
_validate_json: Final = EVENT_ADAPTER.validator.validate_json

NIL_ID: Final = "00000000-0000-0000-0000-000000000000"
"""What ClickHouse shows where it has no id, so it can be none."""
_UNREADABLE: Final = "a number is beyond 64 bits, or NaN or infinite: not every reader of JSON takes it"


class ContractError(ValueError):
    """A record is not an event: it goes to the dead letters, whole, and the pipeline goes on.

    error_type: one of `ErrorType`, a closed set, fit for a metric's label.
    field: the path of the first field at fault, empty when the record as a whole is.
    """

    def __init__(self, error_type: ErrorType, reason: str, field: str = "") -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.error_type: ErrorType = error_type
        self.reason = reason
        self.field = field


def decode(value: bytes | None) -> Event:
    """The event in a record's value. Raises ContractError; raises nothing else, whatever the bytes."""
    if not value:
        raise ContractError("empty", "the record has no value; an event is a JSON object")
    if len(value) > MAX_EVENT_BYTES:
        raise ContractError(
            "too_large", f"{len(value)} bytes; the limit is {MAX_EVENT_BYTES}: shorten the captured content"
        )
    try:
        event: Event = _validate_json(value, strict=True)
    except ValidationError as error:
        raise _refusal(value, error) from None
    return _checked(event)


def _checked(event: Event) -> Event:
    if event["type"] == "generation":
        _check_free_form(event)
    if NIL_ID in (event["event_id"], event["generation_id"]):
        field = "event_id" if event["event_id"] == NIL_ID else "generation_id"
        raise ContractError("invalid", "the nil UUID identifies nothing: make an id for each", field)
    return event


def _check_free_form(event: Generation) -> None:
    """Refuse the numbers that ClickHouse's parser refuses: only fields of free form can hold them."""
    for field in (event.get("parameters"), event.get("prompt_variables")):
        if field and not _readable(field):
            raise ContractError("invalid", _UNREADABLE)
    for messages in (event.get("input"), event.get("output")):
        for message in messages or ():
            content, calls = message["content"], message.get("tool_calls")
            # Nearly every content is text, and a look at its type is all it costs.
            if (type(content) is not str and not _readable(content)) or (calls and not _readable(calls)):
                raise ContractError("invalid", _UNREADABLE)


def _readable(value: object) -> bool:
    if isinstance(value, dict):
        return all(map(_readable, value.values()))
    if isinstance(value, list):
        return all(map(_readable, value))
    if isinstance(value, float):
        return isfinite(value)
    return not isinstance(value, int) or -(2**63) <= value < 2**64


def validate(event: object) -> Event:
    """The same check for an event that is still a Python object. Raises ContractError."""
    try:
        return _checked(EVENT_ADAPTER.validate_python(event, strict=True))
    except ValidationError as error:
        raise _refusal(event, error) from None


def encode(event: Mapping[str, Any]) -> bytes:
    """Compact JSON, without the fields that are None."""
    return to_json({name: value for name, value in event.items() if value is not None})


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
        return ContractError("invalid", "the value is not a JSON object; send one event per record")
    version = body.get("schema_version")
    if isinstance(version, int) and not isinstance(version, bool) and version > SCHEMA_VERSION:
        reason = f"{version} is newer than this reader, which knows {SCHEMA_VERSION}: upgrade Keeprate, then replay"
        return ContractError("unknown_version", reason, "schema_version")
    if body.get("type") not in EVENT_TYPES:
        return ContractError("unknown_type", f"expected one of {', '.join(EVENT_TYPES)}", "type")
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return ContractError("not_json", f"{first['msg']}; send one JSON object per record")
    return ContractError("invalid", *_explain(first["type"], first["msg"], first["loc"]))


def _explain(kind: str, message: str, location: tuple[int | str, ...]) -> tuple[str, str]:
    """Reason and field of a first error, in words that name the remedy."""
    # The first element of the location is the union's tag, which is the event's type again.
    field = ".".join(str(part) for part in location[1:])
    if kind == "extra_forbidden":
        return "no such field; an app's own values belong under attributes", field
    if kind == "missing":
        return "required, and absent", field
    if field == "action" and kind == "string_pattern_mismatch":
        return f"expected one of {', '.join(ACTIONS)}, or an app's own beginning with x_", field
    if kind == "value_error":
        # The rules between fields say "field: reason" themselves.
        field, _, message = (part.strip() for part in message.removeprefix("Value error, ").partition(":"))
    return message, field
