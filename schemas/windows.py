"""What one outcome counts in 5-minute windows of event time: pure, and the only definition of these counts.

A window is of one app and five minutes, a segment of it of one combination of labels. `contribution` says what one
outcome counts in which windows; a window's counts are the sum over outcomes. A change of an outcome takes back what it
counted before and adds what it counts after it: nothing is counted by adding one per event.

    by the generation's time   requests, their status, tokens, cost and latency (one for each generation: choice 0),
                               and feedback: votes, flags, corrections, other actions (one for each suggestion)
    by the first shown         the funnel; an accept implies shown; what was only applied counts by its first use
    by the last accept         retention, by horizon
    by the first feedback      orphans, which count as nothing else and have no labels

**Invariant:** an outcome that has left the join's state counts in no open window, so the state is enough to count them.
It leaves eight days after its latest fact, and a window is open for OPEN_MS. So what is shown or accepted more than
ANSWER_MS after its generation counts only as such, at the generation's time. An orphan counts only where its id, a
UUIDv7, says that its generation is as young: else it may be no orphan, but an outcome that was forgotten. OPEN_MS and
ANSWER_MS leave a day for clocks that differ; a generation that is dated days after its own feedback is beyond that.
"""

import re
from bisect import bisect_left
from collections.abc import Callable, Collection
from operator import itemgetter
from typing import Any, Final

from keeprate.schemas.ids import uuid7_at_ms
from keeprate.schemas.kinds import MAX_COST_USD
from keeprate.schemas.outcome import ACCEPT, CORRECTION, FLAG, GENERATION, LATEST, RETENTION, VOTE, Outcome
from keeprate.schemas.window_answers import first_use, funnel, retention
from keeprate.schemas.window_names import (
    ANSWER_MS,
    AT,
    LABELS,
    LATENCY_BOUNDS_S,
    SHARED_ACTIONS,
    Amounts,
    Cell,
    Labels,
    Piece,
    places,
    window_of,
)

ReadLabels = Callable[[list[Any]], Labels]
"""Reads a segment's labels out of a generation's register."""


def read_labels(chosen: Collection[str] = LABELS) -> ReadLabels:
    """What reads the chosen labels; one that is not chosen reads '*'."""
    take: ReadLabels = itemgetter(*places(GENERATION, *LABELS))
    if set(chosen) == set(LABELS):
        return take
    kept = [name in chosen for name in LABELS]
    return lambda register: tuple(value if keep else "*" for value, keep in zip(take(register), kept, strict=True))


_all_labels: Final = read_labels()
_NO_LABELS: Final = ("",) * len(LABELS)
_OCCURRED: Final = LATEST.index("occurred_at Int64")
_ACCEPTED, _CHECKED = places(ACCEPT, "occurred_at")[0], places(RETENTION, "occurred_at")[0]
_ORPHANS, _SHOWN_AFTER, _ACCEPTED_AFTER = AT["orphans"], AT["shown_after_days"], AT["accepted_after_days"]


def contribution(key: str, outcome: Outcome, labels_of: ReadLabels = _all_labels) -> list[Piece]:
    """What an outcome counts, wherever that is. Equal outcomes count the same; the empty one counts nothing."""
    generation = outcome.get("generation")
    if generation is None:
        return _orphan(key, outcome)
    labels, generated_at = labels_of(generation), generation[_OCCURRED]
    ones, amounts = _feedback(outcome)
    if key.endswith("/0"):
        _request(generation, ones, amounts)
    pieces: list[Piece] = [(window_of(generated_at), labels, ones, amounts)]
    if first_at := outcome.get("first_at"):
        if (used_at := first_use(first_at)) is not None:
            if used_at - generated_at > ANSWER_MS:
                ones.append(_SHOWN_AFTER)
            else:
                pieces.append((window_of(used_at), labels, *funnel(outcome, first_at, used_at)))
        if accept := outcome.get("accept"):
            if accept[_ACCEPTED] - generated_at > ANSWER_MS:
                ones.append(_ACCEPTED_AFTER)
            else:
                pieces.append((window_of(accept[_ACCEPTED]), labels, *retention(outcome, accept)))
    return pieces


def _orphan(key: str, outcome: Outcome) -> list[Piece]:
    times: list[int] = list(outcome.get("first_at", {}).values())
    for name in ("votes", "flags", "corrections", "evaluations"):
        times += [register[_OCCURRED] for register in outcome.get(name, {}).values()]
    times += [check[_CHECKED] for check in outcome.get("retention", {}).values()]
    made_at = uuid7_at_ms(key.split("/")[1])
    if not times or made_at is None or min(times) - made_at > ANSWER_MS:
        return []
    return [(window_of(min(times)), _NO_LABELS, [_ORPHANS], [])]


_OUTCOME, _ERROR, _INPUT, _OUTPUT, _COST, _LATENCY, _FIRST_TOKEN = places(
    GENERATION,
    *("outcome", "error_type", "input_tokens", "output_tokens", "cost_usd", "latency_ms", "time_to_first_token_ms"),
)
_OPPORTUNITIES, _OK, _ERRORS, _TIMEOUTS = (
    AT[name] for name in ("opportunities", "generations_ok", "generations_error", "generations_timeout")
)
_STATUS: Final = {"filtered": AT["generations_refused"], "cancelled": AT["generations_cancelled"]}
_TIMED_OUT: Final = re.compile("timeout|timed_out", re.IGNORECASE)
_INPUT_TOKENS, _OUTPUT_TOKENS, _COST_KNOWN, _COST_NANO = (
    AT[name] for name in ("input_tokens", "output_tokens", "cost_known", "cost_nano_usd")
)
_LATENCY_KNOWN, _FIRST_TOKEN_KNOWN = AT["latency_known"], AT["first_token_known"]
_BOUNDS_MS: Final = tuple(bound * 1000 for bound in LATENCY_BOUNDS_S)


def _request(generation: list[Any], ones: list[Cell], amounts: Amounts) -> None:
    """One generation: its status and what it took."""
    ones.append(_OPPORTUNITIES)
    if (outcome := generation[_OUTCOME]) == "failed":
        ones.append(_TIMEOUTS if _TIMED_OUT.search(generation[_ERROR]) else _ERRORS)
    else:
        ones.append(_STATUS.get(outcome, _OK))
    if (tokens := generation[_INPUT]) > 0:
        amounts.append((_INPUT_TOKENS, tokens))
    if (tokens := generation[_OUTPUT]) > 0:
        amounts.append((_OUTPUT_TOKENS, tokens))
    if (cost_usd := generation[_COST]) >= 0:
        ones.append(_COST_KNOWN)
        amounts.append((_COST_NANO, round(min(cost_usd, MAX_COST_USD) * 1_000_000_000)))
    # Behind the count of those whose time is known stand its sum and its buckets.
    if (took_ms := generation[_LATENCY]) >= 0:
        ones += (_LATENCY_KNOWN, _LATENCY_KNOWN + 2 + bisect_left(_BOUNDS_MS, took_ms))
        amounts.append((_LATENCY_KNOWN + 1, took_ms))
    if (took_ms := generation[_FIRST_TOKEN]) >= 0:
        ones += (_FIRST_TOKEN_KNOWN, _FIRST_TOKEN_KNOWN + 2 + bisect_left(_BOUNDS_MS, took_ms))
        amounts.append((_FIRST_TOKEN_KNOWN + 1, took_ms))


_VALUE, _SCORE = places(VOTE, "value", "score")
_LABEL, _ACTIVE, _VALENCE = places(FLAG, "label", "active", "valence")
_DISTANCE, _ORIGINAL, _CORRECTED = places(CORRECTION, "distance", "original_length", "corrected_length")
_VOTED, _VOTES_UP, _VOTES_DOWN, _FLAGGED, _NEGATIVE = (
    AT[name] for name in ("voted", "votes_positive", "votes_negative", "flagged", "negative")
)
_SUGGESTIONS_CORRECTED, _CORRECTIONS, _DISTANCES, _DISTANCE_MICRO = (
    AT[name] for name in ("corrected", "corrections", "correction_distances_known", "correction_distance_micro")
)


def _feedback(outcome: Outcome) -> tuple[list[Cell], Amounts]:
    ones: list[Cell] = []
    amounts: Amounts = []
    negative = False
    if votes := outcome.get("votes"):
        # A vote of 0 with no score behind it was withdrawn.
        values = [vote[_VALUE] for vote in votes.values() if vote[_VALUE] or vote[_SCORE] >= 0]
        ones += [_VOTED] * bool(values)
        amounts += [(_VOTES_UP, values.count(1)), (_VOTES_DOWN, values.count(-1))]
        negative = -1 in values
    if flags := outcome.get("flags"):
        active = [flag for flag in flags.values() if flag[_ACTIVE]]
        ones += [_FLAGGED] * bool(active)
        ones += [f"flag/{label}" for label in {flag[_LABEL] for flag in active}]
        negative = negative or any(flag[_VALENCE] == "negative" for flag in active)
    if negative:
        ones.append(_NEGATIVE)
    if corrections := outcome.get("corrections"):
        _correction(list(corrections.values()), ones, amounts)
    first_at = outcome.get("first_at")
    if first_at and not first_at.keys() <= SHARED_ACTIONS:
        ones += [f"action/{action}" for action in first_at if action not in SHARED_ACTIONS]
    return ones, amounts


def _correction(corrections: list[list[Any]], ones: list[Cell], amounts: Amounts) -> None:
    distances = [edit[_DISTANCE] for edit in corrections if edit[_DISTANCE] >= 0]
    shares = [
        edit[_DISTANCE] / max(edit[_ORIGINAL], edit[_CORRECTED], 1) for edit in corrections if edit[_DISTANCE] > 0
    ]
    ones.append(_SUGGESTIONS_CORRECTED)
    amounts += [(_CORRECTIONS, len(corrections)), (_DISTANCES, len(distances))]
    amounts.append((_DISTANCE_MICRO, sum(round(share * 1_000_000) for share in shares)))
