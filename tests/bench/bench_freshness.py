"""Freshness: from an app's emit to the outcome's row in the store, with the whole path running under load.

A load of events is produced at a steady rate, paced by the clock. Beside it, probes are emitted through the SDK, and a
reader asks the store for those that it has not seen yet. The age of a probe when its row is first seen is its
freshness; how often the reader asks is therefore in the number.
"""

import random
import time
from collections.abc import Iterator
from statistics import quantiles
from typing import Final

from confluent_kafka import Producer

from keeprate.deploy.local.broker import KafkaBroker
from keeprate.deploy.local.process import ChildProcess
from keeprate.deploy.local.stack import keeprate
from keeprate.deploy.store import StoreProcess
from keeprate.deploy.topics import create_topics
from keeprate.producers import Keeprate
from keeprate.schemas.decode import encode
from keeprate.schemas.ids import uuid7
from keeprate.schemas.topics import FEEDBACK, GENERATIONS, PARTITIONER
from keeprate.sinks.store.clickhouse import Client, connect
from keeprate.sinks.tables.migrate import migrate
from tests.bench.results import Bench, Result, result

NAMES: Final = {
    "freshness.p50": "emit to visible row at 10,000 events/s, half of the probes within",
    "freshness.p99": "the same, 99 of 100 probes within",
}
RATE_PER_S: Final = 10_000
WARM_UP_S: Final = 5.0
LOAD_S: Final = 30.0
TICK_S: Final = 0.05
APP: Final = "bench"


def measure(bench: Bench) -> Iterator[Result]:
    """Run the load, and yield both percentiles over the runs."""
    if not any(map(bench.wants, NAMES)):
        return
    halves, most = [], []
    for run in range(bench.runs):
        bench.say(f"freshness, run {run + 1} of {bench.runs}")
        ages_s = _run(bench, run)
        cuts = quantiles(ages_s, n=100)
        halves.append(cuts[49])
        most.append(cuts[98])
    yield result("freshness.p50", "s", halves)
    yield result("freshness.p99", "s", most)


def _run(bench: Bench, run: int) -> list[float]:
    directory = bench.directory / f"freshness-{run}"
    with KafkaBroker(directory / "kafka") as broker, StoreProcess(directory / "store") as store:
        create_topics(broker.bootstrap)
        store_url = f"{store.url}/keeprate"
        migrate(store_url)
        env = {
            "KEEPRATE_BROKERS": broker.bootstrap,
            "KEEPRATE_STORE_URL": store_url,
            "KEEPRATE_DATA_DIR": str(directory),
            "KEEPRATE_SPOOL_DIR": str(directory / "spool"),
        }
        worker = ChildProcess("worker", keeprate("worker"), directory / "worker.log", env)
        sink = ChildProcess("sink", keeprate("sink"), directory / "sink.log", env)
        client = Keeprate(APP, brokers=broker.bootstrap, spool_dir=directory / "spool")
        with worker, sink, client, connect(store_url) as reader:
            _emit_until_seen(client, reader)
            return _under_load(broker.bootstrap, client, reader, LOAD_S * bench.scale)


def _emit_until_seen(client: Keeprate, reader: Client) -> None:
    """Return once a first event has gone the whole way: until then the processes are starting."""
    waiting = {_probe(client): 0.0}
    while waiting:
        _see(reader, waiting)


def _under_load(brokers: str, client: Keeprate, reader: Client, load_s: float) -> list[float]:
    producer = Producer(
        {"bootstrap.servers": brokers, "partitioner": PARTITIONER, "linger.ms": 5, "compression.type": "lz4"}
    )
    rng = random.Random(1)
    waiting: dict[str, float] = {}
    ages_s: list[float] = []
    began_s = next_s = time.monotonic()
    while (now_s := time.monotonic()) < began_s + WARM_UP_S + load_s or waiting:
        if now_s < began_s + WARM_UP_S + load_s:
            # As many as are due: a slow tick is caught up, so the rate holds.
            while next_s <= now_s:
                _load(producer, rng, int(RATE_PER_S * TICK_S))
                next_s += TICK_S
            if now_s > began_s + WARM_UP_S:
                waiting[_probe(client)] = time.monotonic()
        producer.poll(0)
        ages_s += _see(reader, waiting)
        time.sleep(TICK_S)
    return ages_s


def _load(producer: Producer, rng: random.Random, count: int) -> None:
    """A generation for every four events of feedback."""
    for _ in range(max(1, count // 5)):
        generation_id, now_ms = uuid7(), time.time_ns() // 1_000_000
        shared = {"schema_version": 1, "occurred_at": now_ms, "app": APP, "generation_id": generation_id}
        generation = {"event_id": uuid7(), "type": "generation", "model": "m", "prompt_version": "1", "latency_ms": 300}
        text = [{"role": "assistant", "content": "return a + b  # " + "x" * rng.randrange(400)}]
        producer.produce(GENERATIONS.name, encode(shared | generation | {"output": text}), generation_id)
        for action in ("shown", "accept", "copy", "undo"):
            body = {
                "event_id": uuid7(),
                "type": "action",
                "action": action,
                "length": 12,
                "user": f"u{rng.randrange(99)}",
            }
            producer.produce(FEEDBACK.name, encode(shared | body), generation_id)


def _probe(client: Keeprate) -> str:
    return client.generation(model="probe").id


def _see(reader: Client, waiting: dict[str, float]) -> list[float]:
    """The ages in seconds of the probes whose rows can be seen now; they wait no longer."""
    if not waiting:
        return []
    rows = reader.query(
        "SELECT toString(generation_id) FROM outcomes WHERE app = {app:String} AND generation_id IN {ids:Array(UUID)}",
        {"app": APP, "ids": list(waiting)},
    )
    now_s = time.monotonic()
    seen = {identity for (identity,) in rows}
    return [now_s - waiting.pop(identity) for identity in seen]
