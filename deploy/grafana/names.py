"""Every metric that dashboards ask for, as its exporter declares it. A name that changes there changes here."""

from dataclasses import dataclass
from typing import Final, Literal, Protocol

from prometheus_client.registry import Collector

from keeprate.deploy.monitor import catalogue
from keeprate.producers import metrics as client
from keeprate.producers.collector import metrics as collector
from keeprate.sinks.landing import metrics as sink
from keeprate.streams import metrics as worker

Kind = Literal["counter", "gauge", "histogram"]


class Exported(Protocol):
    """What is asked of a metric, whichever catalogue it is from."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> Kind: ...
    @property
    def labels(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Declared:
    """A metric of an exporter that keeps no list of labels."""

    name: str
    kind: Kind
    labels: tuple[str, ...]


def _of_client(name: str, *labels: str) -> Declared:
    return Declared(name, "counter" if name.endswith("_total") else "gauge", ("app", *labels))


CLIENT_ACCEPTED: Final = _of_client(client.ACCEPTED)
CLIENT_DELIVERED: Final = _of_client(client.DELIVERED)
CLIENT_DROPPED: Final = _of_client(client.DROPPED, "reason")
CLIENT_ADOPTED: Final = _of_client(client.ADOPTED)
CLIENT_PENDING: Final = _of_client(client.PENDING)
CLIENT_SPOOLED: Final = _of_client(client.SPOOLED)


def _of_collector(metric: Collector, *labels: str) -> Declared:
    (family,) = metric.describe()  # type: ignore[attr-defined] # a Collector may describe itself, and these do
    if family.type not in ("counter", "gauge", "histogram"):
        raise TypeError(f"{family.name} is a {family.type}")
    return Declared(f"{family.name}_total" if family.type == "counter" else family.name, family.type, labels)


COLLECTOR_REQUESTS: Final = _of_collector(collector.REQUESTS, "path", "status")
COLLECTOR_EVENTS: Final = _of_collector(collector.EVENTS, "type")
COLLECTOR_REFUSED: Final = _of_collector(collector.REFUSED, "error_type")
COLLECTOR_IGNORED: Final = _of_collector(collector.IGNORED, "reason")
COLLECTOR_SECONDS: Final = _of_collector(collector.SECONDS, "path")
COLLECTOR_WAITING: Final = _of_collector(collector.WAITING)
COLLECTOR_BODY_BYTES: Final = _of_collector(collector.BODY_BYTES)
COLLECTOR_BROKER_ERRORS: Final = _of_collector(collector.BROKER_ERRORS, "error")
COLLECTOR_CONNECTIONS: Final = _of_collector(collector.CONNECTIONS)
COLLECTOR_CROWDED: Final = _of_collector(collector.CROWDED, "limit")
COLLECTOR_LIMITED: Final = _of_collector(collector.LIMITED, "limit")

CLIENT: Final = (*(CLIENT_ACCEPTED, CLIENT_DELIVERED, CLIENT_DROPPED, CLIENT_ADOPTED, CLIENT_PENDING, CLIENT_SPOOLED),)
COLLECTOR: Final = (
    *(COLLECTOR_REQUESTS, COLLECTOR_EVENTS, COLLECTOR_REFUSED, COLLECTOR_IGNORED, COLLECTOR_SECONDS),
    *(COLLECTOR_WAITING, COLLECTOR_BODY_BYTES, COLLECTOR_BROKER_ERRORS, COLLECTOR_CONNECTIONS),
    *(COLLECTOR_CROWDED, COLLECTOR_LIMITED),
)
EXPORTED: Final[dict[str, tuple[Exported, ...]]] = {
    "monitor": catalogue.METRICS,
    "worker": worker.METRICS,
    "sink": sink.METRICS,
    "SDK": CLIENT,
    "collector": COLLECTOR,
}
"""Every metric of Keeprate, by who exports it."""
