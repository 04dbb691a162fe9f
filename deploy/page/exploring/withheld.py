"""One generation without what users and models wrote, for those who may see that there is one. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from keeprate.deploy.page.answers import Json
from keeprate.schemas.forgotten import KEPT

SHOWN: Final = KEPT | {"user", "session", "trace_id", "choice_count", "content_mode"}
"""Of an event: what stays where a person is forgotten, and what tells people and traces apart."""


def without_texts(found: Json) -> Json:
    """The answer with no field of an event that may hold a text, and without what was made of texts."""
    generation = found["generation"]
    return found | {
        "generation": generation and _shown(generation),
        "events": [_shown(event) for event in found["events"]],
        "chain": [_shown(stage) for stage in found["chain"]],
        "changes": [],
        "withheld": True,
    }


def _shown(event: Mapping[str, Any]) -> Json:
    return {name: value for name, value in event.items() if name in SHOWN}
