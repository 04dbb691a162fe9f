"""The monitor as a process: the exporter, behind an HTTP server of prometheus-client."""

import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from prometheus_client import CollectorRegistry, start_http_server

from keeprate.deploy.monitor.drift_source import DriftSource
from keeprate.deploy.monitor.exporter import Exporter, KafkaSource, StoreSource
from keeprate.deploy.monitor.release_source import ReleaseSource
from keeprate.deploy.monitor.verifying import Verifier
from keeprate.deploy.offsets import Offsets
from keeprate.schemas.topics import JOIN_GROUP, SINK_GROUP
from keeprate.sinks.store.clickhouse import connect


class PortTakenError(Exception):
    """Nothing was started: the address cannot be listened at."""


class SourceLostError(Exception):
    """A defect ended the reading of a source. The process should end too, so that somebody starts it again."""


@dataclass(frozen=True)
class Groups:
    """The consumer groups that are Keeprate's own: that of the workers, and those of the sinks."""

    join: str = JOIN_GROUP
    sinks: tuple[str, ...] = (SINK_GROUP,)


def exporter(
    store_url: str, brokers: str, every_s: float, groups: Groups | None = None, shard_urls: Sequence[str] = ()
) -> Exporter:
    """An exporter of one store and one Kafka, not started. Connects when it first reads."""
    groups = groups or Groups()
    kafka = KafkaSource(Offsets(brokers, (groups.join, *groups.sinks)))
    # Detector and releases have connections and threads of their own: what they catch up on keeps no counter waiting.
    shards = [partial(connect, url) for url in shard_urls]
    store = StoreSource(lambda: connect(store_url), lambda: kafka.lag_messages, shards=shards)
    drift = DriftSource(lambda: connect(store_url))
    releases = ReleaseSource(lambda: connect(store_url), lambda: kafka.lag_messages)
    return Exporter([kafka, store, drift, releases], every_s)


def serve(
    host: str,
    port: int,
    every_s: float,
    store_url: str,
    brokers: str,
    on_ready: Callable[[], None] = lambda: None,
    verify_every_s: float = 0,
    groups: Groups | None = None,
    shard_urls: Sequence[str] = (),
) -> None:
    """Serve until SIGTERM or SIGINT. Neither the store nor Kafka must be up yet.

    verify_every_s: how often to verify the recent past; 0 for never. Raises PortTakenError and SourceLostError.
    """
    groups = groups or Groups()
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    running = exporter(store_url, brokers, every_s, groups, shard_urls)
    registry = CollectorRegistry()
    # Registering collects once, for the names; nothing has been read yet, and scrapes do not depend on them.
    registry.register(running)
    verifier = Verifier(store_url, brokers, verify_every_s, groups.join) if verify_every_s else None
    if verifier is not None:
        registry.register(verifier)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise PortTakenError(f"{host}:{port} cannot be listened at ({error.strerror})") from error
    parts = (running,) if verifier is None else (running, verifier)
    for part in parts:
        part.start()
    on_ready()
    while all(part.running for part in parts) and not stopping.wait(1):
        pass
    server.shutdown()
    thread.join()
    for part in parts:
        part.stop()
    if not stopping.is_set():
        raise SourceLostError("a source is not read any more; the log says why")
