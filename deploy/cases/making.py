"""From what the store has of a suggestion to a case, or to the reason why there is none. Pure.

A case's name is a digest of the app, the stage and what that was given, without the system's prompt: two suggestions
for the same request, under two versions of a prompt, are one case. Of several, the one with a correction is kept, an
expert's before a user's, and the latest.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from keeprate.deploy.cases.suite import Case, Json
from keeprate.producers.text import MOSTLY_BELOW

MOST_SAME: Final = 20
"""Of the other suggestions of a case, how many are named."""
_SYSTEM: Final = ("system", "developer")
_DIGITS: Final = 16
_OF_STAGE: Final = (
    *("generation_id", "parent_generation_id", "step", "operation", "provider", "model", "prompt_name"),
    *("prompt_version", "context_strategy", "context_sources", "prompt_variables", "parameters", "tools_offered"),
    *("tools_called", "input", "output", "error_type"),
)
_OF_SOURCE: Final = (
    *("app", "environment", "provider", "model", "prompt_name", "prompt_version", "language", "surface"),
    *("context_strategy", "experiment", "variant", "trace_id", "flag_labels", "votes_positive", "votes_negative"),
)
REASONS: Final[Mapping[str, tuple[str, str]]] = {
    "hashed": (
        "its app sends hashes in place of content",
        "Keeprate(app, content='full'), with redact= for what must not leave: later suggestions can be cases",
    ),
    "off": (
        "its app sends no content",
        "Keeprate(app, content='full'), with redact= for what must not leave: later suggestions can be cases",
    ),
    "no_input": ("its app did not send what the model was given", "give input= with the generation, or use a wrapper"),
    "orphan": ("its generation has not arrived", "keeprate trace ID says what has"),
}
"""Why a suggestion is no case, and what would do."""


@dataclass(frozen=True)
class LeftOut:
    """A suggestion that no case can be made of. reason: one of REASONS."""

    reason: str
    app: str
    generation_id: str

    def as_json(self) -> Json:
        """As the last lines of a suite have it."""
        why, remedy = REASONS[self.reason]
        own = {"left_out": self.reason, "app": self.app, "generation_id": self.generation_id}
        return own | {"why": why, "remedy": remedy}


def make(row: Mapping[str, Any], fate: str, chain: Sequence[Json], edits: Sequence[Json], link: str) -> Case | LeftOut:
    """The case of a suggestion.

    row: as a list has it. fate: in a word. chain: the reports of its stages, with its own. edits: its corrections.
    link: where it is shown.
    """
    app, generation_id, choice = row["app"], row["generation_id"], row["choice_index"]
    own = next((each for each in chain if each["generation_id"] == generation_id), None)
    if own is None:
        return LeftOut("orphan", app, generation_id)
    if (mode := own.get("content_mode")) in ("hashed", "off"):
        return LeftOut(mode, app, generation_id)
    if not own.get("input") and not own.get("prompt_variables"):
        return LeftOut("no_input", app, generation_id)
    output, correction = output_of(own, choice), best_correction(edits, choice)
    expected, said_by = _expected(row, output, correction)
    return Case(
        identity=identity_of(own),
        app=app,
        step=own.get("step") or "",
        input=own.get("input") or [],
        prompt_variables=own.get("prompt_variables") or {},
        parameters=own.get("parameters") or {},
        tools_offered=own.get("tools_offered") or [],
        stages=[_kept(each, _OF_STAGE) | _hidden(each) for each in chain] if len(chain) > 1 else [],
        output=output,
        expected=expected,
        expected_from=said_by,
        checks=_checks(row, expected, output),
        source=_source(row, fate, own, correction, link),
    )


def identity_of(generation: Mapping[str, Any]) -> str:
    """The name of the case that a generation's input makes."""
    messages = generation.get("input") or []
    asked = [each for each in messages if each.get("role") not in _SYSTEM] or messages
    what = [generation["app"], generation.get("step"), asked, generation.get("prompt_variables")]
    return "c" + hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:_DIGITS]


def output_of(generation: Mapping[str, Any], choice: int) -> str | None:
    """A choice's text; of parts, the texts in them, and of a call of tools alone, that as JSON. None without any."""
    output = generation.get("output") or []
    if choice >= len(output):
        return None
    content, calls = output[choice].get("content"), output[choice].get("tool_calls")
    if isinstance(content, list):
        content = "".join(
            part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    if isinstance(content, str) and (content or not calls):
        return content
    return json.dumps(calls, sort_keys=True) if calls else None if content is None else json.dumps(content)


def best_correction(edits: Iterable[Json], choice: int) -> Json | None:
    """The correction that counts: an expert's before others', and the latest; none that its author took back."""
    of_choice = sorted((each for each in edits if (each.get("choice_index") or 0) == choice), key=_weight)
    standing: dict[str, Json] = {}
    for each in of_choice:
        if each.get("corrected_text"):
            standing[_author(each)] = each
        elif each.get("distance") == 0:
            standing.pop(_author(each), None)
    return max(standing.values(), key=_weight, default=None)


def _author(edit: Mapping[str, Any]) -> str:
    return edit.get("user") or edit.get("session") or ""


def _weight(edit: Mapping[str, Any]) -> tuple[Any, ...]:
    return edit.get("origin") == "expert", edit.get("revision") or 0, edit["occurred_at"], edit["event_id"]


def is_refused(row: Mapping[str, Any]) -> bool:
    """Whether users said or did something against a suggestion."""
    lost = row["state"] in ("removed", "changed") or row["undone"] or row["end_reason"] == "rejected"
    return bool(row["negative"] or row["corrections"] or lost)


def is_kept(row: Mapping[str, Any]) -> bool:
    """Whether users took a suggestion and kept it, and said nothing against it."""
    kept = row["touchless"] or (row["accepted"] and row["state"] in ("unchanged", "mostly"))
    return bool(kept and not is_refused(row))


def _expected(row: Mapping[str, Any], output: str | None, correction: Json | None) -> tuple[str | None, str]:
    if correction is not None:
        return correction["corrected_text"], "correction"
    return (output, "kept") if output is not None and is_kept(row) else (None, "")


def _checks(row: Mapping[str, Any], expected: str | None, output: str | None) -> list[Json]:
    if expected is not None:
        return [{"check": "distance", "below": MOSTLY_BELOW}]
    if output and is_refused(row):
        return [{"check": "unlike", "from": MOSTLY_BELOW}]
    return [{"check": "nonempty"}]


def _source(row: Mapping[str, Any], fate: str, own: Json, correction: Json | None, link: str) -> Json:
    where = {"generation_id": row["generation_id"], "choice_index": row["choice_index"], "link": link}
    became = {"occurred_at": own["occurred_at"], "fate": fate, "state": row["state"]}
    said = {} if correction is None else {"correction": _kept(correction, ("event_id", "origin", "occurred_at"))}
    return where | {name: value for name, value in became.items() if value} | _kept(row, _OF_SOURCE) | said


def _kept(value: Mapping[str, Any], names: Iterable[str]) -> Json:
    return {name: value[name] for name in names if value.get(name) not in (None, "", [], {}, 0)}


def _hidden(stage: Mapping[str, Any]) -> Json:
    """That a stage's content is none, where it is not."""
    mode = stage.get("content_mode")
    return {"content_mode": mode} if mode in ("hashed", "off") else {}


def distinct(cases: Iterable[Case]) -> list[Case]:
    """Each case once, in the order in which it came first, with the other suggestions that it is of."""
    kept: dict[str, Case] = {}
    others: dict[str, list[str]] = {}
    for case in cases:
        before = kept.get(case.identity)
        others.setdefault(case.identity, []).append(case.generation_id)
        if before is None or _worth(case) > _worth(before):
            kept[case.identity] = case
    return [_with_others(case, others[case.identity]) for case in kept.values()]


def _worth(case: Case) -> tuple[Any, ...]:
    correction = case.source.get("correction") or {}
    is_one, is_experts = bool(correction), correction.get("origin") == "expert"
    return (
        is_one,
        is_experts,
        case.expected is not None,
        correction.get("occurred_at", 0),
        case.source.get("occurred_at", 0),
    )


def _with_others(case: Case, ids: Sequence[str]) -> Case:
    same = [each for each in ids if each != case.generation_id]
    if not same:
        return case
    return replace(case, source=case.source | {"same": same[:MOST_SAME], "same_count": len(same)})
