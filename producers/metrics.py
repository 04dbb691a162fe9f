"""A client's accounts as Prometheus metrics, for an app that has prometheus-client.

from prometheus_client import REGISTRY
REGISTRY.register(StatsCollector(client))
"""

from collections.abc import Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from keeprate.producers.sdk.client import Keeprate
from keeprate.producers.sending.stats import DROP_REASONS

ACCEPTED: Final = "keeprate_producer_accepted_events_total"
DELIVERED: Final = "keeprate_producer_delivered_events_total"
DROPPED: Final = "keeprate_producer_dropped_events_total"
ADOPTED: Final = "keeprate_producer_adopted_events_total"
PENDING: Final = "keeprate_producer_pending_events"
SPOOLED: Final = "keeprate_producer_spooled_events"

METRICS: Final = {
    ACCEPTED: "Events given to emit. It equals the sum of those delivered, pending, spooled and dropped.",
    DELIVERED: "Events that every replica acknowledged.",
    DROPPED: "Events lost, by reason. Any but `invalid` and `redaction` says that brokers or disk were away too long.",
    ADOPTED: "Events taken over from a process that was killed.",
    PENDING: "Events on their way. Growth says that the brokers are slow or away.",
    SPOOLED: "Events waiting on disk. Growth says that the brokers are away; at the limit the oldest are dropped.",
}
"""Every metric of a client, with its meaning and what it asks for."""


class StatsCollector(Collector):
    """Reads the accounts at each scrape. Register one per client; the label `app` tells them apart."""

    def __init__(self, client: Keeprate) -> None:
        self._client = client

    def collect(self) -> Iterator[Metric]:
        """The metrics now."""
        stats, app = self._client.stats(), [self._client.app]
        for name, value in ((ACCEPTED, stats.accepted), (DELIVERED, stats.delivered), (ADOPTED, stats.adopted)):
            counter = CounterMetricFamily(name, METRICS[name], labels=["app"])
            counter.add_metric(app, value)
            yield counter
        for name, value in ((PENDING, stats.pending), (SPOOLED, stats.spooled)):
            gauge = GaugeMetricFamily(name, METRICS[name], labels=["app"])
            gauge.add_metric(app, value)
            yield gauge
        dropped = CounterMetricFamily(DROPPED, METRICS[DROPPED], labels=["app", "reason"])
        for reason in DROP_REASONS:
            # Every reason from the start: a rate over a series that appears with its first loss would miss it.
            dropped.add_metric([*app, reason], stats.dropped.get(reason, 0))
        yield dropped
