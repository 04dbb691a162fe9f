"""The exporter's threads: what they read is handed out, and what cannot be read keeps its last state."""

import threading
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.core import Metric as Family

from keeprate.deploy.monitor.exporter import Exporter
from keeprate.sinks.store.clickhouse import StoreUnavailableError


@dataclass
class Readings:
    """A source whose readings are laid out: a number, or an error to raise."""

    values: list[float | Exception]
    name: str = "store"
    read_all: threading.Event = field(default_factory=threading.Event)

    def read(self) -> list[Family]:
        if len(self.values) == 1:
            self.read_all.set()
        value = self.values.pop(0) if len(self.values) > 1 else self.values[0]
        if isinstance(value, Exception):
            raise value
        return [GaugeMetricFamily("keeprate_reading", "of a test", value=value)]


def reading(exporter: Exporter) -> tuple[float | None, float | None]:
    registry = CollectorRegistry()
    registry.register(exporter)
    success = registry.get_sample_value("keeprate_exporter_last_success_timestamp_seconds", {"source": "store"})
    return registry.get_sample_value("keeprate_reading"), success


def test_nothing_read_yet_is_no_reading_and_no_success() -> None:
    """A scrape before the first read is answered, with a success at the epoch."""
    assert reading(Exporter([Readings([1.0])])) == (None, 0.0)


def test_a_source_that_is_away_keeps_what_was_read() -> None:
    """And the time of its last success."""
    source = Readings([7.0, StoreUnavailableError("away")])
    exporter = Exporter([source])
    exporter.refresh(source)
    before = reading(exporter)
    exporter.refresh(source)
    assert reading(exporter) == before
    assert before[0] == 7.0


def test_threads_read_again_and_again_until_stopped() -> None:
    """Each source in its own, so that none waits for another."""
    source = Readings([1.0, StoreUnavailableError("away"), 3.0])
    exporter = Exporter([source], every_s=0.01)
    exporter.start()
    assert source.read_all.wait(30)
    assert exporter.running
    exporter.stop()
    assert reading(exporter)[0] == 3.0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_is_not_hidden() -> None:
    """Its thread ends, and the exporter says so."""
    exporter = Exporter([Readings([ZeroDivisionError()])], every_s=0.01)
    exporter.start()
    exporter.stop()
    assert not exporter.running
