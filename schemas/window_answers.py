"""What users did with one suggestion, as counts of windows: the funnel and retention, as METRICS defines them. Pure."""

from bisect import bisect_left
from typing import Any, Final

from keeprate.schemas.events import LATE_CHECK_MIN_MS
from keeprate.schemas.outcome import ACCEPT, RETENTION, UNKNOWN, Outcome
from keeprate.schemas.window_names import (
    AT,
    ATTRIBUTION_MS,
    HORIZON_AT,
    HORIZON_CELLS,
    MAX_HORIZON_S,
    RATIO_BOUNDS,
    READ_MS,
    Amounts,
    Cell,
    places,
)

_TAKEN: Final = ("accept", "accept_partial")
_USED: Final = ("insert", "copy", "apply")
_ENDS: Final = {"reject": "rejected", "dismiss": "rejected", "ignore": "ignored", "supersede": "superseded"}

(_SEQ,) = places(ACCEPT, "accept_seq")
(
    _CHECK_SEQ,
    _EVENT,
    _STATUS,
    _ELAPSED,
    _ORIGINAL,
    _CURRENT,
    _DISTANCE,
    _LEXEMES,
    _LEXEME_DISTANCE,
    _RETAINED,
    _BRANCH,
) = places(
    RETENTION,
    *("accept_seq", "event_id", "status", "elapsed_ms", "original_length", "current_length", "distance"),
    *("original_lexemes", "lexeme_distance", "retained_length", "branch_changed"),
)


def first_use(first_at: dict[str, int]) -> int | None:
    """When a suggestion was first shown; else when it was first accepted, else used; None where neither is known."""
    if (shown_at := first_at.get("shown")) is not None:
        return shown_at
    for actions in (_TAKEN, ("accept_auto",), _USED):
        times = [first_at[action] for action in actions if action in first_at]
        if times:
            return min(times)
    return None


_SHOWN, _READ, _ACCEPTED, _FULL, _IN_TIME, _AUTO, _UNANSWERED, _UNDONE, _ORPHAN_ACCEPT = (
    AT[name]
    for name in (
        *("shown", "shown_read", "accepted", "accepted_full", "accepted_in_time", "auto_applied"),
        *("unanswered", "undone", "orphan_accept"),
    )
)
_USE, _USE_CHECKED, _TOUCHLESS = AT["used"], AT["used_checked"], AT["touchless"]
_LENGTH_KNOWN, _CHAR, _READ_KNOWN, _READ_CHAR, _FULL_CHAR, _LINES_KNOWN, _LINES, _LINES_ACCEPTED = (
    AT[name]
    for name in (
        *("accepted_length_known", "accepted_char", "shown_read_length_known", "shown_read_char"),
        *("accepted_full_shown_char", "shown_lines_known", "lines_suggested", "lines_accepted"),
    )
)


def funnel(outcome: Outcome, first_at: dict[str, int], used_at: int) -> tuple[list[Cell], Amounts]:
    """What became of a suggestion that was shown, accepted or used."""
    ones: list[Cell] = []
    amounts: Amounts = []
    full, seen = "accept" in first_at, "shown" in first_at
    taken = full or "accept_partial" in first_at
    automatic = not taken and "accept_auto" in first_at
    if taken:
        accepted_at = min(first_at[action] for action in _TAKEN if action in first_at)
        ones.append(_ACCEPTED)
        if full:
            ones.append(_FULL)
        if accepted_at <= used_at + ATTRIBUTION_MS:
            ones.append(_IN_TIME)
        if not seen:
            ones.append(_ORPHAN_ACCEPT)
        _lengths(outcome, full, ones, amounts)
    elif automatic:
        ones.append(_AUTO)
    if taken or (seen and not automatic):
        ones.append(_SHOWN)
        _reading(outcome, taken, ones, amounts)
        if not taken:
            ones.append(_end(outcome["last_at"]))
    if taken or automatic or any(action in first_at for action in _USED):
        _use(outcome, taken or automatic, ones)
    return ones, amounts


def _end(last_at: dict[str, int]) -> Cell:
    """How a suggestion ended that was shown and not accepted: by the latest end, of two at one time by its name."""
    _, name = max(((last_at[action], end) for action, end in _ENDS.items() if action in last_at), default=(0, ""))
    return AT[name] if name else _UNANSWERED


def _lengths(outcome: Outcome, full: bool, ones: list[Cell], amounts: Amounts) -> None:
    if (length := outcome.get("accepted_length", UNKNOWN)) >= 0:
        ones.append(_LENGTH_KNOWN)
        amounts.append((_CHAR, length))
    amounts.append((_LINES_ACCEPTED, max(0, outcome.get("accepted_lines", 0))))
    if full:
        amounts.append((_FULL_CHAR, max(0, outcome.get("shown_length", 0))))


def _reading(outcome: Outcome, taken: bool, ones: list[Cell], amounts: Amounts) -> None:
    if (lines := outcome.get("shown_lines", UNKNOWN)) >= 0:
        ones.append(_LINES_KNOWN)
        amounts.append((_LINES, lines))
    if taken or outcome.get("dwell_ms", UNKNOWN) >= READ_MS:
        ones.append(_READ)
        if (length := outcome.get("shown_length", UNKNOWN)) >= 0:
            ones.append(_READ_KNOWN)
            amounts.append((_READ_CHAR, length))


def _use(outcome: Outcome, accepted: bool, ones: list[Cell]) -> None:
    last_at, seq = outcome["last_at"], (outcome.get("accept") or [0])[_SEQ]
    taken_at = max(last_at.get(action, 0) for action in (*_TAKEN, "accept_auto"))
    undone = accepted and last_at.get("undo", 0) >= taken_at
    checks = [check for check in outcome.get("retention", {}).values() if _is_valid(check, seq)]
    ones.append(_USE)
    if undone:
        ones.append(_UNDONE)
    if checks:
        ones.append(_USE_CHECKED)
    if not undone and not outcome.get("corrections") and not any(map(_is_changed, checks)):
        ones.append(_TOUCHLESS)


def _is_valid(check: list[Any], seq: int) -> bool:
    return check[_CHECK_SEQ] == seq and check[_STATUS] != "unobserved" and not check[_BRANCH]


def _is_changed(check: list[Any]) -> bool:
    return bool(check[_STATUS] == "removed" or check[_DISTANCE] > 0)


_RETAINABLE, _ZERO_LENGTH = AT["retainable"], AT["zero_length"]
_OBSERVED, _UNCHANGED, _MOSTLY, _REMOVED, _UNOBSERVED, _LATE, _BRANCHED, _LEXED, _STILL, _KEPT_KNOWN, _KEPT, _WEIGHT = (
    HORIZON_AT[name]
    for name in (
        *("observed", "unchanged", "mostly", "removed", "unobserved", "late", "branch_changed"),
        *("lexemes_known", "still_in_code", "retained_char_known", "retained_char", "retained_char_weight"),
    )
)
_RATIO: Final = HORIZON_AT["edit_distance_le_0_pct"]


def retention(outcome: Outcome, accept: list[Any]) -> tuple[list[Cell], Amounts]:
    """Whether an accepted suggestion can be retained at all, and what the checks of its last accept found."""
    length = outcome.get("accepted_length", UNKNOWN)
    if length == 0:
        return [_ZERO_LENGTH], []
    ones: list[Cell] = [_RETAINABLE]
    amounts: Amounts = []
    for name, check in outcome.get("retention", {}).items():
        # A check is of a horizon in seconds, or else of a moment.
        if check[_CHECK_SEQ] == accept[_SEQ] and name.isdecimal() and 0 < (horizon_s := int(name)) <= MAX_HORIZON_S:
            _check(check, horizon_s, length, ones, amounts)
    return ones, amounts


def _check(check: list[Any], horizon_s: int, length: int, ones: list[Cell], amounts: Amounts) -> None:
    cell, horizon_ms = horizon_s * HORIZON_CELLS, horizon_s * 1000
    if check[_BRANCH]:
        ones.append(cell + _BRANCHED)
    elif check[_STATUS] == "unobserved":
        ones.append(cell + _UNOBSERVED)
    elif check[_ELAPSED] > horizon_ms + max(LATE_CHECK_MIN_MS, horizon_ms // 10):
        ones.append(cell + _LATE)
    else:
        ones.append(cell + _OBSERVED)
        _observed(check, cell, length, ones, amounts)


def _observed(check: list[Any], cell: int, length: int, ones: list[Cell], amounts: Amounts) -> None:
    distance, longer, removed = check[_DISTANCE], max(check[_ORIGINAL], check[_CURRENT]), check[_STATUS] == "removed"
    kept = check[_RETAINED]
    if removed:
        ones.append(cell + _REMOVED)
        kept = 0
    elif distance == 0:
        ones += (cell + _UNCHANGED, cell + _MOSTLY)
        kept = kept if kept >= 0 else check[_CURRENT]
    elif 100 * distance < 33 * longer:
        ones.append(cell + _MOSTLY)
    ones.append(cell + _RATIO + bisect_left(RATIO_BOUNDS, 1.0 if removed else distance / max(longer, 1)))
    if (lexemes := check[_LEXEMES]) > 0 and (removed or check[_LEXEME_DISTANCE] >= 0):
        ones.append(cell + _LEXED)
        if not removed and check[_LEXEME_DISTANCE] / lexemes <= 0.5:
            ones.append(cell + _STILL)
    if kept >= 0:
        ones.append(cell + _KEPT_KNOWN)
        original = check[_ORIGINAL] if check[_ORIGINAL] >= 0 else length
        amounts += [(cell + _KEPT, kept), (cell + _WEIGHT, max(0, original))]
