"""Why a value is none of its field: what is expected, and what came instead, in words.

What is expected is read from the published JSON Schema of the events, so the words and the bounds are those of `kinds`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from pydantic_core import ErrorDetails

from keeprate.schemas.kinds import BRANCHES, FIRST_MS, LAST_MS, MAX_NAME

Schema = Mapping[str, Any]
ErrorType = Literal["empty", "too_large", "not_utf8", "not_json", "unknown_version", "unknown_type", "invalid"]

GOT: Final = ", got "
"""Between what a reason says of a field and the beginning of what came."""
_SHOWN_CHARS: Final = 60
_FIELD_CHARS: Final = 100
_SHOWN_BELOW: Final = 10**30
# Stands in pydantic's location where a name is at fault.
_KEY: Final = "[key]"
# How many of each make up a millisecond, as a fraction.
_OTHER_UNITS: Final = (("seconds", 1, 1000), ("microseconds", 1000, 1), ("nanoseconds", 1_000_000, 1))


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


def explain(fault: ErrorDetails, schema: Schema) -> tuple[str, str]:
    """Reason and field of a fault that pydantic found in an event. schema: that of the events."""
    # The first part of the location is the union's tag, which is the event's type again.
    tag, *parts = (part for part in fault["loc"] if part not in BRANCHES)
    if parts[-1:] == [_KEY]:
        # A name within an object is at fault, and not what it names.
        parts = [*parts[:-2], _KEY]
    kind, field = fault["type"], path(parts)
    if kind == "value_error":
        # The rules between fields say "field: reason" themselves.
        named, _, reason = fault["msg"].removeprefix("Value error, ").partition(":")
        return reason.strip(), named.strip()
    if kind == "extra_forbidden":
        return "no such field; an app's own values belong under attributes", field
    if kind == "too_long":
        return f"has more than {fault['ctx']['max_length']} entries: shorten it", field
    if kind == "string_unicode":
        return "holds half of a surrogate pair: expected text that UTF-8 can write", field
    at = _schema_at(parts, {"$ref": schema["discriminator"]["mapping"][tag]}, schema)
    wanted = " or ".join(_words(form) for form in _forms(at, schema) if form.get("type") != "null")
    if kind == "missing":
        return f"required, and absent: expected {wanted}", field
    optional = ", or nothing" if {"type": "null"} in at.get("anyOf", ()) else ""
    hint = _looks_like(fault["input"]) if field == "occurred_at" else ""
    return f"expected {wanted}{optional}{GOT}{shown(fault['input'])}{hint}", field


def path(parts: Sequence[object]) -> str:
    """Where in an event, clipped: `output.0.role`. A name may be anything that a client made up."""
    text = ".".join(str(part) for part in parts if part != _KEY)
    return _clipped(text, _FIELD_CHARS).encode("utf-8", "backslashreplace").decode()


def shown(value: object) -> str:
    """A value in a message: never long, and never anything that a terminal or an encoding could trip over."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return repr(_clipped(value, _SHOWN_CHARS))
        case int():
            return str(int(value)) if abs(value) < _SHOWN_BELOW else f"an integer of {value.bit_length()} bits"
        case float():
            return repr(float(value))
        case list() | tuple():
            return f"a list of {len(value)}"
        case dict():
            return f"an object of {len(value)}"
    return f"a {type(value).__name__}"


def too_far_ahead(occurred_at: int, recorded_ms: int, ahead_ms: int) -> str:
    """The reason of an event that is dated too long after its own record."""
    hours = ahead_ms // 3_600_000
    return (
        f"{occurred_at} is more than {hours} hours after the event was recorded, at {recorded_ms}"
        f"{_looks_like(occurred_at)}: set the client's clock"
    )


def _clipped(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _looks_like(value: object) -> str:
    """What else a number may be that is no time in milliseconds."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        for unit, many, few in _OTHER_UNITS:
            if FIRST_MS * many <= value * few <= LAST_MS * many:
                return f"; it looks like {unit}, and milliseconds are expected: {int(value * few // many)}"
    return ""


def _forms(at: Schema, schema: Schema) -> list[Schema]:
    """The forms that a value may have: one, or those of a union."""
    if "anyOf" in at:
        return [form for each in at["anyOf"] for form in _forms(each, schema)]
    if "$ref" in at:
        return [schema["$defs"][str(at["$ref"]).rpartition("/")[2]]]
    return [at]


def _schema_at(parts: Sequence[object], at: Schema, schema: Schema) -> Schema:
    """The schema of what is at a location; nothing where the schema does not say."""
    for part in parts:
        inside: Schema = {}
        for form in _forms(at, schema):
            if isinstance(part, int):
                inside = form.get("items", inside)
            elif part == _KEY:
                inside = {"type": "string", "minLength": 1, "maxLength": MAX_NAME}
            else:
                inside = form.get("properties", {}).get(part) or form.get("additionalProperties") or inside
        at = inside if isinstance(inside, Mapping) else {}
    return at


_KINDS: Final = {
    "integer": "an integer",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}


def _words(form: Schema) -> str:
    """What a value of one form has to be."""
    description = form.get("description", "")
    if "pattern" in form:
        return str(description)
    if choices := form.get("enum"):
        return f"one of {', '.join(map(str, choices))}"
    words = _KINDS.get(str(form.get("type")), "another value") + _bounds(form)
    # What an object's own description says is what it stands for, in whole sentences.
    return f"{words} ({description})" if description and form.get("type") != "object" else words


def _bounds(form: Schema) -> str:
    low, high = form.get("minimum"), form.get("maximum")
    below = form.get("exclusiveMaximum")
    shortest, longest = form.get("minLength"), form.get("maxLength")
    if longest is not None:
        return f" of {shortest} to {longest} characters" if shortest else f" of at most {longest} characters"
    words = f" from {_number(low)}" if low is not None else ""
    return words + (f" to {_number(high)}" if high is not None else f" to below {below}" if below is not None else "")


def _number(bound: float) -> str:
    return str(int(bound)) if bound == int(bound) else str(bound)
