"""The outcome of one suggestion: everything known of it, as a join-semilattice declared once.

An outcome is a dictionary of fields. A field that is absent holds nothing yet. Each field has a merge that commutes,
associates and is idempotent, so duplicates, reordering, late feedback and replays all end in the same outcome:

    max       of numbers (lengths, dwell) and of registers. A register is a list that begins with what orders it
              (revision, occurred_at, event_id) and goes on with its value, so its maximum is its latest state.
    min_map   per key, the smallest
    max_map   per key, the largest: of times, or of registers (a vote per user, a check per horizon)

`FIELDS` yields the merge in Python, and the columns of ClickHouse's table `outcomes`, whose engine merges the same
way. An outcome is identified by (app, generation_id, choice_index). The app is part of the identity, so that no app
can write into another app's suggestions.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic_core import from_json, to_json

from keeprate.schemas.events import Action, Edit, Evaluation, Event, Flag, Generation, RetentionCheck, Vote

Outcome = dict[str, Any]
"""Field name to value: an int, a register (list), or a dict of those by key."""

UNKNOWN: Final = -1
"""Stands in a register for a number that was not sent. ClickHouse's `max` over tuples wants no NULL in them."""

SEPARATOR: Final = "\x1f"
"""Between the parts of a map's key. A label cannot hold it, so only the last part may be free text."""


@dataclass(frozen=True)
class Field:
    """One field of the outcome.

    type: ClickHouse's type of a single value.
    default: ClickHouse's value of an absent number; Python leaves it out.
    """

    name: str
    merge: Literal["max", "min_map", "max_map"]
    type: str
    default: int | None = None

    def column(self) -> str:
        """The column's definition in the table `outcomes`."""
        function = {"max": "max", "min_map": "minMap", "max_map": "maxMap"}[self.merge]
        value = self.type if self.merge == "max" else f"Map(String, {self.type})"
        default = "" if self.default is None else f" DEFAULT {self.default}"
        return f"{self.name} SimpleAggregateFunction({function}, {value}){default}"


def _tuple(*parts: str) -> str:
    return f"Tuple({', '.join(parts)})"


LATEST = ("revision UInt32", "occurred_at Int64", "event_id String")
"""What orders the facts about one thing: the reviser's word first, then the client's clock, then a tie-break."""

GENERATION = (
    *LATEST,
    "environment String",
    "user String",
    "session String",
    "operation String",
    "surface String",
    "language String",
    "trigger String",
    "provider String",
    "model String",
    "prompt_name String",
    "prompt_version String",
    "context_strategy String",
    "step String",
    "parent_generation_id String",
    "experiment String",
    "variant String",
    "outcome String",
    "finish_reason String",
    "error_type String",
    "input_tokens Int64",
    "output_tokens Int64",
    "cost_usd Float64",
    "latency_ms Int64",
    "time_to_first_token_ms Int64",
    "tools_offered Int64",
    "tools_called Int64",
    "trace_id String",
)
RETENTION = (
    "accept_seq UInt32",
    *LATEST,
    "status String",
    "reason String",
    "elapsed_ms Int64",
    "original_length Int64",
    "current_length Int64",
    "distance Int64",
    "original_lexemes Int64",
    "lexeme_distance Int64",
    "four_gram Float64",
    "no_revert Float64",
    "retained_length Int64",
    "total_length Int64",
    "branch_changed UInt8",
    "range_clipped UInt8",
)
ACCEPT = ("accept_seq UInt32", "occurred_at Int64", "event_id String", "mode String", "length Int64")
VOTE = (*LATEST, "value Int8", "score Float64")
FLAG = (*LATEST, "label String", "active UInt8", "severity String", "valence String")
CORRECTION = (*LATEST, "distance Int64", "original_length Int64", "corrected_length Int64", "origin String")
EVALUATION = (
    *LATEST,
    "name String",
    "annotator_kind String",
    "annotator String",
    "has_value UInt8",
    "value Float64",
    "label String",
)

FIELDS: Final[tuple[Field, ...]] = (
    Field("generation", "max", _tuple(*GENERATION)),
    # By action; an accept with accept_mode=auto is `accept_auto`.
    Field("first_at", "min_map", "Int64"),
    Field("last_at", "max_map", "Int64"),
    Field("shown_length", "max", "Int64", UNKNOWN),
    Field("shown_lines", "max", "Int64", UNKNOWN),
    Field("dwell_ms", "max", "Int64", UNKNOWN),
    Field("accepted_length", "max", "Int64", UNKNOWN),
    Field("accepted_lines", "max", "Int64", UNKNOWN),
    # The last accept: retention is measured from it.
    Field("accept", "max", _tuple(*ACCEPT)),
    # By user; by session where no user is known.
    Field("votes", "max_map", _tuple(*VOTE)),
    # By label and user.
    Field("flags", "max_map", _tuple(*FLAG)),
    Field("corrections", "max_map", _tuple(*CORRECTION)),
    # By horizon in seconds, or by moment.
    Field("retention", "max_map", _tuple(*RETENTION)),
    # By name, kind of annotator and annotator.
    Field("evaluations", "max_map", _tuple(*EVALUATION)),
)
KEY_COLUMNS: Final = ("app String", "generation_id UUID", "choice_index UInt16")


def key_of(app: str, generation_id: str, choice_index: int) -> str:
    """The suggestion's identity as the key of a table or record. An app's name has no slash in it."""
    return f"{app}/{generation_id}/{choice_index}"


def parse_key(key: str) -> tuple[str, str, int]:
    """The inverse of `key_of`."""
    app, generation_id, choice_index = key.split("/")
    return app, generation_id, int(choice_index)


def merge(a: Mapping[str, Any], b: Mapping[str, Any]) -> Outcome:
    """The least outcome that holds both. Leaves its arguments as they are."""
    merged = dict(a)
    for name, value in b.items():
        mine = merged.get(name)
        merged[name] = value if mine is None else _MERGES[name](mine, value)
    return merged


def _max(a: Any, b: Any) -> Any:
    return b if b > a else a


def _min_map(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    merged = dict(a)
    for key, value in b.items():
        if key not in merged or value < merged[key]:
            merged[key] = value
    return merged


def _max_map(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    merged = dict(a)
    for key, value in b.items():
        if key not in merged or value > merged[key]:
            merged[key] = value
    return merged


_FUNCTIONS: Final[dict[str, Callable[[Any, Any], Any]]] = {"max": _max, "min_map": _min_map, "max_map": _max_map}
_MERGES: Final = {field.name: _FUNCTIONS[field.merge] for field in FIELDS}


def merge_all(outcomes: Iterable[Mapping[str, Any]]) -> Outcome:
    """The least outcome that holds them all; the empty one of none."""
    merged: Outcome = {}
    for outcome in outcomes:
        merged = merge(merged, outcome)
    return merged


def fold(events: Iterable[Event]) -> dict[str, Outcome]:
    """Every suggestion's outcome, by key, recomputed from its events alone: what all processing must agree with."""
    outcomes: dict[str, Outcome] = {}
    for event in events:
        for key, fact in lift(event):
            outcomes[key] = merge(outcomes.get(key, {}), fact)
    return outcomes


def canonical(outcome: Mapping[str, Any]) -> Outcome:
    """The same outcome with its fields and keys in one order, so that equal outcomes have equal bytes."""
    return {
        field.name: dict(sorted(value.items())) if isinstance(value, dict) else value
        for field in FIELDS
        if (value := outcome.get(field.name)) is not None
    }


def encode_outcome(key: str, outcome: Mapping[str, Any]) -> bytes:
    """An outcome as the JSON of its Kafka record, which is also the row that ClickHouse's JSONEachRow parser takes."""
    app, generation_id, choice_index = parse_key(key)
    identity = {"app": app, "generation_id": generation_id, "choice_index": choice_index}
    return to_json(identity | canonical(outcome))


def decode_outcome(value: bytes) -> tuple[str, Outcome]:
    """Key and outcome of a record that `encode_outcome` wrote."""
    row: dict[str, Any] = from_json(value)
    return key_of(row.pop("app"), row.pop("generation_id"), row.pop("choice_index")), row


def lift(event: Event) -> Iterator[tuple[str, Outcome]]:
    """What one event says: the key of each suggestion it speaks of, with an outcome that holds this fact alone.

    The outcome of a suggestion is the merge of all that its events lift to. A generation speaks of each of its choices.
    """
    app, generation_id = event["app"], event["generation_id"]
    if event["type"] == "generation":
        outcome = _lift_generation(event)
        for index in range(_choices(event)):
            yield key_of(app, generation_id, index), outcome
        return
    key = key_of(app, generation_id, event.get("choice_index") or 0)
    match event["type"]:
        case "action":
            yield key, _lift_action(event)
        case "vote":
            yield key, _lift_vote(event)
        case "flag":
            yield key, _lift_flag(event)
        case "edit":
            yield key, _lift_edit(event)
        case "retention_check":
            yield key, _lift_retention(event)
        case "evaluation":
            yield key, _lift_evaluation(event)


def _choices(event: Generation) -> int:
    # An app may say nothing of its choices: the highest index that the event implies then counts.
    return max(event.get("choice_count") or 1, len(event.get("output") or ()), (event.get("choice_index") or 0) + 1)


def _latest(event: Event) -> list[Any]:
    return [event.get("revision") or 0, event["occurred_at"], event["event_id"]]


def _number(value: float | None) -> float:
    return UNKNOWN if value is None else value


def _who(event: Event) -> str:
    return event.get("user") or event.get("session") or ""


def _lift_generation(event: Generation) -> Outcome:
    text = (
        event.get(name) or ""
        for name in (
            "environment",
            "user",
            "session",
            "operation",
            "surface",
            "language",
            "trigger",
            "provider",
            "model",
            "prompt_name",
            "prompt_version",
            "context_strategy",
            "step",
            "parent_generation_id",
            "experiment",
            "variant",
            "outcome",
            "finish_reason",
            "error_type",
        )
    )
    numbers = (
        _number(event.get("input_tokens")),
        _number(event.get("output_tokens")),
        float(_number(event.get("cost_usd"))),
        _number(event.get("latency_ms")),
        _number(event.get("time_to_first_token_ms")),
        len(event.get("tools_offered") or ()),
        len(event.get("tools_called") or ()),
    )
    return {"generation": [*_latest(event), *text, *numbers, event.get("trace_id") or ""]}


def _lift_action(event: Action) -> Outcome:
    action, at = event["action"], event["occurred_at"]
    length, lines = event.get("length"), event.get("lines")
    outcome: Outcome = {}
    prefix = ""
    if action in ("accept", "accept_partial"):
        mode = event.get("accept_mode") or "user"
        sequence = event.get("accept_seq") or 0
        outcome["accept"] = [sequence, at, event["event_id"], mode, _number(length)]
        if mode == "auto":
            action = "accept_auto"
        prefix = "accepted"
    elif action == "shown":
        prefix = "shown"
    outcome["first_at"] = {action: at}
    outcome["last_at"] = {action: at}
    if prefix and length is not None:
        outcome[f"{prefix}_length"] = length
    if prefix and lines is not None:
        outcome[f"{prefix}_lines"] = lines
    if (dwell_ms := event.get("dwell_ms")) is not None:
        outcome["dwell_ms"] = dwell_ms
    return outcome


def _lift_vote(event: Vote) -> Outcome:
    value, score = event.get("value"), event.get("score")
    if value is not None:
        return {"votes": {_who(event): [*_latest(event), value, float(UNKNOWN)]}}
    # The schema's rules hold: a score comes with its scale. Its sign is taken against the middle of the scale.
    low, high = event.get("scale_min") or 0.0, event.get("scale_max") or 0.0
    share = ((score or 0.0) - low) / (high - low)
    return {"votes": {_who(event): [*_latest(event), (share > 0.5) - (share < 0.5), share]}}


def _lift_flag(event: Flag) -> Outcome:
    label = event["label"]
    register = [
        *_latest(event),
        label,
        int(event["status"] == "set"),
        event.get("severity") or "",
        event.get("valence") or "negative",
    ]
    return {"flags": {f"{label}{SEPARATOR}{_who(event)}": register}}


def _lift_edit(event: Edit) -> Outcome:
    register = [
        *_latest(event),
        _number(event.get("distance")),
        _number(event.get("original_length")),
        _number(event.get("corrected_length")),
        event.get("origin") or "",
    ]
    return {"corrections": {_who(event): register}}


def _lift_retention(event: RetentionCheck) -> Outcome:
    horizon_s = event.get("horizon_s")
    register = [
        event.get("accept_seq") or 0,
        *_latest(event),
        event["status"],
        event.get("reason") or "",
        event["elapsed_ms"],
        _number(event.get("original_length")),
        0 if event["status"] == "removed" else _number(event.get("current_length")),
        _number(event.get("distance")),
        _number(event.get("original_lexemes")),
        _number(event.get("lexeme_distance")),
        float(_number(event.get("four_gram"))),
        float(_number(event.get("no_revert"))),
        _number(event.get("retained_length")),
        _number(event.get("total_length")),
        int(event.get("branch_changed") or False),
        int(event.get("range_clipped") or False),
    ]
    return {"retention": {str(horizon_s) if horizon_s is not None else str(event.get("moment")): register}}


def _lift_evaluation(event: Evaluation) -> Outcome:
    annotator, value = event.get("annotator") or "", event.get("value")
    register = [
        *_latest(event),
        event["name"],
        event["annotator_kind"],
        annotator,
        int(value is not None),
        float(value if value is not None else 0.0),
        event.get("label") or "",
    ]
    key = SEPARATOR.join((event["name"], event["annotator_kind"], annotator))
    return {"evaluations": {key: register}}
