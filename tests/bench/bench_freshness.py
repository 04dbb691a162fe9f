"""Freshness: from an app's emit to the outcome's row in the store, and to the suggestion that the page counts, with the
whole path running under load.

A load of events is produced at a steady rate, paced by the clock. Beside it, probes are emitted through the SDK, and a
reader asks the store for those that it has not seen yet. The age of a probe when its row is first seen is its
freshness; how often the reader asks is therefore in the number.
"""

import random
import time
import uuid
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
    "freshness.page_p50": "emit to the suggestion that the page counts, half of the probes within",
    "freshness.page_p99": "the same, 99 of 100 probes within",
}
RATE_PER_S: Final = 10_000
WARM_UP_S: Final = 5.0
LOAD_S: Final = 30.0
TICK_S: Final = 0.05
APP: Final = "bench"
_TABLES: Final = {"": "outcomes", "page_": "suggestions"}
_SEEN: Final = (
    "SELECT DISTINCT toString(generation_id) FROM {table} "
    "WHERE app = {{app:String}} AND toUInt128(generation_id) IN {{ids:Array(UInt128)}}"
)


def measure(bench: Bench) -> Iterator[Result]:
    """Run the load, and yield both percentiles over the runs."""
    if not any(map(bench.wants, NAMES)):
        return
    found: dict[str, list[float]] = {name: [] for name in NAMES}
    for run in range(bench.runs):
        bench.say(f"freshness, run {run + 1} of {bench.runs}")
        for where, ages_s in _run(bench, run).items():
            cuts = quantiles(ages_s, n=100)
            found[f"freshness.{where}p50"].append(cuts[49])
            found[f"freshness.{where}p99"].append(cuts[98])
    for name, seconds in found.items():
        yield result(name, "s", seconds)


def _run(bench: Bench, run: int) -> dict[str, list[float]]:
    """The ages of the probes, by where they were seen."""
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


class _Probes:
    """Probes that were emitted, until their outcome and their suggestion are seen."""

    def __init__(self, client: Keeprate, reader: Client) -> None:
        self._client, self._reader = client, reader
        self._emitted_s: dict[str, float] = {}
        self.waiting: dict[str, set[str]] = {where: set() for where in _TABLES}
        self.ages_s: dict[str, list[float]] = {where: [] for where in _TABLES}

    def emit(self) -> None:
        identity = self._client.generation(model="probe").id
        self._emitted_s[identity] = time.monotonic()
        for waiting in self.waiting.values():
            waiting.add(identity)

    def look(self) -> None:
        """Note the ages of those whose rows can be seen now; they wait no longer."""
        for where, waiting in self.waiting.items():
            if not waiting:
                continue
            asked = {"app": APP, "ids": [uuid.UUID(identity).int for identity in waiting]}
            rows = self._reader.query(_SEEN.format(table=_TABLES[where]), asked)
            now_s = time.monotonic()
            for (identity,) in rows:
                if identity in waiting:
                    waiting.remove(identity)
                    self.ages_s[where].append(now_s - self._emitted_s[identity])


def _emit_until_seen(client: Keeprate, reader: Client) -> None:
    """Return once a first event has gone the whole way: until then the processes are starting."""
    first = _Probes(client, reader)
    first.emit()
    while any(first.waiting.values()):
        first.look()
        time.sleep(TICK_S)


def _under_load(brokers: str, client: Keeprate, reader: Client, load_s: float) -> dict[str, list[float]]:
    producer = Producer(
        {"bootstrap.servers": brokers, "partitioner": PARTITIONER, "linger.ms": 5, "compression.type": "lz4"}
    )
    rng, probes = random.Random(1), _Probes(client, reader)
    began_s = next_s = time.monotonic()
    while (now_s := time.monotonic()) < began_s + WARM_UP_S + load_s or any(probes.waiting.values()):
        if now_s < began_s + WARM_UP_S + load_s:
            # As many as are due: a slow tick is caught up, so the rate holds.
            while next_s <= now_s:
                _load(producer, rng, int(RATE_PER_S * TICK_S))
                next_s += TICK_S
            if now_s > began_s + WARM_UP_S:
                probes.emit()
        producer.poll(0)
        probes.look()
        time.sleep(TICK_S)
    return probes.ages_s


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
