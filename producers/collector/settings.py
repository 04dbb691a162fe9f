"""How one collector runs. Frozen, and checked before anything starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from keeprate.producers.collector.gate.addresses import LOOPBACK_NAMES
from keeprate.producers.errors import SettingsError

PORT: Final = 4318
"""OpenTelemetry's own port for OTLP over HTTP, so that an SDK finds the collector by default."""


@dataclass(frozen=True)
class CollectorSettings:
    """How one collector runs.

    keys_path: of the keys and of the salt of users. keyless: takes any app's events without a key, from this machine.
    max_body_bytes: of one body once it is decompressed. max_memory_bytes: of all bodies at one moment; a quarter of it
    is for one app. rate_per_s: requests a second and key, 0 for no limit. trusted_proxies: addresses or networks whose
    X-Forwarded-For says who the client is. metrics_port: where /metrics is served, at metrics_host, None for nowhere.
    ack_timeout_s: how long a request waits for Kafka. follow_hours: how far back generations are read for their names,
    0 for not at all. drain_delay_s: from SIGTERM until connections are refused.
    """

    brokers: str
    keys_path: Path
    keyless: bool = False
    host: str = "127.0.0.1"
    port: int = PORT
    max_body_bytes: int = 16 << 20
    max_memory_bytes: int = 256 << 20
    max_connections: int = 2_000
    max_connections_per_address: int = 500
    rate_per_s: float = 2_000.0
    body_timeout_s: float = 30.0
    ack_timeout_s: float = 10.0
    follow_hours: float = 24.0
    drain_delay_s: float = 0.0
    drain_timeout_s: float = 20.0
    trusted_proxies: Sequence[str] = ()
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_client_ca: Path | None = None
    kafka: Mapping[str, Any] = field(default_factory=dict)

    def check(self) -> None:
        """Raises SettingsError where two settings contradict each other, rather than serve less than they promise."""
        if self.keyless and self.host not in LOOPBACK_NAMES:
            raise SettingsError("host", f"{self.host} without keys would take events from anybody; make a key")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise SettingsError("tls_certificate", "and tls_key belong together; give both")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            reason = "asks clients for a certificate over TLS, and there is none without tls_certificate and tls_key"
            raise SettingsError("tls_client_ca", reason)
