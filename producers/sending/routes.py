"""Routes: whether an app's events go to Kafka's brokers or to a collector, by what it was given and the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from keeprate.producers import environment
from keeprate.producers.errors import SettingsError
from keeprate.producers.sending import kafka
from keeprate.producers.sending.exchange import Exchange
from keeprate.producers.sending.https import Target
from keeprate.producers.sending.https_exchange import HttpsExchange
from keeprate.producers.sending.kafka_exchange import KafkaExchange


class Route(Protocol):
    """A way to Kafka. address: clients of one app with the same one may adopt each other's events."""

    @property
    def address(self) -> str:
        """Brokers, or a URL."""

    def check(self) -> None:
        """Raises SettingsError where no exchange could be opened."""

    def exchange(self) -> Exchange:
        """A new exchange."""


@dataclass(frozen=True)
class KafkaRoute:
    """To the brokers themselves. settings: librdkafka's own."""

    address: str
    client_id: str
    settings: Mapping[str, Any]

    def check(self) -> None:
        """Open a producer, and let it go."""
        kafka.open_producer(self.address, self.client_id, self.settings, lambda _: None)

    def exchange(self) -> Exchange:
        """An exchange that opens a producer when it is opened, and again after a failure."""
        return KafkaExchange(
            lambda on_error: kafka.open_producer(self.address, self.client_id, self.settings, on_error)
        )


@dataclass(frozen=True)
class HttpsRoute:
    """By a collector."""

    target: Target

    @property
    def address(self) -> str:
        """Without the key, which may change while events wait."""
        return self.target.url

    def check(self) -> None:
        """Read the certificates; the rest is checked already."""
        _ = self.target.context

    def exchange(self) -> Exchange:
        """An exchange that connects with its first batch."""
        return HttpsExchange(self.target)


def route_of(
    app: str,
    *,
    brokers: str | None,
    kafka_settings: Mapping[str, Any] | None,
    url: str | None,
    key: str | None,
    ca: Path | str | None,
) -> Route:
    """The route that was asked for; of the environment, KEEPRATE_URL before KEEPRATE_BROKERS. Raises SettingsError."""
    if url and (brokers or kafka_settings):
        raise SettingsError("url", "is another way than brokers and kafka; give one of them")
    if not url and not brokers and not kafka_settings:
        url = os.environ.get("KEEPRATE_URL")
    if url:
        key = key or os.environ.get("KEEPRATE_KEY") or None
        return HttpsRoute(Target(url, key, Path(ca) if ca else None))
    if key or ca:
        raise SettingsError("key" if key else "ca", "is for a collector; give its url too, or set KEEPRATE_URL")
    return KafkaRoute(environment.brokers(brokers), f"keeprate-{app}", dict(kafka_settings or {}))
