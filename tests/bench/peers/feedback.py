"""The join's rules for the peers in Python: what one event changes in the outcome of its generation."""

from typing import Any

DESCRIBES = (
    "environment", "user", "session", "operation", "surface", "language", "trigger", "provider", "model",
    "prompt_name", "prompt_version", "context_strategy", "step", "parent_generation_id", "experiment", "variant",
    "outcome", "finish_reason", "error_type", "input_tokens", "output_tokens", "cost_usd", "latency_ms",
    "time_to_first_token_ms",
)  # fmt: skip
# By type of event: where its latest state is kept, the fields that tell one subject from another, and what is kept.
REGISTERS = {
    "vote": ("votes", ("user",), ("value", "score", "scale_min", "scale_max")),
    "flag": ("flags", ("label", "user"), ("status", "severity", "valence")),
    "edit": ("edits", ("user",), ("distance", "original_length", "corrected_length", "origin")),
    "retention_check": (
        "checks",
        ("horizon_s", "moment"),
        ("status", "reason", "elapsed_ms", "accept_seq", "original_length", "current_length", "distance"),
    ),
    "evaluation": ("evaluations", ("name", "annotator_kind", "annotator"), ("value", "label")),
}


def new_outcome() -> dict[str, Any]:
    """The outcome of a generation of which nothing is known."""
    maps = ("first_at", "last_at", "votes", "flags", "edits", "checks", "evaluations")
    return {"generation": None, **{name: {} for name in maps}}


def apply(outcome: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    """Change the outcome by the event, and return it. Order and duplicates do not matter."""
    kind = event["type"]
    if kind == "generation":
        outcome["generation"] = _latest(outcome["generation"], event, DESCRIBES)
    elif kind == "action":
        _act(outcome, event)
    else:
        register, subject, kept = REGISTERS[kind]
        key = "/".join(str(event.get(name) or "") for name in subject)
        outcome[register][key] = _latest(outcome[register].get(key), event, kept)
    return outcome


def _act(outcome: dict[str, Any], event: dict[str, Any]) -> None:
    action, at = event["action"], event["occurred_at"]
    outcome["first_at"][action] = min(at, outcome["first_at"].get(action, at))
    outcome["last_at"][action] = max(at, outcome["last_at"].get(action, at))
    if "length" in event:
        name = "shown_length" if action == "shown" else "accepted_length"
        outcome[name] = max(event["length"], outcome.get(name, 0))
    if "dwell_ms" in event:
        outcome["dwell_ms"] = max(event["dwell_ms"], outcome.get("dwell_ms", 0))


def _latest(known: dict[str, Any] | None, event: dict[str, Any], kept: tuple[str, ...]) -> dict[str, Any]:
    version = [event.get("revision") or 0, event["occurred_at"], event["event_id"]]
    if known is not None and known["version"] >= version:
        return known
    return {"version": version, **{name: event[name] for name in kept if name in event}}
