"""The rows behind an answer. Requests share them: what differs only in how rows are shown is one query."""

from collections.abc import Callable, Collection, Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from keeprate.deploy.page.definitions import METRICS, VARIANTS, View
from keeprate.deploy.page.recent import Recent, Value
from keeprate.deploy.page.selection import Selection, Span
from keeprate.sinks.clickhouse import Client
from keeprate.sinks.reading import queries
from keeprate.sinks.reading.counting import Counts
from keeprate.sinks.reading.queries import Rate
from keeprate.sinks.reading.rates import ACCEPTANCE, FEEDBACK, RETENTION, counts_of

REQUESTS: Final = "shown_rate"
"""The rate whose denominator is the requests, so that they need no query of their own."""
ENDINGS: Final = ("rejected", "ignored", "superseded", "unanswered")
"""What became of suggestions that were shown and not accepted."""
BRIEFLY_S: Final = 2.0
_OF_RATES: Final = (REQUESTS, *(metric.name for metric in METRICS.values() if metric.query == "rates"))
_OF_FEEDBACK: Final = tuple(metric.name for metric in METRICS.values() if metric.query == "feedback_rates")
_OF_RETENTION: Final = tuple(metric for metric, _ in VARIANTS.values())
_COUNTS: Final = counts_of(ACCEPTANCE, _OF_RATES) | counts_of(FEEDBACK, _OF_FEEDBACK) | set(ENDINGS)
_COUNTS_AT_HORIZONS: Final = counts_of(RETENTION, _OF_RETENTION)


@dataclass(frozen=True)
class Reads:
    """What one request may read, at one time."""

    client: Client
    now: datetime
    recent: Recent

    def rates(self, view: View, selection: Selection, span: Span) -> list[Rate]:
        """The page's metrics of one view; of retention, at every horizon."""
        scope = selection.scope(span, self.now)
        if view == "rates":
            return queries.rates_of(scope, self.counts(selection, span), _OF_RATES)
        if view == "feedback_rates":
            return list(queries.feedback_rates_of(scope, self.counts(selection, span), _OF_FEEDBACK))
        return list(queries.retention_rates_of(scope, self.at_horizons(selection, span), _OF_RETENTION))

    def counts(self, selection: Selection, span: Span) -> list[Counts]:
        """What all that the page shows of suggestions is made of."""
        if span == "now":
            return pooled(self.counts(selection, "grouped"), selection.dimensions)
        scope = selection.scope(span, self.now)
        return self._counted("counts", selection, span, lambda: queries.counted(self.client, scope, _COUNTS))

    def at_horizons(self, selection: Selection, span: Span) -> list[Counts]:
        """The same of retention, at every horizon."""
        if span == "now":
            return pooled(self.at_horizons(selection, "grouped"), selection.dimensions)
        scope = selection.scope(span, self.now)
        ask = partial(queries.counted_at_horizons, self.client, scope, _COUNTS_AT_HORIZONS)
        return self._counted("horizons", selection, span, ask)

    def fact(self, name: str, key: Hashable, ask: Callable[[], Value], keep_s: float = BRIEFLY_S) -> Value:
        """A read of single facts, shared for a moment."""
        return self.recent.get((name, key), ask, keep_s)

    def _counted(self, name: str, selection: Selection, span: Span, ask: Callable[[], list[Counts]]) -> list[Counts]:
        if selection.of_nobody:
            return []
        return self.recent.get((name, span, selection.core(span)), ask, selection.keep_s(span))


def pooled(rows: Iterable[Counts], dimensions: Collection[str]) -> list[Counts]:
    """The counts of groups as those of the whole, so that the whole need not be asked for beside its parts.

    Everything that the page counts is a sum over suggestions, and each of them is in one group.
    """
    whole: dict[tuple[Any, Any], Counts] = {}
    for row in rows:
        key = row["bucket_ms"], row.get("horizon_s")
        kept = {name: value for name, value in row.items() if name not in dimensions}
        sums = whole.setdefault(key, dict.fromkeys(kept, 0))
        for name, value in kept.items():
            sums[name] = value if name in ("bucket_ms", "horizon_s") else sums[name] + value
    return [whole[key] for key in sorted(whole)]
