"""The SDK in apps, and the collector: what they took, what they lost, what they wait for."""

from typing import Final

from keeprate.deploy.grafana import names
from keeprate.deploy.grafana.expressions import RATE, added, per_second, quantile, total
from keeprate.deploy.grafana.panels import Ask, board, lines, number

_NOW: Final = (
    number(
        "Lost by the SDK",
        "Events within the panel's time that were dropped; invalid and redaction are the app's.",
        "short",
        Ask(total(names.CLIENT_DROPPED, (), window="$__range")),
        bad_from=1,
    ),
    number(
        "Waiting on disk",
        "Events that brokers were away for; they go out when those are back.",
        "short",
        Ask(added(names.CLIENT_SPOOLED, ())),
        bad_from=1,
    ),
    number(
        "Refused by the collector",
        "Events within the panel's time that are not what the contract allows.",
        "short",
        Ask(total(names.COLLECTOR_REFUSED, (), window="$__range")),
        bad_from=1,
    ),
    number(
        "Waiting in the collector",
        "Events that Kafka has not acknowledged. Beyond a limit it answers 503.",
        "short",
        Ask(added(names.COLLECTOR_WAITING, ())),
    ),
)
_SDK: Final = (
    lines(
        "Given to the SDK and delivered",
        "Events per second. Accepted = delivered + pending + spooled + dropped.",
        "cps",
        Ask(per_second(names.CLIENT_ACCEPTED, ("app",)), "{{app}} accepted"),
        Ask(per_second(names.CLIENT_DELIVERED, ("app",)), "{{app}} delivered"),
        Ask(per_second(names.CLIENT_ADOPTED, ("app",)), "{{app}} adopted"),
    ),
    lines(
        "Dropped",
        "Events per second, by reason.",
        "cps",
        Ask(per_second(names.CLIENT_DROPPED, ("app", "reason")), "{{app}} {{reason}}"),
    ),
    lines(
        "On their way",
        "Pending in memory, spooled on disk. Growth says that brokers are slow or away.",
        "short",
        Ask(added(names.CLIENT_PENDING, ("app",)), "{{app}} pending"),
        Ask(added(names.CLIENT_SPOOLED, ("app",)), "{{app}} spooled"),
        width=24,
    ),
)
_COLLECTOR: Final = (
    lines(
        "Requests",
        "Per second, by path and status. Many 401: a key is wrong. Many 503: see Kafka.",
        "reqps",
        Ask(per_second(names.COLLECTOR_REQUESTS, ("path", "status")), "{{path}} {{status}}"),
    ),
    lines(
        "From request to answer",
        "The slowest twentieth, Kafka's acknowledgement included.",
        "s",
        Ask(quantile(names.COLLECTOR_SECONDS, ("path",), 0.95, window=RATE), "{{path}}"),
    ),
    lines(
        "Events taken",
        "That Kafka acknowledged, by type.",
        "cps",
        Ask(per_second(names.COLLECTOR_EVENTS, ("type",)), "{{type}}"),
    ),
    lines(
        "Events not taken",
        "Refused by what is wrong; passed over because they say nothing of a generation.",
        "cps",
        Ask(per_second(names.COLLECTOR_REFUSED, ("error_type",)), "refused {{error_type}}"),
        Ask(per_second(names.COLLECTOR_IGNORED, ("reason",)), "ignored {{reason}}"),
    ),
    lines(
        "Held back",
        "Requests beyond a key's rate or quota, connections beyond a limit, errors of the connection to Kafka.",
        "cps",
        Ask(per_second(names.COLLECTOR_LIMITED, ("limit",)), "limited {{limit}}"),
        Ask(per_second(names.COLLECTOR_CROWDED, ("limit",)), "crowded {{limit}}"),
        Ask(per_second(names.COLLECTOR_BROKER_ERRORS, ("error",)), "Kafka {{error}}"),
    ),
    lines(
        "Open connections, waiting events",
        "Waiting grows when brokers are slow or down.",
        "short",
        Ask(added(names.COLLECTOR_CONNECTIONS, ()), "connections"),
        Ask(added(names.COLLECTOR_WAITING, ()), "waiting events"),
    ),
    lines(
        "Bodies in memory",
        "Being read or handled.",
        "bytes",
        Ask(added(names.COLLECTOR_BODY_BYTES, ()), "bodies"),
        width=24,
    ),
)

BOARD: Final = board(
    "clients",
    "Keeprate: SDK and collector",
    "What apps hand over, and whether it gets to Kafka. docs/sdk.md, docs/collector.md.",
    ("app",),
    "6h",
    {"Now": _NOW, "SDK": _SDK, "Collector": _COLLECTOR},
)
