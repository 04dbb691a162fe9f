"""The accounts as Prometheus metrics."""

from prometheus_client import CollectorRegistry

from keeprate.producers.metrics import METRICS, StatsCollector
from keeprate.producers.sending.stats import DROP_REASONS
from keeprate.producers.testing import RecordingKeeprate


def test_every_account_is_a_metric_with_a_meaning() -> None:
    """Names, labels and values of a scrape; each drop reason is there before its first drop."""
    client = RecordingKeeprate(strict=False)
    client.generation(output="x").vote(1).vote(7)  # type: ignore[arg-type]
    registry = CollectorRegistry()
    registry.register(StatsCollector(client))
    found = {metric.name: metric for metric in registry.collect()}
    assert {name.removesuffix("_total") for name in METRICS} == set(found)
    samples = {
        (sample.name, sample.labels.get("reason")): sample.value
        for metric in found.values()
        for sample in metric.samples
    }
    assert samples["keeprate_producer_accepted_events_total", None] == 3
    assert samples["keeprate_producer_delivered_events_total", None] == 2
    dropped = {reason: value for (name, reason), value in samples.items() if reason}
    assert dropped == {**dict.fromkeys(DROP_REASONS, 0), "invalid": 1}
