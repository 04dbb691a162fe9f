"""Log records to feedback: evaluations, the user's words, Copilot's edits, captured messages."""

from typing import Any

import pytest

from keeprate.producers.collector.otel.identity import Aliases, span_generation_id
from keeprate.producers.collector.otel.logs import map_logs, map_span_events
from keeprate.producers.collector.otel.spans import map_spans
from tests.unit.collector.otel import SPAN, STARTED_MS, TRACE, event, events_of, log, source, span

GENERATION = span_generation_id("demo", TRACE, SPAN)
EVALUATION = "gen_ai.evaluation.result"


def said_by(name: str, attributes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    mapped = map_logs([log(name, attributes, **fields)], source())
    assert mapped.refusals == []
    [event] = events_of(mapped)
    assert event["generation_id"] == GENERATION
    return event


def scored(name: str, value: float | None = None, label: str | None = None, **more: Any) -> dict[str, Any]:
    attributes: dict[str, Any] = {"gen_ai.evaluation.name": name}
    if value is not None:
        attributes["gen_ai.evaluation.score.value"] = value
    if label is not None:
        attributes["gen_ai.evaluation.score.label"] = label
    return attributes | {name.replace("__", "."): value for name, value in more.items()}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (
            scored("IntentResolution", 4.0, "pass", gen_ai__evaluation__explanation="on point"),
            {
                "type": "evaluation",
                "name": "intent_resolution",
                "value": 4.0,
                "label": "pass",
                "annotator_kind": "llm",
                "explanation": "on point",
            },
        ),
        (
            scored("relevance", label="relevant", annotator_kind="HUMAN", identifier="r7"),
            {"type": "evaluation", "name": "relevance", "annotator_kind": "human", "annotator": "r7"},
        ),
        (scored("user_vote", 1), {"type": "vote", "value": 1}),
        (scored("user_vote", label="thumbs_down"), {"type": "vote", "value": -1}),
        (
            scored("user_vote", 4, keeprate__scale_min=1, keeprate__scale_max=5),
            {"type": "vote", "score": 4.0, "scale_min": 1.0, "scale_max": 5.0},
        ),
        (
            scored("user_flag", label="Hallucination", keeprate__severity="high"),
            {"type": "flag", "label": "hallucination", "status": "set", "severity": "high"},
        ),
        (scored("user_flag", 0, "hallucination"), {"type": "flag", "label": "hallucination", "status": "unset"}),
        (
            scored("user_correction", gen_ai__evaluation__explanation="Paris, France."),
            {"type": "edit", "corrected_text": "Paris, France.", "origin": "user"},
        ),
        (
            scored("user_correction", keeprate__corrected_text="Paris", gen_ai__evaluation__explanation="too long"),
            {"type": "edit", "corrected_text": "Paris", "comment": "too long"},
        ),
    ],
)
def test_evaluation_results_become_what_they_are(attributes: dict[str, Any], expected: dict[str, Any]) -> None:
    """Three names are the user's own; every other name is an evaluation."""
    said = said_by(EVALUATION, attributes)
    assert {name: said.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("name", "attributes", "expected"),
    [
        ("copilot_chat.edit.feedback", {"outcome": "accepted"}, {"type": "action", "action": "accept"}),
        ("copilot_chat.edit.feedback", {"outcome": "rejected"}, {"type": "action", "action": "reject"}),
        (
            "copilot_chat.edit.hunk.action",
            {"outcome": "accepted", "line_count": 4},
            {"type": "action", "action": "accept_partial", "attributes": {"line_count": "4"}},
        ),
        (
            "copilot_chat.inline.done",
            {"accepted": True, "edit_line_count": 3},
            {"type": "action", "action": "accept", "lines": 3},
        ),
        ("copilot_chat.user.feedback", {"rating": "negative"}, {"type": "vote", "value": -1}),
        (
            "copilot_chat.edit.survival",
            {
                "survival_rate_four_gram": 0.8,
                "survival_rate_no_revert": 1,
                "time_delay_ms": 31_000,
                "did_branch_change": False,
                "arc": 40,
            },
            {
                "type": "retention_check",
                "horizon_s": 30,
                "elapsed_ms": 31_000,
                "status": "unobserved",
                "reason": "similarity_only",
                "four_gram": 0.8,
                "no_revert": 1.0,
                "retained_length": 40,
                "branch_changed": False,
            },
        ),
    ],
)
def test_copilot_events_become_feedback(name: str, attributes: dict[str, Any], expected: dict[str, Any]) -> None:
    """Accepts, rejects, thumbs, and how much of an edit survived."""
    said = said_by(name, attributes)
    assert {key: said.get(key) for key in expected} == expected


def test_survival_before_the_first_horizon_is_the_baseline_and_no_check() -> None:
    """Copilot reports at once, and then again and again."""
    mapped = map_logs([log("copilot_chat.edit.survival", {"time_delay_ms": 0})], source())
    assert (mapped.records, mapped.refusals, mapped.ignored) == ([], [], {"not_feedback": 1})


@pytest.mark.parametrize(
    ("name", "attributes", "field"),
    [
        (EVALUATION, {}, "gen_ai.evaluation.name"),
        (EVALUATION, scored("relevance"), "gen_ai.evaluation.score.value"),
        (EVALUATION, scored("relevance", 1, keeprate__annotator_kind="dog"), "keeprate.annotator_kind"),
        (EVALUATION, scored("user_vote", 0.5), "gen_ai.evaluation.score.value"),
        (EVALUATION, scored("user_vote", label="meh"), "gen_ai.evaluation.score.value"),
        (EVALUATION, scored("user_flag", 1), "gen_ai.evaluation.score.label"),
        (EVALUATION, scored("user_correction"), "keeprate.corrected_text"),
        ("copilot_chat.edit.feedback", {"outcome": "maybe"}, "outcome"),
        ("copilot_chat.edit.survival", {}, "time_delay_ms"),
        ("copilot_chat.user.feedback", {}, "rating"),
        ("copilot_chat.inline.done", {"accepted": "yes"}, "accepted"),
    ],
)
def test_feedback_that_says_nothing_is_refused(name: str, attributes: dict[str, Any], field: str) -> None:
    """The refusal names the attribute; OTLP counts it as rejected."""
    mapped = map_logs([log(name, attributes)], source())
    assert mapped.records == []
    assert [(refusal.index, refusal.field) for refusal in mapped.refusals] == [(0, field)]


def test_feedback_outside_a_span_is_found_by_its_response() -> None:
    """The conventions let an evaluation name the response where there is no span."""
    aliases = Aliases()
    map_spans([span({"gen_ai.system": "openai", "gen_ai.response.id": "r1"})], source(aliases=aliases))
    record = log(EVALUATION, scored("relevance", 1, gen_ai__response__id="r1"), trace_id="", span_id="")
    [said] = events_of(map_logs([record], source(aliases=aliases)))
    assert (said["generation_id"], said["external_id"]) == (GENERATION, "r1")


def test_a_judge_in_a_span_of_its_own_speaks_of_the_response_it_names() -> None:
    """Its own span is the judge's call, and not the call that is judged."""
    aliases = Aliases()
    map_spans([span({"gen_ai.system": "openai", "gen_ai.response.id": "r1"})], source(aliases=aliases))
    record = log(EVALUATION, scored("relevance", 1, gen_ai__response__id="r1"), trace_id="e" * 32, span_id="f" * 16)
    [said] = events_of(map_logs([record], source(aliases=aliases)))
    assert said["generation_id"] == GENERATION


def test_feedback_that_names_no_generation_is_refused() -> None:
    """It could never be joined."""
    mapped = map_logs([log(EVALUATION, scored("relevance", 1), trace_id="", span_id="")], source())
    assert [refusal.error_type for refusal in mapped.refusals] == ["no_generation"]


def test_an_evaluation_on_the_span_it_judges_is_read_there() -> None:
    """Span events are older than log events, and some libraries fall back to them."""
    judged = span({"gen_ai.system": "openai"}, events=(event(EVALUATION, **scored("relevance", 1)),))
    [said] = events_of(map_span_events([judged], source()))
    assert (said["type"], said["generation_id"]) == ("evaluation", GENERATION)


def test_the_messages_of_a_span_become_one_partial_generation() -> None:
    """Conventions up to 1.36 log each message by itself. Its revision is below that of the span."""
    records = [
        log("gen_ai.user.message", {"gen_ai.system": "openai"}, body={"content": "Capital of France?"}),
        log("unrelated", {}),
        log("gen_ai.choice", {}, body={"index": 0, "finish_reason": "stop", "message": {"content": "Paris."}}),
        log("gen_ai.user.message", {}, body={"content": "Another call"}, span_id="c" * 16),
    ]
    mapped = map_logs(records, source())
    said = events_of(mapped)
    assert mapped.ignored == {"not_feedback": 1}
    assert [event["generation_id"] for event in said] == [GENERATION, span_generation_id("demo", TRACE, "c" * 16)]
    assert said[0]["revision"] == 0
    assert said[0]["input"] == [{"role": "user", "content": "Capital of France?"}]
    assert said[0]["output"] == [{"role": "assistant", "content": "Paris."}]


def test_the_details_of_a_call_are_a_generation_of_their_span() -> None:
    """The same response id elsewhere does not draw a call into another call's generation."""
    aliases = Aliases()
    aliases.remember("demo", "response", "r1", "0198c0de-0000-7000-8000-000000000001")
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "gen_ai.response.id": "r1"}
    record = log("gen_ai.client.inference.operation.details", attributes)
    [said] = events_of(map_logs([record], source(aliases=aliases)))
    assert (said["type"], said["generation_id"], said["model"]) == ("generation", GENERATION, "m")


def test_a_record_without_a_time_gets_that_of_its_arrival() -> None:
    """Better a late time than none."""
    said = said_by(EVALUATION, scored("user_vote", 1), at_ms=0)
    assert said["occurred_at"] == STARTED_MS + 5000


def test_the_same_record_sent_again_is_the_same_event_and_another_is_another() -> None:
    """Event ids follow from what a record says."""
    up, again, down = (said_by(EVALUATION, scored("user_vote", value)) for value in (1, 1, -1))
    assert up == again
    assert up["event_id"] != down["event_id"]
