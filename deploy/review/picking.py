"""Which suggestions a queue holds, and in which order: by rule, and of what is contradictory the most. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import log2
from typing import Any, Final

from keeprate.deploy.review.settings import Queue
from keeprate.sinks.reading.lists.conditions import Condition
from keeprate.sinks.reading.lists.listing import Listing, Suggestion
from keeprate.sinks.reading.measures import SAID
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.reading.voices import KEPT, Scales

_HASH_RANGE: Final = 1_000_000
_LOOKED_THROUGH: Final = 500
"""Rows of which the most informative are chosen, the newest."""
_STRATA: Final = ("app", "prompt_version", "model", "language")
_SEEN: Final = Condition("(shown OR auto_applied)")


def listing_of(queue: Queue, now: datetime, horizon_s: int, scales: Scales) -> Listing:
    """The question whose answer a queue's suggestions are. horizon_s: where the queue says none."""
    scope = Scope(now - timedelta(days=queue.days), now, now, only={"app": queue.apps} if queue.apps else {})
    asked = Listing(scope, horizon_s=queue.horizon_s or horizon_s, limit=queue.most)
    match queue.rule:
        case "flagged":
            return replace(asked, signals=["flagged"])
        case "not_kept":
            return replace(asked, fate="not_kept")
        case "disputed":
            return replace(asked, also=[disputed(scales)], values=scales.parameters())
        case "random":
            return replace(asked, also=[_SEEN, sampled()], values={"seed": queue.name, "below": _below(queue.share)})
        case "informative":
            return replace(asked, also=[_SEEN], limit=_LOOKED_THROUGH)


def disputed(scales: Scales) -> Condition:
    """A judge's side is the opposite of one that its user took, by words or by keeping."""
    sides = f"arrayMap((n, l) -> {scales.side('n', 'l')}, judged.evaluation, judged.label)"
    opposite = f"(x = 'good' AND (({SAID}) = 'bad' OR ({KEPT}) = 'bad')) OR (x = 'bad' AND (({SAID}) = 'good' OR "
    opposite += f"(({SAID}) = '' AND ({KEPT}) = 'good')))"
    return Condition(f"arrayExists(x -> {opposite}, {sides})")


def sampled() -> Condition:
    """A share of all suggestions, the same whoever asks and whenever: by a hash of what they are and of the queue."""
    identity = "{seed:String}, toString(app), toString(generation_id), choice_index"
    return Condition(f"sipHash64({identity}) % {_HASH_RANGE} < {{below:UInt32}}")


def _below(share: float) -> int:
    return max(1, round(share * _HASH_RANGE))


def in_order(
    queue: Queue, rows: Sequence[Suggestion], reviewed: Mapping[tuple[str, str, int], Any]
) -> list[Suggestion]:
    """The rows as they are given out. reviewed: by identity, those that an expert has judged."""
    if queue.rule != "informative":
        return list(rows)[: queue.most]
    return _informative(rows, reviewed)[: queue.most]


def _informative(rows: Sequence[Suggestion], reviewed: Mapping[tuple[str, str, int], Any]) -> list[Suggestion]:
    """The most contradictory first; of equals, those of the parts of the traffic that were looked at least.

    Greedy: each that is taken counts as looked at for the next, so that no part fills the queue.
    """
    looked_at = Counter(_stratum(row.values) for row in rows if row.identity in reviewed)
    left = sorted(rows, key=lambda row: -contradiction(row.values))
    found: list[Suggestion] = []
    while left:
        row = max(left[:_STRATA_AHEAD], key=lambda each: _worth(each, looked_at))
        left.remove(row)
        looked_at[_stratum(row.values)] += 1
        found.append(row)
    return found


_STRATA_AHEAD: Final = 60
"""So many of the most contradictory are weighed against each other at a time."""


def _worth(row: Suggestion, looked_at: Mapping[tuple[str, ...], int]) -> float:
    return contradiction(row.values) + 1 / (1 + looked_at[_stratum(row.values)])


def _stratum(values: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(values[name]) for name in _STRATA)


def contradiction(values: Mapping[str, Any]) -> float:
    """From 0 to 1: how far what is known of a suggestion speaks both for and against it.

    The entropy of its signs, in bits, each counted once; half a sign of each kind stands for what is not known.
    """
    signs_for = (values["accepted"], values["votes_positive"] > 0, values["state"] in ("unchanged", "mostly"))
    signs_against = (
        values["negative"],
        values["undone"],
        values["corrections"] > 0,
        values["end_reason"] == "rejected",
    )
    good = sum(map(bool, signs_for))
    bad = sum(map(bool, signs_against)) + (values["state"] in ("changed", "removed"))
    if not good + bad:
        return 0.0
    share = (bad + 0.5) / (good + bad + 1)
    known = (good + bad) / (good + bad + 1)
    return known * -(share * log2(share) + (1 - share) * log2(1 - share))
