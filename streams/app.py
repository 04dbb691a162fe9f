"""The composition root of the stream processors: a Faust app whose one agent feeds the pure steps.

What happens to a batch, and what a crash after each step means:

    1  sift      decode the records                         read again
    2  look up   the outcomes they speak of                 read again
    3  join      merge                                      read again
    4  write     outcomes and dead letters, acknowledged    read again; the merge finds nothing new, dead letters repeat
    5  store     into the partition's state                 recovered from the changelog
    6  ack       Faust commits the offset soon after        as after 4

A step that fails stops the worker. Nothing is acknowledged after that, so nothing is skipped.
"""

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

import faust
from faust.tables import TableManager

from keeprate.schemas.outcome import Outcome, decode_outcome, encode_outcome
from keeprate.schemas.topics import FEEDBACK, GENERATIONS, OUTCOMES
from keeprate.streams.delivery import Delivery
from keeprate.streams.feedback_join import Step, join, sift
from keeprate.streams.state import PartitionState
from keeprate.streams.table import OutcomeTable
from keeprate.streams.transport import Batch, Transport

logger = logging.getLogger(__name__)
# Services log through these, one line for each that starts or stops.
FAUST_LOGGER = logging.getLogger("faust.keeprate")

GROUP = "keeprate-join"


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


class App(faust.App):
    """A Faust app on the batching transport."""

    logger = FAUST_LOGGER

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)


def build(bootstrap: str, data_dir: Path | None, group: str = GROUP, **settings: Any) -> App:
    """The processors as an app that is not started.

    data_dir: where RocksDB keeps the state; None keeps it in memory.
    settings: Faust's own, over those chosen here.
    """
    app = App(
        group,
        broker=[f"kafka://{address}" for address in bootstrap.split(",")],
        **{
            "datadir": data_dir or Path("."),
            "web_enabled": False,
            "topic_allow_declare": False,
            "topic_disable_leader": True,
            "table_standby_replicas": 0,
            "TableManager": PromptTableManager,
            "broker_commit_interval": 0.5,
            "broker_max_poll_records": 10_000,
            "consumer_auto_offset_reset": "earliest",
            "broker_session_timeout": 6.0,
            "broker_heartbeat_interval": 1.5,
            # Faust's buffer counts batches here.
            "stream_buffer_maxsize": 16,
            "worker_redirect_stdouts": False,
            **settings,
        },
    )
    delivery = Delivery(bootstrap)

    async def write_back(partition: int, values: dict[bytes, bytes | None]) -> None:
        await delivery.write(partition, values, ())

    table = OutcomeTable(
        app,
        name="outcomes",
        schema=RawSchema(),
        changelog_topic=_topic(app, OUTCOMES.name, acks=False, internal=True, maxsize=64),
        recovery_buffer_size=8,
        data_dir=data_dir,
        write_back=write_back,
    )
    app.tables.add(table)
    sources = _topic(app, GENERATIONS.name, FEEDBACK.name)

    @app.agent(sources, name="feedback_join", concurrency=1)
    async def feedback_join(stream: Any) -> None:
        async for event in stream.noack().events():
            await _finish(app, event, table, delivery)

    return app


def _topic(app: App, *names: str, **kwargs: Any) -> Any:
    return app.topic(*names, schema=RawSchema(), allow_empty=True, **kwargs)


async def _finish(app: App, event: Any, table: OutcomeTable, delivery: Delivery) -> None:
    """Process one batch to its end even when the worker is told to stop meanwhile."""
    work = asyncio.ensure_future(process(event.message.value, table.partition(event.message.partition), delivery))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        await work
        app.consumer.ack(event.message)
        raise
    except Exception as error:
        logger.exception("%s/%s: a batch failed; stopping", event.message.topic, event.message.partition)
        await app.crash(error)
        # Faust would restart the agent and go on with the next batch.
        await asyncio.Event().wait()
    app.consumer.ack(event.message)


async def process(batch: Batch, state: PartitionState, delivery: Delivery) -> Step:
    """Take one batch through all steps. On return it may be acknowledged."""
    started_s = time.monotonic()
    partition = batch.records[0].partition
    sifted = sift(batch.records)
    step = join(_look_up(state, list(sifted.facts)), sifted.facts)
    encoded: dict[bytes, bytes | None] = {key.encode(): encode_outcome(key, new) for key, new in step.outcomes.items()}
    offset = await delivery.write(partition, encoded, sifted.refusals)
    state.write(encoded, offset)
    logger.debug(
        "partition %s: %s records, %s outcomes, %s refused in %.1f ms",
        partition,
        len(batch.records),
        len(encoded),
        len(sifted.refusals),
        (time.monotonic() - started_s) * 1000,
    )
    return step


def _look_up(state: PartitionState, keys: list[str]) -> dict[str, Outcome]:
    values = state.get_many([key.encode() for key in keys])
    return {key: decode_outcome(value)[1] for key, value in zip(keys, values, strict=True) if value is not None}
