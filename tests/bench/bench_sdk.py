"""The SDK: how fast an app may emit, what one call costs it, and what the same records cost without us.

The limit is a bare loop over confluent-kafka's `produce` with the same settings and the same bytes, encoded beforehand:
no validation, no numbering, no disk. Both end when a real broker has acknowledged the last record.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from keeprate.deploy.local.broker import KafkaBroker
from keeprate.deploy.topics import create_topics
from keeprate.producers import Keeprate
from keeprate.producers.sending.kafka import open_producer
from keeprate.schemas.decode import encode
from keeprate.schemas.ids import uuid7
from keeprate.schemas.topics import FEEDBACK
from tests.bench.results import Bench, Result, result

NAMES: Final = {
    "sdk.emit": "emit, validated and spooled, to the last acknowledgement",
    "sdk.limit": "bare confluent-kafka produce of the same bytes",
    "sdk.calls": "emit alone, brokers down",
    "sdk.calls.p50": "one emit, brokers down, median",
    "sdk.calls.p99": "one emit, brokers down, 99th percentile",
}

EVENTS: Final = 300_000
KEYS: Final = 1_000
NOWHERE: Final = "127.0.0.1:1"


def events(count: int) -> list[dict[str, Any]]:
    """Accepts of a thousand generations."""
    keys = [uuid7() for _ in range(KEYS)]
    shape = {"type": "action", "action": "accept", "length": 120, "lines": 4, "accept_seq": 1, "session": "s-1"}
    return [{**shape, "generation_id": keys[number % KEYS]} for number in range(count)]


def measure(bench: Bench) -> Iterator[Result]:
    """Each contender in turn, in each run."""
    taken = events(bench.events(EVENTS))
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    with KafkaBroker(bench.directory / "kafka") as broker:
        create_topics(broker.bootstrap)
        for run in range(bench.runs):
            bench.say(f"run {run + 1}: sdk.limit")
            found["sdk.limit"].append(_limit(taken, broker.bootstrap))
            bench.say(f"run {run + 1}: sdk.emit")
            found["sdk.emit"].append(_emit(taken, broker.bootstrap, bench.directory / "spool"))
    for run in range(bench.runs):
        bench.say(f"run {run + 1}: sdk.calls")
        rate, p50_us, p99_us = _calls(taken, bench.directory / f"down-{run}")
        found["sdk.calls"].append(rate)
        found["sdk.calls.p50"].append(p50_us)
        found["sdk.calls.p99"].append(p99_us)
    for name, values in found.items():
        yield result(name, "µs" if ".p" in name else "events/s", values)


def _limit(taken: list[dict[str, Any]], brokers: str) -> float:
    producer = open_producer(brokers, "bench", {"queue.buffering.max.messages": 200_000}, lambda _: None)
    stamp = {"schema_version": 1, "app": "bench", "event_id": uuid7(), "occurred_at": 1, "producer_id": uuid7()}
    records = [(encode({**stamp, **event, "producer_seq": 1}), event["generation_id"].encode()) for event in taken]
    began_s = time.perf_counter()
    for value, key in records:
        while True:
            try:
                producer.produce(FEEDBACK.name, value, key, on_delivery=_ignore)
                break
            except BufferError:
                producer.poll(0.01)
        producer.poll(0)
    producer.flush()
    return len(taken) / (time.perf_counter() - began_s)


def _ignore(_: object, __: object) -> None:
    """A delivery report costs the same whoever reads it."""


def _emit(taken: list[dict[str, Any]], brokers: str, spool: Path) -> float:
    with Keeprate("bench", brokers=brokers, spool_dir=spool) as client:
        began_s = time.perf_counter()
        for event in taken:
            client.emit(event)
        if left := client.flush(120):
            raise RuntimeError(f"{left} events were not delivered")
        rate = len(taken) / (time.perf_counter() - began_s)
    if client.stats().delivered != len(taken):
        raise RuntimeError(f"events were lost: {client.stats()}")
    return rate


def _calls(taken: list[dict[str, Any]], spool: Path) -> tuple[float, float, float]:
    client = Keeprate("bench", brokers=NOWHERE, spool_dir=spool)
    clock, lasted_ns = time.perf_counter_ns, []
    began_ns = clock()
    for event in taken:
        before_ns = clock()
        client.emit(event)
        lasted_ns.append(clock() - before_ns)
    rate = len(taken) / (clock() - began_ns) * 1e9
    client.close(0)
    if client.stats().lost:
        raise RuntimeError(f"events were lost: {client.stats()}")
    lasted_ns.sort()
    return rate, lasted_ns[len(lasted_ns) // 2] / 1e3, lasted_ns[len(lasted_ns) * 99 // 100] / 1e3
