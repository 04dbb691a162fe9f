"""Calls and steps become generations, whatever their shape and however they end."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextvars import copy_context
from types import SimpleNamespace
from typing import Any

import pytest

from keeprate.producers.responses import read_response
from keeprate.producers.testing import RecordingKeeprate


@pytest.fixture
def client() -> RecordingKeeprate:
    return RecordingKeeprate()


def test_a_block_becomes_a_generation_with_latency_and_tokens(client: RecordingKeeprate) -> None:
    """What the block says and what the response holds come together; the handle is there afterwards."""
    with client.call(model="asked-for", input="q") as call:
        with pytest.raises(RuntimeError, match="not over"):
            _ = call.generation
        call.read({"output_text": "answer", "model": "served", "usage": {"input_tokens": 3, "output_tokens": 5}})
    call.generation.shown().accept()
    generation = client.events[0]
    assert generation["generation_id"] == call.id == client.events[1]["generation_id"]
    assert (generation.get("model"), generation.get("input_tokens")) == ("asked-for", 3)
    assert generation.get("outcome") == "produced"
    assert generation.get("latency_ms") is not None
    assert client.events[1].get("length") == 6


def test_an_exception_is_recorded_and_goes_on_its_way(client: RecordingKeeprate) -> None:
    """The app sees its own exception; the generation is failed, with type and message."""
    with pytest.raises(ZeroDivisionError), client.call(step="rank"):
        _ = 1 / 0
    event = client.events[0]
    assert (event.get("outcome"), event.get("error_type")) == ("failed", "ZeroDivisionError")
    assert event.get("error_message") == "division by zero"


def test_a_cancelled_call_is_cancelled_and_not_failed(client: RecordingKeeprate) -> None:
    """asyncio's cancellation is an outcome of its own."""

    async def app() -> None:
        @client.traced()
        async def answer() -> None:
            await asyncio.sleep(3600)

        task = asyncio.create_task(answer())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(app())
    assert client.events[0].get("outcome") == "cancelled"
    assert client.events[0].get("error_type") is None


def test_steps_within_a_call_are_its_children(client: RecordingKeeprate) -> None:
    """Each stage has its whole input and output, its name, and its parent; siblings are siblings."""

    @client.traced()
    def retrieve(question: str, limit: int = 2) -> list[str]:
        return [question] * limit

    @client.traced(step="rank", operation="rerank")
    async def rank(sources: list[str]) -> str:
        return sources[0]

    @client.traced()
    async def answer(question: str) -> str:
        return await rank(retrieve(question, limit=1))

    assert asyncio.run(answer("why?")) == "why?"
    first, second, outer = client.events
    assert [event.get("step") for event in client.events] == ["retrieve", "rank", "answer"]
    assert first.get("parent_generation_id") == second.get("parent_generation_id") == outer["generation_id"]
    assert outer.get("parent_generation_id") is None
    assert first.get("input") == [{"role": "user", "content": {"question": "why?", "limit": 1}}]
    assert first.get("output") == [{"role": "assistant", "content": ["why?"]}]
    assert second.get("operation") == "rerank"
    assert second.get("output") == [{"role": "assistant", "content": "why?"}]


def test_a_thread_with_the_callers_context_continues_the_call(client: RecordingKeeprate) -> None:
    """A worker that runs in a copy of the context is a child; one without it is not."""
    with client.call() as outer:
        context = copy_context()
        for run in (lambda: context.run(lambda: _empty(client)), lambda: _empty(client)):
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
    assert [event.get("parent_generation_id") for event in client.events] == [outer.id, None, None]


def _empty(client: RecordingKeeprate) -> None:
    with client.call():
        pass


def test_a_stream_is_its_pieces_joined(client: RecordingKeeprate) -> None:
    """A generator stays one; calls of the consumer between the pieces are no children, those of the producer are."""

    @client.traced(model="m")
    def stream(messages: list[dict[str, str]]) -> Iterator[str]:
        _empty(client)
        yield from ("re", "turn")

    pieces = []
    for piece in stream([{"role": "user", "content": "q"}]):
        pieces.append(piece)
        _empty(client)
    assert pieces == ["re", "turn"]
    inner, *between, streamed = client.events
    assert streamed.get("output") == [{"role": "assistant", "content": "return"}]
    assert streamed.get("input") == [{"role": "user", "content": "q"}]
    assert streamed.get("time_to_first_token_ms") is not None
    assert inner.get("parent_generation_id") == streamed["generation_id"]
    assert [event.get("parent_generation_id") for event in between] == [None, None]
    assert client.latest is not None
    assert client.latest.id == streamed["generation_id"]


def test_a_stream_that_is_left_early_is_cancelled_with_what_it_gave(client: RecordingKeeprate) -> None:
    """The user pressed stop: what they saw is the output."""

    async def app() -> None:
        @client.traced()
        async def stream() -> AsyncIterator[str]:
            yield "half"
            yield "never"

        pieces = stream()
        async for _ in pieces:
            break
        await pieces.aclose()  # type: ignore[attr-defined]

    asyncio.run(app())
    assert client.events[0].get("outcome") == "cancelled"
    assert client.events[0].get("output") == [{"role": "assistant", "content": "half"}]


def test_tracing_changes_nothing_for_the_app(client: RecordingKeeprate) -> None:
    """Name and docstring stay, wrong arguments are the function's own TypeError, a response may be unreadable."""

    def unreadable(_: Any) -> dict[str, Any]:
        raise KeyError("usage")

    @client.traced(read=unreadable)
    def answer(question: str) -> str:
        """Answers."""
        return question

    assert (answer.__name__, answer.__doc__) == ("answer", "Answers.")
    assert answer("q") == "q"
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        answer()  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("response", "fields"),
    [
        ("text", {"output": "text"}),
        (None, {}),
        (
            SimpleNamespace(
                id="r1",
                model="m",
                choices=[SimpleNamespace(finish_reason="stop", message={"role": "assistant", "content": "hi"})],
                usage=SimpleNamespace(prompt_tokens=1, completion_tokens=2),
            ),
            {
                "output": [{"role": "assistant", "content": "hi"}],
                "model": "m",
                "external_id": "r1",
                "finish_reason": "stop",
                "input_tokens": 1,
                "output_tokens": 2,
            },
        ),
        (
            {
                "content": [{"type": "text", "text": "a"}, {"type": "tool_use", "name": "f", "input": {}}],
                "stop_reason": "tool_use",
                "usage": {"input_tokens": 0, "output_tokens": 2},
            },
            {
                "output": [{"content": "a", "tool_calls": [{"type": "tool_use", "name": "f", "input": {}}]}],
                "finish_reason": "tool_use",
                "input_tokens": 0,
                "output_tokens": 2,
            },
        ),
        ([1, 2], {"output": [{"content": [1, 2]}]}),
    ],
)
def test_the_responses_of_providers_are_read(response: Any, fields: dict[str, Any]) -> None:
    """Chat completions, responses, messages with tool calls, plain values; zero tokens are a number, not unknown."""
    assert read_response(response) == fields
