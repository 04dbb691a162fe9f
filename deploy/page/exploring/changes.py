"""What users made of an output: each correction, and each later look at it, as a word diff. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from keeprate.deploy.page.answers import Json
from keeprate.deploy.page.difference import by_words


def changes(generation: Mapping[str, Any] | None, events: Iterable[Mapping[str, Any]]) -> list[Json]:
    """In the order of the events. Only where both texts were captured, and not what the last look showed already."""
    found: list[Json] = []
    for event in events:
        before = output_of(generation, event.get("choice_index") or 0)
        after = _after(event)
        if before is None or after is None or before == after:
            continue
        pieces = [list(piece) for piece in by_words(before, after)]
        if found and found[-1]["pieces"] == pieces:
            continue
        own = {name: event.get(name) for name in ("event_id", "type", "occurred_at", "horizon_s", "moment", "origin")}
        found.append(own | {"status": event.get("status"), "pieces": pieces})
    return found


def output_of(generation: Mapping[str, Any] | None, choice_index: int) -> str | None:
    """The text that a choice of a generation has; None where it was not captured or is no text."""
    output = (generation or {}).get("output") or []
    content = output[choice_index].get("content") if choice_index < len(output) else None
    return content if isinstance(content, str) else None


def _after(event: Mapping[str, Any]) -> str | None:
    if event["type"] == "edit":
        text: str | None = event.get("corrected_text")
        return text
    if event["type"] != "retention_check":
        return None
    return "" if event.get("status") == "removed" else event.get("current_text")
