"""Hypothesis strategies for events: small closed worlds, so that facts meet, tie and contradict each other."""

import uuid
from typing import Any

from hypothesis import strategies as st

from keeprate.schemas.decode import validate
from keeprate.schemas.events import ACTIONS, Event

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


def logs(max_size: int = 30) -> st.SearchStrategy[list[Event]]:
    """A log of events about a few suggestions."""
    return st.lists(events(), min_size=1, max_size=max_size)


def shuffled_with_duplicates(log: list[Event]) -> st.SearchStrategy[list[Event]]:
    """Every event of a log at least once, some more often, in any order."""
    return st.lists(st.sampled_from(log), max_size=len(log)).flatmap(lambda extra: st.permutations(log + extra))
