"""The rows behind an answer. Requests share them: what differs only in how rows are shown is one query."""

from collections.abc import Callable, Collection, Hashable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from keeprate.deploy.alerting.alertmanager import Alertmanager
from keeprate.deploy.page.access.viewer import Sight
from keeprate.deploy.page.definitions import METRICS, VARIANTS, View
from keeprate.deploy.page.recent import Recent, Value
from keeprate.deploy.page.selection import ERAS_OF, Selection, Span
from keeprate.sinks.reading import queries, splitting
from keeprate.sinks.reading.counting import Counts
from keeprate.sinks.reading.hours import Known
from keeprate.sinks.reading.queries import Rate
from keeprate.sinks.reading.rates import ACCEPTANCE, FEEDBACK, RETENTION, counts_of
from keeprate.sinks.reading.scope import DIMENSIONS, Scope
from keeprate.sinks.reading.voices import Scales
from keeprate.sinks.store.clickhouse import Client

REQUESTS: Final = "shown_rate"
"""The rate whose denominator is the requests, so that they need no query of their own."""
ENDINGS: Final = ("rejected", "ignored", "superseded", "unanswered")
"""What became of suggestions that were shown and not accepted."""
BRIEFLY_S: Final = 2.0
_ALL_KEYS: Final = {"bucket_ms", "era", "horizon_s", *DIMENSIONS}
_OF_RATES: Final = (REQUESTS, *(metric.name for metric in METRICS.values() if metric.query == "rates"))
_OF_FEEDBACK: Final = tuple(metric.name for metric in METRICS.values() if metric.query == "feedback_rates")
_OF_RETENTION: Final = tuple(metric for metric, _ in VARIANTS.values())
_COUNTS: Final = counts_of(ACCEPTANCE, _OF_RATES) | counts_of(FEEDBACK, _OF_FEEDBACK) | set(ENDINGS)
_COUNTS_AT_HORIZONS: Final = counts_of(RETENTION, _OF_RETENTION)
_BESIDE: Final = ThreadPoolExecutor(6, "beside")


@dataclass(frozen=True)
class Reads:
    """What one request may read, at one time. What has no selection is narrowed by its `sight`.

    scales: which words of judges are good. alertmanager: what fires, where the page was told of one.
    """

    client: Client
    now: datetime
    recent: Recent
    sight: Sight = field(default_factory=Sight)
    summed: dict[Hashable, Known] = field(default_factory=dict)
    scales: Scales = field(default_factory=Scales)
    alertmanager: Alertmanager | None = None

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
        scope = selection.all_spans(self.now, in_buckets=True)
        rows = self._kept(
            "counts", selection, lambda: queries.counted(self.client, scope, _COUNTS, self._summed(scope))
        )
        return self._of(span, selection, rows)

    def at_horizons(self, selection: Selection, span: Span) -> list[Counts]:
        """The same of retention, at every horizon."""
        # Over time, each bucket has every horizon: that is asked where it is shown, and the other spans with it.
        in_buckets = span == "over_time" or selection.metric == "retention"
        scope = selection.all_spans(self.now, in_buckets)

        def ask() -> list[Counts]:
            return queries.counted_at_horizons(self.client, scope, _COUNTS_AT_HORIZONS, self._summed(scope))

        return self._of(span, selection, self._kept(f"horizons {in_buckets}", selection, ask))

    def begin(self, selection: Selection) -> None:
        """Have retention read beside what else a screen reads: who needs it finds it under way, or what it raised."""
        if not selection.of_nobody:
            self._summed(selection.all_spans(self.now, in_buckets=True))
            _BESIDE.submit(self.at_horizons, selection, "now")

    def fact(self, name: str, key: Hashable, ask: Callable[[], Value], keep_s: float = BRIEFLY_S) -> Value:
        """A read of single facts, shared for a moment."""
        return self.recent.get((self.sight, name, key), ask, keep_s)

    def _summed(self, scope: Scope) -> Known:
        """What is summed of the span, asked once a request."""
        key = (scope.since, tuple(scope.only.get("app", ())), "user" in (*scope.by, *scope.only))
        if key not in self.summed:
            self.summed[key] = splitting.known(self.client, scope)
        return self.summed[key]

    def _kept(self, name: str, selection: Selection, ask: Callable[[], list[Counts]]) -> list[Counts]:
        if selection.of_nobody:
            return []
        return self.recent.get((self.sight, name, selection.core("grouped")), ask, selection.keep_s)

    def _of(self, span: Span, selection: Selection, rows: Iterable[Counts]) -> list[Counts]:
        """The counts of a span, of those of all: whatever the page counts is a sum over suggestions."""
        scope, eras = selection.scope(span, self.now), ERAS_OF["grouped" if span == "now" else span]
        of_span = (row for row in rows if row["era"] in eras)
        if not scope.bucket_s:
            of_span = (row | {"bucket_ms": scope.since_ms} for row in of_span)
        return pooled(of_span, scope.keys)


def pooled(rows: Iterable[Counts], keys: Collection[str]) -> list[Counts]:
    """The sums of rows that have the same keys, and the same horizon where they have one; sorted."""
    keys = (*keys, "horizon_s")
    found: dict[tuple[Any, ...], Counts] = {}
    for row in rows:
        of_keys = {name: row[name] for name in keys if name in row}
        counts = row.keys() - _ALL_KEYS
        sums = found.setdefault(tuple(of_keys.values()), dict.fromkeys(counts, 0) | of_keys)
        for name in counts:
            sums[name] += row[name]
    return [found[key] for key in sorted(found)]
