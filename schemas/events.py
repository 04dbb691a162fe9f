"""What an app emits: seven types of events, one discriminated union, schema version 1.

Events are plain dictionaries with declared types, because a processor decodes hundreds of thousands of them a second
and because a dictionary is what JSON, Kafka and every language have. Absent and null mean the same: not known.

Lengths and distances count UTF-16 code units, so that they agree with JavaScript. Times are integers, milliseconds
since the epoch in UTC, by the client's clock.
"""

from collections.abc import Callable
from inspect import signature
from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, ConfigDict, Field, with_config
from typing_extensions import TypedDict

from keeprate.schemas.kinds import (
    MAX_CHOICES,
    MAX_ENTRIES,
    AppName,
    CallMs,
    ChoiceCount,
    ChoiceIndex,
    CostUsd,
    DwellMs,
    ElapsedMs,
    HorizonS,
    Label,
    Lexemes,
    Lines,
    Name,
    Ordinal,
    Score,
    Serial,
    Share,
    SpanId,
    Spoken,
    TimeMs,
    Tokens,
    TraceId,
    Units,
    Uuid,
    Verdict,
)
from keeprate.schemas.kinds import MAX_EVENT_BYTES as MAX_EVENT_BYTES

SCHEMA_VERSION = 1
LATE_CHECK_MIN_MS = 15_000
LATE_CHECK_SHARE = 0.1
"""A retention check is late when it came later than its horizon by more than the larger of the two."""

Text = Annotated[str, Field(max_length=MAX_EVENT_BYTES)]
# Not a Literal: that would take true for 1.
Version = Annotated[int, Field(ge=1, le=SCHEMA_VERSION)]
# Lists fail fast: a record of a megabyte can hold a million faults, and one is enough to refuse it.
Names = Annotated[list[Name], Field(fail_fast=True, max_length=MAX_ENTRIES)]
Texts = Annotated[list[Text], Field(fail_fast=True, max_length=MAX_ENTRIES)]
Values = Annotated[dict[str, Any], Field(max_length=MAX_ENTRIES)]

ACTIONS = (
    "shown",
    "accept",
    "accept_partial",
    "insert",
    "copy",
    "apply",
    "reject",
    "dismiss",
    "ignore",
    "supersede",
    "undo",
    "retry",
    "regenerate",
    "share",
)
ActionKind = Annotated[
    str,
    Field(
        pattern=rf"^({'|'.join(ACTIONS)}|x_[a-z0-9_]{{1,60}})$",
        description=f"{', '.join(ACTIONS)}, or an app's own beginning with x_",
    ),
]


class Envelope(TypedDict):
    """What every event carries."""

    event_id: Uuid
    schema_version: Version
    occurred_at: TimeMs
    app: AppName
    generation_id: Uuid
    environment: NotRequired[Name | None]
    user: NotRequired[Annotated[Name, Field(description="a salted hash, never a name or address")] | None]
    session: NotRequired[Name | None]
    choice_index: NotRequired[ChoiceIndex | None]
    revision: NotRequired[
        Annotated[Ordinal, Field(description="of two facts about one thing, the higher revision holds")] | None
    ]
    external_id: NotRequired[Name | None]
    producer_id: NotRequired[Name | None]
    producer_seq: NotRequired[Serial | None]
    trace_id: NotRequired[TraceId | None]
    span_id: NotRequired[SpanId | None]
    attributes: NotRequired[Annotated[dict[Name, Text], Field(max_length=50)] | None]


_closed = with_config(ConfigDict(extra="forbid"))


@with_config(ConfigDict(extra="allow"))
class Message(TypedDict):
    """One message of an input or output, in the shape that model providers share, with whatever else they give."""

    role: Name
    content: Any
    name: NotRequired[Name | None]
    tool_calls: NotRequired[Annotated[list[Any], Field(max_length=MAX_ENTRIES)] | None]


@_closed
class Generation(Envelope):
    """One call of a model and its output."""

    type: Literal["generation"]
    operation: NotRequired[Name | None]
    surface: NotRequired[Name | None]
    language: NotRequired[Name | None]
    trigger: NotRequired[Name | None]
    provider: NotRequired[Name | None]
    model: NotRequired[Name | None]
    prompt_name: NotRequired[Name | None]
    prompt_version: NotRequired[Name | None]
    prompt_variables: NotRequired[Values | None]
    context_strategy: NotRequired[Annotated[Name, Field(description="how the data in the prompt was selected")] | None]
    context_sources: NotRequired[Texts | None]
    tools_offered: NotRequired[Names | None]
    tools_called: NotRequired[Names | None]
    content_mode: NotRequired[Literal["full", "hashed", "off"] | None]
    input: NotRequired[Annotated[list[Message], Spoken("user", MAX_ENTRIES, "messages, or a text")] | None]
    output: NotRequired[
        Annotated[list[Message], Spoken("assistant", MAX_CHOICES, "one message or text per choice")] | None
    ]
    choice_count: NotRequired[ChoiceCount | None]
    parameters: NotRequired[Values | None]
    input_tokens: NotRequired[Tokens | None]
    output_tokens: NotRequired[Tokens | None]
    cost_usd: NotRequired[CostUsd | None]
    latency_ms: NotRequired[CallMs | None]
    time_to_first_token_ms: NotRequired[CallMs | None]
    finish_reason: NotRequired[Name | None]
    error_type: NotRequired[Name | None]
    error_message: NotRequired[Text | None]
    outcome: NotRequired[Literal["produced", "empty", "cancelled", "failed", "filtered"] | None]
    parent_generation_id: NotRequired[Uuid | None]
    step: NotRequired[Annotated[Name, Field(description="the stage of a chain or agent")] | None]
    experiment: NotRequired[Name | None]
    variant: NotRequired[Name | None]


@_closed
class Action(Envelope):
    """What a user, or the app for them, did with a suggestion.

    `length` and `lines` are those of the suggestion when it is shown, and those taken so far when it is accepted:
    a later partial accept repeats the sum, it does not add to it.
    """

    type: Literal["action"]
    action: ActionKind
    length: NotRequired[Units | None]
    lines: NotRequired[Lines | None]
    dwell_ms: NotRequired[DwellMs | None]
    accept_seq: NotRequired[Annotated[Ordinal, Field(description="which accept of this suggestion")] | None]
    accept_mode: NotRequired[
        Annotated[Literal["user", "auto"], Field(description="auto: applied with no accept step")] | None
    ]
    formatted: NotRequired[bool | None]


@_closed
class Flag(Envelope):
    """A user marks an issue, or takes the mark back."""

    type: Literal["flag"]
    label: Label
    status: Literal["set", "unset"]
    severity: NotRequired[Literal["low", "medium", "high"] | None]
    valence: NotRequired[
        Annotated[Literal["positive", "negative", "neutral"], Field(description="negative when absent")] | None
    ]
    comment: NotRequired[Text | None]


@_closed
class Vote(Envelope):
    """A user's verdict: +1, -1, or 0 to withdraw; or a score on a scale."""

    type: Literal["vote"]
    value: NotRequired[Verdict | None]
    score: NotRequired[Score | None]
    scale_min: NotRequired[Score | None]
    scale_max: NotRequired[Score | None]
    comment: NotRequired[Text | None]


@_closed
class Edit(Envelope):
    """A correction: what the output should have been."""

    type: Literal["edit"]
    corrected_text: NotRequired[Text | None]
    original_length: NotRequired[Units | None]
    corrected_length: NotRequired[Units | None]
    distance: NotRequired[Annotated[Units, Field(description="Levenshtein, output to correction")] | None]
    origin: NotRequired[Literal["user", "expert", "model"] | None]
    comment: NotRequired[Text | None]


@_closed
class RetentionCheck(Envelope):
    """How much of an accepted text still stood at a horizon after the accept.

    The raw distance and both lengths are sent; `unchanged` and `mostly` are derived from them.
    """

    type: Literal["retention_check"]
    horizon_s: NotRequired[HorizonS | None]
    moment: NotRequired[
        Annotated[Literal["commit", "branch_change", "close"], Field(description="instead of a horizon")] | None
    ]
    elapsed_ms: ElapsedMs
    status: Literal["present", "removed", "unobserved"]
    reason: NotRequired[Annotated[Name, Field(description="why unobserved: file_closed, file_deleted, exit, …")] | None]
    accept_seq: NotRequired[Ordinal | None]
    original_length: NotRequired[Units | None]
    current_length: NotRequired[Units | None]
    distance: NotRequired[Annotated[Units, Field(description="Levenshtein, accepted text to current text")] | None]
    original_lexemes: NotRequired[Lexemes | None]
    lexeme_distance: NotRequired[
        Annotated[
            Lexemes,
            Field(
                description="least edits that place the accepted lexemes inside the current ones; see docs/metrics.md"
            ),
        ]
        | None
    ]
    four_gram: NotRequired[Share | None]
    no_revert: NotRequired[Share | None]
    retained_length: NotRequired[Annotated[Units, Field(description="accepted characters still there")] | None]
    total_length: NotRequired[
        Annotated[Units, Field(description="all characters there, for the share that a model wrote")] | None
    ]
    branch_changed: NotRequired[bool | None]
    range_clipped: NotRequired[bool | None]
    current_text: NotRequired[Text | None]


@_closed
class Evaluation(Envelope):
    """A judgement by a model, a person or code."""

    type: Literal["evaluation"]
    name: Label
    annotator_kind: Literal["human", "llm", "code"]
    annotator: NotRequired[Name | None]
    value: NotRequired[Score | None]
    label: NotRequired[Name | None]
    explanation: NotRequired[Text | None]


class Between:
    """A rule between fields: called with those that it names as parameters, None for what is absent; ValueError says
    what is wrong.

    A class, because pydantic is not the only one to keep it (`structs.forms`).
    """

    def __init__(self, rule: Callable[..., None]) -> None:
        self.rule = rule
        self.fields = tuple(signature(rule).parameters)

    def __call__(self, event: Any) -> Any:
        self.rule(*map(event.get, self.fields))
        return event


def _vote_rule(value: int | None, score: float | None, scale_min: float | None, scale_max: float | None) -> None:
    if (value is None) == (score is None):
        raise ValueError("value, score: give exactly one of them")
    if score is not None:
        if scale_min is None or scale_max is None or not scale_min < scale_max:
            raise ValueError("scale_min, scale_max: a score needs both, scale_min below scale_max")
        if not scale_min <= score <= scale_max:
            raise ValueError(f"score: {score} is outside the scale {scale_min} to {scale_max}")


def _edit_rule(
    distance: int | None, corrected_text: str | None, original_length: int | None, corrected_length: int | None
) -> None:
    if distance is not None:
        _distance_rule(distance, original_length, corrected_length, "original_length, corrected_length")
    elif corrected_text is None:
        raise ValueError("corrected_text, distance: give the text, or the distance with both lengths")


def _distance_rule(distance: int, a: int | None, b: int | None, names: str) -> None:
    if a is None or b is None:
        raise ValueError(f"{names}: a distance needs both lengths")
    if not abs(a - b) <= distance <= max(a, b):
        raise ValueError(f"distance: {distance} is impossible between texts of {a} and {b} code units")


def _retention_rule(
    horizon_s: int | None,
    moment: str | None,
    status: str,
    reason: str | None,
    elapsed_ms: int,
    original_length: int | None,
    current_length: int | None,
    distance: int | None,
) -> None:
    if (horizon_s is None) == (moment is None):
        raise ValueError("horizon_s, moment: give exactly one of them")
    if status == "unobserved":
        if reason is None:
            raise ValueError("reason: an unobserved check says why")
        return
    if horizon_s is not None and elapsed_ms < horizon_s * 1000:
        raise ValueError(f"elapsed_ms: {elapsed_ms} is before the horizon of {horizon_s} s")
    if status == "removed":
        if current_length:
            raise ValueError("current_length: removed means that nothing is left, so 0 or absent")
        return
    if not current_length:
        raise ValueError("current_length: present needs a length above 0; an empty text has status removed")
    if distance is None:
        raise ValueError("distance: present needs the distance and both lengths")
    _distance_rule(distance, original_length, current_length, "original_length, current_length")


def _evaluation_rule(value: float | None, label: str | None) -> None:
    if value is None and label is None:
        raise ValueError("value, label: give at least one of them")


Event = Generation | Action | Flag | Vote | Edit | RetentionCheck | Evaluation
Feedback = Action | Flag | Vote | Edit | RetentionCheck | Evaluation

CheckedEvent = Annotated[
    Generation
    | Action
    | Flag
    | Annotated[Vote, AfterValidator(Between(_vote_rule))]
    | Annotated[Edit, AfterValidator(Between(_edit_rule))]
    | Annotated[RetentionCheck, AfterValidator(Between(_retention_rule))]
    | Annotated[Evaluation, AfterValidator(Between(_evaluation_rule))],
    Field(discriminator="type"),
]
"""The union with the rules between fields, for `pydantic.TypeAdapter`."""

EVENT_TYPES = ("generation", "action", "flag", "vote", "edit", "retention_check", "evaluation")


def is_late_check(horizon_s: int, elapsed_ms: int) -> bool:
    """Whether a check came too late to count for its horizon (it is kept, and counted as late)."""
    return elapsed_ms > horizon_s * 1000 + max(LATE_CHECK_MIN_MS, LATE_CHECK_SHARE * horizon_s * 1000)
