"""The pipeline: is all that was sent there, and how soon."""

from typing import Final

from keeprate.deploy.grafana.expressions import RATE, age_s, largest, per_second, quantile, slope, total
from keeprate.deploy.grafana.panels import Ask, answered, answered_lines, board, lines, number
from keeprate.deploy.grafana.statements import LANDED, REFUSED
from keeprate.deploy.monitor import catalogue as monitor
from keeprate.sinks.landing import metrics as sink
from keeprate.streams import metrics as worker

# The monitor sees all members and outlives them; what a member tells is of its own partitions, since it started.
_OF_MONITOR: Final = 'job="keeprate-monitor"'
_OF_WORKER: Final = 'job="keeprate-worker"'
_OF_SINK: Final = 'job="keeprate-sink"'
_GROUP: Final = ("consumer_group", "topic")
_GROUPS: Final = "{{consumer_group}} {{topic}}"

_NOW: Final = (
    number(
        "Violations found",
        "By the last verification: KeeprateVerifyFailed, docs/runbook.md.",
        "short",
        Ask(f"sum({largest(monitor.VERIFY_FINDINGS, ('invariant',))})"),
        bad_from=1,
    ),
    number(
        "Records set aside",
        "Within the panel's time, because judging them failed: KeeprateRecordQuarantined.",
        "short",
        Ask(total(monitor.QUARANTINED, (), _OF_MONITOR, window="$__range")),
        bad_from=1,
    ),
    number(
        "Records that wait",
        "In Kafka, for a worker or a sink.",
        "short",
        Ask(f"sum({largest(monitor.CONSUMER_LAG, _GROUP, _OF_MONITOR)})"),
    ),
    number(
        "Since the monitor read",
        "KeeprateExporterStale fires above two minutes.",
        "s",
        Ask(f"max({age_s(monitor.LAST_SUCCESS, ('source',))})"),
        bad_from=120,
    ),
)
_KAFKA: Final = (
    lines(
        "Lag",
        "Records that a group has not committed yet.",
        "short",
        Ask(largest(monitor.CONSUMER_LAG, _GROUP, _OF_MONITOR), _GROUPS),
    ),
    lines(
        "Lag of members",
        "Records of the partitions of a worker or sink, as each tells it.",
        "short",
        Ask(largest(worker.LAG, _GROUP, _OF_WORKER), _GROUPS),
        Ask(largest(sink.LAG, _GROUP, _OF_SINK), _GROUPS),
    ),
    lines(
        "Written",
        "Records per second that arrive in Kafka.",
        "cps",
        Ask(slope(monitor.END_OFFSET, _GROUP, _OF_MONITOR), _GROUPS),
    ),
    lines(
        "Committed",
        "Records per second that are done. None while there is lag: KeeprateConsumerStuck.",
        "cps",
        Ask(slope(monitor.COMMITTED_OFFSET, _GROUP, _OF_MONITOR), _GROUPS),
    ),
)
_MEMBERS: Final = (
    lines(
        "Written, in a sink's partitions",
        "Records per second.",
        "cps",
        Ask(slope(sink.END_OFFSET, (*_GROUP, "instance"), _OF_SINK), f"{{{{instance}}}} {_GROUPS}"),
    ),
    lines(
        "Committed by a sink",
        "Records per second, of its partitions.",
        "cps",
        Ask(slope(sink.COMMITTED, (*_GROUP, "instance"), _OF_SINK), f"{{{{instance}}}} {_GROUPS}"),
    ),
)
_TIME: Final = (
    lines(
        "Age of the newest event",
        "Of each app, as it is stored.",
        "s",
        Ask(largest(monitor.EVENT_TIME_LAG, ("app", "stage"), _OF_MONITOR), "{{app}} {{stage}}"),
    ),
    lines(
        "Age of what was joined and landed last",
        "By Kafka's time, when it was done.",
        "s",
        Ask(largest(worker.TIME_LAG, ("stage", "topic"), _OF_WORKER), "{{stage}} {{topic}}"),
        Ask(largest(sink.TIME_LAG, ("stage", "topic"), _OF_SINK), "{{stage}} {{topic}}"),
    ),
    lines(
        "Watermarks behind now",
        "The event time up to which an app's events have arrived.",
        "s",
        Ask(age_s(monitor.WATERMARK, ("app",)), "{{app}}"),
    ),
    lines(
        "Closed behind now",
        "The event time up to which batches are counted; a horizon's wait for it.",
        "s",
        Ask(age_s(monitor.BATCHES, ("app", "kind")), "{{app}} {{kind}}"),
    ),
)
_JOIN: Final = (
    lines(
        "From Kafka to outcome",
        "The slowest twentieth of batches, and the time that one batch takes.",
        "s",
        Ask(quantile(worker.LATENCY, (), 0.95, window=RATE), "latency 95 %"),
        Ask(quantile(worker.BATCH_SECONDS, (), 0.95, window=RATE), "a batch 95 %"),
    ),
    lines(
        "Records in a batch",
        "At the maximum all the time: start another worker.",
        "short",
        Ask(quantile(worker.BATCH_RECORDS, (), 0.5, window=RATE), "median"),
    ),
    lines(
        "Outcomes",
        "That a batch changed, or duplicates and replays left unchanged; that left the state.",
        "cps",
        Ask(per_second(worker.OUTCOMES, ("change",)), "{{change}}"),
        Ask(per_second(worker.EXPIRED, ()), "expired"),
    ),
    lines(
        "Out of order",
        "Orphans held and joined, records that came late or from ahead, outcomes that are none.",
        "cps",
        Ask(per_second(worker.ORPHANS, ("change",)), "orphans {{change}}"),
        Ask(per_second(worker.LATE, ()), "late"),
        Ask(per_second(worker.AHEAD, ()), "ahead"),
        Ask(per_second(worker.UNREADABLE, ("place",)), "unreadable {{place}}"),
    ),
    lines(
        "Recovery",
        "Records of the changelog that are still to be read before a worker joins again.",
        "short",
        Ask(largest(worker.RECOVERY_LEFT, ("instance",)), "{{instance}}"),
    ),
    lines(
        "How long the last recovery took",
        "And how long ago a worker last made progress.",
        "s",
        Ask(largest(worker.RECOVERY_SECONDS, ("instance",)), "{{instance}} recovery"),
        Ask(age_s(worker.PROGRESS, ("instance",)), "{{instance}} since progress"),
    ),
)
_LAND: Final = (
    lines(
        "Inserts",
        "The slowest twentieth, by table.",
        "s",
        Ask(quantile(sink.INSERT_SECONDS, ("table",), 0.95, window=RATE), "{{table}}"),
    ),
    lines(
        "Flushes",
        "The slowest twentieth, all steps of one.",
        "s",
        Ask(quantile(sink.FLUSH_SECONDS, ("topic",), 0.95, window=RATE), "{{topic}}"),
    ),
    lines(
        "Tried again",
        "Failed inserts, attempts that found store or coordinator away, partitions given up. Nothing is lost by it.",
        "cps",
        Ask(per_second(sink.INSERT_FAILURES, ("table",)), "insert {{table}}"),
        Ask(per_second(sink.WAITS, ("topic", "step")), "{{topic}} step {{step}}"),
        Ask(per_second(sink.DROPS, ("reason",)), "partition {{reason}}"),
    ),
    answered_lines("Landed", "Rows by topic, from the ledger.", LANDED, "short"),
)
_REFUSED: Final = (
    lines(
        "What became of records",
        "From the sink's ledger.",
        "cps",
        Ask(per_second(monitor.PIPELINE_EVENTS, ("stage", "result"), _OF_MONITOR), "{{stage}} {{result}}"),
        Ask(per_second(worker.EVENTS, ("stage", "result"), _OF_WORKER), "{{stage}} {{result}}"),
    ),
    lines(
        "Refused by the join",
        "Records per second, by what is wrong with them.",
        "cps",
        Ask(per_second(worker.REFUSED, ("error_type",)), "{{error_type}}"),
    ),
    lines(
        "Apps of which nearly all is refused",
        "1: a deploy of that app went wrong, KeeprateAppRefused.",
        "short",
        Ask(largest(worker.REFUSAL_ALARM, ("app", "stage")), "{{app}} {{stage}}"),
    ),
    lines(
        "Suggestions without a generation",
        "By the age of their first feedback, in seconds. Many that are old: generations are not sent.",
        "short",
        Ask(largest(monitor.ORPHANS, ("app", "le")), "{{app}} up to {{le}} s"),
    ),
    lines(
        "Set aside by members",
        "Records per second that raised an error or ended a worker or a sink, as each tells it.",
        "cps",
        Ask(per_second(worker.QUARANTINED, ("stage", "topic"), _OF_WORKER), "{{stage}} {{topic}}"),
        Ask(per_second(sink.QUARANTINED, ("stage", "topic"), _OF_SINK), "{{stage}} {{topic}}"),
        width=24,
    ),
    answered(
        "Open dead letters",
        "keeprate dead-letters list shows each, and replays them once the app is mended.",
        REFUSED,
        {"last_at": "dateTimeAsIso"},
    ),
)
_VERIFIED: Final = (
    lines(
        "Compared",
        "How much the last verification looked at.",
        "short",
        Ask(largest(monitor.VERIFY_CHECKED, ("subject",)), "{{subject}}"),
    ),
    lines(
        "Found, waiting, noted",
        "Only what is found is a fault of the pipeline.",
        "short",
        Ask(largest(monitor.VERIFY_FINDINGS, ("invariant",)), "{{invariant}} found"),
        Ask(largest(monitor.VERIFY_WAITING, ("job",)), "waiting"),
        Ask(largest(monitor.VERIFY_NOTED, ("subject",)), "{{subject}} noted"),
    ),
    lines(
        "Verifying",
        "How long a verification took and how long ago it was, beside how often it is due.",
        "s",
        Ask(largest(monitor.VERIFY_DURATION, ("job",)), "took"),
        Ask(largest(monitor.VERIFY_INTERVAL, ("job",)), "due every"),
        Ask(age_s(monitor.VERIFY_SUCCESS, ("job",)), "ago"),
    ),
    lines(
        "Sampled, folded",
        "One in so many generations is compared; events whose label was folded into other.",
        "short",
        Ask(largest(monitor.VERIFY_SHARES, ("job",)), "one in"),
        Ask(total(monitor.LABEL_OVERFLOW, ("label",), window="1h"), "{{label}} folded"),
    ),
)

BOARD: Final = board(
    "pipeline",
    "Keeprate: pipeline",
    "Whether all that was sent is there, and how soon. docs/runbook.md says what to do.",
    ("app",),
    "6h",
    {
        "Now": _NOW,
        "Kafka": (*_KAFKA, *_MEMBERS),
        "Time": _TIME,
        "The join": _JOIN,
        "The sink": _LAND,
        "Refused": _REFUSED,
        "Verified": _VERIFIED,
    },
)
