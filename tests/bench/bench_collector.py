"""The collector by size of batch: HTTP in, Kafka's acknowledgement out, client, collector and broker on one machine."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from keeprate.deploy.local.broker import KafkaBroker
from tests.bench.join_load import make
from tests.bench.results import Bench, Result, result
from tests.collecting import CollectorProcess
from tests.streaming import create_topics

BATCHES: Final = {1: 30_000, 100: 300_000, 1000: 500_000}
"""Events per request, and how many events are sent in a run."""
CONNECTIONS: Final = {1: 64, 100: 16, 1000: 8}

NAMES: Final = {f"collector.{batch}": f"POST /v1/events, {batch} events a request" for batch in BATCHES}


def measure(bench: Bench) -> Iterator[Result]:
    """The rates that are asked for."""
    with KafkaBroker(bench.directory / "kafka") as broker:
        create_topics(broker.bootstrap)
        directory = bench.directory / "collector"
        with CollectorProcess(directory, broker.bootstrap, "bench", "--rate", "0", "--ack-timeout", "60") as collector:
            events = _events(bench)
            for batch in BATCHES:
                if bench.wants(f"collector.{batch}"):
                    yield result(f"collector.{batch}", "events/s", list(_runs(bench, collector, events, batch)))


def _events(bench: Bench) -> list[bytes]:
    """The demo's events, whose apps are all renamed to the key's."""
    load = make(bench.directory / "load", bench.events(max(BATCHES.values())))
    marker = b'"app":"'
    events = []
    for _, _, value in load.records():
        before, _, after = value.partition(marker)
        events.append(before + marker + b"bench" + after[after.index(b'"') :])
    return events


def _runs(bench: Bench, collector: CollectorProcess, events: list[bytes], batch: int) -> Iterator[float]:
    path = bench.directory / f"events-{batch}"
    path.write_bytes(b"\n".join(events[: bench.events(BATCHES[batch])]))
    # The first run warms both sides up and is left out.
    for number in range(bench.runs + 1):
        bench.say(f"{batch} a request, run {number} of {bench.runs}")
        rate = _run(collector, path, batch)
        if number:
            yield rate


def _run(collector: CollectorProcess, path: Path, batch: int) -> float:
    arguments = (str(collector.port), collector.key, str(path), str(batch), str(CONNECTIONS[batch]))
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.collector_client", *arguments], capture_output=True, text=True, check=True
    )
    return float(done.stdout)
