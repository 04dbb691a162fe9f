"""What windows count: labels, counts and their cells, declared once for the record, the table and the views. Pure."""

from typing import Final

from keeprate.schemas.topics import DAY_MS

WINDOW_MS: Final = 300_000
OPEN_MS: Final = 4 * DAY_MS
"""So long after it began a window takes changes; longer ones are `late` and left to `keeprate verify --repair`."""
ANSWER_MS: Final = 3 * DAY_MS
"""So long after its generation a suggestion may be shown or accepted and count as that."""
MAX_HORIZON_S: Final = 2 * 86_400
"""The checks of a longer horizon come when their window is no longer open."""
ATTRIBUTION_MS: Final = 300_000
"""So long after it was shown a suggestion may be accepted and count as accepted in time."""
READ_MS: Final = 750
LATENCY_BOUNDS_S: Final = (0.25, 0.5, 1, 2, 3, 5, 8, 13, 21, 34, 60)
RATIO_BOUNDS: Final = (0.0, 0.05, 0.1, 0.2, 0.33, 0.5, 0.75, 1)

LABELS: Final = ("environment", "surface", "model", "prompt_name", "prompt_version", "language")
STATUSES: Final = ("ok", "error", "timeout", "refused", "cancelled")
_LATENCIES: Final = (*(f"le_{round(bound * 1000)}_ms" for bound in LATENCY_BOUNDS_S), "over")
COUNTS: Final = (
    *("opportunities", *(f"generations_{status}" for status in STATUSES)),
    *("input_tokens", "output_tokens", "cost_known", "cost_nano_usd"),
    *("latency_known", "latency_ms", *(f"latency_{name}" for name in _LATENCIES)),
    *("first_token_known", "first_token_ms", *(f"first_token_{name}" for name in _LATENCIES)),
    *("orphans", "shown_after_days", "accepted_after_days"),
    *("voted", "votes_positive", "votes_negative", "flagged", "negative"),
    *("corrected", "corrections", "correction_distances_known", "correction_distance_micro"),
    *("shown", "shown_read", "accepted", "accepted_full", "accepted_in_time", "auto_applied"),
    *("rejected", "ignored", "superseded", "unanswered", "undone", "orphan_accept"),
    *("used", "used_checked", "touchless", "accepted_length_known", "accepted_char"),
    *("shown_read_length_known", "shown_read_char", "accepted_full_shown_char"),
    *("shown_lines_known", "lines_suggested", "lines_accepted", "retainable", "zero_length"),
)
"""The counts of a segment, in the order of the record and of the table."""
HORIZON_COUNTS: Final = (
    *("observed", "unchanged", "mostly", "removed", "unobserved", "late", "branch_changed"),
    *("lexemes_known", "still_in_code", "retained_char_known", "retained_char", "retained_char_weight"),
    *(f"edit_distance_le_{round(bound * 100)}_pct" for bound in RATIO_BOUNDS),
)
"""The counts of a segment at one horizon. Whoever is retainable and in none of these states has no check yet."""
MARKS: Final = ("flag", "action")
"""What is counted by name, as `flag/wrong`: labels of flags, and actions beside SHARED_ACTIONS."""
SHARED_ACTIONS: Final = frozenset({"shown", "accept", "accept_partial", "accept_auto"})
"""These are counted in the funnel."""

Cell = int | str
"""What is counted: an index of COUNTS; HORIZON_CELLS times a horizon and an index of HORIZON_COUNTS; a mark's name."""
Labels = tuple[str, ...]
Amounts = list[tuple[Cell, int]]
Piece = tuple[int, Labels, list[Cell], Amounts]
"""A window's begin in ms, a segment of it, the cells that count one more, and those that count an amount more."""

AT: Final = {name: index for index, name in enumerate(COUNTS)}
HORIZON_AT: Final = {name: index for index, name in enumerate(HORIZON_COUNTS)}
HORIZON_CELLS: Final = 256
"""The cells of horizon h are those from h times this on; those of COUNTS are below it."""


def window_of(at_ms: int) -> int:
    """The begin of the window that holds a time."""
    return at_ms - at_ms % WINDOW_MS


def places(register: tuple[str, ...], *names: str) -> tuple[int, ...]:
    """Where a register, as `schemas.outcome` declares it, has its columns of these names."""
    columns = [column.split()[0] for column in register]
    return tuple(columns.index(name) for name in names)
