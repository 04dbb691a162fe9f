"""From suggestions to cases: what is expected, what is refused, what is one case, and what is none."""

from typing import Any

import pytest

from keeprate.deploy.cases.making import LeftOut, distinct, identity_of, make
from keeprate.deploy.cases.suite import Case
from tests.unit.cases.rows import ID, edit, generation, row


def made(listed: dict[str, Any], *stages: dict[str, Any], edits: list[dict[str, Any]] | None = None) -> Case:
    """The case, which there is."""
    found = make(listed, "accepted", stages or [generation()], edits or [], "http://page/1")
    assert isinstance(found, Case)
    return found


def test_a_correction_is_the_expected_output() -> None:
    """An expert's before a later one of a user's, of the same choice."""
    edits = [
        edit("Of another choice.", 9000, choice_index=1),
        edit("A user's.", 8000),
        edit("An expert's.", 7000, origin="expert"),
        edit("An earlier one of an expert.", 6000, origin="expert"),
    ]
    case = made(row(corrections=2), edits=edits)
    assert (case.expected, case.expected_from, case.output) == ("An expert's.", "correction", "Within 30 days.")
    assert case.checks == [{"check": "distance", "below": 0.33}]
    assert case.source["correction"] == {"event_id": "e7000", "origin": "expert", "occurred_at": 7000}


def test_a_correction_that_was_taken_back_counts_no_more() -> None:
    """An expert who withdraws it in a review sends one that changes nothing; another one's stands."""
    withdrawn = {**edit("", 7500, origin="expert"), "corrected_text": None, "distance": 0, "user": "ann"}
    taken_back = {**edit("An expert's.", 7000, origin="expert"), "user": "ann"}
    users = {**edit("A user's.", 6000), "user": "u1"}
    assert made(row(corrections=1), edits=[withdrawn, taken_back, users]).expected == "A user's."
    assert made(row(corrections=1), edits=[taken_back, users]).expected == "An expert's."


@pytest.mark.parametrize(
    "said",
    [{"negative": 1}, {"undone": 1, "accepted": 1}, {"end_reason": "rejected"}, {"state": "removed", "accepted": 1}],
    ids=["flagged", "undone", "rejected", "removed"],
)
def test_what_users_did_not_want_is_to_be_unlike(said: dict[str, Any]) -> None:
    """There is no expected output, and the same output again fails."""
    case = made(row(**said))
    assert (case.expected, case.checks) == (None, [{"check": "unlike", "from": 0.33}])


@pytest.mark.parametrize(
    "said", [{"touchless": 1}, {"accepted": 1, "state": "unchanged"}, {"accepted": 1, "state": "mostly"}]
)
def test_what_users_kept_is_to_stay(said: dict[str, Any]) -> None:
    """The output is the expected one; not where somebody said something against it all the same."""
    case = made(row(**said))
    assert (case.expected, case.expected_from) == ("Within 30 days.", "kept")
    assert made(row(**said, negative=1)).expected is None


def test_what_nobody_judged_is_to_answer() -> None:
    """An ignored suggestion says nothing of what would be right."""
    assert made(row(end_reason="ignored")).checks == [{"check": "nonempty"}]


def test_a_case_has_every_stage_of_its_chain() -> None:
    """With input and output; a stage that is hidden says so."""
    root = generation(2, step="plan", tools_called=["search"])
    hidden = generation(3, step="rank", content_mode="off", input=None, output=None)
    case = made(row(), root, generation(1, step="answer", parent_generation_id=ID.format(2)), hidden)
    assert [stage["step"] for stage in case.stages] == ["plan", "answer", "rank"]
    assert case.stages[0]["tools_called"] == ["search"]
    assert case.stages[0]["output"] == root["output"]
    assert case.stages[2]["content_mode"] == "off"
    assert case.step == "answer"


def test_the_question_of_a_case_does_not_give_the_answer_away() -> None:
    """Neither the expected output nor what came out then, and no checks; other stages are whole."""
    case = made(row(corrections=1), generation(2, step="plan"), generation(1), edits=[edit("Within 14 days.")])
    asked = case.as_question()
    assert {"expected", "expected_from", "output", "checks"} & asked.keys() == set()
    assert ["output" in stage for stage in asked["stages"]] == [True, False]
    assert "14 days" not in str(asked)


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        ({"content_mode": "hashed"}, "hashed"),
        ({"content_mode": "off", "input": None, "output": None}, "off"),
        ({"input": None}, "no_input"),
    ],
)
def test_hidden_content_is_no_case_and_the_remedy_is_said(own: dict[str, Any], reason: str) -> None:
    """Hashes are no input that anybody could be asked."""
    found = make(row(), "accepted", [generation(**own)], [], "")
    assert isinstance(found, LeftOut)
    told = found.as_json()
    assert (told["left_out"], told["app"], told["generation_id"]) == (reason, "support", ID.format(1))
    assert "content='full'" in told["remedy"] or "input=" in told["remedy"]


def test_feedback_without_its_generation_is_no_case() -> None:
    """There is nothing to ask."""
    found = make(row(), "orphan", [], [], "")
    assert isinstance(found, LeftOut)
    assert found.reason == "orphan"


def test_the_same_request_is_one_case_whatever_the_prompt() -> None:
    """The one with a correction is kept, and names the others."""
    other = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Refund?"}]
    cases = [
        made(row(1, negative=1), generation(1)),
        made(row(2, corrections=1), generation(2, input=other), edits=[edit("Within 14 days.")]),
        made(row(3), generation(3, input=[{"role": "user", "content": "Where is it?"}])),
    ]
    first, second = distinct(cases)
    assert (first.expected, first.generation_id) == ("Within 14 days.", ID.format(2))
    assert (first.source["same"], first.source["same_count"]) == ([ID.format(1)], 1)
    assert "same" not in second.source


def test_a_case_keeps_its_name_when_a_correction_comes() -> None:
    """So that runs before and after are about the same; another app's or stage's is another."""
    assert made(row()).identity == made(row(corrections=1), edits=[edit("x")]).identity
    names = {identity_of(generation()), identity_of(generation(app="shop")), identity_of(generation(step="rank"))}
    assert len(names) == 3


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": "plain"}, "plain"),
        ({"content": [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]}, "ab"),
        ({"content": "", "tool_calls": [{"name": "f"}]}, '[{"name": "f"}]'),
        ({"content": None}, None),
    ],
)
def test_an_output_is_a_text_where_it_can_be(message: dict[str, Any], text: str | None) -> None:
    """Of parts, their texts; of a call of tools, that."""
    assert made(row(), generation(output=[{"role": "assistant", **message}])).output == text
