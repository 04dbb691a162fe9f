"""The rows behind an answer. Requests share them: what differs only in how rows are shown is one query."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from keeprate.deploy.page.definitions import METRICS, VARIANTS, View
from keeprate.deploy.page.recent import Recent, Value
from keeprate.deploy.page.selection import NOBODY, Selection, Span
from keeprate.sinks import queries
from keeprate.sinks.clickhouse import Client
from keeprate.sinks.queries import Funnel, Rate, Retention

REQUESTS: Final = "shown_rate"
"""The rate whose denominator is the requests, so that they need no query of their own."""
BRIEFLY_S: Final = 2.0
Row = TypeVar("Row")
_OF_RATES: Final = (REQUESTS, *(metric.name for metric in METRICS.values() if metric.query == "rates"))
_OF_FEEDBACK: Final = tuple(metric.name for metric in METRICS.values() if metric.query == "feedback_rates")
_OF_RETENTION: Final = tuple(metric for metric, _ in VARIANTS.values())


@dataclass(frozen=True)
class Reads:
    """What one request may read, at one time."""

    client: Client
    now: datetime
    recent: Recent

    def rates(self, view: View, selection: Selection, span: Span) -> list[Rate]:
        """The page's metrics of one view; of retention, at every horizon."""
        scope = selection.scope(span, self.now)

        def ask() -> list[Rate]:
            if view == "rates":
                return queries.rates(self.client, scope, _OF_RATES)
            if view == "feedback_rates":
                return list(queries.feedback_rates(self.client, scope, _OF_FEEDBACK))
            return list(queries.retention_rates(self.client, scope, _OF_RETENTION))

        return self._counted(view, selection, span, ask)

    def funnel(self, selection: Selection) -> list[Funnel]:
        """The counts behind acceptance, as one segment."""
        scope = selection.scope("now", self.now)
        return self._counted("funnel", selection, "now", lambda: queries.funnel(self.client, scope))

    def retention(self, selection: Selection) -> list[Retention]:
        """The counts behind retention, as one segment, for every horizon."""
        scope = selection.scope("now", self.now)
        return self._counted("retention", selection, "now", lambda: queries.retention(self.client, scope))

    def fact(self, name: str, key: Hashable, ask: Callable[[], Value], keep_s: float = BRIEFLY_S) -> Value:
        """A read of single facts, shared for a moment."""
        return self.recent.get((name, key), ask, keep_s)

    def _counted(self, name: str, selection: Selection, span: Span, ask: Callable[[], list[Row]]) -> list[Row]:
        if NOBODY in (selection.app, selection.environment):
            return []
        return self.recent.get((name, span, selection.core(span)), ask, selection.keep_s(span))
