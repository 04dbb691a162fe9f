"""Messages of any convention to the shape of the contract: role, content, name, tool_calls. Pure, and never raises.

Content that is text alone becomes text; anything else stays the list of parts that it was.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic_core import from_json, to_json

from keeprate.producers.collector.otel import semconv

Message = dict[str, Any]

NAME_LENGTH: Final = 200
MAX_MESSAGES: Final = 1_000
_INDEXED: Final = re.compile(r"(\d{1,4})\.(.+)")


def parsed(value: Any) -> Any:
    """A value that an SDK wrote as JSON text, read; any other value as it is."""
    if isinstance(value, str) and value[:1] in ("[", "{", '"'):
        try:
            return from_json(value, allow_inf_nan=False)
        except ValueError:
            return value
    return value


def to_messages(value: Any, role: str) -> list[Message]:
    """Messages of one attribute: a list of messages, one message, a text, or whatever else a model took or gave.

    role: that of a message that does not say its own.
    """
    content = parsed(value)
    if isinstance(content, dict) and isinstance(content.get("messages"), list):
        content = content["messages"]
    if isinstance(content, list) and content and all(isinstance(entry, dict) for entry in content):
        if all(_is_message(entry) for entry in content):
            return [to_message(entry, role) for entry in content[:MAX_MESSAGES]]
        return [_with_content({"role": role}, content)]
    if isinstance(content, dict) and _is_message(content):
        return [to_message(content, role)]
    return [] if content is None else [{"role": role, "content": content}]


def _is_message(entry: Mapping[str, Any]) -> bool:
    return "role" in entry or "parts" in entry or "message" in entry


def to_message(entry: Mapping[str, Any], role: str) -> Message:
    """One message of any convention. Tool calls among its parts, or beside them, become `tool_calls`."""
    inner = entry.get("message")
    if isinstance(inner, Mapping):
        # An event of a choice nests the message: {"index": 0, "finish_reason": "stop", "message": {…}}.
        entry = {**entry, **inner}
    message: Message = {"role": name_of(entry.get("role")) or role}
    if name := name_of(entry.get("name")):
        message["name"] = name
    calls = parsed(entry.get("tool_calls") or entry.get("toolCalls"))
    parts = entry.get("parts")
    if isinstance(parts, list):
        calls = [*(calls if isinstance(calls, list) else ()), *(part for part in parts if _is_call(part))]
        message = _with_content(message, [part for part in parts if not _is_call(part)])
    else:
        message["content"] = entry.get("content")
        if isinstance(message["content"], list):
            message = _with_content(message, message["content"])
    if isinstance(calls, list) and calls:
        message["tool_calls"] = calls[:MAX_MESSAGES]
    return message


def _is_call(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") in ("tool_call", "tool-call", "tool_use")


def _with_content(message: Message, parts: list[Any]) -> Message:
    texts = [_part_text(part) for part in parts]
    if all(text is not None for text in texts):
        message["content"] = "\n".join(text for text in texts if text is not None)
    else:
        message["content"] = parts[:MAX_MESSAGES]
    return message


def _part_text(part: Any) -> str | None:
    if isinstance(part, str):
        return part
    if isinstance(part, Mapping) and part.get("type") in ("text", "output_text", "input_text", None):
        text = part.get("content", part.get("text"))
        return text if isinstance(text, str) else None
    return None


def flat_messages(attributes: Mapping[str, Any], prefixes: Sequence[tuple[str, str]], role: str) -> list[Message]:
    """Messages that a convention spread over attributes, such as `gen_ai.prompt.0.content`."""
    for prefix, stem in prefixes:
        if rows := indexed(attributes, prefix):
            return [_flat_message(row, stem, role) for _, row in sorted(rows.items())][:MAX_MESSAGES]
    return []


def indexed(attributes: Mapping[str, Any], prefix: str) -> dict[int, dict[str, Any]]:
    """Attributes `<prefix><index>.<rest>` by index and rest."""
    rows: dict[int, dict[str, Any]] = {}
    for name, value in attributes.items():
        if name.startswith(prefix) and (found := _INDEXED.fullmatch(name, len(prefix))):
            rows.setdefault(int(found[1]), {})[found[2]] = value
    return rows


def _flat_message(row: Mapping[str, Any], stem: str, role: str) -> Message:
    message: Message = {"role": name_of(row.get(f"{stem}role")) or role, "content": row.get(f"{stem}content")}
    calls = [
        {
            "id": first_of(call, "id", "tool_call.id"),
            "name": first_of(call, "name", "tool_call.function.name"),
            "arguments": parsed(first_of(call, "arguments", "tool_call.function.arguments")),
        }
        for _, call in sorted(indexed(row, f"{stem}tool_calls.").items())
    ]
    if calls:
        message["tool_calls"] = calls
    return message


def first_of(row: Mapping[str, Any], *names: str) -> Any:
    """The first named value that is there, or None."""
    return semconv.first(row, names)


def call_names(messages: Sequence[Message]) -> list[str]:
    """The names of the tools that messages call, in order, each call once."""
    names = []
    for message in messages:
        for call in message.get("tool_calls") or ():
            if isinstance(call, Mapping):
                function = call.get("function")
                inner = function.get("name") if isinstance(function, Mapping) else function
                if name := name_of(call.get("name") or call.get("toolName") or inner):
                    names.append(name)
    return names[:MAX_MESSAGES]


def tool_names(definitions: Any) -> list[str]:
    """The names in a list of tool definitions, of any provider's shape."""
    names = []
    for entry in definitions if isinstance(definitions, list) else ():
        tool = parsed(entry)
        if isinstance(tool, Mapping):
            function = tool.get("function")
            inner = function.get("name") if isinstance(function, Mapping) else None
            if name := name_of(tool.get("name") or inner):
                names.append(name)
        elif name := name_of(tool):
            names.append(name)
    return names[:MAX_MESSAGES]


def name_of(value: Any) -> str | None:
    """A value as a name of the contract: text of at most 200 characters; None when there is none."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value)[:NAME_LENGTH] or None


def text_of(value: Any) -> str:
    """A value as text: itself, or its JSON."""
    return value if isinstance(value, str) else to_json(value, inf_nan_mode="null").decode()
