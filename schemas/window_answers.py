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
_NEVER: Final = 1 << 62
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
        accepted_at = min(first_at.get("accept", _NEVER), first_at.get("accept_partial", _NEVER))
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
    if taken or automatic or "insert" in first_at or "copy" in first_at or "apply" in first_at:
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
    if (lines := outcome.get("accepted_lines", 0)) > 0:
        amounts.append((_LINES_ACCEPTED, lines))
    if full and (length := outcome.get("shown_length", 0)) > 0:
        amounts.append((_FULL_CHAR, length))


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
    last_at = outcome["last_at"]
    undone = accepted and "undo" in last_at and _is_undone(last_at)
    touchless = not undone and not outcome.get("corrections")
    ones.append(_USE)
    if undone:
        ones.append(_UNDONE)
    if retention := outcome.get("retention"):
        seq, checked = (outcome.get("accept") or (0,))[_SEQ], False
        for check in retention.values():
            if check[_CHECK_SEQ] == seq and check[_STATUS] != "unobserved" and not check[_BRANCH]:
                checked = True
                if check[_DISTANCE] > 0 or check[_STATUS] == "removed":
                    touchless = False
        if checked:
            ones.append(_USE_CHECKED)
    if touchless:
        ones.append(_TOUCHLESS)


def _is_undone(last_at: dict[str, int]) -> bool:
    return last_at["undo"] >= max(last_at.get(action, 0) for action in (*_TAKEN, "accept_auto"))


_RETAINABLE, _ZERO_LENGTH = AT["retainable"], AT["zero_length"]
_OBSERVED, _UNCHANGED, _MOSTLY, _REMOVED, _UNOBSERVED, _LATE, _BRANCHED, _LEXED, _STILL, _KEPT_KNOWN, _KEPT, _WEIGHT = (
    HORIZON_AT[name]
    for name in (
        *("observed", "unchanged", "mostly", "removed", "unobserved", "late", "branch_changed"),
        *("lexemes_known", "still_in_code", "retained_char_known", "retained_char", "retained_char_weight"),
    )
)
_RATIO, _RATIO_REMOVED = HORIZON_AT["edit_distance_le_0_pct"], HORIZON_AT["edit_distance_le_100_pct"]


def retention(outcome: Outcome, accept: list[Any]) -> tuple[list[Cell], Amounts]:
    """Whether an accepted suggestion can be retained at all, and what the checks of its last accept found."""
    length = outcome.get("accepted_length", UNKNOWN)
    if length == 0:
        return [_ZERO_LENGTH], []
    ones: list[Cell] = [_RETAINABLE]
    amounts: Amounts = []
    if checks := outcome.get("retention"):
        seq = accept[_SEQ]
        for name, check in checks.items():
            # A check is of a horizon in seconds, or else of a moment.
            if check[_CHECK_SEQ] == seq and (horizon_s := _HORIZONS.get(name) or _horizon(name)):
                _check(check, horizon_s, length, ones, amounts)
    return ones, amounts


_HORIZONS: Final = {str(horizon_s): horizon_s for horizon_s in (30, 60, 120, 300, 600, 900, 3600, 86_400)}


def _horizon(name: str) -> int:
    """The horizon that a check is of; 0 where it is of a moment, or too long."""
    horizon_s = int(name) if name.isdecimal() else 0
    return horizon_s if horizon_s <= MAX_HORIZON_S else 0


def _check(check: list[Any], horizon_s: int, length: int, ones: list[Cell], amounts: Amounts) -> None:
    cell = horizon_s * HORIZON_CELLS
    if check[_BRANCH]:
        ones.append(cell + _BRANCHED)
    elif (status := check[_STATUS]) == "unobserved":
        ones.append(cell + _UNOBSERVED)
    elif check[_ELAPSED] > horizon_s * 1000 + max(LATE_CHECK_MIN_MS, horizon_s * 100):
        ones.append(cell + _LATE)
    elif status == "removed":
        ones += (cell + _OBSERVED, cell + _REMOVED, cell + _RATIO_REMOVED)
        _lengths_at(check, cell, 0, length, ones, amounts)
        if check[_LEXEMES] > 0:
            ones.append(cell + _LEXED)
    else:
        _present(check, cell, length, ones, amounts)


def _present(check: list[Any], cell: int, length: int, ones: list[Cell], amounts: Amounts) -> None:
    distance, kept = check[_DISTANCE], check[_RETAINED]
    if distance == 0:
        ones += (cell + _OBSERVED, cell + _UNCHANGED, cell + _MOSTLY, cell + _RATIO)
        kept = kept if kept >= 0 else check[_CURRENT]
    else:
        longer = max(check[_ORIGINAL], check[_CURRENT], 1)
        ones += (cell + _OBSERVED, cell + _RATIO + bisect_left(RATIO_BOUNDS, distance / longer))
        if 100 * distance < 33 * longer:
            ones.append(cell + _MOSTLY)
    if (lexemes := check[_LEXEMES]) > 0 and (changed := check[_LEXEME_DISTANCE]) >= 0:
        ones.append(cell + _LEXED)
        if changed / lexemes <= 0.5:
            ones.append(cell + _STILL)
    if kept >= 0:
        _lengths_at(check, cell, kept, length, ones, amounts)


def _lengths_at(check: list[Any], cell: int, kept: int, length: int, ones: list[Cell], amounts: Amounts) -> None:
    original = check[_ORIGINAL]
    ones.append(cell + _KEPT_KNOWN)
    amounts.append((cell + _KEPT, kept))
    if (weight := original if original >= 0 else length) > 0:
        amounts.append((cell + _WEIGHT, weight))
