"""What an event says, as an outcome: the step from facts to the semilattice. Pure. Needs the extra `worker` or `sink`.

An event is read as a struct (`structs`), whose fields are its attributes, because most of them are looked at once and
never again; a dictionary is made into one first.
"""

from collections.abc import Callable, Iterable
from hashlib import sha256
from math import isfinite
from sys import intern
from typing import Any, Final

from keeprate.schemas.events import Event
from keeprate.schemas.kinds import MAX_NAME
from keeprate.schemas.outcome import SEPARATOR, Outcome, absorb, key_of
from keeprate.schemas.registers import (
    ACCEPT,
    CORRECTION,
    EVALUATION,
    FLAG,
    GENERATION,
    RETENTION,
    TOOLS,
    UNKNOWN,
    VOTE,
)
from keeprate.schemas.structs.reading import struct_of


def fold(events: Iterable[Event]) -> dict[str, Outcome]:
    """Every suggestion's outcome, by key, recomputed from its events alone: what all processing must agree with."""
    outcomes: dict[str, Outcome] = {}
    for event in events:
        for key, fact in lift(event):
            absorb(outcomes.setdefault(key, {}), fact)
    return outcomes


def lift(event: Any) -> list[tuple[str, Outcome]]:
    """What one event says: the key of each suggestion it speaks of, with an outcome that holds this fact alone.

    The outcome of a suggestion is the merge of all that its events lift to. A generation speaks of each of its choices.
    event: a struct of `structs.reading.read`, or an `Event`.
    """
    if isinstance(event, dict):
        event = struct_of(event)
    kind = event.type
    fact = _LIFTS[kind](event)
    if kind != "generation":
        return [(key_of(event.app, event.generation_id, event.choice_index or 0), fact)]
    if (choices := _choices(event)) == 1:
        return [(key_of(event.app, event.generation_id, 0), fact)]
    # Each choice has its own, which may grow.
    return [(key_of(event.app, event.generation_id, index), dict(fact)) for index in range(choices)]


def gather(facts: dict[str, Outcome], event: Any) -> Iterable[str]:
    """Absorb what the struct of an event says into the outcomes of the suggestions it speaks of; returns their keys.

    The same as to absorb each outcome that it lifts to. An action, which most events are, is absorbed as it is: to make
    an outcome of it first takes twice as long.
    """
    if event.type == "action":
        key = key_of(event.app, event.generation_id, event.choice_index or 0)
        if (known := facts.get(key)) is None:
            known = facts[key] = {}
        _absorb_action(known, event)
        return (key,)
    lifted = lift(event)
    for key, fact in lifted:
        if (known := facts.get(key)) is None:
            facts[key] = fact
        else:
            absorb(known, fact)
    return [key for key, _ in lifted]


def _choices(event: Any) -> int:
    # An app may say nothing of its choices: the highest index that the event implies then counts.
    return max(event.choice_count or 1, len(event.output or ()), (event.choice_index or 0) + 1)


def _who(event: Any) -> str:
    return event.user or event.session or ""


def toolset(names: Iterable[str]) -> str:
    """The name of a set of functions: its members in order, however often and in whatever order they were listed.

    A set whose members do not fit into a name is known by their number and a hash.
    """
    members = sorted(set(names))
    text = ", ".join(members)
    if len(text) <= MAX_NAME:
        return text
    return f"{len(members)} tools, {sha256(SEPARATOR.join(members).encode()).hexdigest()[:12]}"


def _lift_generation(event: Any) -> Outcome:
    offered, called = event.tools_offered or (), len(event.tools_called or ())
    outcome: Outcome = {"generation": GENERATION.of(event, tools_offered=len(offered), tools_called=called)}
    # A worker's state is spared the register where there is nothing to say.
    if offered:
        outcome["tools"] = TOOLS.of(event, toolset=toolset(offered))
    return outcome


_SIZES: Final = {
    "shown": ("shown_length", "shown_lines"),
    **dict.fromkeys(("accept", "accept_partial"), ("accepted_length", "accepted_lines")),
}
"""Of the actions at which the suggestion had a size, what it is called in the outcome."""


def _lift_action(event: Any) -> Outcome:
    outcome: Outcome = {}
    _absorb_action(outcome, event)
    return outcome


def _absorb_action(outcome: Outcome, event: Any) -> None:
    action, at = event.action, event.occurred_at
    length, lines = _SIZES.get(action, ("", ""))
    if action in ("accept", "accept_partial"):
        mode = event.accept_mode or "user"
        _absorb_largest(outcome, "accept", ACCEPT.of(event, mode=mode))
        if mode == "auto":
            action = "accept_auto"
    if (first := outcome.get("first_at")) is None:
        first = outcome["first_at"] = {}
    if (last := outcome.get("last_at")) is None:
        last = outcome["last_at"] = {}
    # Few actions, many outcomes: they share the names.
    if action not in first:
        first[intern(action)] = at
    elif at < first[action]:
        first[action] = at
    if action not in last:
        last[intern(action)] = at
    elif at > last[action]:
        last[action] = at
    if length and event.length is not None:
        _absorb_largest(outcome, length, event.length)
    if lines and event.lines is not None:
        _absorb_largest(outcome, lines, event.lines)
    if event.dwell_ms is not None:
        _absorb_largest(outcome, "dwell_ms", event.dwell_ms)


def _absorb_largest(outcome: Outcome, name: str, value: Any) -> None:
    if (mine := outcome.get(name)) is None or value > mine:
        outcome[name] = value


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


def _lift_vote(event: Any) -> Outcome:
    value, score = verdict(event.value, event.score, event.scale_min, event.scale_max)
    return {"votes": {_who(event): VOTE.of(event, value=value, score=score)}}


def _lift_flag(event: Any) -> Outcome:
    register = FLAG.of(event, active=int(event.status == "set"))
    return {"flags": {f"{event.label}{SEPARATOR}{_who(event)}": register}}


def _lift_edit(event: Any) -> Outcome:
    return {"corrections": {_who(event): CORRECTION.of(event)}}


def _lift_retention(event: Any) -> Outcome:
    current_length = 0 if event.status == "removed" else event.current_length
    register = RETENTION.of(
        event,
        current_length=UNKNOWN if current_length is None else current_length,
        branch_changed=int(event.branch_changed or False),
        range_clipped=int(event.range_clipped or False),
    )
    key = intern(str(event.horizon_s)) if event.horizon_s is not None else event.moment
    return {"retention": {key: register}}


def _lift_evaluation(event: Any) -> Outcome:
    key = SEPARATOR.join((event.name, event.annotator_kind, event.annotator or ""))
    return {"evaluations": {key: EVALUATION.of(event, has_value=int(event.value is not None))}}


_LIFTS: Final[dict[str, Callable[[Any], Outcome]]] = {
    "generation": _lift_generation,
    "action": _lift_action,
    "vote": _lift_vote,
    "flag": _lift_flag,
    "edit": _lift_edit,
    "retention_check": _lift_retention,
    "evaluation": _lift_evaluation,
}
