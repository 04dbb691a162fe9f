"""What a reviewer says of a suggestion, as events, and what takes it back. Pure.

An expert is no user of the app. A vote or a flag of theirs would count among those of users; so votes, labels and
answers are evaluations by a human, whose name and annotator tell them apart, and a corrected text is an edit whose
origin is an expert. No rate of what users did changes by any of them (docs/review.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from keeprate.deploy.review.choosing import Item
from keeprate.deploy.review.settings import FLAG, ReviewSettings
from keeprate.producers import text as texts
from keeprate.sinks.reading.voices import EXPERT_VOTE, WITHDRAWN

MOST_CHARS: Final = 200_000
"""Of a corrected text: it travels in one event."""
MOST_COMMENT: Final = 4_000
WORDS: Final = "words"
"""Of what stands: the label of each evaluation, by its name."""
_CORRECTED: Final = "corrected"
_VALUES: Final[Mapping[str, int]] = {"good": 1, "bad": -1}

Event = dict[str, Any]
Standing = Mapping[str, Any]
"""What of a reviewer's word stands: labels by evaluation, and the length of what they corrected. No text."""


class SaidError(ValueError):
    """What was said is not one of what can be. Names the field and what would do."""


@dataclass(frozen=True)
class ReviewJudgement:
    """A reviewer's word. vote: required. corrected: the text as it should have been; None where it may stand."""

    vote: Literal["good", "bad"]
    labels: tuple[str, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    corrected: str | None = None
    comment: str = ""


def judgement(said: Mapping[str, Any], settings: ReviewSettings) -> ReviewJudgement:
    """The judgement in a request's body. Raises SaidError."""
    vote = said.get("vote")
    if vote != "good" and vote != "bad":
        raise SaidError(f"vote: {str(vote)[:60]!r} is none; say good or bad")
    return ReviewJudgement(
        vote=vote,
        labels=_labels(said.get("labels") or [], settings),
        answers=_answers(said.get("answers") or {}, settings),
        corrected=_text("corrected", said.get("corrected"), MOST_CHARS),
        comment=_text("comment", said.get("comment"), MOST_COMMENT) or "",
    )


def _labels(labels: Any, settings: ReviewSettings) -> tuple[str, ...]:
    known = [each.name for each in settings.labels]
    unknown = [each for each in labels if each not in known] if isinstance(labels, list) else [labels]
    if unknown:
        raise SaidError(f"labels: {str(unknown[0])[:60]!r} is no label; choose from {', '.join(known)}")
    return tuple(dict.fromkeys(labels))


def _answers(answers: Any, settings: ReviewSettings) -> dict[str, str]:
    if not isinstance(answers, dict):
        raise SaidError("answers: give an object, answers by question")
    offered = {each.name: each.answers for each in settings.questions}
    for name, answer in answers.items():
        if name not in offered:
            raise SaidError(f"answers: {str(name)[:60]!r} is no question; there are {', '.join(offered) or 'none'}")
        if answer not in offered[name]:
            raise SaidError(
                f"answers.{name}: {str(answer)[:60]!r} is no answer; choose from {', '.join(offered[name])}"
            )
    return dict(answers)


def _text(name: str, value: Any, most: int) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise SaidError(f"{name}: give a text")
    if len(value) > most:
        raise SaidError(f"{name}: {len(value):,} characters; {most:,} at most")
    return value


def events_of(
    item: Item, reviewer: str, queue: str, said: ReviewJudgement, output: str | None, standing: Standing, at_ms: int
) -> tuple[list[Event], Standing]:
    """The events of a judgement, and what stands after it. standing: what the same reviewer said before.

    What stood and was not said again is taken back. output: the text that is corrected; None where none was captured.
    at_ms: later than anything the reviewer said of it before.
    """
    words = _words(said)
    maker = _Maker(item, reviewer, queue, at_ms)
    events = [
        maker.evaluation(name, said.comment if name == EXPERT_VOTE else "", **word) for name, word in words.items()
    ]
    events += [maker.evaluation(name, label=_undone(name)) for name in standing.get(WORDS, ()) if name not in words]
    after: dict[str, Any] = {WORDS: {name: word["label"] for name, word in words.items()}}
    if said.corrected is not None and said.corrected != output:
        if output is None:
            raise SaidError("corrected: the app does not send what it generates, so there is nothing to correct")
        events.append(maker.correction(said.corrected, output))
        after[_CORRECTED] = texts.length(output)
    elif (length := standing.get(_CORRECTED)) is not None:
        events.append(maker.no_correction(length))
    return events, after


def withdrawal(item: Item, reviewer: str, queue: str, standing: Standing, at_ms: int) -> list[Event]:
    """The events that take back all that stands of a reviewer's word."""
    maker = _Maker(item, reviewer, queue, at_ms)
    events = [maker.evaluation(name, label=_undone(name)) for name in standing.get(WORDS, ())]
    if (length := standing.get(_CORRECTED)) is not None:
        events.append(maker.no_correction(length))
    return events


def _words(said: ReviewJudgement) -> dict[str, dict[str, Any]]:
    """Value and label by the evaluation's name."""
    votes = {EXPERT_VOTE: {"value": float(_VALUES[said.vote]), "label": said.vote}}
    flags = {f"{FLAG}:{label}": {"label": "set"} for label in said.labels}
    return votes | flags | {name: {"label": answer} for name, answer in said.answers.items()}


def _undone(name: str) -> str:
    return "unset" if name.startswith(f"{FLAG}:") else WITHDRAWN


@dataclass(frozen=True)
class _Maker:
    """Makes events about one suggestion, by one reviewer, at one time."""

    item: Item
    reviewer: str
    queue: str
    at_ms: int

    def evaluation(self, name: str, explanation: str = "", **word: Any) -> Event:
        event = self._event("evaluation") | {"name": name, "annotator_kind": "human", "annotator": self.reviewer}
        return event | word | ({"explanation": explanation} if explanation else {})

    def correction(self, corrected: str, output: str) -> Event:
        lengths = {"original_length": texts.length(output), "corrected_length": texts.length(corrected)}
        gap = {"distance": texts.levenshtein(output, corrected)}
        own = {"corrected_text": corrected, "origin": "expert", "user": self.reviewer}
        return self._event("edit") | own | lengths | gap

    def no_correction(self, length: int) -> Event:
        """A correction that changes nothing: the latest one of an expert holds."""
        same = {"original_length": length, "corrected_length": length, "distance": 0}
        return self._event("edit") | same | {"origin": "expert", "user": self.reviewer, "comment": WITHDRAWN}

    def _event(self, kind: str) -> Event:
        return {
            "type": kind,
            "app": self.item.app,
            "generation_id": self.item.generation_id,
            "choice_index": self.item.choice_index,
            "occurred_at": self.at_ms,
            "attributes": {"review_queue": self.queue},
        }
