"""Putting a sink together from settings, and running it as a process. The composition root of the write side."""

import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import Any, Final

from keeprate.schemas.events import SCHEMA_VERSION
from keeprate.schemas.refusal_alarm import Alarm
from keeprate.schemas.topics import SINK_GROUP
from keeprate.sinks.erasure.forget import REWRITE_TIMEOUT_S, Rewriter, Watch
from keeprate.sinks.kafka.client import Consumer, DeadLetterProducer
from keeprate.sinks.kafka.errors import BrokerError
from keeprate.sinks.kafka.records import TopicPartition
from keeprate.sinks.landing.births import Births
from keeprate.sinks.landing.flush import Destination, Flush
from keeprate.sinks.landing.identity import learn, ledger_topic_ids
from keeprate.sinks.landing.shards import Shard, Store
from keeprate.sinks.landing.sink import TOPICS, Observer, Sink, SinkPolicy
from keeprate.sinks.landing.starting import ledger_ends
from keeprate.sinks.store.clickhouse import Client, SchemaMismatchError, StoreUnavailableError, connect
from keeprate.sinks.store.retry import delay_s
from keeprate.sinks.store.topology import ALONE, Topology
from keeprate.sinks.tables.migrate import applied, pending, revision, scripts
from keeprate.sinks.tables.placing import check_place, servers

logger = logging.getLogger(__name__)

_ANSWER_TIMEOUT_S: Final = 30


class NoTopicsError(BrokerError):
    """Topics are not there: `keeprate topics create` is the remedy."""


@dataclass(frozen=True)
class SinkSettings:
    """What a sink needs.

    kafka: settings of librdkafka for the consumer, on top of the sink's own. topology: with the shards that rows go to;
    they go to `store_url` where there are none. There, in any case, stands who is forgotten.
    """

    brokers: str
    store_url: str
    topology: Topology = ALONE
    group: str = SINK_GROUP
    topics: Sequence[str] = TOPICS
    policy: SinkPolicy = field(default_factory=SinkPolicy)
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"
    kafka: Mapping[str, Any] = field(default_factory=dict)


class NoObserver:
    """An observer that counts nothing: the log tells of what waits."""

    def flushed(self, flush: Flush, took_s: float) -> None: ...
    def failed(self, flush: Flush, error: Exception) -> None: ...
    def dropped(self, at: TopicPartition, reason: str) -> None: ...
    def polled(self, positions: Mapping[TopicPartition, int], now_s: float) -> None: ...
    def alarm(self, alarm: Alarm) -> None: ...


def sink_revision(shards: int = 1) -> str:
    """What decides how a record lands: the events' version, the tables', and how many shards share the rows."""
    return f"{SCHEMA_VERSION}.{revision()}" + (f".{shards}" if shards > 1 else "")


def run(settings: SinkSettings, at_step: Callable[[int, TopicPartition], None] = lambda step, at: None) -> None:
    """Run a sink until SIGTERM or SIGINT, then land what is in hand and return.

    Waits for a store that is not up yet. Raises SchemaMismatchError, BrokerError and NoTopicsError.
    """
    stopping = _Stopping()
    with ExitStack() as opened:
        store, parts = _stores(settings, stopping, opened)
        consumer = Consumer(settings.brokers, settings.group, settings.kafka)
        missing = consumer.missing(settings.topics)
        if missing:
            raise NoTopicsError(f"no topic {', '.join(missing)}: create them with: keeprate topics create")
        observer, timed = _observed(settings, consumer)
        watch = Watch(store)
        sink = Sink(
            consumer,
            Destination(
                settings.group,
                consumer,
                DeadLetterProducer(settings.brokers),
                [Shard(timed(part.client), part.births) for part in parts],
                revision(),
                at_step,
                watch,
                _topic_ids(parts),
                on_alarm=observer.alarm,
                learn=watch.learn,
            ),
            sink_revision(len(parts)),
            observer,
            settings.policy,
            {at: end for part in parts for at, end in part.ledger_ends.items()},
        )
        stopping.call(sink.stop)
        later = partial(connect, settings.store_url, answer_timeout_s=REWRITE_TIMEOUT_S)
        holding = partial(servers, topology=settings.topology, answer_timeout_s=REWRITE_TIMEOUT_S)
        Rewriter(later, holding, version("keeprate")).start()
        sink.run(settings.topics)


def _observed(settings: SinkSettings, consumer: Consumer) -> tuple[Observer, Callable[[Client], Store]]:
    """Who is told, and how a store comes to be timed."""
    if settings.metrics_port is None:
        return NoObserver(), lambda client: client
    # Only who asks for metrics needs their library.
    from keeprate.sinks.landing.metrics import SinkMetrics

    metrics = SinkMetrics(settings.group, consumer)
    metrics.serve(settings.metrics_port, settings.metrics_host)
    return metrics, metrics.timed


@dataclass(frozen=True)
class _Part:
    """A shard as it was when the sink started."""

    client: Client
    births: Births
    ledger_ends: Mapping[TopicPartition, int]
    topic_ids: Mapping[str, str]


def _stores(settings: SinkSettings, stopping: "_Stopping", opened: ExitStack) -> tuple[Client, list[_Part]]:
    """The store and its shards once all of them answer, with their tables as this version needs them.

    A sink that does not know what a shard's ledger says would not know where to begin. Raises SchemaMismatchError.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            with ExitStack() as trying:
                store = trying.enter_context(_connect(settings.store_url))
                urls = settings.topology.shard_urls
                clients = [trying.enter_context(_connect(url)) for url in urls] or [store]
                if urls:
                    for number, client in enumerate(clients):
                        check_place(client, number, len(clients))
                parts = [_part(client, settings.group) for client in clients]
                opened.push(trying.pop_all())
                return store, parts
        except StoreUnavailableError as error:
            pause_s = delay_s(error.code, attempt)
            logger.warning("the store is away, asking again in %.1f s: %s", pause_s, error)
            stopping.sleep(pause_s)


def _connect(url: str) -> Client:
    store = connect(url, answer_timeout_s=_ANSWER_TIMEOUT_S)
    try:
        _check_tables(store)
    except BaseException:
        store.close()
        raise
    return store


def _part(client: Client, sink: str) -> _Part:
    births = Births()
    births.look(client)
    return _Part(client, births, ledger_ends(client, sink), ledger_topic_ids(client, sink))


def _topic_ids(parts: Sequence[_Part]) -> dict[str, str]:
    """Kafka's id of each topic as the ledgers have it. Raises OffsetLostError where two of them differ."""
    found: dict[str, str] = {}
    for part in parts:
        learn(found, part.topic_ids)
    return found


def _check_tables(store: Client) -> None:
    missing = [script.name for script in pending(scripts(), applied(store))]
    if missing:
        raise SchemaMismatchError(f"the store lacks {', '.join(missing)}: run keeprate migrate")


class _Stopping:
    """SIGTERM and SIGINT: before the sink runs they end the process, afterwards they make it finish."""

    def __init__(self) -> None:
        self._stop: Callable[[], None] | None = None
        signal.signal(signal.SIGTERM, self._signalled)
        signal.signal(signal.SIGINT, self._signalled)

    def call(self, stop: Callable[[], None]) -> None:
        self._stop = stop

    def sleep(self, pause_s: float) -> None:
        time.sleep(pause_s)

    def _signalled(self, number: int, _: object) -> None:
        if self._stop is None:
            raise SystemExit(0)
        self._stop()
