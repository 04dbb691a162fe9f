"""LiteLLM's functions. It speaks OpenAI's language for all providers, and knows what calls cost."""

import sys
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
    """As LiteLLM says it of a whole response; of a stream, whose last piece has the tokens, by its prices."""
    hidden, usage, litellm = get(response, "_hidden_params"), get(response, "usage"), sys.modules.get("litellm")
    if (known := get(hidden, "response_cost")) is not None:
        return float(known)
    if usage is None or litellm is None:
        return None
    model = get(hidden, "litellm_model_name") or get(response, "model")
    tokens = {name: get(usage, name) for name in ("prompt_tokens", "completion_tokens")}
    return float(sum(litellm.cost_per_token(model=model, **tokens)))
