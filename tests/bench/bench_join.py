"""The join against its limit and its peers: one broker, one load, one contender at a time.

Each round runs every contender once, so that a machine that slows down slows all of them. The clock of each starts
after a fifth of its events. The slower peers get fewer events, which favours them: their state stays smaller.
"""

import resource
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from keeprate.deploy.local.broker import KafkaBroker
from keeprate.deploy.topics import create_topics
from keeprate.schemas.topics import ALL, DEFAULT_PARTITIONS
from tests.bench import join_contenders as contenders
from tests.bench import join_peers as peers
from tests.bench import join_state
from tests.bench.join_contenders import WrongError
from tests.bench.join_kafka import Cluster
from tests.bench.join_load import Load, expected, make
from tests.bench.join_pace import StalledError
from tests.bench.join_profile import OURS, PARTS, Profile
from tests.bench.results import Bench, Result, result

EVENTS: Final = 1_000_000
PEER_EVENTS: Final = {"faust_plain": 50_000, "quix": 300_000, "kafka_streams": EVENTS}
SCALES: Final = (1, 2, 4)
RECOVERED: Final = 1_000_000
RECOVERED_LARGE: Final = 10_000_000

SPENT: Final = {
    "join.cpu": "CPU time of `keeprate worker` for an event, all its threads, its start included",
    **PARTS,
    "join.start": "what is left of `join.cpu`: the start, before the clock of the contest, and the end",
}
NAMES: Final = {
    "join.keeprate": "`keeprate worker`: validated, state in RocksDB, changelog acknowledged, committed",
    "join.limit": "consume and validate only",
    "join.kafka_streams": "Kafka Streams 4.3.1 in Java, one stream thread, RocksDB",
    "join.quix": "Quix Streams 3.28.1, RocksDB",
    "join.faust_plain": "a plain Faust agent with a table in memory",
    **SPENT,
    "join.bytes_per_pending": "state on disk for each pending suggestion, compacted",
    **{f"scaling.{count}": f"`keeprate worker`, {count} partitions and processes" for count in SCALES},
    "join.recovery": f"from an empty disk to the first new outcome, {RECOVERED:,} pending",
    "join.recovery_10m": f"the same with {RECOVERED_LARGE:,} pending; measured when asked for by name",
}

Spent = dict[str, list[float]]
"""By part, what our runs spent on an event."""


def measure(bench: Bench) -> Iterator[Result]:
    """Everything of the join that is asked for."""
    with KafkaBroker(bench.directory / "kafka") as broker:
        cluster = Cluster(broker.bootstrap)
        yield from _contest(bench, cluster, broker.pid or 0)
        yield from _scaling(bench, cluster)
        yield from _recovery(bench, cluster)


def _contest(bench: Bench, cluster: Cluster, broker: int) -> Iterator[Result]:
    spent_us: Spent = defaultdict(list)
    runs = _contenders(bench, cluster, broker, spent_us)
    rates: dict[str, list[float]] = defaultdict(list)
    failures: dict[str, Exception] = {}
    for number in range(bench.runs):
        for name, run in runs.items():
            if name in failures:
                continue
            bench.say(f"{name}, run {number + 1} of {bench.runs}")
            try:
                rates[name].append(run())
            except (StalledError, WrongError, peers.PeerMissingError) as error:
                # The others go on: their hour would be lost.
                bench.say(f"{name} is out: {error}")
                failures[name] = error
            else:
                bench.say(f"{name}, run {number + 1} of {bench.runs}: {rates[name][-1]:,.0f} events/s")
    yield from _results(bench, {name: values for name, values in rates.items() if name not in failures})
    for name, values in spent_us.items():
        if bench.wants(name):
            yield result(name, "µs", values)
    if failures:
        raise ExceptionGroup("contenders that failed", list(failures.values()))


def _results(bench: Bench, rates: dict[str, list[float]]) -> Iterator[Result]:
    for name, values in rates.items():
        if bench.wants(f"join.{name}"):
            yield result(f"join.{name}", "events/s", values)
    if bench.wants("join.bytes_per_pending") and "keeprate" in rates:
        yield result("join.bytes_per_pending", "bytes", [join_state.bytes_per_pending(bench.directory / "keeprate")])


def _contenders(bench: Bench, cluster: Cluster, broker: int, spent_us: Spent) -> dict[str, Callable[[], float]]:
    """The contenders that are asked for, with their topics filled. spent_us: takes in what ours spends on an event."""
    runs: dict[str, Callable[[], float]] = {}
    loads: dict[int, Load] = {}
    # The size of the state is that of the last run's.
    ours = any(map(bench.wants, ("join.keeprate", "join.bytes_per_pending", *SPENT)))
    if ours or bench.wants("join.limit"):
        load = loads[EVENTS] = _load(bench, EVENTS)
        _fill(bench, cluster, load, DEFAULT_PARTITIONS)
        if bench.wants("join.limit"):
            runs["limit"] = lambda: contenders.limit(cluster, load)
    if ours:
        bench.say("folding the events, to know what must come of them")
        runs["keeprate"] = _ours(bench, cluster, load, broker, spent_us)
    for name, events in PEER_EVENTS.items():
        if bench.wants(f"join.{name}"):
            bench.say(f"{name}: filling its topics")
            own = loads.setdefault(events, _load(bench, events))
            contenders.provide(cluster, own, contenders.sources_of(own))
            runs[name] = _peer(bench, cluster, own, name)
    return runs


def _ours(bench: Bench, cluster: Cluster, load: Load, broker: int, spent_us: Spent) -> Callable[[], float]:
    digest = expected(load)

    def run() -> float:
        before_s, profile = _children_s(), Profile(load.events, broker)
        home = bench.directory / "keeprate"
        rate = contenders.keeprate(cluster, load, digest, home, bench.say, profile=profile)
        cpu_us, parts_us = (_children_s() - before_s) / load.events * 1e6, profile.parts_us()
        spent = {"join.cpu": cpu_us, **parts_us}
        if parts_us:
            spent["join.start"] = cpu_us - sum(parts_us[name] for name in OURS)
        for name, value_us in spent.items():
            spent_us[name].append(value_us)
        return rate

    return run


def _children_s() -> float:
    """CPU time of the processes that were started here and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _peer(bench: Bench, cluster: Cluster, load: Load, name: str) -> Callable[[], float]:
    def run() -> float:
        bench.say(f"{name}: building its environment, where there is none yet")
        command = getattr(peers, name)()
        return contenders.peer(cluster, load, name, command, bench.directory / name, bench.say)

    return run


def _load(bench: Bench, events: int) -> Load:
    count = bench.events(events)
    path = bench.directory / f"load-{count}"
    if path.exists():
        return Load(path, count)
    bench.say(f"making {count:,} events")
    return make(path, count)


def _fill(bench: Bench, cluster: Cluster, load: Load, partitions: int) -> None:
    """Have all topics of the registry with so many partitions, and the load in the sources."""
    bench.say(f"writing {load.events:,} events to {partitions} partitions")
    cluster.delete(topic.name for topic in ALL)
    create_topics(cluster.bootstrap, partitions)
    cluster.produce(load.records())


def _scaling(bench: Bench, cluster: Cluster) -> Iterator[Result]:
    asked = [count for count in SCALES if bench.wants(f"scaling.{count}")]
    if not asked:
        return
    load = _load(bench, EVENTS)
    digest = expected(load)
    home: Path = bench.directory / "scaling"
    for count in asked:
        _fill(bench, cluster, load, count)
        values = []
        for number in range(bench.runs):
            bench.say(f"{count} partitions and processes, run {number + 1} of {bench.runs}")
            values.append(contenders.keeprate(cluster, load, digest, home, bench.say, processes=count))
        yield result(f"scaling.{count}", "events/s", values)


def _recovery(bench: Bench, cluster: Cluster) -> Iterator[Result]:
    sizes = {"join.recovery": RECOVERED} if bench.wants("join.recovery") else {}
    if "join.recovery_10m" in bench.only:
        sizes["join.recovery_10m"] = RECOVERED_LARGE
    for name, pending in sizes.items():
        count = bench.events(pending)
        bench.say(f"writing a changelog of {count:,} pending suggestions")
        join_state.write_changelog(cluster, _load(bench, 50_000), count)
        values = []
        for number in range(bench.runs if name == "join.recovery" else 1):
            bench.say(f"recovering {count:,} pending suggestions, run {number + 1}")
            values.append(join_state.recovery_s(cluster, bench.directory / "recovery", count, number, bench.say))
        yield result(name, "s", values)
