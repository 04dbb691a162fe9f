"""The sink's runtime metrics: each name once, with its meaning and what to do when it looks wrong."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from keeprate.schemas.refusal_alarm import Alarm
from keeprate.schemas.telemetry.metric import Metric
from keeprate.schemas.topics import ALL
from keeprate.sinks.kafka.client import Consumer
from keeprate.sinks.kafka.errors import BrokerError
from keeprate.sinks.kafka.records import TopicPartition
from keeprate.sinks.landing.flush import Flush
from keeprate.sinks.landing.shards import Store
from keeprate.sinks.store.clickhouse import Row, Settings

EVENTS: Final = Metric(
    "keeprate_member_records_total",
    "counter",
    ("stage", "result"),
    "Records that this process has done with since it started: ok, dead_letter or filtered.",
    "Many dead_letter: keeprate dead-letters list says what is refused and why.",
)
LAG: Final = Metric(
    "keeprate_member_lag_messages",
    "gauge",
    ("consumer_group", "topic"),
    "Records of this process's partitions that it has not done with yet.",
    "Rising: look at the insert's duration and failures; else start another sink.",
)
END_OFFSET: Final = Metric(
    "keeprate_member_end_offset",
    "gauge",
    ("consumer_group", "topic"),
    "End offsets of this process's partitions, summed.",
    "Standing still while apps emit: producers do not reach Kafka.",
)
COMMITTED: Final = Metric(
    "keeprate_member_committed_offset",
    "gauge",
    ("consumer_group", "topic"),
    "Committed offsets of this process's partitions, summed.",
    "Standing still while there is lag: the log says which step waits.",
)
TIME_LAG: Final = Metric(
    "keeprate_member_record_age_seconds",
    "gauge",
    ("stage", "topic"),
    "Age of the newest record that this process has done with, by Kafka's time, when it had.",
    "Large with no lag in messages: nothing arrives.",
)
INSERT_SECONDS: Final = Metric(
    "keeprate_clickhouse_insert_duration_seconds",
    "histogram",
    ("table",),
    "Time of one insert.",
    "Slow: the store is overloaded, or far away.",
)
INSERT_FAILURES: Final = Metric(
    "keeprate_clickhouse_insert_failures_total",
    "counter",
    ("table",),
    "Inserts that failed, whatever the reason; the sink retries or splits them.",
    "Rising without end: the log has ClickHouse's code.",
)
FLUSH_SECONDS: Final = Metric(
    "keeprate_sink_flush_duration_seconds",
    "histogram",
    ("topic",),
    "Time of the last attempt of one flush, all its steps.",
    "Much above the inserts' duration: a slow coordinator, or many partitions for few threads: start another sink.",
)
WAITS: Final = Metric(
    "keeprate_sink_flush_retries_total",
    "counter",
    ("topic", "step"),
    "Attempts of a flush that found the store or the coordinator away, by the step that failed.",
    "Rising: it is still away. Nothing is lost meanwhile; the lag grows.",
)
DROPS: Final = Metric(
    "keeprate_sink_partitions_dropped_total",
    "counter",
    ("reason",),
    "Partitions given up: revoked, lost or fenced. Their records are read again.",
    "lost or fenced, often: the member is too slow to poll, or was stopped.",
)
QUARANTINED: Final = Metric(
    "keeprate_member_quarantined_records_total",
    "counter",
    ("stage", "topic"),
    "Records that this process set aside since it started, because judging them raised an error or ended it.",
    "Any: a fault of Keeprate's. keeprate dead-letters list --error-type quarantined shows them; report the trace.",
)
REFUSAL_ALARM: Final = Metric(
    "keeprate_refusal_alarm_active",
    "gauge",
    ("stage", "app"),
    "1 while more than nine tenths of the app's last records were refused; other apps go on.",
    "1: a deploy of that app went wrong; its dead letters name the field. Mend it, then replay them.",
)
METRICS: Final = (
    *(
        EVENTS,
        QUARANTINED,
        REFUSAL_ALARM,
        LAG,
        END_OFFSET,
        COMMITTED,
        TIME_LAG,
        INSERT_SECONDS,
        INSERT_FAILURES,
        FLUSH_SECONDS,
        WAITS,
        DROPS,
    ),
)

_BUCKETS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LAG_EVERY_S: Final = 1.0


class SinkMetrics:
    """Counts what a sink tells its observer."""

    def __init__(self, group: str, consumer: Consumer) -> None:
        self.registry = CollectorRegistry()
        self._group = group
        self._consumer = consumer
        self._by_name: dict[str, Any] = {metric.name: _create(metric, self.registry) for metric in METRICS}
        self._lag_at_s = float("-inf")
        for result in ("ok", "dead_letter", "filtered"):
            self._of(EVENTS, "store", result).inc(0)
        for topic in ALL:
            self._of(QUARANTINED, "sink", topic.name).inc(0)

    def serve(self, port: int, host: str = "127.0.0.1") -> None:
        """Answer scrapes from a thread of its own."""
        start_http_server(port, host, self.registry)

    def flushed(self, flush: Flush, took_s: float) -> None:
        topic = flush.at[0]
        self._of(EVENTS, "store", "ok").inc(flush.rows)
        self._of(EVENTS, "store", "dead_letter").inc(flush.dead_letters)
        self._of(EVENTS, "store", "filtered").inc(flush.batch.filtered)
        self._of(QUARANTINED, "sink", topic).inc(flush.quarantined)
        self._of(FLUSH_SECONDS, topic).observe(took_s)
        if flush.records:
            self._of(TIME_LAG, "store", topic).set(time.time() - flush.records[-1].timestamp()[1] / 1000)

    def failed(self, flush: Flush, error: Exception) -> None:
        self._of(WAITS, flush.at[0], str(flush.step + 1)).inc()

    def dropped(self, at: TopicPartition, reason: str) -> None:
        self._of(DROPS, reason).inc()

    def polled(self, positions: Mapping[TopicPartition, int], now_s: float) -> None:
        if now_s - self._lag_at_s < _LAG_EVERY_S:
            return
        self._lag_at_s = now_s
        committed: dict[str, int] = {}
        ends: dict[str, int] = {}
        for at, position in positions.items():
            try:
                end = self._consumer.watermarks(at, cached=True)[1]
            except BrokerError:
                continue
            committed[at[0]] = committed.get(at[0], 0) + position
            ends[at[0]] = ends.get(at[0], 0) + max(end, position)
        for topic, end in ends.items():
            self._of(END_OFFSET, self._group, topic).set(end)
            self._of(COMMITTED, self._group, topic).set(committed[topic])
            self._of(LAG, self._group, topic).set(end - committed[topic])

    def alarm(self, alarm: Alarm) -> None:
        if alarm.raised:
            self._of(REFUSAL_ALARM, "store", alarm.app).set(1)
        else:
            self._by_name[REFUSAL_ALARM.name].remove("store", alarm.app)

    def timed(self, store: Store) -> Store:
        """The same store, its inserts timed and their failures counted."""
        return _TimedStore(store, self)

    def _of(self, metric: Metric, *labels: str) -> Any:
        return self._by_name[metric.name].labels(*labels)


class _TimedStore:
    def __init__(self, store: Store, metrics: SinkMetrics) -> None:
        self._store = store
        self._metrics = metrics

    def insert_bytes(
        self, table: str, columns: Sequence[str], data: bytes, format_name: str, settings: Mapping[str, str | int]
    ) -> None:
        with self._watched(table):
            self._store.insert_bytes(table, columns, data, format_name, settings)

    def command(self, statement: str, parameters: Mapping[str, Any] | None = None) -> None:
        # The only statements of a sink are those that derive.
        with self._watched("suggestions"):
            self._store.command(statement, parameters)

    def query(
        self, statement: str, parameters: Mapping[str, Any] | None = None, settings: Settings | None = None
    ) -> list[Row]:
        return self._store.query(statement, parameters, settings)

    def _watched(self, table: str) -> "_Watch":
        return _Watch(self._metrics._of(INSERT_SECONDS, table), self._metrics._of(INSERT_FAILURES, table))


class _Watch:
    def __init__(self, seconds: Any, failures: Any) -> None:
        self._seconds = seconds
        self._failures = failures

    def __enter__(self) -> None:
        self._began_s = time.monotonic()

    def __exit__(self, kind: object, error: object, at: object) -> None:
        self._seconds.observe(time.monotonic() - self._began_s)
        if error is not None:
            self._failures.inc()


def _create(metric: Metric, registry: CollectorRegistry) -> Any:
    text = f"{metric.meaning} {metric.remedy}"
    if metric.kind == "histogram":
        return Histogram(metric.name, text, metric.labels, registry=registry, buckets=_BUCKETS_S)
    return {"counter": Counter, "gauge": Gauge}[metric.kind](metric.name, text, metric.labels, registry=registry)
