"""What an app emits: seven types of events, one discriminated union, schema version 1.

Events are plain dictionaries with declared types, because a processor decodes hundreds of thousands of them a second
and because a dictionary is what JSON, Kafka and every language have. Absent and null mean the same: not known.

Lengths and distances count UTF-16 code units, so that they agree with JavaScript. Times are integers, milliseconds
since the epoch in UTC, by the client's clock.
"""

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

SCHEMA_VERSION = 1
MAX_EVENT_BYTES = 1 << 20
"""A larger record is refused: an event is one call's input and output, not a document store."""
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


def _vote_rules(event: Vote) -> Vote:
    value, score = event.get("value"), event.get("score")
    if (value is None) == (score is None):
        raise ValueError("value, score: give exactly one of them")
    if score is not None:
        low, high = event.get("scale_min"), event.get("scale_max")
        if low is None or high is None or not low < high:
            raise ValueError("scale_min, scale_max: a score needs both, scale_min below scale_max")
        if not low <= score <= high:
            raise ValueError(f"score: {score} is outside the scale {low} to {high}")
    return event


def _edit_rules(event: Edit) -> Edit:
    lengths = event.get("original_length"), event.get("corrected_length")
    distance = event.get("distance")
    if distance is None:
        if event.get("corrected_text") is None:
            raise ValueError("corrected_text, distance: give the text, or the distance with both lengths")
        return event
    _distance_rules(distance, lengths, "original_length, corrected_length")
    return event


def _distance_rules(distance: int, lengths: tuple[int | None, int | None], names: str) -> None:
    a, b = lengths
    if a is None or b is None:
        raise ValueError(f"{names}: a distance needs both lengths")
    if not abs(a - b) <= distance <= max(a, b):
        raise ValueError(f"distance: {distance} is impossible between texts of {a} and {b} code units")


def _retention_rules(event: RetentionCheck) -> RetentionCheck:
    horizon_s, status = event.get("horizon_s"), event["status"]
    if (horizon_s is None) == (event.get("moment") is None):
        raise ValueError("horizon_s, moment: give exactly one of them")
    if status == "unobserved":
        if event.get("reason") is None:
            raise ValueError("reason: an unobserved check says why")
        return event
    if horizon_s is not None and event["elapsed_ms"] < horizon_s * 1000:
        raise ValueError(f"elapsed_ms: {event['elapsed_ms']} is before the horizon of {horizon_s} s")
    current_length = event.get("current_length")
    if status == "removed":
        if current_length:
            raise ValueError("current_length: removed means that nothing is left, so 0 or absent")
        return event
    if not current_length:
        raise ValueError("current_length: present needs a length above 0; an empty text has status removed")
    distance = event.get("distance")
    if distance is None:
        raise ValueError("distance: present needs the distance and both lengths")
    _distance_rules(distance, (event.get("original_length"), current_length), "original_length, current_length")
    return event


def _evaluation_rules(event: Evaluation) -> Evaluation:
    if event.get("value") is None and event.get("label") is None:
        raise ValueError("value, label: give at least one of them")
    return event


Event = Generation | Action | Flag | Vote | Edit | RetentionCheck | Evaluation
Feedback = Action | Flag | Vote | Edit | RetentionCheck | Evaluation

CheckedEvent = Annotated[
    Generation
    | Action
    | Flag
    | Annotated[Vote, AfterValidator(_vote_rules)]
    | Annotated[Edit, AfterValidator(_edit_rules)]
    | Annotated[RetentionCheck, AfterValidator(_retention_rules)]
    | Annotated[Evaluation, AfterValidator(_evaluation_rules)],
    Field(discriminator="type"),
]
"""The union with the rules between fields, for `pydantic.TypeAdapter`."""

EVENT_TYPES = ("generation", "action", "flag", "vote", "edit", "retention_check", "evaluation")


def is_late_check(horizon_s: int, elapsed_ms: int) -> bool:
    """Whether a check came too late to count for its horizon (it is kept, and counted as late)."""
    return elapsed_ms > horizon_s * 1000 + max(LATE_CHECK_MIN_MS, LATE_CHECK_SHARE * horizon_s * 1000)
