"""Who agrees with whom: tables, majorities, and what is left out."""

from typing import Any

from keeprate.deploy.review.agreeing import EXPERTS, KEPT, SAID, Voice, agreements, as_json
from keeprate.sinks.reading.voices import Judgements, Said, Word


def word(item: int, annotator: str, label: str, name: str = "expert_vote", **more: Any) -> Word:
    side = label if label in ("good", "bad") else ""
    found = {"kept": "", "said": "", "judges": [], **more}
    return Word("app", str(item), 0, 0, name, annotator, label, side, **found)  # type: ignore[arg-type]


def test_a_judge_is_held_against_what_users_kept_over_time() -> None:
    """Precision and recall are of what is bad; each bucket has its own, and all of them together are the whole."""
    counts = [(0, "bad", "bad", 8), (0, "bad", "good", 2), (0, "good", "bad", 4), (0, "good", "good", 30)]
    counts += [(1, "bad", "bad", 1), (1, "good", "bad", 9), (1, "good", "good", 20)]
    judged = [Judgements(at, "safe", "j", said, kept, "", number, []) for at, said, kept, number in counts]  # type: ignore[arg-type]
    found = agreements(judged, [], [])
    (whole,) = found.comparisons
    assert (whole.voice, whole.truth, whole.items) == (Voice("j", "safe"), KEPT, 74)
    assert (whole.precision.value, whole.recall.value) == (9 / 11, 9 / 22)
    first, second = found.over_time[Voice("j", "safe")]
    assert (first.comparison.precision.value, first.comparison.recall.value) == (8 / 10, 8 / 12)
    assert (second.comparison.precision.value, second.comparison.recall.value) == (1, 1 / 10)


def test_users_words_are_held_against_what_they_kept() -> None:
    """Whoever votes for it and removes it is a user who said another thing."""
    found = agreements([], [Said("good", "bad", 3), Said("good", "good", 5), Said("bad", "bad", 2)], [])
    (whole,) = found.comparisons
    assert (whole.voice.name, whole.truth, whole.agreement.value) == (SAID, KEPT, 0.7)


def test_experts_speak_by_their_majority_and_not_where_they_are_even() -> None:
    """One suggestion is bad by two of three, one is even and compares with nothing, one has one voice."""
    words = [word(1, who, label, kept="bad") for who, label in (("a", "bad"), ("b", "bad"), ("c", "good"))]
    words += [word(2, "a", "bad", kept="good"), word(2, "b", "good", kept="good"), word(3, "a", "good", kept="good")]
    found = agreements([], [], words)
    (whole,) = found.comparisons
    assert (whole.voice.name, whole.items, whole.agreement.value) == (EXPERTS, 2, 1)
    assert [each.title for each in found.together] == ["experts, good or bad", "judges, users and experts"]
    assert (found.together[0].raters, found.together[0].alpha.items) == (3, 2)
    by_reviewer = {each.voice.name: each.items for each in found.reviewers}
    assert by_reviewer == {"a": 1, "b": 1, "c": 1}


def test_a_vote_outweighs_an_experts_other_words() -> None:
    """Where there is no vote, other words speak if they agree; labels of a question have an alpha of their own."""
    judges = [("tone", "j", "bad")]
    words = [word(1, "a", "good", judges=judges), word(1, "a", "bad", "tone", judges=judges)]
    words += [word(2, "a", "bad", "tone", judges=judges), word(2, "b", "rude", "tone", judges=judges)]
    found = agreements([], [], words)
    (whole,) = [each for each in found.comparisons if each.voice.evaluation == "tone"]
    assert whole.table["bad", "good"] == whole.table["bad", "bad"] == 1
    (tone,) = [each for each in found.together if each.title == "experts, tone"]
    assert (tone.raters, tone.alpha.items) == (2, 1)


def test_words_that_no_scale_knows_are_named_and_in_no_number() -> None:
    """A judge whose word is 0.7 is not silently left out."""
    found = agreements([Judgements(0, "toxicity", "j", "", "bad", "", 4, ["0.7"])], [], [])
    assert found.comparisons == []
    assert as_json(found)["unread"] == [{"evaluation": "toxicity", "number": 4, "words": ["0.7"]}]
