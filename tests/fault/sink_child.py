"""The sink as a child that dies, or stands still, at a step of the protocol; and sinks whose protocol is broken."""

import os
import signal
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from keeprate.deploy.commands import logs
from keeprate.schemas.topics import DEAD_LETTERS, OUTCOMES
from keeprate.sinks.kafka import client as kafka
from keeprate.sinks.kafka.records import TopicPartition
from keeprate.sinks.landing import flush, rows
from keeprate.sinks.landing import run as sink_run
from keeprate.sinks.landing.flush import Destination, Flush
from keeprate.sinks.landing.intent import Intent
from keeprate.sinks.landing.partition import FlushPolicy
from keeprate.sinks.landing.rows import Table
from keeprate.sinks.landing.run import SinkSettings, run
from keeprate.sinks.landing.shards import shard_of
from keeprate.sinks.landing.sink import Sink, SinkPolicy
from keeprate.sinks.reading import derive
from keeprate.sinks.store.topology import Topology
from tests.fault.own_topics import rename_topics
from tests.fault.reading import harm

Missing = Callable[[], list[bytes]] | None
Offsets = Mapping[TopicPartition, tuple[int, str]]


def main(options: dict[str, Any]) -> None:
    """Run a sink as the options say."""
    logs.start()
    rename_topics(options["prefix"])
    for name in options.get("sabotage", ()):
        SABOTAGE[name]()
    _harm_reading(options)
    kafka_settings = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
    if options.get("instance"):
        kafka_settings["group.instance.id"] = options["instance"]
    if "revision" in options:
        older, own = str(options["revision"]), sink_run.sink_revision()
        revision_of = sink_run.sink_revision
        sink_run.sink_revision = lambda shards=1: revision_of(shards).replace(own, older, 1)
    run(
        SinkSettings(
            brokers=options["brokers"],
            store_url=options["store_url"],
            topology=Topology(shard_urls=tuple(options.get("shard_urls", ()))),
            group=options["group"],
            topics=(options["topic"], DEAD_LETTERS.name, *((OUTCOMES.name,) if options.get("outcomes") else ())),
            policy=SinkPolicy(
                FlushPolicy(linger_s=0.1, max_rows=options.get("max_rows", 200), max_bytes=4 << 20),
                budget_s=2.0,
                skip_lost=options.get("skip_lost", False),
            ),
            kafka=kafka_settings,
        ),
        _signal_at(options.get("at"), options["topic"]),
    )


def _harm_reading(options: dict[str, Any]) -> None:
    """What is done to its derivations."""
    for name in options.get("reading", ()):
        harm.SABOTAGE[name]()
    if options.get("definition"):
        harm.define_otherwise()
    if options.get("derive_at"):
        nth, name = options["derive_at"]
        harm.signal_at(derive, nth, name, Path(options["marker"]) if "marker" in options else None)


def _signal_at(at: tuple[int, int, str] | None, topic: str) -> Callable[[int, TopicPartition], None]:
    """Send this process a signal after a step of a flush: `at` is the step, which such flush, and the signal's name."""
    seen = 0

    def hook(step: int, where: TopicPartition) -> None:
        nonlocal seen
        if at is not None and step == at[0] and where[0] == topic:
            seen += 1
            if seen == at[1]:
                os.kill(os.getpid(), signal.Signals[at[2]])

    return hook


def _no_intent() -> None:
    _commit_instead(lambda offsets: {at: (first, "") for at, (first, _) in offsets.items()})


def _commit_first() -> None:
    def ends(offsets: Offsets) -> Offsets:
        intents = {at: Intent.decode(metadata, first) for at, (first, metadata) in offsets.items()}
        return {at: (intent.last + 1, "") if intent else offsets[at] for at, intent in intents.items()}

    _commit_instead(ends)


def _commit_instead(of: Callable[[Offsets], Offsets]) -> None:
    commit = kafka.Consumer.commit
    kafka.Consumer.commit = lambda self, offsets: commit(self, of(offsets))  # type: ignore[method-assign]


def _no_delivery() -> None:
    kafka.DeadLetterProducer.write = lambda self, letters, topic="": None  # type: ignore[method-assign]


def _new_tokens() -> None:
    settings = Flush._settings

    def forgetful(self: Flush, to: Destination, part: str) -> dict[str, str | int]:
        return {**settings(self, to, part), "insert_deduplication_token": uuid.uuid4().hex}

    Flush._settings = forgetful  # type: ignore[method-assign]


def _tokens_believed() -> None:
    put = Flush._put

    def believing(
        self: Flush, to: Destination, table: Table, part: str, encoded: list[bytes], missing: Missing
    ) -> None:
        put(self, to, table, part, encoded, list)

    Flush._put = believing  # type: ignore[method-assign]


def _any_topic() -> None:
    Sink._verified = lambda self: True  # type: ignore[method-assign]
    Sink._unverified = property(lambda self: False, lambda self, value: None)  # type: ignore[assignment]


def _other_shard() -> None:
    for module in (rows, flush):
        vars(module)["shard_of"] = lambda generation_id, shards: (shard_of(generation_id, shards) + 1) % shards


SABOTAGE: dict[str, Callable[[], None]] = {
    "no_intent": _no_intent,
    "commit_first": _commit_first,
    "no_delivery": _no_delivery,
    "new_tokens": _new_tokens,
    "tokens_believed": _tokens_believed,
    "any_topic": _any_topic,
    "other_shard": _other_shard,
}
