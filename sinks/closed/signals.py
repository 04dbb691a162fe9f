"""What people and judges said of the generations of a batch: flags, corrections, negative feedback, judges' verdicts.

Counted an hour later than acceptance, because people take their time; by the same rates as page and report.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from keeprate.sinks.reading import counting
from keeprate.sinks.reading.hours import FINAL
from keeprate.sinks.reading.rates import FEEDBACK, counts_of
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.store.clickhouse import Client

SETTLES_S: Final = 3600
JUDGE: Final = "judge_"
"""The kind of a judge's verdicts is this and the evaluation's name."""
_RATES: Final = {"flag": "flag_rate", "correction": "correction_rate", "negative": "negative_feedback_rate"}
SIGNALS: Final = tuple(_RATES)

# Scores are counted by what they are rounded to, so that there are few of them whatever their scale.
SAID: Final = """multiIf(
        toFloat64OrNull(item.2) IS NULL, item.2,
        abs(toFloat64(item.2)) <= 1, toString(round(toFloat64(item.2), 1)),
        toString(round(greatest(-100, least(100, toFloat64(item.2))))))"""
"""What a judge said, of an `item` that has an evaluation's name and its label or score."""
_JUDGED: Final = f"""
SELECT toStartOfInterval(cohort_at, INTERVAL 5 MINUTE) AS batch_at, {{by}}, item.1, {SAID} AS said, count()
FROM suggestions FINAL ARRAY JOIN arrayZip(judged.evaluation, judged.label) AS item
WHERE {{condition}} AND NOT orphan AND item.2 != ''
GROUP BY ALL
"""


Signal = tuple[str, datetime, tuple[str, ...], str, int]
"""A kind, the beginning of a batch, the values of the segment's dimensions, an outcome, and how many."""


def count(client: Client, scope: Scope) -> Iterator[Signal]:
    """The signals of a scope that is cut into batches and segments. Reads only. Raises StoreError."""
    names = counts_of(FEEDBACK, tuple(_RATES.values()))
    for row in counting.suggestions(client, scope, names):
        yield from _of_row(row, tuple(row[name] for name in scope.by))
    statement = _JUDGED.replace("{by}", ", ".join(scope.by)).replace("{condition}", scope.condition())
    for at, *segment, name, said, number in client.query(statement, scope.parameters(), FINAL):
        yield f"{JUDGE}{name}", at.astimezone(UTC), tuple(segment), said, number


def _of_row(row: counting.Counts, segment: tuple[str, ...]) -> Iterator[Signal]:
    at = datetime.fromtimestamp(row["bucket_ms"] / 1000, UTC)
    for kind, rate in _RATES.items():
        quotient = FEEDBACK[rate](row)
        # Feedback may be of what was never shown or accepted.
        yes = int(min(quotient.numerator, quotient.denominator))
        for outcome, number in (("yes", yes), ("no", int(quotient.denominator) - yes)):
            if number:
                yield kind, at, segment, outcome, number
