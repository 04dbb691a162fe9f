"""The composition root of the stream processors: a Faust app whose one agent feeds the pipeline of the join."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import faust
from faust.tables import TableManager

from keeprate.schemas.refusal_alarm import RefusalAlarm
from keeprate.schemas.topics import FEEDBACK, GENERATIONS, JOIN_GROUP, OUTCOMES
from keeprate.streams.crashes import CrashJournal
from keeprate.streams.credentials import credentials
from keeprate.streams.delivery import WorkerDelivery
from keeprate.streams.join.pipeline import JoinObserver, Pipeline
from keeprate.streams.state.table import OutcomeTable, Recovered
from keeprate.streams.transport import Transport

# Services log through these, one line for each that starts or stops.
FAUST_LOGGER = logging.getLogger("faust.keeprate")

SWEEP_EVERY_S: Final = 0.1
"""Between two steps of a walk through the states."""
LOOK_EVERY_S: Final = 1.0
"""Between two looks whether a walk is due: it is twice in a day, and each look costs the same."""
WATCH_RECOVERY_EVERY_S: Final = 1.0
FAUST_SETTINGS: Final[dict[str, Any]] = {
    "web_enabled": False,
    "topic_allow_declare": False,
    "topic_disable_leader": True,
    "table_standby_replicas": 0,
    "consumer_auto_offset_reset": "earliest",
    "broker_commit_interval": 0.5,
    "broker_max_poll_records": 60_000,
    "consumer_max_fetch_size": 2 << 20,
    "broker_session_timeout": 6.0,
    "broker_heartbeat_interval": 1.5,
    # Faust's buffer counts batches here.
    "stream_buffer_maxsize": 4,
    "worker_redirect_stdouts": False,
}


class RawSchema(faust.Schema[Any, Any]):
    """Keys and values as they came: decoding is ours, because Faust acknowledges what it cannot decode."""

    def loads_key(self, app: Any, message: Any, **kwargs: Any) -> Any:
        return message.key

    def loads_value(self, app: Any, message: Any, **kwargs: Any) -> Any:
        return message.value


class PromptTableManager(TableManager):
    """Faust's, without the second it waits for tables declared late: here all are declared before the start."""

    logger = FAUST_LOGGER

    async def on_start(self) -> None:
        await self._update_channels()
        await self.recovery.start()
        self.add_future(self._tell_recovery())

    async def _tell_recovery(self) -> None:
        # Not a timer of the app: those begin when the first recovery is over.
        app: Any = self.app
        while not self.should_stop:
            app.watch_recovery(self.recovery.in_recovery, self.recovery.active_remaining_total())
            await self.sleep(WATCH_RECOVERY_EVERY_S)

    async def on_stop(self) -> None:
        """Finish the batches in hand before their state is closed."""
        app: Any = self.app
        await app.drain()
        await super().on_stop()


class App(faust.App):
    """A Faust app on the batching transport.

    watch_recovery: is told now and then whether a recovery is going on, and how many records it has left.
    """

    logger = FAUST_LOGGER

    drain: Callable[[], Awaitable[None]]
    watch_recovery: Callable[[bool, int], None] = staticmethod(lambda going_on, left: None)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, TableManager=PromptTableManager, **kwargs)

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)


def build(
    bootstrap: str,
    data_dir: Path | None,
    observer: JoinObserver,
    group: str = JOIN_GROUP,
    **settings: Any,
) -> App:
    """The processors as an app that is not started. Raises StateLockedError.

    data_dir: where RocksDB keeps the state; None keeps it in memory.
    observer: is told of every batch that is through.
    settings: Faust's own, over those chosen here.
    """
    app = App(
        group,
        broker=[f"kafka://{address}" for address in bootstrap.split(",")],
        broker_credentials=credentials(bootstrap),
        **(FAUST_SETTINGS | {"datadir": data_dir or Path(".")} | settings),
    )
    delivery = WorkerDelivery(bootstrap)
    table = _table(app, delivery, data_dir, lambda: pipeline.release(), lambda: pipeline.recovered(), observer)
    pipeline = Pipeline(
        delivery,
        table.partition,
        lambda message: app.consumer.ack(message),
        lambda error: app.crash(error),
        observer,
        _now_ms,
        RefusalAlarm(),
        CrashJournal(data_dir),
    )
    _connect(app, pipeline, delivery)
    return app


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _table(
    app: App,
    delivery: WorkerDelivery,
    data_dir: Path | None,
    on_rebalance: Callable[[], None],
    on_recovered: Recovered,
    observer: JoinObserver,
) -> OutcomeTable:
    table = OutcomeTable(
        app,
        name="outcomes",
        schema=RawSchema(),
        changelog_topic=_topic(app, OUTCOMES.name, acks=False, internal=True, maxsize=64),
        recovery_buffer_size=4,
        data_dir=data_dir,
        write_back=lambda partition, values: delivery.write(partition, values, ()),
        on_rebalance=on_rebalance,
        on_recovered=on_recovered,
        on_unreadable=observer.unreadable,
        fail=lambda error: app.crash(error),
    )
    app.tables.add(table)
    return table


def _connect(app: App, pipeline: Pipeline, delivery: WorkerDelivery) -> None:
    app.drain = pipeline.drain

    @app.agent(_topic(app, GENERATIONS.name, FEEDBACK.name), name="feedback_join", concurrency=1)
    async def feedback_join(stream: Any) -> None:
        async for event in stream.noack().events():
            await pipeline.take(event.message)

    async def sweep() -> None:
        # While nothing is written, nothing else hears librdkafka's log.
        delivery.poll()
        goes_on = pipeline.sweep()
        while goes_on:
            await asyncio.sleep(SWEEP_EVERY_S)
            delivery.poll()
            goes_on = pipeline.sweep()

    app.timer(interval=LOOK_EVERY_S)(sweep)


def _topic(app: App, *names: str, **kwargs: Any) -> Any:
    return app.topic(*names, schema=RawSchema(), allow_empty=True, **kwargs)
