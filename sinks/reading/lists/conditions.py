"""What a suggestion of a list must be: fates, signals and ranks, each in SQL over a row of `suggestions`. Pure.

A condition names the measure that counts it, where there is one: an hour in whose sums that is 0 holds none.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Condition:
    """sql: of a row. measure: of SUGGESTIONS, or of CHECKS at the horizon, that is above 0 wherever a row meets it."""

    sql: str
    measure: str = ""
    of_checks: bool = False

    @property
    def negated(self) -> "Condition":
        return Condition(f"NOT ({self.sql})")


STATE: Final = (
    "if(has(checks.horizon_s, {horizon_s:UInt32}), "
    "toString(checks.state[indexOf(checks.horizon_s, {horizon_s:UInt32})]), '')"
)
"""What the check at the horizon found; '' where there is none."""
_DUE: Final = "retainable AND toUnixTimestamp64Milli(ifNull(retention_from, cohort_at)) <= {due_ms:Int64}"

FATES: Final[Mapping[str, Condition]] = {
    "shown": Condition("shown", "shown"),
    "accepted": Condition("accepted", "accepted"),
    "rejected": Condition("end_reason = 'rejected'", "rejected"),
    "ignored": Condition("end_reason = 'ignored'", "ignored"),
    "superseded": Condition("end_reason = 'superseded'", "superseded"),
    "unanswered": Condition("end_reason = 'unanswered'", "unanswered"),
    "auto_applied": Condition("auto_applied", "auto_applied"),
    "undone": Condition("undone", "undone"),
    "touchless": Condition("touchless", "touchless"),
    "orphan": Condition("orphan", "orphans"),
}
"""What became of a suggestion, whatever the horizon."""


def _found(states: Sequence[str], measure: str) -> Condition:
    named = ", ".join(f"'{state}'" for state in states)
    return Condition(f"{_DUE} AND {STATE} IN ({named})", measure, of_checks=True)


CHECK_FATES: Final[Mapping[str, Condition]] = {
    "kept": _found(("unchanged", "mostly"), "mostly"),
    "unchanged": _found(("unchanged",), "unchanged"),
    "changed": _found(("changed",), "observed"),
    "removed": _found(("removed",), "removed"),
    "not_kept": _found(("changed", "removed"), "observed"),
    "observed": _found(("unchanged", "mostly", "changed", "removed"), "observed"),
    "unobserved": _found(("unobserved",), "unobserved"),
    "missing": Condition(f"{_DUE} AND {STATE} IN ('', 'missing')"),
}
"""What the check at a horizon found, of suggestions whose check is due: as retention counts them."""

SIGNALS: Final[Mapping[str, Condition]] = {
    "flagged": Condition("notEmpty(flag_labels)", "flagged"),
    "upvoted": Condition("votes_positive > 0", "votes_positive"),
    "downvoted": Condition("votes_negative > 0", "votes_negative"),
    "corrected": Condition("corrections > 0", "corrected"),
    "negative": Condition("negative", "negative"),
    "judged": Condition("notEmpty(judged.evaluation)"),
    "misjudged": Condition(
        "arrayExists((label, truth) -> truth != '' AND label != truth, judged.label, judged.truth)", ""
    ),
    "failed": Condition("error_type != ''"),
}
"""What was said of a suggestion, or happened to it. Of a generation with several choices, its first has them."""

WORST: Final[Sequence[Condition]] = (
    Condition("negative", "negative"),
    Condition(f"retainable AND {STATE} = 'removed'", "removed", of_checks=True),
    Condition("undone", "undone"),
    Condition(f"retainable AND {STATE} = 'changed'", "observed", of_checks=True),
    Condition("corrections > 0", "corrected"),
    Condition("end_reason = 'rejected'", "rejected"),
    Condition("1"),
)
"""The ranks of a list that begins with the worst: what users said against, lost, changed, turned down, and the rest."""
RANKS: Final = ("negative", "removed", "undone", "changed", "corrected", "rejected", "")
"""Their names, in that order."""

_NAMES: Final = (
    *("prompt_name", "prompt_version", "model", "provider", "language", "surface", "operation", "step"),
    *("context_strategy", "error_type", "experiment", "variant", "toolset", "user", "session"),
)
TEXT: Final = Condition(
    "("
    + " OR ".join(f"positionCaseInsensitiveUTF8({name}, {{text:String}}) > 0" for name in _NAMES)
    + " OR trace_id = {text:String} OR startsWith(toString(generation_id), lower({text:String}))"
    + " OR arrayExists(label -> positionCaseInsensitiveUTF8(label, {text:String}) > 0, flag_labels))"
)
"""A name, a label, a trace, or the beginning of an id that holds the text."""


def bounds_of(conditions: Sequence[Condition]) -> list[Condition]:
    """Those whose measure an hour must have; generations at all, where there is none."""
    bounds = [each for each in conditions if each.measure]
    return bounds or [Condition("1", "opportunities")]
