"""Calls and steps become generations, whatever their shape and however they end."""

import asyncio
import inspect
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from contextvars import ContextVar, copy_context
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from keeprate.producers.sdk.responses import read_response
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
    assert client.latest.id == streamed["generation_id"]


def test_an_asynchronous_stream_has_its_own_children_and_the_consumer_its_own(client: RecordingKeeprate) -> None:
    """Also across what the body awaits, in the tasks it starts, and in a call that spans several pieces."""

    @client.traced
    async def stream() -> AsyncIterator[str]:
        _empty(client)
        await asyncio.sleep(0)
        _empty(client)
        with client.call(step="inner"):
            yield "re"
            await asyncio.create_task(child())
        yield "turn"
        await asyncio.gather(child(), child())

    async def child() -> None:
        await asyncio.sleep(0)
        _empty(client)

    async def app() -> str:
        pieces = []
        with client.call(step="consumer"):
            async for piece in stream():
                pieces.append(piece)
                _empty(client)
                await asyncio.create_task(child())
        return "".join(pieces)

    assert asyncio.run(app()) == "return"
    named = {event.get("step"): event["generation_id"] for event in client.events}
    parents = [event.get("parent_generation_id") for event in client.events if event.get("step") is None]
    body, inner, consumer = named["stream"], named["inner"], named["consumer"]
    # Two of the body, two of the consumer, one within the inner call, two of the consumer, two of the body.
    assert parents == [body, body, consumer, consumer, inner, consumer, consumer, body, body]
    by_step = {event.get("step"): event.get("parent_generation_id") for event in client.events}
    assert (by_step["inner"], by_step["stream"], by_step["consumer"]) == (body, consumer, None)


def test_a_traced_generator_is_still_one(client: RecordingKeeprate) -> None:
    """What is sent and thrown reaches the body, what it returns the caller, and it is closed with its consumer."""
    seen: list[Any] = []

    @client.traced
    def echo() -> Generator[str, str, int]:
        given = ""
        try:
            while given != "end":
                try:
                    given = yield given
                except KeyError as error:
                    given = repr(error)
            return 7
        finally:
            seen.append("closed")

    pieces = echo()
    assert [next(pieces), pieces.send("a"), pieces.throw(KeyError("k"))] == ["", "a", "KeyError('k')"]
    with pytest.raises(StopIteration) as ended:
        pieces.send("end")
    assert ended.value.value == 7
    left = echo()
    next(left)
    left.close()
    assert seen == ["closed", "closed"]
    assert [event.get("outcome") for event in client.events] == ["produced", "cancelled"]


def test_a_traced_asynchronous_generator_is_still_one(client: RecordingKeeprate) -> None:
    """What is sent and thrown reaches the body, and it is closed with its consumer."""
    seen: list[Any] = []

    @client.traced
    async def echo() -> AsyncGenerator[str, str]:
        given = ""
        try:
            while True:
                try:
                    given = yield given
                except KeyError as error:
                    given = repr(error)
        finally:
            await asyncio.sleep(0)
            seen.append("closed")

    async def app() -> None:
        pieces = echo()
        seen.extend([await anext(pieces), await pieces.asend("a"), await pieces.athrow(KeyError("k"))])
        await pieces.aclose()

    asyncio.run(app())
    assert seen == ["", "a", "KeyError('k')", "closed"]
    assert inspect.isasyncgenfunction(echo)


def test_variables_of_the_app_are_shared_by_body_and_consumer(client: RecordingKeeprate) -> None:
    """Tracing takes nothing from them: a variable that the body sets is set for the consumer, as without tracing."""
    shared: ContextVar[int] = ContextVar("shared", default=0)

    @client.traced
    def pieces() -> Iterator[int]:
        shared.set(1)
        yield shared.get()
        yield shared.get()

    made = pieces()
    assert (next(made), shared.get()) == (1, 1)
    shared.set(2)
    assert next(made) == 2


def test_the_latest_of_one_client_is_not_anothers(client: RecordingKeeprate) -> None:
    """Nor are its calls the parents of another's; a thread that made no call has none."""
    other = RecordingKeeprate("other")
    with client.call() as mine, other.call() as theirs:
        pass
    assert (client.latest.id, other.latest.id) == (mine.id, theirs.id)
    assert other.events[0].get("parent_generation_id") is None
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(client.latest.id))
    thread.start()
    thread.join()
    assert found == [""]


def test_what_was_traced_before_a_fork_is_the_childs_after_it() -> None:
    """A server loads the app, then forks: decorators and handles that it made work in the child, on its accounts."""
    client = RecordingKeeprate(strict=False)

    @client.traced
    def answer(question: str) -> str:
        return question

    handle = client.generation(output="return a + b").accept()
    client._begin_anew()
    answer("why?")
    assert client.latest.id == client.of_type("generation")[-1]["generation_id"]
    handle.track(lambda: "return a - b", horizons_s=[30]).flag("No Label")
    client.advance(30)
    assert len(client.of_type("retention_check")) == 1
    assert client.stats().refusals == {"invalid label": 1}


def test_feedback_on_a_latest_that_is_not_there_is_counted() -> None:
    """The chain of the docs never meets None; what it says is refused by name."""
    client = RecordingKeeprate(strict=False)
    client.latest.shown().accept()
    assert client.events == []
    assert client.stats().refusals == {"invalid generation_id": 2}


@pytest.mark.parametrize("kind", ["function", "coroutine", "generator", "stream"])
def test_traced_needs_no_parentheses(client: RecordingKeeprate, kind: str) -> None:
    """Both forms make generations, and say the same of them."""

    def function() -> str:
        return "a"

    async def coroutine() -> str:
        return "a"

    def generator() -> Iterator[str]:
        yield "a"

    async def stream() -> AsyncIterator[str]:
        yield "a"

    async def run(made: Any) -> None:
        if kind == "stream":
            assert [piece async for piece in made] == ["a"]
        else:
            assert (await made if kind == "coroutine" else "".join(made)) == "a"

    plain = {"function": function, "coroutine": coroutine, "generator": generator, "stream": stream}[kind]
    decorate: Any = client.traced
    for traced in (decorate(plain), decorate()(plain)):
        asyncio.run(run(traced()))
    first, second = client.events
    assert first.get("step") == second.get("step") == kind
    assert first.get("output") == second.get("output") == [{"role": "assistant", "content": "a"}]


def test_what_cannot_say_its_arguments_is_traced_all_the_same(client: RecordingKeeprate) -> None:
    """Builtins, partials and objects that are called; what is no function stays what it is."""
    assert client.traced(max)(1, 2) == 2
    assert client.traced(partial(sorted, reverse=True))([1, 2]) == [2, 1]
    assert [event.get("step") for event in client.events] == ["max", "partial"]
    lenient = RecordingKeeprate(strict=False)
    decorate: Any = lenient.traced
    assert decorate(7) == 7
    assert lenient.stats().dropped == {"invalid": 1}


def test_a_handle_inside_the_block_gives_feedback_by_the_id() -> None:
    """Too early for the text, and a strict client says so; the app's flow goes on, and nothing is lost."""
    client = RecordingKeeprate(strict=False)
    with client.call() as call:
        call.generation.vote(1)
    assert client.of_type("vote")[0]["generation_id"] == call.id == client.of_type("generation")[0]["generation_id"]


def test_a_call_of_tools_without_content_is_a_generation(client: RecordingKeeprate) -> None:
    """Providers leave the content out of such a message; it is no reason to lose the call."""
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    with client.call() as call:
        call.read({"choices": [{"message": {"role": "assistant", "tool_calls": calls}, "finish_reason": "tool_calls"}]})
    (event,) = client.events
    assert event.get("output") == [{"role": "assistant", "content": "", "tool_calls": calls}]
    assert event.get("outcome") == "produced"


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
