"""LiteLLM's own package, wrapped, towards a provider that answers as OpenAI does.

`make wrappers` runs this: the package is as large as all the rest together, so `make test` has its shapes alone.
"""

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from keeprate.producers.testing import RecordingKeeprate
from keeprate.producers.wrappers import wrap_litellm

pytestmark = [pytest.mark.timeout(120), pytest.mark.filterwarnings("ignore")]

ASKED = [{"role": "user", "content": "How?"}]
TOOL = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
CALLED = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
USAGE = {"prompt_tokens": 1_000, "completion_tokens": 500, "total_tokens": 1_500}
COST_USD = 1_000 * 0.15e-6 + 500 * 0.6e-6
"""By LiteLLM's prices of gpt-4o-mini."""


class Provider(BaseHTTPRequestHandler):
    """A message that says `broken` finds no model."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        head = {"id": "chatcmpl-1", "created": 1, "model": asked["model"]}
        if asked["messages"][-1]["content"] == "broken":
            self._answer(404, json.dumps({"error": {"message": "no such model", "type": "invalid_request_error"}}))
        elif asked.get("stream"):
            pieces = [_piece(text) for text in ("Like", " this.")]
            pieces += [{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}]
            if (asked.get("stream_options") or {}).get("include_usage"):
                pieces.append({"choices": [], "usage": USAGE})
            lines = [f"data: {json.dumps({**head, 'object': 'chat.completion.chunk', **each})}\n\n" for each in pieces]
            self._answer(200, "".join(lines) + "data: [DONE]\n\n", "text/event-stream")
        else:
            said = {"content": None, "tool_calls": [CALLED]} if asked.get("tools") else {"content": "So."}
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **said}}
            self._answer(200, json.dumps({**head, "object": "chat.completion", "choices": [choice], "usage": USAGE}))

    def _answer(self, status: int, body: str, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Say nothing."""


def _piece(text: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}]}


@pytest.fixture(scope="module")
def way() -> Iterator[dict[str, Any]]:
    """What a call is told of the provider."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        base = f"http://127.0.0.1:{server.server_address[1]}/v1"
        yield {"model": "openai/gpt-4o-mini", "api_base": base, "api_key": "none", "max_retries": 0}
        server.shutdown()
        thread.join()


@pytest.fixture
def litellm(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, as it was before a test wrapped it. It shall ask nobody for prices."""
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    module = pytest.importorskip("litellm", reason="make wrappers installs it")
    for name in ("completion", "acompletion"):
        monkeypatch.setattr(module, name, getattr(module, name))
    return module


def made(client: RecordingKeeprate) -> list[dict[str, Any]]:
    """The generations, of which none was dropped."""
    assert client.stats().lost == 0
    return [dict(event) for event in client.of_type("generation")]


def test_each_way_of_calling_is_a_generation_with_its_cost(litellm: Any, way: dict[str, Any]) -> None:
    """Plain and asynchronous, whole and streamed, with tools and with an error; the app gets what it would have."""
    client = RecordingKeeprate("docs", user_salt="s")
    wrap_litellm(litellm, client)
    streamed: dict[str, Any] = {**way, "stream": True, "stream_options": {"include_usage": True}}

    async def asynchronously() -> str:
        whole = await litellm.acompletion(messages=ASKED, **way)
        pieces = [piece async for piece in await litellm.acompletion(messages=ASKED, **streamed)]
        return f"{whole.choices[0].message.content}{_text(pieces)}"

    assert litellm.completion(messages=ASKED, **way).choices[0].message.content == "So."
    assert _text(litellm.completion(messages=ASKED, **streamed)) == "Like this."
    assert asyncio.run(asynchronously()) == "So.Like this."
    litellm.completion(messages=ASKED, tools=[TOOL], **way)
    with pytest.raises(litellm.NotFoundError):
        litellm.completion(messages=[{"role": "user", "content": "broken"}], **way)
    *whole, failed = made(client)
    assert [(each["output"][0]["content"], each["model"]) for each in whole] == [
        (text, "gpt-4o-mini") for text in ("So.", "Like this.", "So.", "Like this.", "")
    ]
    assert [each["cost_usd"] for each in whole] == pytest.approx([COST_USD] * 5)
    assert {(each["input_tokens"], each["output_tokens"]) for each in whole} == {(1_000, 500)}
    assert ["time_to_first_token_ms" in each for each in whole] == [False, True, False, True, False]
    assert (whole[4]["tools_offered"], whole[4]["tools_called"]) == (["look_up"], ["look_up"])
    assert (failed["outcome"], failed["error_type"]) == ("failed", "NotFoundError")


def test_a_stream_that_is_left_is_cancelled(litellm: Any, way: dict[str, Any]) -> None:
    """What came until then is all that the user saw."""
    client = RecordingKeeprate("docs", user_salt="s")
    wrap_litellm(litellm, client)
    stream = litellm.completion(messages=ASKED, stream=True, **way)
    next(stream)
    del stream
    (found,) = made(client)
    assert (found["output"][0]["content"], found["outcome"]) == ("Like", "cancelled")


def test_a_router_is_watched_alike(litellm: Any, way: dict[str, Any]) -> None:
    """By itself, while the module is not."""
    client = RecordingKeeprate("docs", user_salt="s")
    router = wrap_litellm(litellm.Router(model_list=[{"model_name": "small", "litellm_params": way}]), client)
    assert router.completion(model="small", messages=ASKED).choices[0].message.content == "So."
    assert asyncio.run(router.acompletion(model="small", messages=ASKED)).choices[0].message.content == "So."
    assert [each["cost_usd"] for each in made(client)] == pytest.approx([COST_USD] * 2)


def _text(pieces: Any) -> str:
    return "".join(choice.delta.content or "" for piece in pieces for choice in piece.choices)
