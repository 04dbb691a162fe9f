"""Hypothesis strategies for events: small closed worlds, so that facts meet, tie and contradict each other."""

import math
import uuid
from typing import Any

from hypothesis import strategies as st

from keeprate.schemas.decode import validate
from keeprate.schemas.events import ACTIONS, EVENT_TYPES, Event
from keeprate.schemas.json_schema import event_schema

BASE_MS = 1_764_000_000_000


def _identity(number: int) -> str:
    return str(uuid.UUID(int=0x0198C0DE_0000_7000_8000_000000000000 + number))


@st.composite
def _envelopes(draw: st.DrawFn) -> dict[str, Any]:
    return {
        # A small range, so that two different facts can share time and revision, and even an id.
        "event_id": _identity(draw(st.integers(0, 400))),
        "schema_version": 1,
        "occurred_at": BASE_MS + draw(st.integers(0, 5)) * 1000,
        "app": draw(st.sampled_from(["chat", "editor"])),
        "generation_id": _identity(draw(st.integers(1000, 1002))),
        "choice_index": draw(st.sampled_from([None, 0, 1])),
        "revision": draw(st.sampled_from([None, 0, 1])),
        "user": draw(st.sampled_from([None, "u1", "ü2"])),
    }


def _bodies() -> st.SearchStrategy[dict[str, Any]]:
    lengths = st.sampled_from([None, 0, 3, 14])
    return st.one_of(
        st.fixed_dictionaries(
            {
                "type": st.just("generation"),
                "model": st.sampled_from([None, "m1", "m2"]),
                "choice_count": st.sampled_from([None, 1, 2]),
                "cost_usd": st.sampled_from([None, 0.1, 1.0]),
                "latency_ms": st.sampled_from([None, 0, 250]),
                "tools_offered": st.sampled_from([None, ["search"], ["search", "edit"], ["edit", "search", "edit"]]),
            }
        ),
        st.fixed_dictionaries(
            {
                "type": st.just("action"),
                "action": st.sampled_from([*ACTIONS, "x_pin"]),
                "length": lengths,
                "lines": st.sampled_from([None, 1]),
                "dwell_ms": st.sampled_from([None, 0, 800]),
                "accept_seq": st.sampled_from([None, 1, 2]),
                "accept_mode": st.sampled_from([None, "user", "auto"]),
            }
        ),
        st.fixed_dictionaries({"type": st.just("vote"), "value": st.sampled_from([-1, 0, 1])}),
        st.fixed_dictionaries(
            {
                "type": st.just("vote"),
                "score": st.sampled_from([1.0, 2, 3.5]),
                "scale_min": st.just(1),
                "scale_max": st.just(5),
            }
        ),
        st.fixed_dictionaries(
            {
                "type": st.just("flag"),
                "label": st.sampled_from(["wrong", "rude"]),
                "status": st.sampled_from(["set", "unset"]),
                "valence": st.sampled_from([None, "positive", "neutral"]),
            }
        ),
        st.fixed_dictionaries({"type": st.just("edit"), "corrected_text": st.sampled_from(["", "a", "\U0001f600"])}),
        _checks(),
        st.fixed_dictionaries(
            {
                "type": st.just("evaluation"),
                "name": st.sampled_from(["helpful", "bleu"]),
                "annotator_kind": st.sampled_from(["human", "llm", "code"]),
                "annotator": st.sampled_from([None, "judge", "j\x1fudge"]),
                "value": st.sampled_from([None, -1.0, 0, 0.5]),
                "label": st.sampled_from(["good", "bad"]),
            }
        ),
    )


def _checks() -> st.SearchStrategy[dict[str, Any]]:
    present = st.fixed_dictionaries(
        {
            "status": st.just("present"),
            "original_length": st.just(14),
            "current_length": st.sampled_from([13, 14]),
            "distance": st.sampled_from([1, 4]),
            "four_gram": st.sampled_from([None, 0.5, 1]),
        }
    )
    removed = st.fixed_dictionaries({"status": st.just("removed"), "original_length": st.sampled_from([None, 14])})
    unobserved = st.fixed_dictionaries({"status": st.just("unobserved"), "reason": st.just("exit")})
    when = st.one_of(
        st.fixed_dictionaries({"horizon_s": st.sampled_from([30, 120])}),
        st.fixed_dictionaries({"moment": st.just("commit")}),
    )
    rest = st.fixed_dictionaries(
        {
            "type": st.just("retention_check"),
            "elapsed_ms": st.sampled_from([120_000, 140_000]),
            "accept_seq": st.sampled_from([None, 1, 2]),
            "branch_changed": st.sampled_from([None, True]),
        }
    )
    return st.tuples(st.one_of(present, removed, unobserved), when, rest).map(
        lambda parts: parts[0] | parts[1] | parts[2]
    )


def events() -> st.SearchStrategy[Event]:
    """One valid event of any type."""
    return st.tuples(_envelopes(), _bodies()).map(lambda parts: validate(parts[0] | parts[1]))


_SCHEMA = event_schema()
_TEXTS = {
    "user": ["u1", "a\x1fb", "\x00", "ü" * 200, "\U0001f600"],
    "action": ["shown", "accept", "accept_partial", "undo", "x_0", "x_" + "z" * 60],
    "app": ["chat", "A" * 100, "0._-"],
    "label": ["wrong", "a" * 100, "a:.-_0"],
    "name": ["helpful", "a:.-_0"],
    "parent_generation_id": [_identity(1000), _identity(1001).upper()],
    "trace_id": ["0" * 32, "f" * 32],
    "span_id": ["0" * 16],
}
_CONTENT: list[Any] = [None, "", "text", ["a", "b"], {"role": "r", "content": {"deep": [1.5, 2**64 - 1]}}, ["c"] * 64]
_FREE: dict[str, list[Any]] = {
    "input": _CONTENT,
    "output": _CONTENT,
    "parameters": [None, {}, {"a": 1e308, "b": -(2**63), "": [None]}],
    "prompt_variables": [None, {"a": 5e-324}],
    "tools_offered": [None, [], ["t"] * 3],
    "tools_called": [None, ["t"] * 4096],
    "context_sources": [None, [""]],
    "attributes": [None, {}, {"a": ""}],
}


def _at_bounds(name: str, schema: dict[str, Any]) -> list[Any]:
    """The least and the most that a field may be, and nothing where it may be absent."""
    if name in _FREE:
        return _FREE[name]
    forms = schema.get("anyOf", [schema])
    form = forms[0]
    absent = [None] if len(forms) > 1 else []
    if "enum" in form or "const" in form:
        return [*absent, *form.get("enum", [form.get("const")])]
    if form["type"] in ("integer", "number"):
        most = form["maximum"] if "maximum" in form else math.nextafter(form["exclusiveMaximum"], 0)
        more = [5e-324, most / 3] if form["type"] == "number" else []
        return [*absent, form["minimum"], most, *more]
    if form["type"] == "boolean":
        return [*absent, False, True]
    return [*absent, *_TEXTS.get(name, ["x", "y" * 200])]


@st.composite
def odd_events(draw: st.DrawFn) -> Event:
    """A valid event of any type with whatever fields, at the bounds of what each may be."""
    event_type = draw(st.sampled_from(EVENT_TYPES))
    schema = _SCHEMA["$defs"][_SCHEMA["discriminator"]["mapping"][event_type].rpartition("/")[2]]
    required, fields = set(schema["required"]), schema["properties"]
    chosen = draw(st.sets(st.sampled_from(sorted(fields)), max_size=12)) | required
    event = {name: draw(st.sampled_from(_at_bounds(name, fields[name]))) for name in sorted(chosen)}
    event |= {
        "event_id": _identity(draw(st.integers(0, 9))),
        "generation_id": draw(st.sampled_from([_identity(1000), _identity(1001).upper()])),
        "type": event_type,
        **_ruled(draw, event_type),
    }
    return validate(event)


def _ruled(draw: st.DrawFn, event_type: str) -> dict[str, Any]:
    """Fields that are bound to each other."""
    if event_type == "vote":
        low, high = draw(st.sampled_from([(-1e15, 1e15), (0.0, 5e-324), (-1e15, math.nextafter(-1e15, 0)), (1, 5)]))
        score = draw(st.sampled_from([low, high, (low + high) / 2]))
        verdict = {"value": draw(st.sampled_from([-1, 0, 1])), "score": None}
        return draw(st.sampled_from([verdict, {"value": None, "score": score, "scale_min": low, "scale_max": high}]))
    if event_type == "edit":
        lengths = {"original_length": 10**9, "corrected_length": 0, "distance": 10**9}
        return draw(st.sampled_from([lengths, {"distance": None, "corrected_text": "\x00"}]))
    if event_type == "retention_check":
        status, current = draw(st.sampled_from([("present", 1), ("removed", 0), ("unobserved", None)]))
        horizon_s, moment = draw(st.sampled_from([(1, None), (10 * 366 * 86_400, None), (None, "commit")]))
        return {
            "status": status,
            "reason": "exit",
            "horizon_s": horizon_s,
            "moment": moment,
            "original_length": 10**9,
            "current_length": current,
            "distance": 10**9,
            "elapsed_ms": draw(st.sampled_from([10 * 366 * 86_400_000, 11 * 366 * 86_400_000])),
        }
    if event_type == "evaluation":
        return {"value": draw(st.sampled_from([-1e15, 0, 1e15, 5e-324, None])), "label": "good"}
    return {}


def logs(max_size: int = 30) -> st.SearchStrategy[list[Event]]:
    """A log of events about a few suggestions."""
    return st.lists(events(), min_size=1, max_size=max_size)


def shuffled_with_duplicates(log: list[Event]) -> st.SearchStrategy[list[Event]]:
    """Every event of a log at least once, some more often, in any order."""
    return st.lists(st.sampled_from(log), max_size=len(log)).flatmap(lambda extra: st.permutations(log + extra))
