"""What a reviewer says becomes events that the contract takes, and none of them is a user's."""

from typing import Any

import pytest

from keeprate.deploy.review.choosing import Item
from keeprate.deploy.review.saying import ReviewJudgement, SaidError, events_of, judgement, withdrawal
from keeprate.deploy.review.settings import Criterion, ReviewSettings
from keeprate.schemas.decode import validate
from keeprate.schemas.ids import uuid7
from keeprate.schemas.lift import fold

ITEM = Item("app", "0198c0de-0000-7000-8000-000000000001", 1)
SETTINGS = ReviewSettings(questions=(Criterion(name="tone", title="How does it sound?", answers=("kind", "rude")),))
AT_MS = 1_800_000_000_000
SAID = ReviewJudgement("bad", ("incorrect", "style"), {"tone": "rude"}, "right", "the year is wrong")


def folded(events: list[dict[str, Any]]) -> dict[str, Any]:
    """The outcome of the events, after the contract took each."""
    whole = [validate({"event_id": uuid7(), "schema_version": 1} | event) for event in events]
    (outcome,) = fold(whole).values()
    return outcome


def test_a_judgement_is_evaluations_and_an_experts_correction() -> None:
    """Vote, labels and answers are a human's evaluations; there is no vote and no flag, which would be a user's."""
    events, standing = events_of(ITEM, "rev", "random", SAID, "wrong", {}, AT_MS)
    outcome = folded(events)
    assert sorted(outcome) == ["corrections", "evaluations"]
    labels = {key.split("\x1f")[0]: register[8] for key, register in outcome["evaluations"].items()}
    assert labels == {
        "expert_vote": "bad",
        "expert_flag:incorrect": "set",
        "expert_flag:style": "set",
        "tone": "rude",
    }
    assert {key.split("\x1f")[1:][0] for key in outcome["evaluations"]} == {"human"}
    assert outcome["corrections"]["rev"][3:] == [5, 5, 5, "expert"]
    assert {event["attributes"]["review_queue"] for event in events} == {"random"}
    assert standing["words"]["expert_vote"] == "bad"
    assert "right" not in str(standing)


def test_taking_it_back_leaves_nothing_standing() -> None:
    """An undo is events too: labels are unset, words withdrawn, and the correction changes nothing any more."""
    events, standing = events_of(ITEM, "rev", "random", SAID, "wrong", {}, AT_MS)
    outcome = folded(events + withdrawal(ITEM, "rev", "random", standing, AT_MS + 1))
    labels = {key.split("\x1f")[0]: register[8] for key, register in outcome["evaluations"].items()}
    assert labels == {
        "expert_vote": "withdrawn",
        "expert_flag:incorrect": "unset",
        "expert_flag:style": "unset",
        "tone": "withdrawn",
    }
    assert outcome["corrections"]["rev"][3] == 0


def test_saying_it_anew_takes_back_what_is_not_said_again() -> None:
    """What stands afterwards is the second judgement, and nothing of the first."""
    first, standing = events_of(ITEM, "rev", "random", SAID, "wrong", {}, AT_MS)
    again = ReviewJudgement("good", ("style",))
    second, after = events_of(ITEM, "rev", "random", again, None, standing, AT_MS + 1)
    outcome = folded(first + second)
    labels = {key.split("\x1f")[0]: register[8] for key, register in outcome["evaluations"].items()}
    assert labels == {
        "expert_vote": "good",
        "expert_flag:incorrect": "unset",
        "expert_flag:style": "set",
        "tone": "withdrawn",
    }
    assert outcome["corrections"]["rev"][3] == 0
    assert after == {"words": {"expert_vote": "good", "expert_flag:style": "set"}}


def test_a_text_that_is_as_it_was_is_no_correction() -> None:
    """Whoever opens the field and leaves it says nothing; where no text was captured, none can be corrected."""
    events, _ = events_of(ITEM, "rev", "q", ReviewJudgement("good", corrected="same"), "same", {}, AT_MS)
    assert [event["type"] for event in events] == ["evaluation"]
    with pytest.raises(SaidError, match="nothing to correct"):
        events_of(ITEM, "rev", "q", ReviewJudgement("good", corrected="new"), None, {}, AT_MS)


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ({}, "vote"),
        ({"vote": "fine"}, "vote"),
        ({"vote": "good", "labels": ["nonsense"]}, "incorrect"),
        ({"vote": "good", "labels": "incorrect"}, "labels"),
        ({"vote": "good", "answers": {"tone": "loud"}}, "kind, rude"),
        ({"vote": "good", "answers": {"pitch": "high"}}, "tone"),
        ({"vote": "good", "answers": ["kind"]}, "answers"),
        ({"vote": "good", "corrected": 7}, "corrected"),
        ({"vote": "good", "comment": "x" * 4001}, "4,000"),
    ],
)
def test_what_cannot_be_said_is_refused_with_what_can(said: dict[str, Any], names: str) -> None:
    """The message names the field and what there is to choose from."""
    with pytest.raises(SaidError, match=names):
        judgement(said, SETTINGS)


@pytest.mark.parametrize("label", [None, "", 0, False, [], {}, ["style"], "styles"])
def test_a_label_is_one_of_those_that_there_are(label: Any) -> None:
    """Also one that is nothing: it was taken, and became an evaluation of a name that nobody chose."""
    with pytest.raises(SaidError, match="is no label; choose from"):
        judgement({"vote": "good", "labels": ["style", label]}, SETTINGS)
