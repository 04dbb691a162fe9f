"""LiteLLM's functions. It speaks OpenAI's language for all providers, and knows what calls cost."""

from typing import Any

from keeprate.producers.sdk.client import Keeprate
from keeprate.producers.wrappers.openai import shape_of_chat
from keeprate.producers.wrappers.watching import Cost, get, watched


def wrap_litellm(litellm: Any, client: Keeprate, *, cost: Cost | None = None) -> Any:
    """The same module or Router; each call of its `completion` and `acompletion` is a generation, with its cost.

    What was imported from it before (`from litellm import completion`) stays as it was. cost: US dollars from a
    response, in place of LiteLLM's own.
    """
    for name in ("completion", "acompletion"):
        if hasattr(litellm, name):
            made = watched(client, getattr(litellm, name), shape_of_chat("litellm"), cost or _cost)
            setattr(litellm, name, made)
    return litellm


def _cost(response: Any) -> float | None:
    known = get(get(response, "_hidden_params"), "response_cost")
    return float(known) if known is not None else None
