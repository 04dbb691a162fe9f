"""What an app may say of a generation, and the one shape that messages take."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from typing_extensions import TypedDict

from keeprate.producers.errors import ContractError
from keeprate.producers.sdk.plain import plain

Messages = str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]


class GenerationFields(TypedDict, total=False):
    """What `Keeprate.generation` takes; `keeprate.schemas.events.Generation` says what each field means.

    input, output: a text, a message, or a list of them; each element of `output` is one choice.
    user: as the app knows the user; it is hashed before it leaves.
    generation_id: when it was allocated before the call, with `Keeprate.new_id`.
    external_id: the provider's id of the response; without a generation_id it gives the identity.
    """

    generation_id: str
    external_id: str
    occurred_at: int
    user: str
    session: str
    trace_id: str
    span_id: str
    attributes: dict[str, str]
    operation: str
    surface: str
    language: str
    trigger: str
    provider: str
    model: str
    prompt_name: str
    prompt_version: str
    prompt_variables: dict[str, Any]
    context_strategy: str
    context_sources: list[str]
    tools_offered: list[str]
    tools_called: list[str]
    input: Messages
    output: Messages
    choice_count: int
    parameters: dict[str, Any]
    input_tokens: int
    output_tokens: int
    cost_usd: float
    latency_ms: int
    time_to_first_token_ms: int
    finish_reason: str
    error_type: str
    error_message: str
    outcome: Literal["produced", "empty", "cancelled", "failed", "filtered"]
    parent_generation_id: str
    step: str
    experiment: str
    variant: str


def messages(given: Messages, role: str, field: str) -> list[dict[str, Any]]:
    """Texts and messages in the one shape of the events. A bare text takes the role. Raises ContractError."""
    if isinstance(given, list | tuple):
        return [_message(each, role, field) for each in given]
    return [_message(given, role, field)]


def _message(given: Any, role: str, field: str) -> dict[str, Any]:
    if isinstance(given, str):
        return {"role": role, "content": given}
    message = given if isinstance(given, Mapping) else plain(given)
    if not isinstance(message, Mapping):
        # A generator above all: to look at what is in it would take it from the app.
        kind = type(given).__name__
        raise ContractError("invalid", f"a text, a message or a list of them is wanted, and this is a {kind}", field)
    # Providers leave the content out where a model only calls tools.
    absent = {"content": ""} if message.get("tool_calls") else {}
    return {"role": role, **absent, **message}


def choice_texts(output: Sequence[Mapping[str, Any]]) -> list[str]:
    """The text of each choice; empty where the content is not a text."""
    return [content if isinstance(content := message.get("content"), str) else "" for message in output]


def complete(event: dict[str, Any]) -> list[str]:
    """Bring what the app gave into the shape of a generation event, in place; the text of each choice."""
    if event.get("input") is not None:
        event["input"] = messages(event["input"], "user", "input")
    outputs: list[str] = []
    if event.get("output") is not None:
        event["output"] = messages(event["output"], "assistant", "output")
        outputs = choice_texts(event["output"])
    event.setdefault("outcome", _outcome(event))
    return outputs


def _outcome(event: Mapping[str, Any]) -> str | None:
    if event.get("error_type"):
        return "failed"
    if event.get("output") is None:
        return None
    has_content = any(message.get("content") or message.get("tool_calls") for message in event["output"])
    return "produced" if has_content else "empty"
