"""A store with the demo's history, and a Prometheus that has scraped Keeprate over the last hours of it.

What the monitor says is said by the monitor's own sources, reading the store as of each moment. What needs Kafka or
another process (offsets, verifications, worker, sink, SDK, collector) are samples of the metrics that their catalogues
declare, moved by hand. Prometheus gets all of it as blocks of its database, and is real.
"""

import json
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from urllib.request import urlopen

from keeprate.deploy.demo.simulate import simulate
from keeprate.deploy.demo.story import DAY_MS, World
from keeprate.deploy.grafana.names import EXPORTED, Exported
from keeprate.deploy.local.process import ChildProcess, free_port
from keeprate.deploy.monitor import catalogue
from keeprate.deploy.monitor.closing import kinds_of
from keeprate.deploy.monitor.drift_source import DriftSource
from keeprate.deploy.monitor.exporter import StoreSource
from keeprate.deploy.monitor.labels import Admission, fold
from keeprate.deploy.monitor.release_source import ReleaseSource
from keeprate.sinks.closed import batches
from keeprate.sinks.closed.watermarks import MEMORY
from keeprate.sinks.store.clickhouse import Client
from tests.dashboards.interpolation import Span, Values
from tests.reading import EPOCH, load_all, reading

DAYS: Final = 12
EVENTS: Final = 24_000
STEP: Final = timedelta(hours=1)
END_AT: Final = datetime(2026, 3, 14, tzinfo=UTC)
SPAN: Final = Span(END_AT - timedelta(hours=3), END_AT, int(STEP.total_seconds()))

_BY_HAND: Final = (
    *(catalogue.CONSUMER_LAG, catalogue.END_OFFSET, catalogue.COMMITTED_OFFSET, catalogue.LAST_SUCCESS),
    *(catalogue.VERIFY_FINDINGS, catalogue.VERIFY_CHECKED, catalogue.VERIFY_WAITING, catalogue.VERIFY_NOTED),
    *(catalogue.VERIFY_SHARES, catalogue.VERIFY_DURATION, catalogue.VERIFY_INTERVAL, catalogue.VERIFY_SUCCESS),
)
_APPS: Final = ("editor", "support", "repo-agent")

Sample = tuple[str, dict[str, str], float]


@dataclass(frozen=True)
class Engines:
    """A ClickHouse engine, and where Prometheus answers."""

    client: Client
    prometheus: str

    def ask(self, path: str, **parameters: str) -> Any:
        """What Prometheus's API has under `data`."""
        with urlopen(f"{self.prometheus}/api/v1/{path}?{urlencode(parameters)}", timeout=30) as answer:
            return json.loads(answer.read())["data"]

    def every_value(self) -> Values:
        """The values that the dashboards' variables have, as `label_values` finds them, and the window."""
        labels = {"app": "app", "prompt": "prompt", "version": "prompt_version"}
        asked = {"match[]": catalogue.SUGGESTIONS.name}
        found = {name: self.ask(f"label/{label}/values", **asked) for name, label in labels.items()}
        return found | {"window": ["6h"]}


@contextmanager
def engines(directory: Path, promtool: str, prometheus: str) -> Iterator[Engines]:
    """Both engines, with everything in them."""
    with reading() as client:
        _fill(client)
        text = directory / "scraped.txt"
        text.write_text("\n".join([*_scraped(client), "# EOF", ""]))
        data = directory / "data"
        argv = [promtool, "tsdb", "create-blocks-from", "openmetrics", str(text), str(data)]
        subprocess.run(argv, check=True, capture_output=True)
        (directory / "prometheus.yml").write_text("global: {}\n")
        port = free_port()
        with ChildProcess("prometheus", _argv(prometheus, directory, port), directory / "log") as process:
            address = f"http://127.0.0.1:{port}"
            process.wait_ready(lambda: _is_ready(address), 60)
            yield Engines(client, address)


def _argv(prometheus: str, directory: Path, port: int) -> list[str]:
    options = {
        "config.file": directory / "prometheus.yml",
        "storage.tsdb.path": directory / "data",
        "storage.tsdb.retention.time": "100y",
        # Between two scrapes lies an hour here.
        "query.lookback-delta": "80m",
        "web.listen-address": f"127.0.0.1:{port}",
        "log.level": "warn",
    }
    return [prometheus, *(f"--{name}={value}" for name, value in options.items())]


def _is_ready(address: str) -> bool:
    try:
        with urlopen(f"{address}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _fill(client: Client) -> None:
    end_ms = int(END_AT.timestamp() * 1000)
    start_ms = end_ms - DAYS * DAY_MS
    world = World.over(7, start_ms, DAYS)
    # Stored long ago, so that an app's watermark is the moment as of which it is read.
    load_all(
        client, [each.event for each in simulate(world, start_ms, end_ms, EVENTS * 1000 / (end_ms - start_ms))], EPOCH
    )
    columns = ("sink", "topic", "partition", "first_offset", "last_offset", "rows", "dead_letters", "stored_at")
    at = END_AT - timedelta(hours=2)
    client.insert("ledger", columns, [("keeprate-sink", "keeprate.feedback", 0, 0, 99, 97, 3, at)])
    refused = ("topic", "partition", "offset", "stage", "error_type", "field", "reason", "value", "refused_at", "app")
    letter = ("keeprate.feedback", 0, 7, "join", "missing", "app", "Field required", "{}", at, "editor")
    client.insert("dead_letters", refused, [letter])


def _scraped(client: Client) -> Iterator[str]:
    """Lines of the format that Prometheus imports, in the order of time."""
    now = SPAN.since
    _close(client, now)
    store = StoreSource(lambda: client, lambda: None, lambda: now)
    drift, releases = DriftSource(lambda: client), ReleaseSource(lambda: client)
    while now <= SPAN.until:
        families = store.read()
        read = [*families, *drift.read(), *releases.read()]
        of_monitor = [(each.name, each.labels, each.value) for family in read for each in family.samples]
        for name, labels, value in (*_with_job(of_monitor, "monitor"), *_by_hand(now)):
            written = ",".join(f"{label}={json.dumps(each)}" for label, each in labels.items())
            yield f"{name}{{{written}}} {value} {now.timestamp()}"
        now += STEP


def _close(client: Client, now: datetime) -> None:
    """Close what the monitor would, weeks at once: a step of a day each takes ten times as long."""
    for app in _APPS:
        for kind in kinds_of(batches.horizons(client, app, now - MEMORY, now)):
            since, until = END_AT - timedelta(days=DAYS), batches.closable_until(kind, now)
            counts = batches.count(client, kind, app, since, until)
            batches.store(client, kind, app, since, until, fold(counts, Admission()))


def _with_job(samples: Iterable[Sample], exporter: str) -> Iterator[Sample]:
    for name, labels, value in samples:
        yield name, {"job": f"keeprate-{exporter.lower()}", "instance": "127.0.0.1:9469"} | labels, value


def _by_hand(now: datetime) -> Iterator[Sample]:
    step = (now - SPAN.since) // STEP + 1
    moved = {"monitor": _BY_HAND} | {name: metrics for name, metrics in EXPORTED.items() if name != "monitor"}
    for exporter, metrics in moved.items():
        yield from _with_job([sample for metric in metrics for sample in _moved(metric, step, now)], exporter)


def _moved(metric: Exported, step: int, now: datetime) -> Iterator[Sample]:
    values = {label: _APPS if label == "app" else (f"a {label}", f"another {label}") for label in metric.labels}
    for place, chosen in enumerate(product(*values.values())):
        labels = dict(zip(values, chosen, strict=True))
        if metric.kind == "histogram":
            for le, share in (("0.1", 0.5), ("1.0", 0.9), ("+Inf", 1.0)):
                yield f"{metric.name}_bucket", labels | {"le": le}, int(step * 100 * share) + place
        elif metric.name.endswith("_timestamp_seconds"):
            yield metric.name, labels, now.timestamp() - 5 * (place + 1)
        else:
            yield metric.name, labels, step * (place + 1) * 60
