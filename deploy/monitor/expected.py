"""The baselines: computed anew once a day, and for new series once an hour, kept in the store, and exported."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from prometheus_client.core import Metric as Family

from keeprate.deploy.monitor import catalogue
from keeprate.deploy.monitor.families import gauge, horizon_label
from keeprate.sinks.closed import baselines
from keeprate.sinks.closed.batches import RETENTION
from keeprate.sinks.store.clickhouse import Client

DAILY: Final = timedelta(days=1)
NEW_SERIES_EVERY: Final = timedelta(hours=1)


@dataclass
class Expected:
    """The baselines of every series. Holds only when it looked for new series last."""

    looked_at: datetime | None = None

    def read(self, client: Client, now: datetime, closing: bool = False) -> list[Family]:
        """The baselines as gauges, computed first where they are due. Raises StoreError.

        closing: history is still being closed. What is computed of a part of it would stand for a day, so it is
        computed when all is there.
        """
        if closing:
            self.looked_at = None
        else:
            self._compute(client, now)
        rows, _ = baselines.kept(client, now - 2 * DAILY)
        samples = {(*row.series, metric_label(row.metric)): row for row in rows}
        return [
            gauge(catalogue.BASELINE_RATIO, {key: row.ratio for key, row in samples.items()}),
            gauge(catalogue.BASELINE_EVENTS, {key: row.events for key, row in samples.items()}),
        ]

    def _compute(self, client: Client, now: datetime) -> None:
        if self.looked_at is not None and now - self.looked_at < NEW_SERIES_EVERY and not is_due(self.looked_at, now):
            return
        kept, computed_at = baselines.kept(client, now - 2 * DAILY)
        computed = baselines.baselines(baselines.tallies(client, now))
        if not is_due(computed_at, now):
            known = {(row.series, row.metric) for row in kept}
            computed = [row for row in computed if (row.series, row.metric) not in known]
        baselines.keep(client, computed, now)
        self.looked_at = now


def is_due(computed_at: datetime | None, now: datetime) -> bool:
    """Whether the daily computation, at 00:05 UTC, has come since; at once where there was none."""
    today = now.replace(hour=0, minute=5, second=0, microsecond=0)
    return computed_at is None or computed_at < (today if now >= today else today - DAILY)


def metric_label(kind: str) -> str:
    """A kind of batch as the value of the label `metric`: retention_600 is retention_10m."""
    horizon = kind.removeprefix(RETENTION)
    return f"{RETENTION}{horizon_label(int(horizon))}" if horizon != kind else kind
