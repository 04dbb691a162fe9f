"""LangChain's callbacks: each call of a model is a generation, whoever makes it, a chain, an agent or a graph."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from keeprate.producers.sdk.calls import Call
from keeprate.producers.sdk.client import Keeprate
from keeprate.producers.wrappers.watching import Fields, argument, get, names_of, parameters_of

GENERATION_ID: Final = "keeprate_generation_id"
_ROLES: Final = {"human": "user", "ai": "assistant", "AIMessageChunk": "assistant"}
_NO_PARAMETERS: Final = ("_type", "model_name", "model_id")


def langchain_callback(client: Keeprate) -> Any:
    """A handler for `config={"callbacks": [langchain_callback(client)]}`. Raises ImportError without langchain-core.

    The message that a model gives has its generation's id in `response_metadata["keeprate_generation_id"]`, because
    LangChain runs each step in a context of its own, where `client.latest` does not reach the app.
    """
    from langchain_core.callbacks import BaseCallbackHandler

    return type("KeeprateCallback", (_Callback, BaseCallbackHandler), {})(client)


class _Callback:
    """What LangChain tells of calls of models. It logs what is raised in here, and goes on."""

    run_inline = True
    """In the app's own thread, so that the times are right."""

    def __init__(self, client: Keeprate) -> None:
        self._client = client
        self._calls: dict[Any, Call] = {}

    def on_chat_model_start(
        self, serialized: Any, messages: Sequence[Sequence[Any]], *, run_id: Any, **told: Any
    ) -> None:
        """A call of a chat model begins."""
        asked = messages[0] if messages else ()
        self._begin(run_id, [_message(each) for each in asked], told)

    def on_llm_start(self, serialized: Any, prompts: Sequence[str], *, run_id: Any, **told: Any) -> None:
        """A call of a model for texts begins."""
        self._begin(run_id, list(prompts), told)

    def on_llm_new_token(self, token: Any, *, run_id: Any, **_: Any) -> None:
        """A piece of a streamed output."""
        if (call := self._calls.get(run_id)) is not None and isinstance(token, str) and token:
            call.chunk(token)

    def on_llm_end(self, response: Any, *, run_id: Any, **_: Any) -> None:
        """The call is over."""
        if (call := self._calls.pop(run_id, None)) is not None:
            call.read(response, _read)
            for choice in _choices(response):
                if isinstance(metadata := get(get(choice, "message"), "response_metadata"), dict):
                    metadata[GENERATION_ID] = call.id
            call.end(None)

    def on_llm_error(self, error: BaseException, *, run_id: Any, **_: Any) -> None:
        """The call failed, or was broken off."""
        if (call := self._calls.pop(run_id, None)) is not None:
            call.end(error)

    def _begin(self, run_id: Any, asked: Any, told: Mapping[str, Any]) -> None:
        call = self._client.call()
        call.read(told, _given)
        call.set(input=asked)
        call.begin()
        self._calls[run_id] = call


def _given(told: Mapping[str, Any]) -> Fields:
    metadata, asked = told.get("metadata") or {}, told.get("invocation_params") or {}
    found = {
        "provider": metadata.get("ls_provider"),
        "model": metadata.get("ls_model_name") or asked.get("model") or asked.get("model_name"),
        "operation": "chat",
        "step": metadata.get("langgraph_node"),
        "tools_offered": names_of(argument(asked, "tools")),
        "parameters": parameters_of({name: each for name, each in asked.items() if name not in _NO_PARAMETERS}),
    }
    return {name: value for name, value in found.items() if value is not None}


def _read(response: Any) -> Fields:
    choices = _choices(response)
    messages = [get(choice, "message") for choice in choices]
    first = messages[0] if messages else None
    metadata = get(first, "response_metadata") or {}
    usage = get(first, "usage_metadata") or {}
    found = {
        "output": [
            {"content": get(choice, "text") or ""} if message is None else _message(message)
            for choice, message in zip(choices, messages, strict=True)
        ],
        "model": metadata.get("model_name") or metadata.get("model"),
        "external_id": metadata.get("id"),
        "finish_reason": metadata.get("finish_reason") or metadata.get("stop_reason"),
        "input_tokens": usage.get("input_tokens"),
        "output_tokens": usage.get("output_tokens"),
        "tools_called": names_of([call for message in messages for call in get(message, "tool_calls") or ()]),
    }
    return {name: value for name, value in found.items() if value is not None}


def _choices(response: Any) -> list[Any]:
    generations = get(response, "generations") or ()
    return list(generations[0]) if generations else []


def _message(message: Any) -> Fields:
    role = str(get(message, "type"))
    calls = get(message, "tool_calls")
    content = {"role": _ROLES.get(role, role), "content": get(message, "content")}
    return {**content, **({"tool_calls": list(calls)} if calls else {})}
