"""The providers' own clients, wrapped: what each kind of call becomes, over a transport that answers as they do."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from keeprate.producers.testing import RecordingKeeprate
from keeprate.producers.wrappers import langchain_callback, wrap_anthropic, wrap_litellm, wrap_openai

# The packages of providers are large, and all processes that test collect every file: who tests with them loads them.
if TYPE_CHECKING:
    import anthropic
    import openai

ASKED: Any = [{"role": "user", "content": "How?"}]
TOOL: Any = {"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}
CALLED = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"q": 1}'}}


@pytest.fixture
def client() -> RecordingKeeprate:
    return RecordingKeeprate("docs", user_salt="s")


def chat(message: dict[str, Any], reason: str = "stop") -> dict[str, Any]:
    """A chat completion."""
    choice = {"index": 0, "finish_reason": reason, "message": {"role": "assistant", **message}}
    usage = {"prompt_tokens": 12, "completion_tokens": 4, "total_tokens": 16}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-5-mini-2026"}
    return {**head, "choices": [choice], "usage": usage}


def chat_pieces() -> list[dict[str, Any]]:
    """A chat completion, streamed, that says something and calls a tool."""
    head = {"id": "chatcmpl-2", "object": "chat.completion.chunk", "created": 1, "model": "gpt-5-mini-2026"}
    called = {"index": 0, "id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"q"'}}
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": ""},
        {"content": "Like"},
        {"content": " this."},
        {"tool_calls": [called]},
        {"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]},
    ]
    pieces = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    pieces.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    usage = {"prompt_tokens": 12, "completion_tokens": 4, "total_tokens": 16}
    return [*pieces, {**head, "choices": [], "usage": usage}]


def message_pieces() -> list[dict[str, Any]]:
    """A message of Anthropic's, streamed."""
    message = {"id": "msg_2", "type": "message", "role": "assistant", "model": "claude-x", "content": []}
    usage = {"input_tokens": 12, "output_tokens": 1}
    used = {"type": "tool_use", "id": "t1", "name": "look_up", "input": {}}
    return [
        {"type": "message_start", "message": {**message, "stop_reason": None, "stop_sequence": None, "usage": usage}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Like this."}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": used},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"q": 1}'}},
        {"type": "content_block_stop", "index": 1},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "tool_use", "stop_sequence": None},
            "usage": {"output_tokens": 4},
        },
        {"type": "message_stop"},
    ]


def answering(request: httpx2.Request) -> httpx2.Response:
    """As OpenAI and Anthropic do; a model named `broken` is not there."""
    asked = json.loads(request.content)
    if asked["model"] == "broken":
        return httpx2.Response(404, json={"error": {"type": "not_found_error", "message": "no such model"}})
    path = request.url.path
    if asked.get("stream"):
        pieces = message_pieces() if path.endswith("/messages") else chat_pieces()
        lines = [f"event: {each.get('type', 'message')}\ndata: {json.dumps(each)}\n\n" for each in pieces]
        end = "" if path.endswith("/messages") else "data: [DONE]\n\n"
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, text="".join(lines) + end)
    if path.endswith("/chat/completions"):
        called = {"content": None, "tool_calls": [CALLED]}
        return httpx2.Response(200, json=chat(called, "tool_calls") if asked.get("tools") else chat({"content": "So."}))
    if path.endswith("/responses"):
        text = {"type": "output_text", "text": "So.", "annotations": []}
        items = [
            {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": [text]},
            {"type": "function_call", "id": "f1", "call_id": "c1", "name": "look_up", "arguments": "{}"},
        ]
        details = {"input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}
        head = {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "model": "gpt-5-mini-2026",
            "status": "completed",
        }
        usage = {"input_tokens": 12, "output_tokens": 4, "total_tokens": 16, **details}
        rest = {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
        return httpx2.Response(200, json={**head, "output": items, "usage": usage, **rest})
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "stop_sequence": None}
    content = [{"type": "text", "text": "So."}, {"type": "tool_use", "id": "t1", "name": "look_up", "input": {"q": 1}}]
    usage = {"input_tokens": 12, "output_tokens": 4}
    return httpx2.Response(200, json={**head, "content": content, "stop_reason": "tool_use", "usage": usage})


SETTINGS: Any = {"api_key": "test", "max_retries": 0}


@pytest.fixture
def plain_openai(client: RecordingKeeprate) -> "Iterator[openai.OpenAI]":
    import openai

    with httpx2.Client(transport=httpx2.MockTransport(answering)) as http:
        yield wrap_openai(openai.OpenAI(http_client=http, **SETTINGS), client)


@pytest.fixture
def plain_anthropic(client: RecordingKeeprate) -> "Iterator[anthropic.Anthropic]":
    import anthropic

    with httpx2.Client(transport=httpx2.MockTransport(answering)) as http:
        yield wrap_anthropic(anthropic.Anthropic(http_client=http, **SETTINGS), client)


def of_type(client: RecordingKeeprate, event_type: str) -> list[dict[str, Any]]:
    """The events of one type, whatever they are."""
    return [dict(event) for event in client.of_type(event_type)]


def only(client: RecordingKeeprate) -> dict[str, Any]:
    """The one generation, without what every event has."""
    (event,) = of_type(client, "generation")
    dropped = ("event_id", "generation_id", "occurred_at", "latency_ms", "app", "schema_version")
    return {name: value for name, value in event.items() if name not in dropped and not name.startswith("producer")}


def test_a_chat_completion_is_a_generation(client: RecordingKeeprate, plain_openai: "openai.OpenAI") -> None:
    """What was asked and said, with which tools, parameters and tokens; the app gets what it would have got."""
    import openai

    answer = plain_openai.chat.completions.create(model="gpt-5-mini", messages=ASKED, tools=[TOOL], temperature=0.2)
    assert isinstance(answer, openai.types.chat.ChatCompletion)
    found = only(client)
    assert found.pop("output")[0]["tool_calls"][0]["function"]["name"] == "look_up"
    assert found == {
        "type": "generation",
        "provider": "openai",
        "operation": "chat",
        "model": "gpt-5-mini-2026",
        "input": ASKED,
        "tools_offered": ["look_up"],
        "tools_called": ["look_up"],
        "parameters": {"temperature": 0.2},
        "external_id": "chatcmpl-1",
        "finish_reason": "tool_calls",
        "input_tokens": 12,
        "output_tokens": 4,
        "outcome": "produced",
    }
    client.latest.shown()
    assert of_type(client, "action")[0]["generation_id"] == of_type(client, "generation")[0]["generation_id"]


def test_a_stream_is_read_as_it_passes(client: RecordingKeeprate, plain_openai: "openai.OpenAI") -> None:
    """Every piece reaches the app; texts and the pieces of calls are put together; the first text sets its time."""
    stream = plain_openai.chat.completions.create(model="gpt-5-mini", messages=ASKED, stream=True)
    assert client.events == []
    assert len(list(stream)) == len(chat_pieces())
    found = only(client)
    assert found.pop("time_to_first_token_ms") >= 0
    (said,) = found["output"]
    assert (said["content"], said["tool_calls"]) == ("Like this.", [CALLED])
    assert (found["tools_called"], found["finish_reason"], found["output_tokens"]) == (["look_up"], "tool_calls", 4)


def test_a_stream_that_is_left_is_cancelled(client: RecordingKeeprate, plain_openai: "openai.OpenAI") -> None:
    """With what came so far, once; the provider's own stream is closed."""
    with plain_openai.chat.completions.create(model="gpt-5-mini", messages=ASKED, stream=True) as stream:
        next(stream)
        next(stream)
    assert stream.response.is_closed
    found = only(client)
    assert (found["outcome"], found["output"][0]["content"]) == ("cancelled", "Like")


def test_a_response_is_a_generation(client: RecordingKeeprate, plain_openai: "openai.OpenAI") -> None:
    """Of the newer interface: instructions are the system's message, calls of tools are items of the output."""
    plain_openai.responses.create(model="gpt-5-mini", instructions="Be brief.", input="How?", max_output_tokens=9)
    found = only(client)
    assert [message["role"] for message in found["input"]] == ["system", "user"]
    assert (found["output"][0]["content"], found["tools_called"]) == ("So.", ["look_up"])
    assert (found["parameters"], found["input_tokens"]) == ({"max_output_tokens": 9}, 12)


def test_an_error_of_the_provider_is_told_and_raised(
    client: RecordingKeeprate, plain_openai: "openai.OpenAI", plain_anthropic: "anthropic.Anthropic"
) -> None:
    """The app sees its exception, and the generation has failed, with what was asked."""
    import anthropic
    import openai

    with pytest.raises(openai.NotFoundError):
        plain_openai.chat.completions.create(model="broken", messages=ASKED)
    with pytest.raises(anthropic.NotFoundError):
        plain_anthropic.messages.create(model="broken", messages=ASKED, max_tokens=9)
    for event in of_type(client, "generation"):
        assert (event["outcome"], event["error_type"], event["model"]) == ("failed", "NotFoundError", "broken")
        assert event["input"] == ASKED


def test_a_message_is_a_generation(client: RecordingKeeprate, plain_anthropic: "anthropic.Anthropic") -> None:
    """Anthropic's: the system's word comes first, tools are blocks of the content."""
    plain_anthropic.messages.create(model="claude", system="Be brief.", messages=ASKED, max_tokens=9)
    found = only(client)
    assert [message["role"] for message in found["input"]] == ["system", "user"]
    assert (found["output"][0]["content"], found["tools_called"]) == ("So.", ["look_up"])
    assert (found["provider"], found["model"], found["finish_reason"]) == ("anthropic", "claude-x", "tool_use")


def test_a_streamed_message_is_read_as_it_passes(
    client: RecordingKeeprate, plain_anthropic: "anthropic.Anthropic"
) -> None:
    """Tokens are in its first and last events."""
    stream = plain_anthropic.messages.create(model="claude", messages=ASKED, max_tokens=9, stream=True)
    assert len(list(stream)) == len(message_pieces())
    found = only(client)
    (said,) = found["output"]
    assert (said["content"], said["tool_calls"][0]["input"]) == ("Like this.", '{"q": 1}')
    assert (found["input_tokens"], found["output_tokens"], found["finish_reason"]) == (12, 4, "tool_use")


def test_asynchronous_clients_are_watched_alike(client: RecordingKeeprate) -> None:
    """Whole and streamed; within one request, side by side, each with its user and session."""
    import anthropic
    import openai

    async def ask() -> None:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(answering)) as http:
            asked = wrap_openai(openai.AsyncOpenAI(http_client=http, **SETTINGS), client)
            other = wrap_anthropic(anthropic.AsyncAnthropic(http_client=http, **SETTINGS), client)

            async def one(user: str) -> None:
                with client.request(user=user, session=f"of {user}"):
                    await asked.chat.completions.create(model="gpt-5-mini", messages=ASKED)
                    assert client.latest.text == "So."
                    stream = await asked.chat.completions.create(model="gpt-5-mini", messages=ASKED, stream=True)
                    assert [piece async for piece in stream]
                    pieces = await other.messages.create(model="c", messages=ASKED, max_tokens=9, stream=True)
                    async for _ in pieces:
                        pass
                    client.latest.shown()

            await asyncio.gather(one("ada"), one("grace"))

    asyncio.run(ask())
    said = {(event["session"], event["user"]) for event in client.events}
    assert {session for session, _ in said} == {"of ada", "of grace"}
    assert len(said) == len({user for _, user in said}) == 2
    assert len(of_type(client, "generation")) == 6


def test_steps_have_the_user_of_the_call_around_them(client: RecordingKeeprate, plain_openai: "openai.OpenAI") -> None:
    """And of the request around that, unless they say otherwise; and they are its children."""
    with (
        client.request(user="ada", session="s1", prompt_name="answer"),
        client.call(session="s2", model="agent") as outer,
    ):
        plain_openai.chat.completions.create(model="gpt-5-mini", messages=ASKED)
    inner, around = of_type(client, "generation")
    assert inner["parent_generation_id"] == outer.id
    assert (inner["user"], inner["session"], inner["prompt_name"]) == (around["user"], "s2", "answer")
    with client.request(user="ada", session="s3"):
        client.feedback(outer.id).vote(+1)
    client.feedback(outer.id).vote(+1)
    first, second = of_type(client, "vote")
    assert (first["user"], first["session"]) == (around["user"], "s3")
    assert "user" not in second


def test_a_cost_is_what_the_app_says(client: RecordingKeeprate) -> None:
    """By its own prices, from the response; a function that fails costs the call nothing else."""
    import openai

    with httpx2.Client(transport=httpx2.MockTransport(answering)) as http:
        asked = openai.OpenAI(http_client=http, **SETTINGS)
        wrap_openai(asked, client, cost=lambda response: response.usage.completion_tokens * 1e-6)
        asked.chat.completions.create(model="gpt-5-mini", messages=ASKED)
        for _ in asked.chat.completions.create(model="gpt-5-mini", messages=ASKED, stream=True):
            pass
        assert [event["cost_usd"] for event in of_type(client, "generation")] == [4e-06, 4e-06]
        wrap_openai(asked, client, cost=lambda response: response.nothing)
        asked.chat.completions.create(model="gpt-5-mini", messages=ASKED)
        assert client.stats().lost == 0


class LikeLitellm:
    """The shape of LiteLLM, whose own package is as large as this project: OpenAI's responses, with what they cost."""

    def completion(self, **asked: Any) -> Any:
        import openai

        response = openai.types.chat.ChatCompletion.model_validate(chat({"content": "So."}))
        object.__setattr__(response, "_hidden_params", {"response_cost": 0.002})
        return response

    async def acompletion(self, **asked: Any) -> Any:
        return LikeLitellm.completion(self, **asked)


def test_litellm_says_what_a_call_cost(client: RecordingKeeprate) -> None:
    """Its own price, without a word of the app's."""
    litellm = wrap_litellm(LikeLitellm(), client)
    litellm.completion(model="openai/gpt-5-mini", messages=ASKED)
    asyncio.run(litellm.acompletion(model="openai/gpt-5-mini", messages=ASKED))
    assert [(event["cost_usd"], event["provider"]) for event in of_type(client, "generation")] == [
        (0.002, "litellm")
    ] * 2


def test_a_stream_that_can_be_read_in_both_ways_is_read_as_it_was_asked_for(client: RecordingKeeprate) -> None:
    """As LiteLLM's are, plain ones too."""
    import openai

    pieces = [openai.types.chat.ChatCompletionChunk.model_validate(piece) for piece in chat_pieces()]

    class Both:
        def __init__(self) -> None:
            self._left = iter(pieces)

        def __iter__(self) -> "Both":
            return self

        def __next__(self) -> Any:
            return next(self._left)

        async def __anext__(self) -> Any:
            return next(self._left)

    class Streaming:
        def completion(self, **asked: Any) -> Any:
            return Both()

    assert list(wrap_litellm(Streaming(), client).completion(messages=ASKED)) == pieces
    assert only(client)["output"][0]["content"] == "Like this."


def test_each_call_of_a_model_in_a_chain_is_a_generation(client: RecordingKeeprate) -> None:
    """By LangChain's callbacks: plain, streamed, asynchronous and failed; the message has the id."""
    from tests.unit.producers.chain import chain

    config: Any = {"callbacks": [langchain_callback(client)]}
    answer = chain.invoke({"question": "How?"}, config)
    found = only(client)
    assert [(message["role"], message["content"]) for message in found["input"]] == [
        ("system", "Be brief."),
        ("user", "How?"),
    ]
    assert (found["output"][0]["content"], found["tools_called"]) == ("So.", ["look_up"])
    assert (found["input_tokens"], found["finish_reason"], found["outcome"]) == (12, "stop", "produced")
    client.feedback(answer.response_metadata["keeprate_generation_id"]).accept(text="So.")
    assert of_type(client, "action")[0]["generation_id"] == of_type(client, "generation")[0]["generation_id"]

    assert "".join(str(piece.content) for piece in chain.stream({"question": "How?"}, config)) == "Like this."

    async def ask() -> None:
        async for _ in chain.astream({"question": "How?"}, config):
            pass

    asyncio.run(ask())
    with pytest.raises(RuntimeError):
        chain.invoke({"question": "fail"}, config)
    _, streamed, also, failed = of_type(client, "generation")
    assert [event["output"][0]["content"] for event in (streamed, also)] == ["Like this."] * 2
    assert "time_to_first_token_ms" in streamed
    assert (failed["outcome"], failed["error_type"]) == ("failed", "RuntimeError")


def test_importing_the_wrappers_imports_no_provider() -> None:
    """An app that has one of the packages needs none of the others."""
    packages = {"openai", "anthropic", "litellm", "langchain_core", "httpx", "httpx2"}
    code = f"import sys, keeprate.producers.wrappers; sys.exit(str({packages} & set(sys.modules) or '') or 0)"
    subprocess.run([sys.executable, "-c", code], check=True)
