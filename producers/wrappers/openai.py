"""OpenAI's client, and whatever speaks its language: chat completions and responses."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from keeprate.producers.sdk.client import Keeprate
from keeprate.producers.sdk.plain import plain
from keeprate.producers.sdk.responses import read_response
from keeprate.producers.wrappers.watching import Cost, Fields, Shape, argument, get, names_of, parameters_of, watched

Client = TypeVar("Client")


def wrap_openai(openai: Client, client: Keeprate, *, cost: Cost | None = None, provider: str = "openai") -> Client:
    """The same client; each call of `chat.completions.create`, `responses.create` and their `parse` is a generation.

    OpenAI, AsyncOpenAI, Azure's, and others of that shape. cost: US dollars from a response, for who knows prices.
    Not watched: `stream` of either, `with_raw_response`; and `with_options` makes another client, to be wrapped too.
    """
    given: Any = openai
    chat, responses = shape_of_chat(provider), _shape_of_responses(provider)
    for resource, shape in ((get(get(given, "chat"), "completions"), chat), (get(given, "responses"), responses)):
        for name in ("create", "parse"):
            if resource is not None and hasattr(resource, name):
                setattr(resource, name, watched(client, getattr(resource, name), shape, cost))
    return openai


def shape_of_chat(provider: str) -> Shape:
    """How chat completions say things."""
    return Shape(provider, _chat_given, read_chat, ChatReading)


def _chat_given(kwargs: Mapping[str, Any]) -> Fields:
    return {
        "model": argument(kwargs, "model"),
        "operation": "chat",
        "input": argument(kwargs, "messages"),
        "tools_offered": names_of(argument(kwargs, "tools")),
        "parameters": parameters_of(kwargs),
    }


def read_chat(response: Any) -> Fields:
    """Fields of a chat completion, with the tools that it calls."""
    messages = [get(choice, "message") for choice in get(response, "choices") or ()]
    called = names_of([call for message in messages for call in get(message, "tool_calls") or ()])
    return {**read_response(response), **({"tools_called": called} if called else {})}


class ChatReading:
    """Of the pieces of a chat completion: texts and calls of tools by choice; usage where the last piece has it."""

    def __init__(self) -> None:
        self._said: Fields = {}
        self._choices: dict[int, Fields] = {}

    def add(self, piece: Any) -> str:
        """Take a piece; the text in it, of the first choice."""
        usage = get(piece, "usage")
        heard = {
            "external_id": get(piece, "id"),
            "model": get(piece, "model"),
            "input_tokens": get(usage, "prompt_tokens"),
            "output_tokens": get(usage, "completion_tokens"),
        }
        self._said.update({name: value for name, value in heard.items() if value is not None})
        texts = [self._add_choice(choice) for choice in get(piece, "choices") or ()]
        return texts[0] if texts else ""

    def fields(self) -> Fields:
        """Of the generation, as far as pieces have come."""
        output = []
        for _, choice in sorted(self._choices.items()):
            calls = [call for _, call in sorted(choice["calls"].items())]
            output.append({"content": choice["text"], **({"tool_calls": calls} if calls else {})})
        called = names_of([call for message in output for call in message.get("tool_calls", ())])
        found = {**self._said, "output": output or None, "tools_called": called}
        return {name: value for name, value in found.items() if value is not None}

    def _add_choice(self, choice: Any) -> str:
        index = get(choice, "index") or 0
        kept = self._choices.setdefault(index, {"text": "", "calls": {}})
        if (reason := get(choice, "finish_reason")) is not None:
            self._said.setdefault("finish_reason", reason)
        delta = get(choice, "delta")
        for call in get(delta, "tool_calls") or ():
            self._add_call(kept["calls"], call)
        text = get(delta, "content")
        kept["text"] += text if isinstance(text, str) else ""
        return text if isinstance(text, str) and index == 0 else ""

    @staticmethod
    def _add_call(calls: dict[int, Fields], piece: Any) -> None:
        function = get(piece, "function")
        call = calls.setdefault(
            get(piece, "index") or 0,
            {"id": get(piece, "id"), "type": "function", "function": {"name": "", "arguments": ""}},
        )
        for name in ("name", "arguments"):
            call["function"][name] += get(function, name) or ""


def _shape_of_responses(provider: str) -> Shape:
    return Shape(provider, _responses_given, _read_responses, _ResponsesReading)


def _responses_given(kwargs: Mapping[str, Any]) -> Fields:
    asked = argument(kwargs, "input")
    messages = [{"role": "user", "content": asked}] if isinstance(asked, str) else list(asked or ())
    if (instructions := argument(kwargs, "instructions")) is not None:
        messages.insert(0, {"role": "system", "content": instructions})
    return {
        "model": argument(kwargs, "model"),
        "operation": "chat",
        # What comes before in a conversation may be items that are no messages, such as results of tools.
        "input": [each if "content" in each else {"role": "tool", "content": each} for each in messages],
        "tools_offered": names_of(argument(kwargs, "tools")),
        "parameters": parameters_of(kwargs),
    }


_CALLS: Final = "_call"
"""How the types of items end that call a tool: function_call, web_search_call."""


def _read_responses(response: Any) -> Fields:
    items = get(response, "output") or ()
    calls = [plain(item) for item in items if str(get(item, "type")).endswith(_CALLS)]
    message = {"content": get(response, "output_text") or "", **({"tool_calls": calls} if calls else {})}
    found = {**read_response(response), "output": [message], "tools_called": names_of(calls)}
    if (reason := get(get(response, "incomplete_details"), "reason") or get(response, "status")) is not None:
        found["finish_reason"] = reason
    return {name: value for name, value in found.items() if value is not None}


class _ResponsesReading:
    """Of the events of a response: texts as they come, and the whole response at the end."""

    def __init__(self) -> None:
        self._said: Fields = {}

    def add(self, piece: Any) -> str:
        """Take an event; the text in it."""
        if (response := get(piece, "response")) is not None and get(piece, "type") != "response.created":
            self._said = _read_responses(response) if get(response, "output") else self._said
        text = get(piece, "delta") if get(piece, "type") == "response.output_text.delta" else ""
        return text if isinstance(text, str) else ""

    def fields(self) -> Fields:
        """Of the generation; what was cut off has only the texts."""
        return self._said
