"""What can be read off a provider's response without knowing its library: text, tokens, model, finish reason.

The shapes are those of OpenAI (chat completions and responses) and Anthropic, as objects or as dictionaries. Anything
else is its own text if it is one, and otherwise content as it is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from keeprate.producers.sdk.plain import plain


def read_response(response: Any) -> dict[str, Any]:
    """Fields of a generation event. What the response does not say is left out."""
    if isinstance(response, str):
        return {"output": response}
    found = {
        "output": _output(response),
        "model": _get(response, "model"),
        "external_id": _get(response, "id"),
        "finish_reason": _get(response, "stop_reason") or _get(_first(_get(response, "choices")), "finish_reason"),
        "input_tokens": _first_known(_get(response, "usage"), "input_tokens", "prompt_tokens"),
        "output_tokens": _first_known(_get(response, "usage"), "output_tokens", "completion_tokens"),
    }
    return {name: value for name, value in found.items() if value is not None}


def _output(response: Any) -> list[Any] | None:
    if choices := _get(response, "choices"):
        return [plain(_get(choice, "message")) or {"content": _get(choice, "text")} for choice in choices]
    if (text := _get(response, "output_text")) is not None:
        return [text]
    content = _get(response, "content")
    if isinstance(content, str):
        return [content]
    if isinstance(content, Sequence):
        texts = [text for block in content if isinstance(text := _get(block, "text"), str)]
        calls = [plain(block) for block in content if _get(block, "type") == "tool_use"]
        return [{"content": "".join(texts), **({"tool_calls": calls} if calls else {})}]
    return None if response is None else [{"content": plain(response)}]


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)


def _first(values: Any) -> Any:
    return values[0] if isinstance(values, Sequence) and values else None


def _first_known(value: Any, *names: str) -> Any:
    return next((found for name in names if (found := _get(value, name)) is not None), None)
