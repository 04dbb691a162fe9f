"""Anthropic's client: messages."""

from collections.abc import Mapping
from typing import Any, TypeVar

from keeprate.producers.sdk.client import Keeprate
from keeprate.producers.sdk.responses import read_response
from keeprate.producers.wrappers.watching import Cost, Fields, Shape, argument, get, names_of, parameters_of, watched

Client = TypeVar("Client")


def wrap_anthropic(anthropic: Client, client: Keeprate, *, cost: Cost | None = None) -> Client:
    """The same client, Anthropic or AsyncAnthropic; each call of `messages.create` is a generation.

    cost: US dollars from a response, for who knows prices. Not watched: `messages.stream`, a helper of its own over the
    same call, and `with_raw_response`; `create(stream=True)` is.
    """
    given: Any = anthropic
    given.messages.create = watched(client, given.messages.create, SHAPE, cost)
    return anthropic


def _given(kwargs: Mapping[str, Any]) -> Fields:
    system = argument(kwargs, "system")
    before = [] if system is None else [{"role": "system", "content": system}]
    return {
        "model": argument(kwargs, "model"),
        "operation": "chat",
        "input": [*before, *(argument(kwargs, "messages") or ())],
        "tools_offered": names_of(argument(kwargs, "tools")),
        "parameters": parameters_of(kwargs),
    }


def _read(response: Any) -> Fields:
    used = [block for block in get(response, "content") or () if get(block, "type") == "tool_use"]
    return {**read_response(response), **({"tools_called": names_of(used)} if used else {})}


class _Reading:
    """Of the events of a message: blocks of text and calls of tools, with usage at its begin and end."""

    def __init__(self) -> None:
        self._said: Fields = {}
        self._texts: list[str] = []
        self._calls: dict[int, Fields] = {}

    def add(self, piece: Any) -> str:
        """Take an event; the text in it."""
        match get(piece, "type"):
            case "message_start":
                self._begin(get(piece, "message"))
            case "content_block_start" if get(block := get(piece, "content_block"), "type") == "tool_use":
                call = {"type": "tool_use", "id": get(block, "id"), "name": get(block, "name"), "input": ""}
                self._calls[get(piece, "index")] = call
            case "content_block_delta":
                return self._add_delta(get(piece, "index"), get(piece, "delta"))
            case "message_delta":
                self._hear("finish_reason", get(get(piece, "delta"), "stop_reason"))
                self._hear("output_tokens", get(get(piece, "usage"), "output_tokens"))
        return ""

    def fields(self) -> Fields:
        """Of the generation, as far as events have come."""
        calls = [call for _, call in sorted(self._calls.items())]
        message = {"content": "".join(self._texts), **({"tool_calls": calls} if calls else {})}
        return {**self._said, "output": [message], **({"tools_called": names_of(calls)} if calls else {})}

    def _begin(self, message: Any) -> None:
        self._hear("external_id", get(message, "id"))
        self._hear("model", get(message, "model"))
        self._hear("input_tokens", get(get(message, "usage"), "input_tokens"))

    def _add_delta(self, index: int, delta: Any) -> str:
        if (more := get(delta, "partial_json")) and index in self._calls:
            self._calls[index]["input"] += more
        text = get(delta, "text")
        if not isinstance(text, str):
            return ""
        self._texts.append(text)
        return text

    def _hear(self, name: str, value: Any) -> None:
        if value is not None:
            self._said[name] = value


SHAPE = Shape("anthropic", _given, _read, _Reading)
