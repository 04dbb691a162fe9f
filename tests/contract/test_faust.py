"""What the shell of the stream processors takes for granted of Faust. A new version has to pass here first."""

import inspect
from importlib.metadata import version
from typing import Any

import pytest
from aiokafka.consumer.consumer import AIOKafkaConsumer
from aiokafka.consumer.fetcher import Fetcher
from faust.app.base import App
from faust.stores.base import Store
from faust.tables import TableManager
from faust.tables.recovery import Recovery
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer
from faust.worker import Worker

from keeprate.streams import app, transport, worker
from keeprate.streams.state import table

OVERRIDDEN = [
    (transport.BatchConsumer, Consumer, "_getmany"),
    (transport.BatchConsumer, Consumer, "_wait_next_records"),
    (transport.BatchConsumer, Consumer, "_new_consumer_thread"),
    (transport.BatchConsumer, Consumer, "perform_seek"),
    (transport.BatchConsumer, Consumer, "resume_flow"),
    (transport.BatchConsumer, Consumer, "ack"),
    (transport.BatchConsumer, Consumer, "_new_offset"),
    (transport.BatchConsumer, Consumer, "_add_gap"),
    (transport.BatchConsumer, Consumer, "on_partitions_revoked"),
    (transport.ConsumerThread, AIOKafkaConsumerThread, "_create_worker_consumer"),
    (table.OutcomeStore, Store, "persisted_offset"),
    (table.OutcomeStore, Store, "on_rebalance"),
    (table.OutcomeStore, Store, "on_recovery_completed"),
    (app.PromptTableManager, TableManager, "on_start"),
    (app.PromptTableManager, TableManager, "on_stop"),
    (app.App, App, "_new_transport"),
    (worker.Worker, Worker, "_setup_logging"),
    (worker.Worker, Worker, "_sentinel_task"),
]


@pytest.mark.parametrize(
    ("package", "pinned"), [("faust-streaming", "0.15.3"), ("mode-streaming", "0.7.1"), ("aiokafka", "0.14.0")]
)
def test_the_versions_are_those_whose_source_was_read(package: str, pinned: str) -> None:
    """The hooks are Faust's inner ones: another version may call them otherwise."""
    assert version(package) == pinned


@pytest.mark.parametrize(("ours", "theirs", "name"), OVERRIDDEN)
def test_what_is_overridden_is_there_with_the_same_arguments(ours: type[Any], theirs: type[Any], name: str) -> None:
    """An override whose original is gone would never be called, and nobody would notice."""
    assert name in vars(ours)
    original, override = getattr(theirs, name), getattr(ours, name)
    assert list(inspect.signature(override).parameters) == list(inspect.signature(original).parameters)
    assert inspect.iscoroutinefunction(override) == inspect.iscoroutinefunction(original)


@pytest.mark.parametrize(
    ("function", "line"),
    [
        # Where the consumer's own counters are asked and told.
        (Consumer._filter_committable_offsets, "offset = self._new_offset(tp)"),
        (Consumer.commit_and_end_transactions, "await self.commit(start_new_transaction=False)"),
        (Consumer._drain_messages, "if r_offset is None or offset >= r_offset:"),
        (Consumer.getmany, "await self._wait_next_records(timeout)"),
        # Messages of other partitions are dropped, and no partitions at all are every one.
        (Consumer.getmany, "or tp in active_partitions\n"),
        (Fetcher.fetched_records, "if partitions and tp not in partitions:"),
        (Consumer.on_partitions_revoked, "self._acked.pop(tp, None)"),
        # Queues are emptied first and flow resumes second, so what was emptied is fetched again.
        (Recovery.on_recovery_completed, "self.app.flow_control.resume()\n        consumer.resume_flow()"),
        (Recovery.on_recovery_completed, "consumer.perform_seek()"),
        # A batch in hand is waited for before partitions go.
        (App._on_partitions_revoked, "self._consumer_wait_empty"),
        # Set behind the consumer's back, before it is started.
        (AIOKafkaConsumer.start, "fetch_min_bytes=self._fetch_min_bytes"),
        (AIOKafkaConsumer.start, "fetch_max_wait_ms=self._fetch_max_wait_ms"),
        # The offset of a state is asked for at every rebalance.
        (Recovery._add, "persisted_offset = table.persisted_offset(tp)"),
    ],
)
def test_faust_calls_the_hooks_where_it_did(function: Any, line: str) -> None:
    """The calls that the transport and the table live by."""
    assert line in inspect.getsource(function)
