"""Wrappers: a provider's client, in one line, tells of each of its calls as a generation.

    openai = wrap_openai(OpenAI(), client)
    answer = openai.chat.completions.create(model="…", messages=[…])
    client.latest.shown().accept()

watching    one call, plain, asynchronous or streamed, from its arguments to its end: what the wrappers share
openai      chat completions and responses; `anthropic` messages; `litellm` its functions; `langchain` a callback

What the app gives a call and gets from it is not touched: the same object comes back, streams stay streams, exceptions
go on their way.

Invariant: importing this imports none of those packages; only `langchain_callback` does, when it is called.
"""

from keeprate.producers.wrappers.anthropic import wrap_anthropic
from keeprate.producers.wrappers.langchain import langchain_callback
from keeprate.producers.wrappers.litellm import wrap_litellm
from keeprate.producers.wrappers.openai import wrap_openai

__all__ = ["langchain_callback", "wrap_anthropic", "wrap_litellm", "wrap_openai"]
