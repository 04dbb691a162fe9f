"""Attributes of a model call, of any convention, to the fields of a generation event. Pure."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Final

from keeprate.producers.collector.otel import messages, semconv
from keeprate.producers.collector.otel.messages import Message, name_of
from keeprate.producers.sdk.content import plain_parameters
from keeprate.schemas.kinds import MAX_CHOICES

_MAX_SOURCES: Final = 1_000
_COUNT_LIMIT: Final = 2**53
_MAX_USER: Final = 1_000
_SERVICE: Final = ("service.name", "service.version")

Event = dict[str, Any]
Attributes = Mapping[str, Any]


def _with_own(table: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {field: (f"keeprate.{field}", *names) for field, names in table.items()}


_NAMES: Final = _with_own(semconv.NAMES)
_COUNTS: Final = _with_own(semconv.COUNTS)


def operation_of(attributes: Attributes) -> str | None:
    """The operation, as this project names it; None when it made no output that a user could keep."""
    given = semconv.first(attributes, semconv.OPERATIONS)
    if given is None:
        return "chat" if semconv.first(attributes, semconv.MODEL_MARKS) is not None else None
    name = str(given).lower()
    return semconv.MODEL_CALLS.get(name) or semconv.STEPS.get(name)


def is_step(operation: str) -> bool:
    """Whether an operation is a step of an agent or chain, and not one call of a model."""
    return operation in semconv.STEPS.values()


def describe(attributes: Attributes, resource: Attributes, salt: bytes) -> Event:
    """The fields that one attribute fills, without those that nothing was said of."""
    event: Event = {}
    for field, names in _NAMES.items():
        event[field] = name_of(semconv.first(attributes, names))
    for field, names in _COUNTS.items():
        event[field] = count_of(semconv.first(attributes, names))
    event["cost_usd"] = _cost(semconv.first(attributes, semconv.COSTS))
    event["time_to_first_token_ms"] = _first_token_ms(attributes)
    event["step"] = name_of(semconv.first(attributes, semconv.STEP_NAMES))
    event["finish_reason"] = _finish_reason(attributes)
    event["parameters"] = _parameters(attributes)
    event["prompt_variables"] = _dictionary(semconv.first(attributes, semconv.PROMPT_VARIABLES))
    event["context_sources"] = _sources(semconv.first(attributes, semconv.CONTEXT_SOURCES))
    event["tools_offered"] = _tools_offered(attributes) or None
    event["choice_count"] = min(event["choice_count"] or 0, MAX_CHOICES) or None
    return {**whose(attributes, resource, salt), **{name: value for name, value in event.items() if value is not None}}


def whose(attributes: Attributes, resource: Attributes, salt: bytes) -> Event:
    """Environment, user, session and service: from the span or record, or else from the process that made it."""

    def said(*names: str) -> Any:
        # A resource is shared by all of its spans, so it is looked into and never copied.
        for name in names:
            value = attributes.get(name, resource.get(name))
            if value is not None and value != "":
                return value
        return None

    event = {
        "environment": name_of(said(*semconv.ENVIRONMENTS)),
        "session": name_of(said(*_NAMES["session"])),
        "user": name_of(said(*semconv.USER_HASHES)) or hashed_user(said(*semconv.USERS), salt),
    }
    service = {name: value for name in _SERVICE if (value := name_of(said(name)))}
    return {name: value for name, value in event.items() if value} | ({"attributes": service} if service else {})


def hashed_user(user: Any, salt: bytes) -> str | None:
    """A user's id as a salted hash: the contract wants no names or addresses. None when no user was named."""
    if isinstance(user, bool) or not isinstance(user, str | int | float):
        return None
    identity = str(user)[:_MAX_USER].encode("utf-8", "surrogatepass")
    return hashlib.blake2b(identity, key=salt, digest_size=16).hexdigest()


def with_content(event: Event, inputs: Sequence[Message], outputs: Sequence[Message]) -> Event:
    """The event with what went in and came out, where that was captured."""
    content: Event = {}
    if inputs:
        content["input"] = list(inputs)
    if outputs:
        content["output"] = list(outputs[:MAX_CHOICES])
        content["choice_count"] = max(event.get("choice_count") or 1, len(content["output"]))
        if called := messages.call_names(outputs):
            content["tools_called"] = called
    if content or event.get("prompt_variables") or event.get("context_sources"):
        return event | content | {"content_mode": "full"}
    # An app that captures no content means none of it: neither the texts among its parameters.
    parameters = plain_parameters(event.get("parameters") or {})
    return {name: value for name, value in event.items() if name != "parameters"} | (
        {"parameters": parameters, "content_mode": "off"} if parameters else {"content_mode": "off"}
    )


def inputs_of(attributes: Attributes) -> list[Message]:
    """What the model was given, from a span's attributes."""
    system = messages.to_messages(semconv.first(attributes, semconv.SYSTEM_INSTRUCTIONS), "system")
    flat = messages.flat_messages(attributes, semconv.FLAT_INPUTS, "user")
    return system + (flat or messages.to_messages(semconv.first(attributes, semconv.INPUTS), "user"))


def outputs_of(attributes: Attributes) -> list[Message]:
    """What the model gave, from a span's attributes: one message per choice."""
    flat = messages.flat_messages(attributes, semconv.FLAT_OUTPUTS, "assistant")
    return flat or messages.to_messages(semconv.first(attributes, semconv.OUTPUTS), "assistant")


def outcome_of(event: Event, attributes: Attributes, failed: bool) -> str:
    """How the call ended: produced, empty, cancelled, failed or filtered."""
    if attributes.get("copilot_chat.canceled") is True:
        return "cancelled"
    error_type = str(event.get("error_type") or "").lower()
    if failed or error_type:
        return "cancelled" if error_type.rpartition(".")[2] in semconv.CANCELLATIONS else "failed"
    if str(event.get("finish_reason") or "").lower() in semconv.FILTERED:
        return "filtered"
    output = event.get("output")
    if output and not any(message.get("content") or message.get("tool_calls") for message in output):
        return "empty"
    return "produced"


def count_of(value: Any) -> int | None:
    """A value as a count; None when it is none."""
    number = number_of(value)
    return int(number) if number is not None and 0 <= number <= _COUNT_LIMIT else None


def number_of(value: Any) -> float | None:
    """A value as a finite number, also when it was written as text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _cost(value: Any) -> float | None:
    cost = number_of(value)
    return cost if cost is not None and cost >= 0 else None


def _first_token_ms(attributes: Attributes) -> int | None:
    seconds = number_of(semconv.first(attributes, semconv.FIRST_TOKEN_S))
    if seconds is not None:
        return count_of(seconds * 1000)
    return count_of(semconv.first(attributes, semconv.FIRST_TOKEN_MS))


def _finish_reason(attributes: Attributes) -> str | None:
    reasons = messages.parsed(semconv.first(attributes, semconv.FINISH_REASONS))
    if isinstance(reasons, list):
        reasons = next((reason for reason in reasons if reason), None)
    if reasons is None:
        reasons = next(
            (
                value
                for prefix, _ in semconv.FLAT_OUTPUTS
                for _, row in sorted(messages.indexed(attributes, prefix).items())
                if (value := row.get("finish_reason"))
            ),
            None,
        )
    return name_of(reasons)


def _parameters(attributes: Attributes) -> Event | None:
    given = _dictionary(semconv.first(attributes, semconv.PARAMETERS)) or {}
    prefix = semconv.PARAMETER_PREFIX
    for name, value in attributes.items():
        if name.startswith(prefix) and name.removeprefix(prefix) not in semconv.NOT_PARAMETERS:
            given[name.removeprefix(prefix)] = value
    # OTLP may carry NaN and infinity, which JSON has no words for.
    return {name: value for name, value in given.items() if not isinstance(value, float) or isfinite(value)} or None


def _dictionary(value: Any) -> Event | None:
    content = messages.parsed(value)
    return dict(content) if isinstance(content, dict) else None


def _sources(value: Any) -> list[str] | None:
    if value is None:
        return None
    sources = value if isinstance(value, list) else [value]
    return [messages.text_of(source) for source in sources[:_MAX_SOURCES]]


def _tools_offered(attributes: Attributes) -> list[str]:
    if names := messages.tool_names(messages.parsed(semconv.first(attributes, semconv.TOOL_DEFINITIONS))):
        return names
    for prefix, part in semconv.FLAT_TOOLS:
        rows = messages.indexed(attributes, prefix)
        if names := [name for _, row in sorted(rows.items()) if (name := name_of(row.get(part)))]:
            return names[: messages.MAX_MESSAGES]
    return []
