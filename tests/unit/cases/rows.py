"""Suggestions as a list has them, generations and corrections, for tests that make cases of them."""

from typing import Any

ID = "0197c0de-0000-7000-8000-00000000000{}"


def row(number: int = 1, **fields: Any) -> dict[str, Any]:
    """A suggestion that was shown, and nothing more."""
    plain: dict[str, Any] = dict.fromkeys(
        ("negative", "corrections", "undone", "accepted", "touchless", "votes_positive", "votes_negative"), 0
    )
    names = ("environment", "provider", "model", "prompt_name", "language", "surface", "experiment", "variant")
    plain |= dict.fromkeys((*names, "context_strategy", "trace_id", "state", "end_reason"), "")
    own = {"app": "support", "generation_id": ID.format(number), "choice_index": 0, "flag_labels": []}
    return plain | own | {"prompt_version": "v4"} | fields


def generation(number: int = 1, **fields: Any) -> dict[str, Any]:
    """A report of it with content."""
    own: dict[str, Any] = {
        "type": "generation",
        "app": "support",
        "generation_id": ID.format(number),
        "occurred_at": 1000 + number,
        "input": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Refund?"}],
        "output": [{"role": "assistant", "content": "Within 30 days."}],
    }
    return own | fields


def edit(text: str, at: int = 5000, **fields: Any) -> dict[str, Any]:
    """A correction."""
    return {"type": "edit", "event_id": f"e{at}", "occurred_at": at, "corrected_text": text, "origin": "user"} | fields
