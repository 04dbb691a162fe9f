"""What is counted: for each name one aggregate over rows of `suggestions`, in SQL.

A generation's own facts (its cost, its votes, flags, corrections and actions) stand with its choice 0, so that they
count once however many choices it has. Orphans are counted, and are in nothing else.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["sum", "distinct", "labels"]

ALIASES: Final = "NOT orphan AS joined, joined AND choice_index = 0 AS is_generation"
"""What the measures below refer to besides the columns."""
CALLS_BY_LATENCY: Final = "calls_by_latency"
BINS_OF_DOUBLING: Final = 32
"""Of a histogram: each bin is 2.2 % wider than the one before, so its middle is wrong by 1.1 % at most (Masson, Rim and
Lee, DDSketch, VLDB 2019). Bin 0 has what is below 1, and bin b what is from 2^((b - 1) / 32) on."""
SETTLED: Final = "{as_of_ms:Int64} - {settle_ms:Int64} AS settled_ms"
"""And what those with `settled_of` refer to."""


@dataclass(frozen=True)
class Measure:
    """A number of suggestions, or a sum over them.

    sql: the aggregate; of people, the array of what is told apart. kind: how two parts of it become one: added,
    united, or added label by label, of which a bin of a histogram is one. type: of a part, where it is kept.
    settled_of: it counts those of another measure that are old enough; all of them once all are.
    """

    name: str
    sql: str
    kind: Kind = "sum"
    type: str = "Int64"
    settled_of: str = ""

    @property
    def column(self) -> str:
        """Its name in a statement: a measure may have the name of the column that it sums."""
        return f"m_{self.name}"

    @property
    def nothing(self) -> int | dict[str, int]:
        """What it is of no rows at all."""
        return {} if self.kind == "labels" else 0

    def part(self) -> str:
        """The aggregate over some of the rows."""
        return f"uniqExactArrayState({self.sql})" if self.kind == "distinct" else self.sql

    def whole(self) -> str:
        """The aggregate over parts, which are in `column`."""
        merge = {"sum": "sum", "distinct": "uniqExactArrayMerge", "labels": "sumMap"}[self.kind]
        return f"{merge}({self.column})"

    def added(self, column: str, condition: str = "") -> str:
        """A part made of parts; of those that meet a condition."""
        merge = {"sum": "sum", "distinct": "uniqExactArrayMergeState", "labels": "sumMap"}[self.kind]
        return f"{merge}If({column}, {condition})" if condition else f"{merge}({column})"


def _count(name: str, condition: str, settled_of: str = "") -> Measure:
    return Measure(name, f"toInt64(countIf({condition}))", settled_of=settled_of)


def _total(name: str, value: str, condition: str) -> Measure:
    return Measure(name, f"sumIf(toInt64(ifNull({value}, 0)), {condition})")


def _decimal(name: str, value: str, condition: str) -> Measure:
    aggregate = f"sumIf(toDecimal128(ifNull({value}, 0), 9), {condition})"
    return Measure(name, aggregate, type="Decimal(38, 9)")


def _squares(name: str, value: str, condition: str) -> Measure:
    wide = f"toInt128(ifNull({value}, 0))"
    return Measure(name, f"sumIf({wide} * {wide}, {condition})", type="Int128")


def _people(name: str, times: str, condition: str) -> Measure:
    told_apart = f"if({condition}, arrayMap(h -> (user, toUInt32(h)), {times}), [])"
    return Measure(name, told_apart, "distinct", "AggregateFunction(uniqExactArray, Array(Tuple(String, UInt32)))")


def _labels(name: str, labels: str, condition: str) -> Measure:
    ones = f"mapFromArrays(arrayMap(l -> toString(l), {labels}), arrayMap(l -> toInt64(1), {labels}))"
    return Measure(name, f"sumMapIf({ones}, {condition})", "labels", "Map(String, Int64)")


def _histogram(name: str, value: str, condition: str) -> Measure:
    at_least_one = f"greatest(1, ifNull({value}, 1))"
    bin_ = f"toUInt16(if(ifNull({value}, 0) < 1, 0, 1 + floor(log2({at_least_one}) * {BINS_OF_DOUBLING})))"
    counted = f"sumMapIf(map({bin_}, toInt64(1)), {condition} AND {value} IS NOT NULL)"
    return Measure(name, counted, "labels", "Map(UInt16, Int64)")


JUDGED_AND_SAID: Final = "judgements_by_said"
JUDGED_AND_KEPT: Final = "judgements_by_kept"
SAID_AND_KEPT: Final = "said_by_kept"
SAID: Final = "multiIf(negative, 'bad', votes_positive > 0, 'good', '')"
"""The side that users took in words: a vote against or a negative flag outweighs a vote for it."""
_JUDGED: Final = "arrayFilter(x -> x.3 != '', arrayZip(judged.evaluation, judged.annotator, judged.label))"


def _judged(name: str, side: str, condition: str) -> Measure:
    return _labels(name, f"arrayMap(x -> toJSONString([x.1, x.2, toString(x.3), {side}]), {_JUDGED})", condition)


_LONG_TERM: Final = "joined AND long_term_retained_char IS NOT NULL"
_LONG_TERM_TOTAL: Final = "joined AND long_term_total_char IS NOT NULL"

SUGGESTIONS: Final = (
    # Every generation has a choice 0, so that counting those counts generations.
    _count("opportunities", "is_generation"),
    _count("opportunities_settled", "is_generation AND cohort_ms <= settled_ms", "opportunities"),
    _count("shown", "joined AND shown"),
    _count(
        "shown_settled",
        "joined AND shown AND toUnixTimestamp64Milli(ifNull(ifNull(first_shown_at, first_accepted_at), cohort_at)) "
        "<= settled_ms",
        "shown",
    ),
    _count("shown_user_known", "joined AND shown AND user != ''"),
    _count("shown_read", "joined AND shown_read"),
    _count("accepted", "joined AND accepted"),
    _count("accepted_full", "joined AND accepted_full"),
    _count("auto_applied", "joined AND auto_applied"),
    _count("rejected", "joined AND end_reason = 'rejected'"),
    _count("ignored", "joined AND end_reason = 'ignored'"),
    _count("superseded", "joined AND end_reason = 'superseded'"),
    _count("unanswered", "joined AND end_reason = 'unanswered'"),
    _count("ended_unshown", "joined AND ended_unshown"),
    _count("undone", "joined AND undone"),
    _count("orphan_accept", "joined AND orphan_accept"),
    _count("orphans", "orphan"),
    _count("suggestions", "1"),
    _count("accepted_length_known", "joined AND accepted AND accepted_length IS NOT NULL"),
    _total("accepted_char", "accepted_length", "joined AND accepted"),
    _count("shown_read_length_known", "joined AND shown_read AND shown_length IS NOT NULL"),
    _total("shown_read_char", "shown_length", "joined AND shown_read"),
    _squares("shown_read_char_squares", "shown_length", "joined AND shown_read"),
    _total("accepted_full_shown_char", "shown_length", "joined AND accepted_full"),
    _count("shown_lines_known", "joined AND shown AND shown_lines IS NOT NULL"),
    _total("lines_suggested", "shown_lines", "joined AND shown"),
    _squares("lines_suggested_squares", "shown_lines", "joined AND shown"),
    _total("lines_accepted", "accepted_lines", "joined AND accepted"),
    _people("active_hours", "shown_hours", "joined AND shown"),
    _people("active_hours_any", "any_hours", "joined"),
    _people("user_days", "arrayMap(h -> intDiv(h, 24), shown_hours)", "joined AND shown"),
    _count("used", "joined AND used"),
    _count("used_checked", "joined AND used AND checked"),
    _count("touchless", "joined AND touchless"),
    _count("cost_known", "is_generation AND cost_usd IS NOT NULL"),
    _decimal("cost_usd", "cost_usd", "is_generation"),
    _count("retainable", "joined AND retainable"),
    _count("zero_length", "joined AND (accepted OR auto_applied) AND NOT retainable"),
    _count("long_term_known", _LONG_TERM),
    _total("long_term_retained_char", "long_term_retained_char", "joined"),
    _total("long_term_inserted_char", "long_term_inserted_char", _LONG_TERM),
    _squares("long_term_inserted_char_squares", "long_term_inserted_char", _LONG_TERM),
    _count("long_term_total_known", _LONG_TERM_TOTAL),
    _total("long_term_model_char", "long_term_retained_char", _LONG_TERM_TOTAL),
    _total("long_term_total_char", "long_term_total_char", _LONG_TERM_TOTAL),
    _squares("long_term_total_char_squares", "long_term_total_char", _LONG_TERM_TOTAL),
    _count("displayed", "joined AND displayed"),
    _count("voted", "is_generation AND voted"),
    _total("votes_positive", "votes_positive", "is_generation"),
    _total("votes_negative", "votes_negative", "is_generation"),
    _count("flagged", "is_generation AND notEmpty(flag_labels)"),
    _labels("flagged_by_label", "flag_labels", "is_generation"),
    _count("corrected", "is_generation AND corrections > 0"),
    _total("corrections", "corrections", "is_generation"),
    _total("correction_distances_known", "correction_distances_known", "is_generation"),
    _decimal("correction_distance_sum", "correction_distance_sum", "is_generation"),
    _labels("generations_by_action", "actions", "is_generation"),
    _count("negative", "is_generation AND negative"),
    _histogram(CALLS_BY_LATENCY, "latency_ms", "is_generation"),
    _judged(JUDGED_AND_SAID, SAID, "joined"),
)
"""Of suggestions and generations, whatever their age."""

AGED: Final = ("opportunities", "cost_usd", "cost_known")
"""Those of generations that retention counts, by the generation's age."""
AGELESS: Final = ("zero_length",)
"""Those that retention counts whatever the age."""
ACTIVE_HOURS: Final = "active_hours"
TAKEN: Final = _count("taken", "horizon_s = 0 AND retainable")
"""What was accepted or applied and can be kept: retention counts it by the age of its last accept. `each_check`."""

_OBSERVED: Final = "state IN ('unchanged', 'mostly', 'changed', 'removed')"
_KEPT: Final = "if(state IN ('unchanged', 'mostly'), 'good', 'bad')"
"""The side that users took by keeping, of what is observed."""


def _observed(name: str, condition: str) -> Measure:
    return _count(name, f"{_OBSERVED} AND {condition}")


CHECKS: Final = (
    _count("observed", _OBSERVED),
    _count("unchanged", "state = 'unchanged'"),
    _count("mostly", "state IN ('unchanged', 'mostly')"),
    _count("removed", "state = 'removed'"),
    _count("unobserved", "state = 'unobserved'"),
    _count("late", "state = 'late'"),
    _count("branch_changed", "state = 'branch_changed'"),
    _observed("lexemes_known", "lexeme_ratio >= 0"),
    _observed("still_in_code", "lexeme_ratio >= 0 AND lexeme_ratio <= 0.5"),
    # Where no client sends a measure, what a removal implies for it must not stand alone.
    _observed("four_gram_sent", "four_gram_sent"),
    _observed("four_gram_known", "four_gram >= 0"),
    _decimal("four_gram_char", "four_gram * weight", f"{_OBSERVED} AND four_gram >= 0"),
    _total("four_gram_weight", "weight", f"{_OBSERVED} AND four_gram >= 0"),
    _squares("four_gram_squares", "weight", f"{_OBSERVED} AND four_gram >= 0"),
    _observed("no_revert_known", "no_revert >= 0"),
    _decimal("no_revert_char", "no_revert * weight", f"{_OBSERVED} AND no_revert >= 0"),
    _total("no_revert_weight", "weight", f"{_OBSERVED} AND no_revert >= 0"),
    _squares("no_revert_squares", "weight", f"{_OBSERVED} AND no_revert >= 0"),
    _observed("retained_char_sent", "retained_sent"),
    _observed("retained_char_known", "retained_char >= 0"),
    _total("retained_char", "retained_char", f"{_OBSERVED} AND retained_char >= 0"),
    _total("retained_char_weight", "weight", f"{_OBSERVED} AND retained_char >= 0"),
    _squares("retained_char_squares", "weight", f"{_OBSERVED} AND retained_char >= 0"),
    _observed("modification_known", "modification >= 0"),
    _decimal("modification_sum", "modification", f"{_OBSERVED} AND modification >= 0"),
    _observed("total_char_known", "total_char >= 0"),
    _total("model_char", "retained_char", f"{_OBSERVED} AND total_char >= 0"),
    _total("total_char", "total_char", f"{_OBSERVED} AND total_char >= 0"),
    _squares("total_char_squares", "total_char", f"{_OBSERVED} AND total_char >= 0"),
    _judged(JUDGED_AND_KEPT, _KEPT, _OBSERVED),
    _labels(SAID_AND_KEPT, f"[toJSONString([{SAID}, {_KEPT}])]", f"{_OBSERVED} AND {SAID} != ''"),
)
"""Of the checks that were made at a horizon of what is due."""
MADE: Final = _count("made", "horizon_s > 0")
"""The checks that were made, of what is due or not: as many suggestions, because each has one check at a horizon."""
CHECKED: Final = (*CHECKS, TAKEN, MADE)
"""All that is counted over `each_check`."""

SUGGESTION_COLUMNS: Final = ("judged.evaluation", "judged.annotator", "judged.label", "negative", "votes_positive")
"""What measures over checks may count of a suggestion."""
CHECK_COLUMNS: Final = (
    "weight",
    "lexeme_ratio",
    "four_gram_sent",
    "four_gram",
    "no_revert",
    "retained_sent",
    "retained_char",
    "modification",
    "total_char",
)


def each_check(measures: Sequence[Measure]) -> str:
    """What follows rows of suggestions in FROM: a row for each check, and one of horizon 0, for what needs no check.

    measures: those that are counted over them.
    """
    # The element behind the last one holds the column's default: of horizons 0.
    parts = ["arrayResize(checks.horizon_s, length(checks.horizon_s) + 1) AS horizon_s"]
    parts.append("arrayPushBack(checks.state, 'missing') AS found_state")
    named = columns_of(measures, CHECK_COLUMNS)
    parts += [f"arrayResize(checks.{name}, length(checks.horizon_s) + 1) AS {name}" for name in named]
    return f"ARRAY JOIN {', '.join(parts)}"


def columns_of(measures: Sequence[Measure], columns: Sequence[str]) -> list[str]:
    """Those of some columns that measures name: the engine plans a statement in the time of what is in it."""
    text = " ".join(measure.sql for measure in measures)
    return [name for name in columns if re.search(rf"\b{name}\b", text)]


def state_where(due: str) -> str:
    """The state that the measures of `each_check` refer to: a check that is not due counts as none."""
    return f"if(horizon_s > 0 AND {due}, found_state, 'missing') AS state"
