"""What a period is compared with: the one before it, and the four weeks before it. All three are one question."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from keeprate.deploy.page.definitions import METRICS, View
from keeprate.deploy.page.reads import Reads, pooled
from keeprate.deploy.page.selection import Selection
from keeprate.sinks.reading import latency, queries
from keeprate.sinks.reading.counting import Counts
from keeprate.sinks.reading.measures import CALLS_BY_LATENCY
from keeprate.sinks.reading.queries import Rate
from keeprate.sinks.reading.rates import ACCEPTANCE, RETENTION, counts_of
from keeprate.sinks.reading.scope import Scope

USUAL: Final = timedelta(days=28)
"""As long as the drift detector's baselines: each day of the week four times."""


def _named(view: View, *more: str) -> tuple[str, ...]:
    return (*(metric.name for metric in METRICS.values() if metric.query == view), *more)


_RATES: Final = _named("rates", "touchless_rate")
_FEEDBACK: Final = _named("feedback_rates", "positive_vote_share", "flag_rate")
_RETENTION: Final = _named("retention_rates", "cost_per_retained")
# Not by label: users name those, and here they are not shown.
_COUNTS: Final = counts_of(ACCEPTANCE, _RATES) | queries.feedback_counts(_FEEDBACK) | {CALLS_BY_LATENCY}
_COUNTS_AT_HORIZON: Final = counts_of(RETENTION, _RETENTION)


@dataclass(frozen=True)
class SpanNumbers:
    """The rates of a span by name, of retention at the selection's horizon, and how long calls took."""

    rates: Mapping[str, Rate]
    latency: Sequence[latency.Quantile]


@dataclass(frozen=True)
class Compared:
    """usual: of the four weeks before the period; None where the period is as long."""

    now: SpanNumbers
    before: SpanNumbers
    usual: SpanNumbers | None


NOTHING: Final = SpanNumbers({}, [])


def compared(reads: Reads, selection: Selection) -> Compared:
    """The period of a selection and what it is compared with, however the selection is cut."""
    if selection.of_nobody:
        return Compared(NOTHING, NOTHING, None)
    key = (selection.core("now"), selection.horizon_s)
    return reads.fact("compared", key, lambda: _ask(reads, selection), selection.keep_s)


def _ask(reads: Reads, selection: Selection) -> Compared:
    now = selection.scope("now", reads.now)
    before = now.since - selection.span.length
    is_short = selection.span.length < USUAL
    # Eras: 0 is before the period before, 1 is that one, 2 is the period.
    scope = replace(now, since=now.since - USUAL if is_short else before, by=(), eras=[before, now.since])
    asked = reads.both(scope, _COUNTS, _COUNTS_AT_HORIZON, selection.horizon_s)
    return Compared(
        _of_eras((2,), scope, *asked),
        _of_eras((1,), scope, *asked),
        _of_eras((0, 1), scope, *asked) if is_short else None,
    )


def _of_eras(eras: Sequence[int], scope: Scope, counts: Iterable[Counts], kept: Iterable[Counts]) -> SpanNumbers:
    calls = Counter[int]()
    plain: list[Counts] = []
    for row in counts:
        if row["era"] in eras:
            calls.update(row[CALLS_BY_LATENCY])
            plain.append({name: value for name, value in row.items() if name != CALLS_BY_LATENCY})
    sums, sums_kept = pooled(plain, ("bucket_ms",)), pooled((row for row in kept if row["era"] in eras), ("bucket_ms",))
    found: list[Rate] = [
        *queries.rates_of(scope, sums, _RATES),
        *queries.feedback_rates_of(scope, sums, _FEEDBACK),
        *queries.retention_rates_of(scope, sums_kept, _RETENTION),
    ]
    return SpanNumbers({each.metric: each for each in found}, latency.quantiles(calls))
