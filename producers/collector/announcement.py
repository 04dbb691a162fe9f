"""What a collector says when it listens: where, who may send, how to send a first event, and its limits. Pure."""

from typing import Final

from keeprate.producers.collector.settings import CollectorSettings

_FIRST: Final = '{"type": "vote", "value": 1, "external_id": "a response id"}'
_FIRST_KEYLESS: Final = '{"app": "demo", "type": "vote", "value": 1, "external_id": "a response id"}'


def announcement(settings: CollectorSettings, keys: int) -> str:
    """Three lines. keys: how many there are that are taken."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"{'https' if settings.tls_certificate else 'http'}://{host}:{settings.port}"
    header = "" if settings.keyless else "-H 'Authorization: Bearer KEY' "
    first = _FIRST_KEYLESS if settings.keyless else _FIRST
    metrics = f"http://127.0.0.1:{settings.metrics_port}/metrics" if settings.metrics_port else "off (--metrics-port)"
    return "\n".join(
        (
            f"keeprate collector: {url}, {_who(settings, keys)}, to Kafka at {settings.brokers}",
            f"  send an event: curl {url}/v1/events {header}-H 'Content-Type: application/json' -d '{first}'",
            f"  limits: {settings.max_body_bytes >> 20} MiB a body, {_rate(settings.rate_per_s)}, "
            f"{settings.max_connections_per_address:,} connections an address; metrics: {metrics}",
        )
    )


def _who(settings: CollectorSettings, keys: int) -> str:
    if settings.keyless:
        return "without keys, for this machine"
    certificates = " and client certificates" if settings.tls_client_ca else ""
    if not keys:
        return f"with no key yet (keeprate keys create APP){certificates}"
    return f"{keys} key{'s' if keys > 1 else ''}{certificates}"


def _rate(rate_per_s: float) -> str:
    return f"{rate_per_s:g} requests a second and key" if rate_per_s else "any rate"
