"""Reading in the background, answering scrapes at once.

Each source (the store, Kafka) has a thread that reads it every few seconds and puts down what it read. A scrape hands
out what lies there, however old it is; `keeprate_exporter_last_success_timestamp_seconds` says how old.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import isinf
from operator import add
from typing import Final, Protocol

from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from keeprate.deploy.monitor import catalogue
from keeprate.deploy.monitor.closing import MAX_SPANS_AT_ONCE, close, has_caught_up
from keeprate.deploy.monitor.expected import Expected
from keeprate.deploy.monitor.families import counter, gauge, quality
from keeprate.deploy.monitor.labels import Admission, by_app
from keeprate.deploy.monitor.totals import EPOCH, Totals
from keeprate.deploy.offsets import Offsets, OffsetsError
from keeprate.sinks.closed import batches
from keeprate.sinks.closed.watermarks import Progress, progress
from keeprate.sinks.facts.orphans import by_age
from keeprate.sinks.reading import hours
from keeprate.sinks.store.clickhouse import Client, StoreError

logger = logging.getLogger(__name__)

ANNOUNCE_BEFORE: Final = timedelta(hours=1)
SUMS_EVERY: Final = timedelta(minutes=1)
"""Between two looks for hours to sum, where the last one found none: they wait much longer than that."""
# A busy store is asked less often: reading may take half of the time.
_BUSY_SHARE: Final = 0.5


class FamilySource(Protocol):
    """Something to read: `name` for the metric of its last success, `read` for its families."""

    name: str

    def read(self) -> list[Family]:
        """Everything that it exports. Raises StoreError or OffsetsError where it cannot be read now."""


@dataclass
class KafkaSource:
    """The offsets of Keeprate's consumer groups.

    lag_messages: the last known total; None before it is known, and when it is not.
    """

    offsets: Offsets
    name: str = "kafka"
    lag_messages: int | None = None

    def read(self) -> list[Family]:
        try:
            found = self.offsets.read()
        except OffsetsError:
            self.lag_messages = None
            raise
        self.lag_messages = sum(each.lag_messages for each in found.values())
        return [
            gauge(catalogue.CONSUMER_LAG, {key: each.lag_messages for key, each in found.items()}),
            gauge(catalogue.END_OFFSET, {key: each.end_offset for key, each in found.items()}),
            gauge(catalogue.COMMITTED_OFFSET, {key: each.committed_offset for key, each in found.items()}),
        ]


@dataclass
class StoreSource:
    """The store: closes what is complete, then counts. lag_messages: how far the consumers are behind, if known.

    shards: its shards, where it has some; each is summed by itself.
    """

    connect: Callable[[], Client]
    lag_messages: Callable[[], int | None]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    name: str = "store"
    totals: Totals = field(default_factory=Totals)
    expected: Expected = field(default_factory=Expected)
    shards: Sequence[Callable[[], Client]] = ()
    _client: Client | None = None
    _summing: Sequence[Client] = ()
    _admission: Admission | None = None
    _sums_at: datetime = EPOCH

    def read(self) -> list[Family]:
        now = self.now()
        client = self._client = self._client or self.connect()
        if self._admission is None:
            self._admission = _remembered(client)
        reached = progress(client, now)
        closing = False
        if has_caught_up(self.lag_messages(), reached):
            closing = close(client, reached, self._admission) == MAX_SPANS_AT_ONCE
        self._summing = self._summing or [connected() for connected in self.shards] or [client]
        self._sum(now)
        closed = self.totals.refresh(client)
        announced = [self._admission.fold(each)[0] for each in batches.recent_series(client, now - ANNOUNCE_BEFORE)]
        return [
            *quality(self.totals, announced),
            *_pipeline(client, reached, closed, now, self._admission),
            *self.expected.read(client, now, closing),
        ]

    def _sum(self, now: datetime) -> None:
        if now < self._sums_at:
            return
        summed = sum(hours.sum_quiet(each) for each in self._summing)
        self._sums_at = now if summed else now + SUMS_EVERY


def _remembered(client: Client) -> Admission:
    admission = Admission()
    for labels in batches.series(client):
        admission.remember(labels)
    return admission


def _pipeline(
    client: Client,
    reached: dict[str, Progress],
    closed: Mapping[tuple[str, str], datetime],
    now: datetime,
    admission: Admission,
) -> list[Family]:
    """What is told of the way to the store. Of apps too many it is that of the newest, and orphans add up."""
    lags = {(app, "store"): (now - each.newest).total_seconds() for app, each in reached.items()}
    watermarks = {(app,): each.watermark.timestamp() for app, each in reached.items()}
    orphans = {(app, "+Inf" if isinf(le) else str(le)): number for (app, le), number in by_age(client, now).items()}
    return [
        counter(catalogue.PIPELINE_EVENTS, batches.ledger(client)),
        counter(catalogue.QUARANTINED, batches.quarantined(client)),
        gauge(catalogue.EVENT_TIME_LAG, by_app(lags, 0, admission, min)),
        gauge(catalogue.WATERMARK, by_app(watermarks, 0, admission, max)),
        gauge(catalogue.BATCHES, by_app({key: at.timestamp() for key, at in closed.items()}, 1, admission, max)),
        gauge(catalogue.ORPHANS, by_app(orphans, 0, admission, add)),
    ]


class Exporter(Collector):
    """What Prometheus collects: what each source's thread read last."""

    def __init__(self, sources: Sequence[FamilySource], every_s: float = 10.0) -> None:
        self._sources = sources
        self._every_s = every_s
        self._read: dict[str, list[Family]] = {}
        self._success_at_s: dict[str, float] = {source.name: 0.0 for source in sources}
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(each,), daemon=True) for each in sources]

    def start(self) -> None:
        """Begin to read. Returns at once."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop reading, after what is being read now."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    @property
    def running(self) -> bool:
        """Whether every source is still being read: a defect ends its thread, and should end the process."""
        return all(thread.is_alive() for thread in self._threads)

    def collect(self) -> Iterator[Family]:
        """What was read last. Never waits."""
        for families in list(self._read.values()):
            yield from families
        yield gauge(catalogue.LAST_SUCCESS, {(name,): at_s for name, at_s in self._success_at_s.items()})

    def refresh(self, source: FamilySource) -> None:
        """Read one source now, in this thread. A source that cannot be read keeps what it had."""
        try:
            self._read[source.name] = source.read()
            self._success_at_s[source.name] = time.time()
        except (StoreError, OffsetsError) as error:
            logger.warning("%s cannot be read now: %s", source.name, error)

    def _run(self, source: FamilySource) -> None:
        while not self._stopping.is_set():
            began_s = time.monotonic()
            self.refresh(source)
            took_s = time.monotonic() - began_s
            self._stopping.wait(max(self._every_s - took_s, took_s / _BUSY_SHARE - took_s, 0.1))
