"""What a reviewer must not read before they have spoken, and answers without it. Pure.

A suggestion that somebody holds is, opened, as their queue shows it, and in no list, sheet or suite: without some of
its fields it would still be told of by a list's filter, and by its place in one.
"""

from collections.abc import Collection, Mapping
from typing import Any

from keeprate.deploy.page.answers import Json


def blinded(found: Json, all_of_it: bool) -> Json:
    """A generation's story without what would sway a reviewer: judges and experts; with `all_of_it`, users too."""
    kept = [event for event in found["events"] if not sways(event, all_of_it)]
    ids = {event["event_id"] for event in kept}
    changes = [each for each in found["changes"] if each["event_id"] in ids]
    return found | {"events": kept, "changes": changes, "blind": True}


def sways(event: Mapping[str, Any], all_of_it: bool) -> bool:
    """Whether who reads an event has read what others think: of judges and experts; with `all_of_it`, of users too."""
    if event["type"] == "generation":
        return False
    is_expert = event["type"] == "edit" and event.get("origin") == "expert"
    return all_of_it or is_expert or event["type"] == "evaluation"


def without(answer: Any, held: Collection[str]) -> Any:
    """An answer without all that names one of these generations: no item of a list, and null for a thing by itself."""
    if isinstance(answer, dict):
        return {name: None if _names(each, held) else without(each, held) for name, each in answer.items()}
    if isinstance(answer, list):
        return [without(each, held) for each in answer if not _names(each, held)]
    return answer


def _names(thing: Any, held: Collection[str]) -> bool:
    return isinstance(thing, dict) and thing.get("generation_id") in held
