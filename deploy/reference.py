"""The reference of the events in docs/events.md, from the contract: `python -m keeprate.deploy.reference [--write]`.

Of each event every field with its meaning, form and bounds, an example, and the same in Python, JavaScript and curl. A
test fails when the page and the contract part ways, or when a field has no meaning here.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from keeprate.schemas import json_schema
from keeprate.schemas.events import EVENT_TYPES, Envelope

PAGE: Final = Path("docs") / "events.md"
BEGIN: Final = "<!-- from here on: python -m keeprate.deploy.reference --write -->"
_EXAMPLES: Final = Path(json_schema.__file__).with_name("examples") / "v1"
_FILLED: Final = ("event_id", "schema_version", "occurred_at", "app", "environment", "producer_id", "producer_seq")
"""What SDK and collector fill in, so that examples leave it out."""

MEANINGS: Final[Mapping[str, str]] = {
    # Every event.
    "event_id": "makes the event one, however often it is sent; SDK and collector make one",
    "schema_version": "of the contract; filled in",
    "occurred_at": "when it happened, by the client's clock; filled in",
    "app": "the name under which the metrics appear; of a collector's key, filled in",
    "generation_id": "which generation; what joins feedback to it",
    "environment": "for example production",
    "user": "whose generation or feedback it is",
    "session": "a conversation, or whatever else events of one sitting share",
    "choice_index": "which of several suggestions of the generation, from 0",
    "revision": "corrects an earlier fact",
    "external_id": "the provider's id of the response; may stand for the generation_id at the collector",
    "producer_id": "the client that numbered it, so that gaps show; an SDK's own",
    "producer_seq": "the event's number of that client, without gaps from 1",
    "trace_id": "OpenTelemetry's trace",
    "span_id": "OpenTelemetry's span",
    "attributes": "an app's own, texts by name; no metric reads them",
    "type": "which event it is",
    # Generations.
    "operation": "chat, text_completion, execute_tool or the like",
    "surface": "where the user sees it, such as inline or chat",
    "language": "of what is written, such as python or de",
    "trigger": "what made it, such as automatic or manual",
    "provider": "who runs the model",
    "model": "which model answered",
    "prompt_name": "the prompt or template; releases are judged for each",
    "prompt_version": "its version; a new one is a release",
    "prompt_variables": "what was put into the template",
    "context_strategy": "retrieval, open tabs, none, …",
    "context_sources": "what was in the prompt: names, paths, addresses",
    "tools_offered": "names of tools that the model could call",
    "tools_called": "names of those that it called",
    "content_mode": "what of the texts was sent; the SDK says it",
    "input": "what the model read",
    "output": "what it wrote, one element for each choice",
    "choice_count": "how many suggestions, where output does not say",
    "parameters": "temperature and the like",
    "input_tokens": "as the provider counts",
    "output_tokens": "as the provider counts",
    "cost_usd": "what the call cost",
    "latency_ms": "from the call to its end",
    "time_to_first_token_ms": "from the call to the first piece",
    "finish_reason": "the provider's word for why it ended",
    "error_type": "of a call that failed",
    "error_message": "of a call that failed",
    "outcome": "what came of the call",
    "parent_generation_id": "the call around this one, for steps of chains and agents",
    "step": "which step",
    "experiment": "an experiment's name",
    "variant": "the arm of the experiment",
    # What users do.
    "action": "what was done",
    "length": "of what was shown, or accepted so far",
    "lines": "of what was shown, or accepted so far",
    "dwell_ms": "how long it was in sight",
    "accept_seq": "an accept after an undo is another one, from 1",
    "accept_mode": "who accepted",
    "formatted": "a formatter changed the text as it was taken",
    "label": "what was seen, or judged",
    "status": "the state",
    "severity": "how bad it is",
    "valence": "whether the flag is praise or blame",
    "comment": "the user's own words",
    "value": "the verdict, or the judged value",
    "score": "on a scale of the app's own",
    "scale_min": "the scale's lower end",
    "scale_max": "its upper end",
    "corrected_text": "what it should have been",
    "original_length": "of the output, or of the accepted text",
    "corrected_length": "of the correction",
    "distance": "how many characters differ",
    "origin": "who corrected",
    "explanation": "why it was judged so",
    # Retention.
    "horizon_s": "how long after the accept this look was due",
    "moment": "what occasioned the look",
    "elapsed_ms": "how long after the accept it was",
    "reason": "why nothing could be seen",
    "current_length": "of what the accepted text has become",
    "original_lexemes": "words and symbols of the accepted text",
    "lexeme_distance": "how many of them differ",
    "four_gram": "share of the accepted four-grams that are still there",
    "no_revert": "1 less how far the text went back to what it was before",
    "retained_length": "how much is still there",
    "total_length": "of the document",
    "branch_changed": "another branch was checked out since",
    "range_clipped": "the range could not be followed to its ends",
    "current_text": "what the accepted text has become; without it the page knows how much changed, and not into what",
    # Judges.
    "name": "what is judged, such as groundedness",
    "annotator_kind": "who judges",
    "annotator": "which judge",
}
_PYTHON: Final[Mapping[str, str]] = {
    "generation": (
        'generation = client.generation(\n    model="gpt-5-mini", prompt_name="complete-line", prompt_version="12",\n'
        '    input="def add(a, b):", output="    return a + b", user="alice@example.org",\n)'
    ),
    "action": "generation.shown(dwell_ms=1200).accept()",
    "vote": 'generation.vote(+1, comment="exactly what I wanted")',
    "flag": 'generation.flag("hallucination", severity="high").unflag("hallucination")',
    "edit": 'generation.edit("    return a - b")',
    "retention_check": 'generation.retention_check(horizon_s=30, current_text="    return a - b", elapsed_ms=30_250)',
    "evaluation": 'generation.evaluation("helpfulness", value=0.83, kind="llm", annotator="judge-3")',
}
_JAVASCRIPT: Final[Mapping[str, str]] = {
    "generation": (
        'const generation = server.generation({\n  model: "gpt-5-mini", prompt_name: "complete-line", '
        'prompt_version: "12",\n  input: "def add(a, b):", output: "    return a + b",\n});'
    ),
    "action": "generation.shown(undefined, { dwell_ms: 1200 }).accept();",
    "vote": 'generation.vote(1, { comment: "exactly what I wanted" });',
    "flag": 'generation.flag("hallucination", { severity: "high" }).unflag("hallucination");',
    "edit": 'generation.edit("    return a - b");',
    "retention_check": (
        'generation.retentionCheck({\n  status: "present", horizon_s: 30, elapsed_ms: 30_250,\n'
        "  original_length: 16, current_length: 16, distance: 1,\n});"
    ),
    "evaluation": (
        'generation.evaluation("helpfulness", { value: 0.83, annotator_kind: "llm", annotator: "judge-3" });'
    ),
}


def rendered(page: str) -> str:
    """The page with its reference made anew."""
    before, found, _ = page.partition(BEGIN)
    if not found:
        raise ValueError(f"docs/events.md has lost the line after which the reference stands: {BEGIN}")
    return before + BEGIN + "\n\n" + "\n".join(_reference()) + "\n"


def _reference() -> Iterator[str]:
    forms = json_schema.event_schema()["$defs"]
    of_all = list(Envelope.__annotations__)
    yield (
        "## Reference\n\nEvery event has a `type` and these; those that are filled in may be left out. In the examples "
        "`client` is\nPython's, `Keeprate(…)`, and `server` that of JavaScript, from [keeprate/node](javascript.md).\n"
    )
    yield from _table(forms["Generation"], of_all)
    for kind in EVENT_TYPES:
        form = forms["".join(word.capitalize() for word in kind.split("_"))]
        yield f"\n### `{kind}`\n\n{form['description']}\n"
        yield from _table(form, [name for name in form["properties"] if name not in of_all and name != "type"])
        for language, snippet in (("python", _PYTHON[kind]), ("js", _JAVASCRIPT[kind]), ("console", _curl(kind))):
            yield f"\n```{language}\n{snippet}\n```"


def _table(form: Mapping[str, Any], names: list[str]) -> Iterator[str]:
    yield "| field | meaning | form and bounds |\n|---|---|---|"
    for name in names:
        required = "; required" if name in form["required"] else ""
        yield f"| `{name}` | {MEANINGS[name]} | {_form(form['properties'][name])}{required} |"


def _form(field: Mapping[str, Any]) -> str:
    kind = field.get("anyOf", [field])[0]
    said = kind.get("description") or field.get("description") or ""
    bounds = _bounds(kind)
    form = bounds or {"string": "text", "array": "list", "object": "object", "boolean": "true or false"}.get(
        kind.get("type", ""), kind.get("type", "")
    )
    return "; ".join(filter(None, (form if form != "text" or not said else "", said)))


def _bounds(kind: Mapping[str, Any]) -> str:
    if "enum" in kind:
        return ", ".join(f"`{value}`" for value in kind["enum"])
    if kind.get("type") in ("integer", "number"):
        most = f"{kind['maximum']:.16g}" if "maximum" in kind else f"below {kind['exclusiveMaximum']:.16g}"
        return f"{kind['type']}, {kind['minimum']:.16g} to {most}"
    if kind.get("type") == "string" and "maxLength" in kind:
        return f"text, to {kind['maxLength']} characters"
    return ""


def example(kind: str) -> dict[str, Any]:
    """The golden example of a type, without what SDK and collector fill in."""
    event = json.loads((_EXAMPLES / f"{kind}.json").read_text("utf-8"))[0]
    return {name: value for name, value in event.items() if name not in _FILLED}


def _curl(kind: str) -> str:
    fields = [f"  {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in example(kind).items()]
    head = (
        '$ curl "$KEEPRATE_URL/v1/events" -H "Authorization: Bearer $KEEPRATE_KEY" -H "Content-Type: application/json"'
    )
    return f"{head} -d '{{\n" + ",\n".join(fields) + "\n}'"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.write_text(rendered(PAGE.read_text("utf-8")), "utf-8")
    else:
        sys.stdout.write(rendered(PAGE.read_text("utf-8")))
