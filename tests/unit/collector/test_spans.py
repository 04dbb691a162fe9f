"""Spans of GenAI instrumentations, new and old, to generations."""

import json
import random
from typing import Any

import pytest

from keeprate.producers.collector.otel.identity import Aliases, span_generation_id
from keeprate.producers.collector.otel.spans import Ancestry, map_spans
from keeprate.schemas.events import MAX_EVENT_BYTES
from tests.unit.collector.otel import PARENT, SPAN, TRACE, event, events_of, source, span

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Capital of France?"}]
PARTS = [{"role": entry["role"], "parts": [{"type": "text", "content": entry["content"]}]} for entry in MESSAGES]
ANSWER = {"role": "assistant", "parts": [{"type": "text", "content": "Paris."}], "finish_reason": "stop"}

CURRENT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": 3,
    "gen_ai.prompt.name": "capitals",
    "gen_ai.prompt.version": "7",
    "gen_ai.input.messages": PARTS,
    "gen_ai.output.messages": [ANSWER],
}
OLD = {
    "gen_ai.operation.name": "chat",
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.finish_reasons": ["stop"],
    "gen_ai.usage.prompt_tokens": 12,
    "gen_ai.usage.completion_tokens": 3,
}
OPENLLMETRY = {
    **{name: value for name, value in OLD.items() if name != "gen_ai.operation.name"},
    "llm.request.type": "chat",
    "traceloop.prompt.key": "capitals",
    "traceloop.prompt.version": 7,
    "gen_ai.prompt.0.role": "system",
    "gen_ai.prompt.0.content": "Be brief.",
    "gen_ai.prompt.1.role": "user",
    "gen_ai.prompt.1.content": "Capital of France?",
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": "Paris.",
    "gen_ai.completion.0.finish_reason": "stop",
}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.provider": "openai",
    "llm.model_name": "gpt-4o-2024-08-06",
    "llm.token_count.prompt": 12,
    "llm.token_count.completion": 3,
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "Be brief.",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.content": "Capital of France?",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": "Paris.",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.finish_reasons": ["stop"],
}
MESSAGE_EVENTS = (
    event("gen_ai.system.message", content="Be brief."),
    event("gen_ai.user.message", content="Capital of France?"),
    event("gen_ai.choice", index=0, message='{"role":"assistant","content":"Paris."}'),
)
CONTENT_EVENTS = (
    event("gen_ai.content.prompt", **{"gen_ai.prompt": json.dumps(MESSAGES)}),
    event("gen_ai.content.completion", **{"gen_ai.completion": '[{"role":"assistant","content":"Paris."}]'}),
)


@pytest.mark.parametrize(
    "one",
    [
        span(CURRENT),
        span({**CURRENT, "gen_ai.input.messages": json.dumps(PARTS), "gen_ai.output.messages": json.dumps([ANSWER])}),
        span(OLD, events=MESSAGE_EVENTS),
        span(OLD, events=CONTENT_EVENTS),
        span(OPENLLMETRY),
        span(OPENINFERENCE),
    ],
    ids=["current", "current-as-text", "1.36-events", "1.27-events", "openllmetry", "openinference"],
)
def test_every_convention_says_the_same(one: Any) -> None:
    """One call, told six ways, is one generation."""
    [said] = events_of(map_spans([one], source()))
    expected = {
        "type": "generation",
        "app": "demo",
        "environment": "production",
        "operation": "chat",
        "provider": "openai",
        "model": "gpt-4o-2024-08-06",
        "external_id": "chatcmpl-1",
        "input_tokens": 12,
        "output_tokens": 3,
        "finish_reason": "stop",
        "latency_ms": 1250,
        "outcome": "produced",
        "input": MESSAGES,
        "output": [{"role": "assistant", "content": "Paris."}],
        "content_mode": "full",
        "generation_id": span_generation_id("demo", TRACE, SPAN),
        "trace_id": TRACE,
        "span_id": SPAN,
    }
    assert {name: said.get(name) for name in expected} == expected


def test_prompt_name_and_version_are_kept_as_text() -> None:
    """A version that was sent as a number is a name all the same."""
    for attributes in (CURRENT, OPENLLMETRY):
        [said] = events_of(map_spans([span(attributes)], source()))
        assert (said["prompt_name"], said["prompt_version"]) == ("capitals", "7")


def test_the_same_span_sent_again_is_the_same_event() -> None:
    """An exporter repeats a batch whose answer it did not see."""
    first, again = (map_spans([span(CURRENT)], source()).records for _ in range(2))
    assert first == again


def test_tools_are_named() -> None:
    """What was offered and what was called."""
    call = {"type": "tool_call", "id": "c1", "name": "get_weather", "arguments": {"location": "Paris"}}
    attributes = {
        **CURRENT,
        "gen_ai.tool.definitions": json.dumps(
            [{"type": "function", "name": "get_weather"}, {"type": "function", "function": {"name": "get_time"}}]
        ),
        "gen_ai.output.messages": [{"role": "assistant", "parts": [call]}],
    }
    [said] = events_of(map_spans([span(attributes)], source()))
    assert said["tools_offered"] == ["get_weather", "get_time"]
    assert said["tools_called"] == ["get_weather"]
    assert said["output"][0]["tool_calls"] == [call]
    assert said["outcome"] == "produced"
    # More calls than a list of the contract has are no reason to refuse the generation.
    many = [{"role": "assistant", "parts": [call] * 900}] * 6
    [said] = events_of(map_spans([span({**CURRENT, "gen_ai.output.messages": many})], source()))
    assert set(said["tools_called"]) == {"get_weather"}


def test_other_spans_are_ignored_and_counted() -> None:
    """HTTP, databases and embeddings made nothing that a user could keep."""
    others = [span({"http.request.method": "POST"}), span({"gen_ai.operation.name": "embeddings"})]
    mapped = map_spans(others, source())
    assert (mapped.records, mapped.refusals, mapped.ignored) == ([], [], {"not_a_generation": 2})


AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "planner"}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}


def test_steps_of_an_agent_name_their_parent() -> None:
    """The nearest generation around a span, across spans that are none."""
    spans = [
        span(AGENT, "a" * 16),
        span({"http.route": "/x"}, "b" * 16, parent="a" * 16),
        span(CURRENT, "c" * 16, parent="b" * 16),
        span(TOOL, "d" * 16, parent="a" * 16),
    ]
    said = events_of(map_spans(spans, source()))
    agent = span_generation_id("demo", TRACE, "a" * 16)
    assert [event.get("parent_generation_id") for event in said] == [None, agent, agent]
    assert [event.get("step") for event in said] == ["planner", None, "search"]
    assert [event["operation"] for event in said] == ["invoke_agent", "chat", "execute_tool"]


def test_a_parent_that_comes_later_is_believed_only_of_an_agent() -> None:
    """A child is exported before its parent: a tool's parent is an agent, a bare call's may be a web request."""
    [tool] = events_of(map_spans([span({**TOOL, "gen_ai.agent.name": "planner"}, parent=PARENT)], source()))
    [call] = events_of(map_spans([span(CURRENT, parent=PARENT)], source()))
    assert tool["parent_generation_id"] == span_generation_id("demo", TRACE, PARENT)
    assert "parent_generation_id" not in call


def test_spans_that_are_each_others_parents_end_the_search() -> None:
    """A client can say anything."""
    spans = [span({}, "a" * 16, parent="b" * 16), span({}, "b" * 16, parent="a" * 16)]
    assert len(map_spans([*spans, span(CURRENT, "c" * 16, parent="a" * 16)], source()).records) == 1


@pytest.mark.parametrize(
    ("attributes", "fields", "outcome", "error_type"),
    [
        ({**CURRENT, "error.type": "RateLimitError"}, {"failed": True}, "failed", "RateLimitError"),
        (CURRENT, {"failed": True, "status_message": "boom"}, "failed", "error"),
        ({**CURRENT, "error.type": "asyncio.CancelledError"}, {"failed": True}, "cancelled", "asyncio.CancelledError"),
        ({**CURRENT, "gen_ai.response.finish_reasons": ["content_filter"]}, {}, "filtered", None),
        ({**CURRENT, "gen_ai.output.messages": [{"role": "assistant", "parts": []}]}, {}, "empty", None),
        ({**CURRENT, "copilot_chat.canceled": True}, {}, "cancelled", None),
    ],
)
def test_how_a_call_ended(attributes: Any, fields: Any, outcome: str, error_type: str | None) -> None:
    """By status, error, finish reason and what came out."""
    [said] = events_of(map_spans([span(attributes, **fields)], source()))
    assert (said["outcome"], said.get("error_type")) == (outcome, error_type)


def test_a_user_is_hashed_with_the_salt() -> None:
    """The contract wants no names and no addresses; the same user has the same hash."""
    named = {**CURRENT, "user.id": "ada@example.com"}
    [one], [again], [other_salt] = (
        events_of(map_spans([span(named)], source(salt=salt))) for salt in (b"a", b"a", b"b")
    )
    assert "ada" not in json.dumps(one)
    assert one["user"] == again["user"] != other_salt["user"]
    [given] = events_of(map_spans([span({**named, "user.hash": "h1"})], source()))
    assert given["user"] == "h1"


def test_content_that_does_not_fit_is_left_out_and_said_so() -> None:
    """The generation counts, whatever was captured of it."""
    huge = {**CURRENT, "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text", "content": "x" * 2**20}]}]}
    mapped = map_spans([span(huge)], source())
    [said] = events_of(mapped)
    assert "input" not in said
    assert said["output"]
    assert said["attributes"]["keeprate.left_out"] == "input"
    assert len(mapped.records[0].value) <= MAX_EVENT_BYTES


def test_a_span_without_valid_ids_is_refused() -> None:
    """Nothing could ever join it."""
    spans = [span(CURRENT, trace_id="0" * 32), span(CURRENT, "abc"), span(CURRENT)]
    mapped = map_spans(spans, source())
    assert [refusal.index for refusal in mapped.refusals] == [0, 1]
    assert [record.index for record in mapped.records] == [2]


def test_values_of_the_wrong_type_do_no_harm() -> None:
    """What cannot be understood is left out; the rest counts."""
    odd = {
        "gen_ai.system": "openai",
        "gen_ai.usage.input_tokens": "12",
        "gen_ai.usage.output_tokens": -3,
        "gen_ai.request.temperature": float("nan"),
        "gen_ai.response.model": {"name": "x"},
        "gen_ai.request.model": "m" * 500,
        "gen_ai.usage.cost": "free",
        "gen_ai.response.finish_reasons": [None],
        "gen_ai.input.messages": '{"cut off',
        "gen_ai.tool.definitions": 7,
    }
    [said] = events_of(map_spans([span(odd)], source()))
    assert said["input_tokens"] == 12
    assert "output_tokens" not in said
    assert said["input"] == [{"role": "user", "content": '{"cut off'}]


def test_what_no_convention_names_comes_by_our_own() -> None:
    """`keeprate.<field>` fills the dimensions of the metrics."""
    own = {"keeprate.surface": "chat", "keeprate.context_strategy": "bm25", "keeprate.variant": "b", **CURRENT}
    [said] = events_of(map_spans([span(own)], source()))
    assert (said["surface"], said["context_strategy"], said["variant"]) == ("chat", "bm25", "b")


def test_spans_leave_their_names_for_feedback_that_has_no_more() -> None:
    """Response id and trace of what was seen lately."""
    aliases = Aliases()
    map_spans([span(CURRENT)], source(aliases=aliases))
    expected = span_generation_id("demo", TRACE, SPAN)
    assert aliases.find("demo", "response", "chatcmpl-1") == expected
    assert aliases.find("demo", "trace", TRACE) == expected
    assert aliases.find("other", "trace", TRACE) is None


def test_names_are_forgotten_beyond_the_capacity() -> None:
    """Memory is bounded, the oldest go first."""
    aliases = Aliases(capacity=3)
    for number in range(10):
        aliases.remember("demo", "trace", str(number), str(number))
    assert len(aliases) == 3
    assert aliases.find("demo", "trace", "9") == "9"


@pytest.mark.parametrize("seed", range(20))
def test_the_nearest_generation_above_is_the_parent_in_any_forest(seed: int) -> None:
    """As a walk up from each span finds it, in trees, rings and where parents are missing."""
    chance = random.Random(seed)
    names = [f"{number:016x}" for number in range(1, 40)]
    spans = [
        span({"gen_ai.system": "openai"} if chance.random() < 0.4 else {}, name, parent=chance.choice(["", *names]))
        for name in names[:30]
    ]
    by_id = {one.span_id: one for one in spans}
    ancestry = Ancestry(spans)
    for one in spans:
        at, seen, expected = one, {one.span_id}, None
        while expected is None and at.parent_span_id in by_id and at.parent_span_id not in seen:
            at = by_id[at.parent_span_id]
            seen.add(at.span_id)
            expected = at if at.attributes else None
        assert ancestry.parent_of(one) is expected


def test_a_resource_is_cut_to_names() -> None:
    """It is repeated in each of its spans' events: a megabyte in it would be a gigabyte of events."""
    resource = {"service.name": "x" * 1_000_000, "session.id": "y" * 1_000_000, "user.id": ["z" * 1_000_000]}
    [said] = events_of(map_spans([span(CURRENT, resource=resource)], source()))
    assert len(json.dumps(said)) < 5_000
    assert said["attributes"]["service.name"] == "x" * 200


@pytest.mark.parametrize("depth", [100, 197, 199])
def test_content_that_is_nested_deeper_than_readers_take_is_refused(depth: int) -> None:
    """A span with it is told so, and the others go on: Kafka gets nothing that does not decode."""
    content = f'[{{"role": "user", "content": {"[" * depth}{"]" * depth}}}]'
    mapped = map_spans(
        [span({**CURRENT, "gen_ai.input.messages": content}), span(CURRENT, span_id="a" * 16)],
        source(),
    )
    assert len(events_of(mapped)) == 1
    assert [(refusal.index, refusal.field) for refusal in mapped.refusals] == [(0, "input.0")]
    assert "nested more than 100 deep" in mapped.refusals[0].reason


def test_what_is_too_large_without_its_content_is_refused() -> None:
    """An error message that fills a record is no content, and goes with nothing in its place."""
    mapped = map_spans([span(CURRENT, failed=True, status_message="x" * (1 << 20))], source())
    assert events_of(mapped) == []
    assert [refusal.error_type for refusal in mapped.refusals] == ["too_large"]
