"""What an event says, as an outcome: the step from facts to the semilattice. Pure."""

from collections.abc import Callable, Iterable
from math import isfinite
from typing import Any, Final

from keeprate.schemas.events import Action, Edit, Evaluation, Event, Flag, Generation, RetentionCheck, Vote
from keeprate.schemas.outcome import SEPARATOR, UNKNOWN, Outcome, absorb, key_of


def fold(events: Iterable[Event]) -> dict[str, Outcome]:
    """Every suggestion's outcome, by key, recomputed from its events alone: what all processing must agree with."""
    outcomes: dict[str, Outcome] = {}
    for event in events:
        for key, fact in lift(event):
            absorb(outcomes.setdefault(key, {}), fact)
    return outcomes


def lift(event: Event) -> list[tuple[str, Outcome]]:
    """What one event says: the key of each suggestion it speaks of, with an outcome that holds this fact alone.

    The outcome of a suggestion is the merge of all that its events lift to. A generation speaks of each of its choices.
    """
    app, generation_id = event["app"], event["generation_id"]
    fact = _LIFTS[event["type"]](event)
    if event["type"] != "generation":
        return [(key_of(app, generation_id, event.get("choice_index") or 0), fact)]
    # Each choice has its own, which may grow.
    return [(key_of(app, generation_id, index), dict(fact)) for index in range(_choices(event))]


def _choices(event: Generation) -> int:
    # An app may say nothing of its choices: the highest index that the event implies then counts.
    return max(event.get("choice_count") or 1, len(event.get("output") or ()), (event.get("choice_index") or 0) + 1)


def _latest(event: Event) -> list[Any]:
    return [event.get("revision") or 0, event["occurred_at"], event["event_id"]]


def _number(value: float | None) -> float:
    return UNKNOWN if value is None else value


def _who(event: Event) -> str:
    return event.get("user") or event.get("session") or ""


_DESCRIBES: Final = (
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


def _lift_generation(event: Generation) -> Outcome:
    text = [event.get(name) or "" for name in _DESCRIBES]
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


def verdict(value: int | None, score: float | None, low: float | None, high: float | None) -> tuple[int, float]:
    """What a vote says: its sign, and where on its scale the score is; UNKNOWN for a vote without one.

    A score is positive above the middle of its scale and negative below it. The schema's rules hold: a vote has a value
    or a score, and a score comes with its scale.
    """
    if value is not None:
        return value, float(UNKNOWN)
    low, high = low or 0.0, high or 0.0
    # An older gate let in scales as wide as numbers go.
    half = 1.0 if isfinite(high - low) else 0.5
    share = ((score or 0.0) * half - low * half) / (high * half - low * half)
    return (share > 0.5) - (share < 0.5), share


def _lift_vote(event: Vote) -> Outcome:
    said = verdict(event.get("value"), event.get("score"), event.get("scale_min"), event.get("scale_max"))
    return {"votes": {_who(event): [*_latest(event), *said]}}


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


_LIFTS: Final[dict[str, Callable[[Any], Outcome]]] = {
    "generation": _lift_generation,
    "action": _lift_action,
    "vote": _lift_vote,
    "flag": _lift_flag,
    "edit": _lift_edit,
    "retention_check": _lift_retention,
    "evaluation": _lift_evaluation,
}
