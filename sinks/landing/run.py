"""Putting a sink together from settings, and running it as a process. The composition root of the write side."""

import logging
import signal
import time
from collections.abc import Callable, Mapping, Sequence
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
from keeprate.sinks.landing.identity import ledger_topic_ids
from keeprate.sinks.landing.sink import TOPICS, Observer, Sink, SinkPolicy
from keeprate.sinks.landing.starting import ledger_ends
from keeprate.sinks.store.clickhouse import Client, SchemaMismatchError, StoreUnavailableError, connect
from keeprate.sinks.store.retry import delay_s
from keeprate.sinks.tables.migrate import applied, pending, revision, scripts

logger = logging.getLogger(__name__)

_ANSWER_TIMEOUT_S: Final = 30


class NoTopicsError(BrokerError):
    """Topics are not there: `keeprate topics create` is the remedy."""


@dataclass(frozen=True)
class SinkSettings:
    """What a sink needs.

    kafka: settings of librdkafka for the consumer, on top of the sink's own.
    """

    brokers: str
    store_url: str
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


def sink_revision() -> str:
    """What decides how a record lands: the events' version and the tables'."""
    return f"{SCHEMA_VERSION}.{revision()}"


def run(settings: SinkSettings, at_step: Callable[[int, TopicPartition], None] = lambda step, at: None) -> None:
    """Run a sink until SIGTERM or SIGINT, then land what is in hand and return.

    Waits for a store that is not up yet. Raises SchemaMismatchError, BrokerError and TopicsMissingError.
    """
    stopping = _Stopping()
    births = Births()
    store, ends, topic_ids = _store(settings, stopping, births)
    with store:
        consumer = Consumer(settings.brokers, settings.group, settings.kafka)
        missing = consumer.missing(settings.topics)
        if missing:
            raise NoTopicsError(f"no topic {', '.join(missing)}: create them with: keeprate topics create")
        observer, inserts = _observed(settings, consumer, store)
        watch = Watch(store)
        sink = Sink(
            consumer,
            Destination(
                settings.group,
                consumer,
                DeadLetterProducer(settings.brokers),
                inserts,
                revision(),
                at_step,
                watch,
                topic_ids,
                births,
                on_alarm=observer.alarm,
                learn=watch.learn,
            ),
            sink_revision(),
            observer,
            settings.policy,
            ends,
        )
        stopping.call(sink.stop)
        later = partial(connect, settings.store_url, answer_timeout_s=REWRITE_TIMEOUT_S)
        Rewriter(later, version("keeprate")).start()
        sink.run(settings.topics)


def _observed(settings: SinkSettings, consumer: Consumer, store: Client) -> tuple[Observer, Any]:
    if settings.metrics_port is None:
        return NoObserver(), store
    # Only who asks for metrics needs their library.
    from keeprate.sinks.landing.metrics import SinkMetrics

    metrics = SinkMetrics(settings.group, consumer)
    metrics.serve(settings.metrics_port, settings.metrics_host)
    return metrics, metrics.timed(store)


def _store(
    settings: SinkSettings, stopping: "_Stopping", births: Births
) -> tuple[Client, dict[TopicPartition, int], dict[str, str]]:
    """The store once it answers, its tables as this version needs them, where its ledger ends and its topics' ids.

    Raises SchemaMismatchError.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            store = connect(settings.store_url, answer_timeout_s=_ANSWER_TIMEOUT_S)
            _check_tables(store)
            births.look(store)
            return store, ledger_ends(store, settings.group), ledger_topic_ids(store, settings.group)
        except StoreUnavailableError as error:
            pause_s = delay_s(error.code, attempt)
            logger.warning("the store is away, asking again in %.1f s: %s", pause_s, error)
            stopping.sleep(pause_s)


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
