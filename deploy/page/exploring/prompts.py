"""What a release changed in its prompt: the texts of both versions, where apps send them, as a word diff.

An app sends no templates but messages, so a version's prompt is what its newest calls say as `system` or `developer`.
Where that is not the same in all of them, as with a template that is filled, the most frequent one stands for them.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from keeprate.deploy.page.answers import Json
from keeprate.deploy.page.difference import by_words
from keeprate.deploy.page.parts import released
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.selection import Selection
from keeprate.sinks.closed.release_verdicts import KeptVerdict
from keeprate.sinks.facts.chain import reports
from keeprate.sinks.reading.lists.listing import Listing, page
from keeprate.sinks.reading.scope import Scope

OWN: Final = ("release",)
LOOKED_AT: Final = 20
"""Calls of each version that are read, the newest."""
_ROLES: Final = ("system", "developer")


@dataclass(frozen=True)
class PromptText:
    """A version's prompt. same: how many of the calls that were read have this text; None for no text in any."""

    version: str
    text: str | None
    same: int
    calls: int


def prompts(reads: Reads, selection: Selection, on_read: Callable[[str, str], object]) -> Json:
    """The prompts of a release and of what it replaced, and what changed. It reads content.

    on_read: told the app and the id of each generation whose content was read.
    """
    found = [each for each in released.each(reads, selection) if each.component == "prompt_version"]
    name = selection.own("release")
    chosen = next((each for each in found if name in ("", released.key(each))), None)
    if chosen is None or not reads.sight.may_read(chosen.app):
        return {"release": name, "withheld": chosen is not None, "old": None, "new": None, "pieces": None}
    old, new = (_of_version(reads, chosen, version, on_read) for version in (chosen.predecessor, chosen.version))
    both = old.text is not None and new.text is not None
    return {
        "release": released.key(chosen),
        "withheld": False,
        "old": vars(old),
        "new": vars(new),
        "pieces": [list(piece) for piece in by_words(old.text or "", new.text or "")] if both else None,
    }


def _of_version(reads: Reads, kept: KeptVerdict, version: str, on_read: Callable[[str, str], object]) -> PromptText:
    only = {"app": [kept.app], "prompt_name": [kept.family], "prompt_version": [version]}
    scope = Scope(kept.released_at - released.LISTED_FOR, reads.now, reads.now, only=only)
    ids = [row.identity[1] for row in page(reads.client, Listing(scope, limit=LOOKED_AT)).rows]
    for generation_id in ids:
        on_read(kept.app, generation_id)
    return text_of(version, reports(reads.client, kept.app, ids))


def text_of(version: str, calls: Iterable[Mapping[str, Any]]) -> PromptText:
    """What most of the calls say as the system; of equals, the one that sorts first, whatever their order."""
    said = [_system(call) for call in calls]
    texts = Counter(text for text in said if text)
    if not texts:
        return PromptText(version, None, 0, len(said))
    text, same = min(texts.items(), key=lambda each: (-each[1], each[0]))
    return PromptText(version, text, same, len(said))


def _system(call: Mapping[str, Any]) -> str:
    if call.get("content_mode") == "hashed":
        return ""
    contents = [each.get("content") for each in call.get("input") or [] if each.get("role") in _ROLES]
    return "\n\n".join(each for each in contents if isinstance(each, str))
