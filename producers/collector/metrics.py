"""Every metric of the collector, once, with what it means and what to do about it."""

from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from keeprate.schemas.decode import ErrorType

REGISTRY = CollectorRegistry()

REQUESTS = Counter(
    "keeprate_collector_requests",
    "Requests by path and HTTP status. Many 401: a key is wrong or revoked. Many 503: see Kafka.",
    ["path", "status"],
    registry=REGISTRY,
)
EVENTS = Counter(
    "keeprate_collector_events",
    "Events that Kafka acknowledged, by type.",
    ["type"],
    registry=REGISTRY,
)
REFUSED = Counter(
    "keeprate_collector_refused",
    "Events that were refused, by reason. A client sends what the contract does not allow: its answers name the field.",
    ["error_type"],
    registry=REGISTRY,
)
# From the start: a rate over a series that appears with its first refusals would miss them.
for _error_type in get_args(ErrorType):
    REFUSED.labels(_error_type)
IGNORED = Counter(
    "keeprate_collector_ignored",
    "Spans, log records and metrics of an app that say nothing of a generation. Normal; filter them out to save work.",
    ["reason"],
    registry=REGISTRY,
)
SECONDS = Histogram(
    "keeprate_collector_request_seconds",
    "From the first byte of a request to its answer, Kafka's acknowledgement included.",
    ["path"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)
WAITING = Gauge(
    "keeprate_collector_waiting_events",
    "Events that wait for Kafka's acknowledgement. It grows when brokers are slow or down; beyond a limit, 503.",
    registry=REGISTRY,
)
BODY_BYTES = Gauge(
    "keeprate_collector_body_bytes",
    "Bytes of bodies being read or handled.",
    registry=REGISTRY,
)
BROKER_ERRORS = Counter(
    "keeprate_collector_broker_errors",
    "Errors of the connection to Kafka, by librdkafka's name.",
    ["error"],
    registry=REGISTRY,
)
CONNECTIONS = Gauge(
    "keeprate_collector_connections",
    "Open connections.",
    registry=REGISTRY,
)
CROWDED = Counter(
    "keeprate_collector_crowded_connections",
    "Connections beyond the limit of an address, or of all: for each, an idle one was ended, or it was refused.",
    ["limit"],
    registry=REGISTRY,
)
LIMITED = Counter(
    "keeprate_collector_limited",
    "Requests beyond the rate or a quota of their key, by which. The client waits, or the key needs a larger quota.",
    ["limit"],
    registry=REGISTRY,
)
