"""The rows behind an answer. Requests share them: what differs only in how rows are shown is one query."""

import math
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, get_args

from keeprate.deploy.alerting.alertmanager import Alertmanager
from keeprate.deploy.page.access.viewer import Sight
from keeprate.deploy.page.definitions import METRICS, VARIANTS, ShownRate, View
from keeprate.deploy.page.recent import Recent, Value
from keeprate.deploy.page.selection import ERAS_OF, PERIODS, Selection, Span
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
_OF_RETENTION: Final = tuple(metric for metric, _, _ in VARIANTS.values())
_COUNTS: Final = counts_of(ACCEPTANCE, _OF_RATES) | counts_of(FEEDBACK, _OF_FEEDBACK) | {*ENDINGS, "orphans"}
_COUNTS_AT_HORIZONS: Final = counts_of(RETENTION, _OF_RETENTION)
NAMED_FOR: Final = PERIODS["90d"].length
"""How far back names and horizons are looked for, whatever the period, and on to the beginning of that day."""
NAMES_FOR_S: Final = 15.0
"""How long they are kept."""
_BESIDE: Final = ThreadPoolExecutor(6, "beside")


@dataclass(frozen=True)
class Counted:
    """What the page's rates of one scope are made of: counts of suggestions, and of retention."""

    scope: Scope
    counts: Sequence[Counts]
    at_horizons: Sequence[Counts]

    def rates(self) -> Mapping[View, list[Rate]]:
        """Of every view."""
        return {
            view: _rates(view, self.scope, self.at_horizons if view == "retention_rates" else self.counts)
            for view in get_args(View)
        }

    def pooled(self, by: Collection[str]) -> "Counted":
        """The same, cut by no more than some of the dimensions."""
        scope = replace(self.scope, by=tuple(by))
        return Counted(scope, pooled(self.counts, scope.keys), pooled(self.at_horizons, scope.keys))


def _rates(view: View, scope: Scope, rows: Sequence[Counts], metrics: Sequence[str] = ()) -> list[Rate]:
    if view == "rates":
        return queries.rates_of(scope, rows, metrics or _OF_RATES)
    if view == "feedback_rates":
        return list(queries.feedback_rates_of(scope, rows, metrics or _OF_FEEDBACK))
    return list(queries.retention_rates_of(scope, rows, metrics or _OF_RETENTION))


@dataclass(frozen=True)
class Reads:
    """What one request may read, at one time. What has no selection is narrowed by its `sight`.

    own: what this request has found already. spans: since when it asked what is summed. begun: the selections of which
    it reads the counts in any case. scales: which words of judges are good.
    alertmanager: what fires, where the page was told of one.
    """

    client: Client
    now: datetime
    recent: Recent
    sight: Sight = field(default_factory=Sight)
    own: Recent = field(default_factory=lambda: Recent(time.monotonic))
    spans: set[datetime] = field(default_factory=set)
    begun: set[Selection] = field(default_factory=set)
    scales: Scales = field(default_factory=Scales)
    alertmanager: Alertmanager | None = None

    def rates(self, view: View, selection: Selection, span: Span) -> list[Rate]:
        """The page's metrics of one view; of retention, at every horizon, and over time at the selection's."""

        def find() -> list[Rate]:
            rows = self.at_horizons(selection, span) if view == "retention_rates" else self.counts(selection, span)
            return _rates(view, selection.scope(span, self.now), rows)

        return self.own.get(("rates", view, selection, span), find, math.inf)

    def rates_of(self, metric: ShownRate, selection: Selection, span: Span) -> list[Rate]:
        """Of one metric alone; of retention, at the horizon."""
        rows = self.at_horizons(selection, span) if metric.query == "retention_rates" else self.counts(selection, span)
        at_horizon = [row for row in rows if row.get("horizon_s") in (None, selection.horizon_s)]
        return _rates(metric.query, selection.scope(span, self.now), at_horizon, (metric.name,))

    def counts(self, selection: Selection, span: Span) -> list[Counts]:
        """What all that the page shows of suggestions is made of."""
        scope = selection.all_spans(self.now, in_buckets=True)
        rows = self._kept("counts", selection, lambda: queries.counted(self.client, scope, _COUNTS, self.summed(scope)))
        return self._of(span, selection, "counts", rows)

    def at_horizons(self, selection: Selection, span: Span) -> list[Counts]:
        """The same of retention, at every horizon; over time at the selection's alone."""
        # All horizons in all buckets are thousands of rows: it is asked for buckets where they are shown, and the other
        # spans with it.
        over_time = span == "over_time" or selection.metric == "retention"
        scope = selection.all_spans(self.now, over_time)
        if over_time:
            scope = replace(scope, in_buckets=selection.horizon_s)

        def ask() -> list[Counts]:
            return queries.counted_at_horizons(self.client, scope, _COUNTS_AT_HORIZONS, self.summed(scope))

        name = f"horizons {scope.in_buckets}"
        rows = self._kept(name, selection, ask)
        if span == "over_time":
            rows = [row for row in rows if row["horizon_s"] == selection.horizon_s]
        return self._of(span, selection, name, rows)

    def begin(self, selection: Selection) -> None:
        """Have retention read beside what else a screen reads: who needs it finds it under way, or what it raised."""
        self.begun.add(selection)
        if not selection.of_nobody:
            self.summed(selection.all_spans(self.now, in_buckets=True))
            _BESIDE.submit(self.at_horizons, selection, "now")

    def grouped(self, selection: Selection) -> Counted:
        """What the rates of the period are made of, and of no other span; of retention, at the selection's horizon."""
        scope = selection.scope("grouped", self.now)
        if selection.of_nobody:
            return Counted(scope, [], [])
        key = (self.sight, "grouped", selection.core("grouped"), selection.horizon_s)
        rows = self.recent.get(
            key, lambda: self.both(scope, _COUNTS, _COUNTS_AT_HORIZONS, selection.horizon_s), selection.keep_s
        )
        return Counted(scope, *rows)

    def both(
        self, scope: Scope, names: Collection[str], at_horizon: Collection[str], horizon_s: int
    ) -> tuple[list[Counts], list[Counts]]:
        """Counts of suggestions and, read beside them, of retention at one horizon, of the apps that check there."""
        summed = self.summed(scope)
        kept = _BESIDE.submit(queries.counted_at_horizons, self.client, scope, at_horizon, summed, horizon_s)
        counts = queries.counted(self.client, scope, names, summed)
        return counts, kept.result()

    def fact(self, name: str, key: Hashable, ask: Callable[[], Value], keep_s: float = BRIEFLY_S) -> Value:
        """A read of single facts, shared for a moment."""
        return self.recent.get((self.sight, name, key), ask, keep_s)

    def summed(self, scope: Scope) -> Known:
        """What is summed of a span that holds the scope's: asked once a request, if for its longest span first."""
        since = min(scope.since, self.named.since, *self.spans)
        self.spans.add(since)
        asked = Scope(since, self.now, self.now, only=self.sight.only)
        return self.own.get(("summed", since), lambda: splitting.known(self.client, asked), math.inf)

    @property
    def named(self) -> Scope:
        """Where names and horizons are looked for. It begins with a day, because sums know them by the day."""
        day = (self.now - NAMED_FOR).astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return Scope(day, self.now, self.now, only=self.sight.only)

    def _kept(self, name: str, selection: Selection, ask: Callable[[], list[Counts]]) -> list[Counts]:
        if selection.of_nobody:
            return []
        return self.recent.get((self.sight, name, selection.core("grouped")), ask, selection.keep_s)

    def _of(self, span: Span, selection: Selection, name: str, rows: Iterable[Counts]) -> list[Counts]:
        """The counts of a span, of those of all: whatever the page counts is a sum over suggestions."""
        scope, eras = selection.scope(span, self.now), ERAS_OF["grouped" if span == "now" else span]

        def of_span() -> list[Counts]:
            found = (row for row in rows if row["era"] in eras)
            since_ms = scope.since_ms
            return pooled(found if scope.bucket_s else (row | {"bucket_ms": since_ms} for row in found), scope.keys)

        return self.own.get((name, selection, span), of_span, math.inf)


def pooled(rows: Iterable[Counts], keys: Collection[str]) -> list[Counts]:
    """The sums of rows of one answer that have the same keys, and the same horizon where they have one; sorted."""
    found: dict[tuple[Any, ...], Counts] = {}
    own: list[str] = []
    counts: list[str] = []
    for row in rows:
        if not found:
            own = [name for name in (*keys, "horizon_s") if name in row]
            counts = [name for name in row if name not in _ALL_KEYS]
        key = tuple(row[name] for name in own)
        if (sums := found.get(key)) is None:
            found[key] = {name: row[name] for name in (*own, *counts)}
        else:
            for name in counts:
                sums[name] += row[name]
    return [found[key] for key in sorted(found)]
