"""`gen_ai.evaluation.result` to an evaluation; by three reserved names to a vote, a flag or a correction. Pure.

OpenTelemetry has no event for what a user says, so `user_vote`, `user_flag` and `user_correction` are evaluations whose
annotator is the user. `keeprate.*` attributes say what the conventions have no name for.
"""

import re
from typing import Any, Final

from keeprate.producers.collector.otel.generations import Event, number_of
from keeprate.producers.collector.otel.messages import name_of, text_of
from keeprate.producers.collector.otel.signals import LogRecord

USER_VOTE: Final = "user_vote"
USER_FLAG: Final = "user_flag"
USER_CORRECTION: Final = "user_correction"

_POSITIVE: Final = ("positive", "up", "thumbs_up", "like", "helpful", "good", "true", "yes", "pass", "correct")
_NEGATIVE: Final = (
    "negative",
    "down",
    "thumbs_down",
    "dislike",
    "unhelpful",
    "bad",
    "false",
    "no",
    "fail",
    "incorrect",
)
_WITHDRAWN: Final = ("neutral", "none", "withdrawn")
_KINDS: Final = ("human", "llm", "code")
_NOT_LABEL: Final = re.compile(r"[^a-z0-9_.:-]+")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class FeedbackError(ValueError):
    """A record is feedback by its name and not by its content. `field` is the attribute at fault."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


def from_evaluation(record: LogRecord) -> Event:
    """The event that an evaluation's attributes say, without its envelope. Raises FeedbackError."""
    attributes = record.attributes
    name = label_of(attributes.get("gen_ai.evaluation.name"))
    if not name:
        raise FeedbackError("gen_ai.evaluation.name", "an evaluation needs a name")
    value = number_of(attributes.get("gen_ai.evaluation.score.value"))
    label = name_of(attributes.get("gen_ai.evaluation.score.label"))
    said = {USER_VOTE: _vote, USER_FLAG: _flag, USER_CORRECTION: _correction}.get(name, _evaluation)(
        attributes, value, label
    )
    if said["type"] == "evaluation":
        said["name"] = name
    if response_id := name_of(attributes.get("gen_ai.response.id")):
        said["external_id"] = response_id
    return {key: content for key, content in said.items() if content is not None}


def _evaluation(attributes: dict[str, Any], value: float | None, label: str | None) -> Event:
    if value is None and label is None:
        raise FeedbackError("gen_ai.evaluation.score.value", "an evaluation needs a score's value or label")
    kind = str(attributes.get("keeprate.annotator_kind") or attributes.get("annotator_kind") or "llm").lower()
    if kind not in _KINDS:
        raise FeedbackError("keeprate.annotator_kind", f"expected one of {', '.join(_KINDS)}")
    return {
        "type": "evaluation",
        "annotator_kind": kind,
        "annotator": name_of(attributes.get("keeprate.annotator") or attributes.get("identifier")),
        "value": value,
        "label": label,
        "explanation": _explanation(attributes),
    }


def _vote(attributes: dict[str, Any], value: float | None, label: str | None) -> Event:
    """+1, -1 or 0 by value or by label; with a scale, a score."""
    said: Event = {"type": "vote", "comment": _explanation(attributes)}
    low, high = (number_of(attributes.get(f"keeprate.scale_{end}")) for end in ("min", "max"))
    if value is not None and low is not None and high is not None:
        return {**said, "score": value, "scale_min": low, "scale_max": high}
    if value is None and label is not None:
        value = vote_of(label)
    if value not in (-1, 0, 1):
        reason = "a vote is 1, -1 or 0 (withdrawn); a score needs keeprate.scale_min and keeprate.scale_max"
        raise FeedbackError("gen_ai.evaluation.score.value", reason)
    return {**said, "value": int(value)}


def vote_of(label: str) -> int | None:
    """The vote that a word stands for; None for a word that is not known."""
    word = label_of(label)
    for vote, words in ((1, _POSITIVE), (-1, _NEGATIVE), (0, _WITHDRAWN)):
        if word in words:
            return vote
    return None


def _flag(attributes: dict[str, Any], value: float | None, label: str | None) -> Event:
    """The issue is the score's label; a score of 0 takes the flag back."""
    issue = label_of(label)
    if not issue:
        raise FeedbackError("gen_ai.evaluation.score.label", "a flag needs its issue as the score's label")
    return {
        "type": "flag",
        "label": issue,
        "status": "unset" if value == 0 else "set",
        "severity": attributes.get("keeprate.severity"),
        "valence": attributes.get("keeprate.valence"),
        "comment": _explanation(attributes),
    }


def _correction(attributes: dict[str, Any], value: float | None, label: str | None) -> Event:
    """What the output should have been: `keeprate.corrected_text`, or else the explanation."""
    given = attributes.get("keeprate.corrected_text")
    corrected = text_of(given) if given is not None else _explanation(attributes)
    if corrected is None:
        raise FeedbackError("keeprate.corrected_text", "a correction needs its text here, or as the explanation")
    comment = _explanation(attributes) if given is not None else None
    return {"type": "edit", "corrected_text": corrected, "origin": "user", "comment": comment}


def _explanation(attributes: dict[str, Any]) -> str | None:
    given = attributes.get("gen_ai.evaluation.explanation")
    return None if given is None else text_of(given)


def label_of(value: Any) -> str:
    """A name of the outside world as a label of the contract: `IntentResolution` is `intent_resolution`."""
    words = _CAMEL.sub("_", str(value or "")).strip().lower()
    return _NOT_LABEL.sub("_", words).lstrip("_.:-0123456789")[:100]
