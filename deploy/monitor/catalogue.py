"""Every metric of the monitor, once: its name, kind, labels, meaning, and what to do when it looks wrong."""

from typing import Final

from keeprate.schemas.telemetry.metric import Metric

PROMPT: Final = ("app", "prompt", "prompt_version", "model")

GENERATIONS: Final = Metric(
    "keeprate_generations_total",
    "counter",
    ("app", "model", "status"),
    "Generations by status: ok, error, timeout, refused or cancelled.",
    "Many error or timeout: look at the provider, and at error_type in the table generations.",
)
SUGGESTIONS: Final = Metric(
    "keeprate_suggestions_total",
    "counter",
    (*PROMPT, "surface", "outcome"),
    "Suggestions that were shown and whose users had their five minutes: accepted, rejected or ignored.",
    "Accepted falls: compare versions with keeprate report --by prompt_version,model.",
)
RETENTION_CHECKS: Final = Metric(
    "keeprate_retention_checks_total",
    "counter",
    (*PROMPT, "horizon", "outcome"),
    "Accepted suggestions old enough for a horizon: retained (mostly unchanged), edited, removed or unknown.",
    "Many unknown: the app does not send its checks. Many removed: users take back what they accepted.",
)
FEEDBACK_EVENTS: Final = Metric(
    "keeprate_feedback_events_total",
    "counter",
    ("app", "prompt", "kind"),
    "Feedback events: thumbs_up, thumbs_down, flag, copy or edit. A revote is two.",
    "None while there are generations: the app's feedback is not wired up.",
)
DURATION: Final = Metric(
    "keeprate_generation_duration_seconds",
    "histogram",
    ("app", "model"),
    "Latency of generations, as the app measured it.",
    "Slow: look at the provider, then at the length of inputs (keeprate_tokens_total).",
)
FIRST_TOKEN: Final = Metric(
    "keeprate_time_to_first_token_seconds",
    "histogram",
    ("app", "model"),
    "Time to the first token, as the app measured it.",
    "Slow: look at the provider, then at the length of inputs.",
)
EDIT_DISTANCE: Final = Metric(
    "keeprate_edit_distance_ratio",
    "histogram",
    ("app", "prompt", "prompt_version"),
    "How much of an accepted text had changed at the check after 10 minutes: 0 nothing, 1 all.",
    "Rising: users accept and then rewrite; read some of what they changed.",
)
TOKENS: Final = Metric(
    "keeprate_tokens_total",
    "counter",
    ("app", "model", "direction"),
    "Tokens, input or output.",
    "Input rises per generation: the context grew.",
)
PIPELINE_EVENTS: Final = Metric(
    "keeprate_pipeline_events_total",
    "counter",
    ("topic", "stage", "result"),
    "Records by what became of them, from the sink's ledger: ok, dead_letter or filtered.",
    "Many dead_letter: the table dead_letters says what was refused and why.",
)
QUARANTINED: Final = Metric(
    "keeprate_records_quarantined_total",
    "counter",
    ("stage", "topic"),
    "Records that join or sink set aside, because they raised an error or ended the process; from the dead letters.",
    "Rising: a fault of Keeprate's. docs/runbook.md, KeeprateRecordQuarantined.",
)
EVENT_TIME_LAG: Final = Metric(
    "keeprate_pipeline_event_time_lag_seconds",
    "gauge",
    ("app", "stage"),
    "How long ago the newest stored event of an app occurred.",
    "Large: nothing is emitted, or it does not come through; compare the consumer lag.",
)
WATERMARK: Final = Metric(
    "keeprate_pipeline_watermark_timestamp_seconds",
    "gauge",
    ("app",),
    "The event time up to which an app's events have arrived; batches close behind it.",
    "Standing still while events arrive: history is being replayed, or a client's clock is slow.",
)
CONSUMER_LAG: Final = Metric(
    "keeprate_kafka_consumer_lag_messages",
    "gauge",
    ("consumer_group", "topic"),
    "Records that the workers' or a sink's group has not committed yet, over all partitions.",
    "Rising: start another worker or sink, or find out what the running one waits for.",
)
END_OFFSET: Final = Metric(
    "keeprate_kafka_topic_end_offset",
    "gauge",
    ("consumer_group", "topic"),
    "End offsets of a topic that one of these groups reads, summed over partitions.",
    "Standing still while apps emit: producers do not reach Kafka.",
)
COMMITTED_OFFSET: Final = Metric(
    "keeprate_kafka_committed_offset",
    "gauge",
    ("consumer_group", "topic"),
    "Committed offsets of such a group, summed over partitions.",
    "Standing still while there is lag: the consumer is stuck, its log says at what.",
)
BATCHES: Final = Metric(
    "keeprate_batches_closed_until_timestamp_seconds",
    "gauge",
    ("kind", "app"),
    "The event time up to which batches of a kind are closed and counted.",
    "Far behind the watermark: the consumers lag by more than a minute, and closing waits for them.",
)
ORPHANS: Final = Metric(
    "keeprate_orphans",
    "gauge",
    ("app", "le"),
    "Suggestions with feedback and no generation yet, whose first feedback is at most le seconds old; up to 3 days.",
    "Many that are old: generations are not sent, or not with the ids that their feedback has.",
)
LAST_SUCCESS: Final = Metric(
    "keeprate_exporter_last_success_timestamp_seconds",
    "gauge",
    ("source",),
    "When the store or Kafka was last read completely.",
    "Old: the monitor's log says why it cannot read.",
)
LABEL_OVERFLOW: Final = Metric(
    "keeprate_exporter_label_overflow_total",
    "counter",
    ("label",),
    "Events whose label's value is one too many: it was folded into other, or, of horizons, is not counted.",
    "Rising: a label holds ids or free text; send those as attributes. horizon: somebody makes checks up.",
)
BASELINE_RATIO: Final = Metric(
    "keeprate_drift_baseline_ratio",
    "gauge",
    (*PROMPT, "metric"),
    "The rate to expect: that of 28 days that ended a day before it was computed, refreshed daily.",
    "Surprising: compare keeprate report --since 29d --until 24h.",
)
BASELINE_EVENTS: Final = Metric(
    "keeprate_drift_baseline_events",
    "gauge",
    (*PROMPT, "metric"),
    "How many events the baseline rests on.",
    "Below 300 there is no baseline of its own; that of the prompt's other versions stands in.",
)

DRIFT_EVIDENCE: Final = Metric(
    "keeprate_drift_evidence_ratio",
    "gauge",
    (*PROMPT, "metric", "direction"),
    "How much speaks for a change of a rate, down or up. From 1 on it is an alarm; one in a thousand days is false.",
    "1 or more: docs/runbook.md, by the metric.",
)
DRIFT_STATE: Final = Metric(
    "keeprate_drift_state",
    "gauge",
    (*PROMPT, "metric", "state"),
    "1 for where a series stands: warming, inherited (its prompt's profile), own, frozen (change suspected), alarm.",
    "Warming for days: fewer than 300 events. Frozen for weeks: decide whether the change is the new normal.",
)
DRIFT_DISPERSION: Final = Metric(
    "keeprate_drift_dispersion_ratio",
    "gauge",
    (*PROMPT, "metric"),
    "How much more the counts vary than independent events would; evidence is divided by it.",
    "Large: few users make most of the events, or days differ much; changes are found later.",
)
DRIFT_CHANGED_AT: Final = Metric(
    "keeprate_drift_change_timestamp_seconds",
    "gauge",
    (*PROMPT, "metric", "direction"),
    "When a change probably began, while it is in alarm.",
    "Look for what was released then.",
)
DRIFT_ALARM: Final = Metric(
    "keeprate_drift_alarm_since_timestamp_seconds",
    "gauge",
    (*PROMPT, "metric", "concern", "cause"),
    "There for each series that got worse and is in use: since when, probably. cause: the prompt under which all that "
    "fell together is told; it stays while one of them is in alarm.",
    "docs/runbook.md, by the concern: quality, harm, latency or cost.",
)
DRIFT_CAUSE: Final = Metric(
    "keeprate_drift_cause_share_ratio",
    "gauge",
    ("app", "cause", "concern", "cut", "value", "by"),
    "Which cut explains most of a cause, and how much of the difference would be gone without it. by: rate where that "
    "value moved more than the rest, mix where there is another share of it.",
    "keeprate why, or the alert's page_url: all cuts with all values.",
)
DRIFT_DETECTABLE: Final = Metric(
    "keeprate_drift_detectable_ratio",
    "gauge",
    (*PROMPT, "metric"),
    "The smallest change for the worse that is found within a day at the last day's traffic, as a part of the "
    "expected rate; +Inf where none would be.",
    "+Inf or large: too young, or too little traffic; docs/runbook.md, What drift cannot see.",
)
DRIFT_CURRENT: Final = Metric(
    "keeprate_drift_current_ratio",
    "gauge",
    (*PROMPT, "metric"),
    "The rate of the day before a series' last batch.",
    "Far from what is expected without an alarm: see keeprate_drift_detectable_ratio.",
)
DRIFT_SERIES: Final = Metric(
    "keeprate_drift_series",
    "gauge",
    ("exported",),
    "Series that the detector scores: those that are exported, and those beyond the thousand busiest, which are not.",
    "no above 0: keeprate drift lists them, and the digest counts them.",
)
DRIFT_UPDATED_AT: Final = Metric(
    "keeprate_drift_last_update_timestamp_seconds",
    "gauge",
    ("app",),
    "The newest batch of an app that the detector has scored.",
    "Old while batches close: the monitor's log says why.",
)

RELEASE: Final = ("app", "prompt", "prompt_version", "surface", "model", "context_strategy", "predecessor")
"""A release is of one component: a version of a prompt, a model on a surface, or a strategy of context."""
RELEASE_EVIDENCE: Final = Metric(
    "keeprate_release_evidence_ratio",
    "gauge",
    (*RELEASE, "metric", "direction"),
    "How much speaks for a release's rate being below (down) or above (up) its predecessor's, since it was released. "
    "From 1 on it is enough; of a hundred harmless releases, one ever gets there.",
    "1 or more: docs/runbook.md, KeeprateReleaseWorse; keeprate compare shows how it came.",
)
RELEASE_DIFFERENCE: Final = Metric(
    "keeprate_release_difference_ratio",
    "gauge",
    (*RELEASE, "metric", "bound"),
    "The release's rate minus its predecessor's: the estimate, and the low and high end of the interval that holds it "
    "at 95 %, however often it is looked at.",
    "Wide for days: too little traffic; keeprate compare says when a fall of a tenth would be seen.",
)
RELEASE_VERDICT: Final = Metric(
    "keeprate_release_verdict",
    "gauge",
    (*RELEASE, "metric", "verdict"),
    "1 for what a release is in a metric: worse, better, same (within 2 points and a fifth of the rate) or not_yet.",
    "worse: docs/runbook.md, KeeprateReleaseWorse.",
)
RELEASED_AT: Final = Metric(
    "keeprate_release_timestamp_seconds",
    "gauge",
    RELEASE,
    "When the first generation of a release occurred; of the newest 30 of 28 days that were used within a day.",
    "A release that is not there: its prompt, surface or app was hardly used in the week before it.",
)

VERIFY_FINDINGS: Final = Metric(
    "keeprate_verify_findings",
    "gauge",
    ("invariant",),
    "Violations that the last verification found: I1 account, I2 ledger, I4 outcomes, I6 order, I7 agreement.",
    "Above 0: docs/runbook.md, KeeprateVerifyFailed; keeprate verify lists them.",
)
VERIFY_CHECKED: Final = Metric(
    "keeprate_verify_checked",
    "gauge",
    ("subject",),
    "How much the last verification compared: ranges, offsets, positions, generations and outcomes.",
    "0 while events arrive: the sinks land nothing, or the join is behind.",
)
VERIFY_WAITING: Final = Metric(
    "keeprate_verify_waiting",
    "gauge",
    (),
    "Generations that differed and were not judged, because their partition had not caught up.",
    "Above 0 for long: a consumer lags, see keeprate_kafka_consumer_lag_messages.",
)
VERIFY_NOTED: Final = Metric(
    "keeprate_verify_noted",
    "gauge",
    ("subject",),
    "What the last verification tells, and no fault of the pipeline: conflicts (events under the id of another one, "
    "which says something else) and unread (stored facts that this version does not take).",
    "Above 0: keeprate verify names the apps and events; conflicts: the app is to give each event an id of its own.",
)
VERIFY_SHARES: Final = Metric(
    "keeprate_verify_shares",
    "gauge",
    (),
    "One in so many generations was compared; the next verification takes others.",
    "Large: there is more than one pass may read; run keeprate verify at a quiet hour.",
)
VERIFY_DURATION: Final = Metric(
    "keeprate_verify_duration_seconds",
    "gauge",
    (),
    "How long the last verification took, in a thread of its own.",
    "Near the interval: verify less often with --verify-every.",
)
VERIFY_INTERVAL: Final = Metric(
    "keeprate_verify_interval_seconds",
    "gauge",
    (),
    "How often it is verified: --verify-every.",
    "Not there: the monitor runs with --verify-every 0.",
)
VERIFY_SUCCESS: Final = Metric(
    "keeprate_verify_last_success_timestamp_seconds",
    "gauge",
    (),
    "When a verification last came to its end, whatever it found.",
    "Old: the monitor's log says what could not be read.",
)

METRICS: Final = (
    *(GENERATIONS, SUGGESTIONS, RETENTION_CHECKS, FEEDBACK_EVENTS, DURATION, FIRST_TOKEN, EDIT_DISTANCE, TOKENS),
    *(PIPELINE_EVENTS, QUARANTINED, EVENT_TIME_LAG, WATERMARK, CONSUMER_LAG, END_OFFSET, COMMITTED_OFFSET),
    *(BATCHES, ORPHANS),
    *(LAST_SUCCESS, LABEL_OVERFLOW, BASELINE_RATIO, BASELINE_EVENTS),
    *(DRIFT_EVIDENCE, DRIFT_STATE, DRIFT_DISPERSION, DRIFT_CHANGED_AT, DRIFT_UPDATED_AT),
    *(DRIFT_ALARM, DRIFT_CAUSE, DRIFT_DETECTABLE, DRIFT_CURRENT, DRIFT_SERIES),
    *(RELEASE_EVIDENCE, RELEASE_DIFFERENCE, RELEASE_VERDICT, RELEASED_AT),
    *(VERIFY_FINDINGS, VERIFY_CHECKED, VERIFY_WAITING, VERIFY_NOTED, VERIFY_SHARES),
    *(VERIFY_DURATION, VERIFY_INTERVAL, VERIFY_SUCCESS),
)
