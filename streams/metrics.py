"""The worker's runtime metrics: each name once, with its meaning and what to do when it looks wrong."""

import time
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from keeprate.schemas.dead_letters import QUARANTINED as QUARANTINED_TYPE
from keeprate.schemas.refusal_alarm import Alarm
from keeprate.schemas.telemetry.metric import Metric
from keeprate.schemas.topics import SOURCES
from keeprate.streams.join.pipeline import Done, Place

_SECONDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_RECORDS: Final = (1, 10, 100, 1_000, 2_500, 5_000, 10_000, 20_000)

EVENTS: Final = Metric(
    "keeprate_member_records_total",
    "counter",
    ("stage", "result"),
    "Records that this process has done with since it started: ok, dead_letter or filtered.",
    "Many dead_letter: keeprate dead-letters list says what is refused and why.",
)
REFUSED: Final = Metric(
    "keeprate_join_refused_records_total",
    "counter",
    ("error_type",),
    "Records that went to the dead letters, by what is wrong with them.",
    "Rising: an app sends what the schema does not allow; its dead letters name the field.",
)
QUARANTINED: Final = Metric(
    "keeprate_member_quarantined_records_total",
    "counter",
    ("stage", "topic"),
    "Records that this process set aside since it started, because judging them raised an error or ended it.",
    "Any: a fault of Keeprate's. Their dead letters have the type quarantined; report their trace.",
)
REFUSAL_ALARM: Final = Metric(
    "keeprate_refusal_alarm_active",
    "gauge",
    ("stage", "app"),
    "1 while more than nine tenths of the app's last records were refused; other apps go on.",
    "1: a deploy of that app went wrong; its dead letters name the field. Mend it, then replay them.",
)
UNREADABLE: Final = Metric(
    "keeprate_join_unreadable_outcomes_total",
    "counter",
    ("place",),
    "Outcomes in the state or its changelog that are none, and were left out there.",
    "Any: somebody else writes into keeprate.outcomes. The log has the keys; keeprate verify can repair the store.",
)
OUTCOMES: Final = Metric(
    "keeprate_join_outcomes_total",
    "counter",
    ("change",),
    "Outcomes that a batch spoke of: changed, or unchanged by duplicates and replays.",
    "Many unchanged: a producer sends everything twice, or the worker was restarted.",
)
ORPHANS: Final = Metric(
    "keeprate_join_orphans_total",
    "counter",
    ("change",),
    "Outcomes that began without their generation (held), and those it came to later (joined).",
    "held much above joined: generations are not sent, or not with the ids that the feedback has.",
)
LATE: Final = Metric(
    "keeprate_join_late_outcomes_total",
    "counter",
    (),
    "Outcomes that began again with facts so old that what was known before had expired; the store merges them.",
    "Many: clients send after more than a week, or a clock is wrong.",
)
AHEAD: Final = Metric(
    "keeprate_join_ahead_outcomes_total",
    "counter",
    (),
    "Outcomes that changed by a fact from more than five minutes ahead of the worker's clock; event time is cut there.",
    "Many: the clock of a client or of the worker is wrong.",
)
EXPIRED: Final = Metric(
    "keeprate_join_expired_outcomes_total",
    "counter",
    (),
    "Outcomes that left the worker's state; the store keeps them.",
    "None for days while events come: event time stands still, so the state grows.",
)
LATENCY: Final = Metric(
    "keeprate_join_latency_seconds",
    "histogram",
    (),
    "From a record's time in Kafka to its outcome's acknowledgement, the oldest record of each batch.",
    "Large with little lag: the broker is slow to acknowledge.",
    _SECONDS,
)
BATCH_SECONDS: Final = Metric(
    "keeprate_join_batch_duration_seconds",
    "histogram",
    (),
    "Time of one batch through all steps.",
    "Rising with equal batches: the disk of the state, or the broker.",
    _SECONDS,
)
BATCH_RECORDS: Final = Metric(
    "keeprate_join_batch_records",
    "histogram",
    (),
    "Records in one batch.",
    "At the maximum all the time: the worker is behind, start another one.",
    _RECORDS,
)
LAG: Final = Metric(
    "keeprate_member_lag_messages",
    "gauge",
    ("consumer_group", "topic"),
    "Records of this process's partitions that it has not done with yet.",
    "Rising: start another worker, up to one for each partition.",
)
TIME_LAG: Final = Metric(
    "keeprate_member_record_age_seconds",
    "gauge",
    ("stage", "topic"),
    "Age of the newest record that this process has done with, by Kafka's time, when it had.",
    "Large with no lag in messages: nothing arrives.",
)
RECOVERY_LEFT: Final = Metric(
    "keeprate_join_recovery_remaining_records",
    "gauge",
    (),
    "Records of the changelog that are still to be read before the worker joins again; 0 when it does.",
    "Standing still: the broker does not answer; after two minutes the worker ends itself.",
)
RECOVERY_SECONDS: Final = Metric(
    "keeprate_join_recovery_duration_seconds",
    "gauge",
    (),
    "How long the last recovery of state took, or has taken so far.",
    "Longer than your patience: keep the --data-dir between starts, or use --standby-replicas 1.",
)
PROGRESS: Final = Metric(
    "keeprate_join_last_progress_timestamp_seconds",
    "gauge",
    (),
    "When a batch was last through, or there was nothing to do.",
    "Standing still: the worker is stuck; it ends itself with the stacks of all threads in its log.",
)
METRICS: Final = (
    *(
        EVENTS,
        REFUSED,
        QUARANTINED,
        REFUSAL_ALARM,
        UNREADABLE,
        OUTCOMES,
        ORPHANS,
        LATE,
        AHEAD,
        EXPIRED,
        LATENCY,
        BATCH_SECONDS,
        BATCH_RECORDS,
        LAG,
        TIME_LAG,
        RECOVERY_LEFT,
        RECOVERY_SECONDS,
        PROGRESS,
    ),
)


class WorkerMetrics:
    """Counts what the pipeline tells its observer."""

    def __init__(self, group: str) -> None:
        self.registry = CollectorRegistry()
        self._group = group
        self._by_name: dict[str, Any] = {metric.name: _create(metric, self.registry) for metric in METRICS}
        for result in ("ok", "dead_letter"):
            self._of(EVENTS, "join", result).inc(0)
        for topic in SOURCES:
            self._of(QUARANTINED, "join", topic.name).inc(0)
        self.records = self.outcomes = self.refused = 0

    def serve(self, port: int, host: str = "127.0.0.1") -> None:
        """Answer scrapes from a thread of its own."""
        start_http_server(port, host, self.registry)

    def batch_done(self, done: Done) -> None:
        count, refusals, step = done.batch.count, done.sifted.refusals, done.step
        self.records += count
        self.outcomes += len(step.outcomes)
        self.refused += len(refusals)
        self._of(EVENTS, "join", "ok").inc(count - len(refusals))
        self._of(EVENTS, "join", "dead_letter").inc(len(refusals))
        for refusal in refusals:
            self._of(REFUSED, refusal.letter.error_type).inc()
            if refusal.letter.error_type == QUARANTINED_TYPE:
                self._of(QUARANTINED, "join", refusal.letter.topic).inc()
        self._of(OUTCOMES, "changed").inc(len(step.outcomes))
        self._of(OUTCOMES, "unchanged").inc(step.unchanged)
        self._of(ORPHANS, "held").inc(step.orphans_held)
        self._of(ORPHANS, "joined").inc(step.orphans_joined)
        self._of(LATE).inc(done.late)
        self._of(AHEAD).inc(done.ahead)
        self._time(done)

    def expired(self, count: int) -> None:
        self._of(EXPIRED).inc(count)

    def alarm(self, alarm: Alarm) -> None:
        if alarm.raised:
            self._of(REFUSAL_ALARM, "join", alarm.app).set(1)
        else:
            self._by_name[REFUSAL_ALARM.name].remove("join", alarm.app)

    def unreadable(self, place: Place, count: int) -> None:
        self._of(UNREADABLE, place).inc(count)

    def judged(self, lag_by_topic: dict[str, int], idle_s: float) -> None:
        """How far behind the worker's own partitions are, and for how long nothing was done about it."""
        for topic, lag in lag_by_topic.items():
            self._of(LAG, self._group, topic).set(lag)
        self._of(PROGRESS).set(time.time() - idle_s)

    def recovering(self, left: int, took_s: float) -> None:
        """How many records a recovery has left, and how long the last one took."""
        self._of(RECOVERY_LEFT).set(left)
        self._of(RECOVERY_SECONDS).set(took_s)

    def _time(self, done: Done) -> None:
        now_s = time.time()
        self._of(BATCH_SECONDS).observe(done.took_s)
        self._of(BATCH_RECORDS).observe(done.batch.count)
        runs = done.batch.runs
        self._of(LATENCY).observe(max(0.0, *(now_s - run.records[0].timestamp / 1000 for run in runs.values())))
        for topic, run in runs.items():
            self._of(TIME_LAG, "join", topic).set(now_s - run.records[-1].timestamp / 1000)

    def _of(self, metric: Metric, *labels: str) -> Any:
        created = self._by_name[metric.name]
        return created.labels(*labels) if labels else created


def _create(metric: Metric, registry: CollectorRegistry) -> Any:
    text = f"{metric.meaning} {metric.remedy}"
    if metric.kind == "histogram":
        return Histogram(metric.name, text, metric.labels, registry=registry, buckets=metric.buckets)
    return {"counter": Counter, "gauge": Gauge}[metric.kind](metric.name, text, metric.labels, registry=registry)
