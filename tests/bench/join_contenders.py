"""The contenders of the join: each is started afresh, followed until it has done all events, checked, and stopped."""

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from confluent_kafka import Consumer
from pydantic_core import from_json

from keeprate.deploy.local.process import ChildProcess
from keeprate.deploy.topics import create_topics
from keeprate.schemas.structs.reading import read
from keeprate.schemas.topics import ALL, DEFAULT_PARTITIONS, OUTCOMES, SOURCES
from tests.bench.join_kafka import Cluster
from tests.bench.join_load import Digest, Load, joined
from tests.bench.join_pace import Sample, follow, rate
from tests.bench.join_profile import Profile

PEER_OUTCOMES: Final = "bench.outcomes"
Say = Callable[[str], None]


class WrongError(AssertionError):
    """A contender's output is not what its input makes. Its speed is then of no interest."""


def sources_of(load: Load) -> list[str]:
    """The names of a load's own source topics."""
    return [f"load-{load.events}.{topic.name.rpartition('.')[2]}" for topic in SOURCES]


def provide(cluster: Cluster, load: Load, names: list[str]) -> None:
    """Have source topics of these names that hold the load, and nothing else."""
    cluster.delete(names)
    cluster.create(names, DEFAULT_PARTITIONS)
    renamed = dict(zip((topic.name for topic in SOURCES), names, strict=True))
    cluster.produce((renamed[topic], key, value) for topic, key, value in load.records())


def limit(cluster: Cluster, load: Load) -> float:
    """Consume and validate, and nothing else: what no join on this machine could pass, in this language."""
    consumer = Consumer(
        {
            "bootstrap.servers": cluster.bootstrap,
            "group.id": _fresh("limit"),
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "log_level": 0,
        }
    )
    consumer.subscribe([topic.name for topic in SOURCES])
    samples: list[Sample] = [(time.monotonic(), 0)]
    while samples[-1][1] < load.events:
        messages = consumer.consume(5_000, 1.0)
        for message in messages:
            read(message.value())
        samples.append((time.monotonic(), samples[-1][1] + len(messages)))
    consumer.close()
    return rate(samples, load.events)


@contextmanager
def workers(cluster: Cluster, directory: Path, count: int, group: str) -> Iterator[list[ChildProcess]]:
    """So many `keeprate worker` processes with empty states in RocksDB; stopped in order at the end."""
    command = [str(Path(sys.executable).parent / "keeprate"), "worker", "--brokers", cluster.bootstrap]
    with ExitStack() as running:
        children = []
        for number in range(count):
            home = directory / f"worker-{number}"
            shutil.rmtree(home, ignore_errors=True)
            options = ["--group", group, "--data-dir", str(home / "state"), "--state", "rocksdb"]
            child = ChildProcess("keeprate worker", [*command, *options], home / "worker.log")
            children.append(running.enter_context(child))
        yield children


def keeprate(
    cluster: Cluster,
    load: Load,
    expected: Digest,
    directory: Path,
    say: Say,
    processes: int = 1,
    profile: Profile | None = None,
) -> float:
    """The worker as it is run, with its state in RocksDB and its changelog; a record is done once it is committed.

    profile: takes in what the first process's threads do.
    """
    names = [topic.name for topic in SOURCES]
    partitions = cluster.topics()[names[0]]
    cluster.delete(topic.name for topic in ALL if topic not in SOURCES)
    create_topics(cluster.bootstrap, partitions)
    group = _fresh("keeprate")
    with workers(cluster, directory, processes, group) as children:
        done = cluster.committed(group, *names)
        if profile is not None and (pid := children[0].pid) is not None:
            done = profile.watching(done, pid)
        samples = follow(done, load.events, children, say)
    check(cluster, expected)
    return rate(samples, load.events)


def check(cluster: Cluster, expected: Digest) -> None:
    """Compare the worker's outcomes with what `fold` makes of the same events. Raises WrongError."""
    found = Digest()
    for key, value in cluster.last_values(OUTCOMES.name).items():
        found = found.with_outcome(key, value)
    if found != expected:
        raise WrongError(f"keeprate wrote {found}, but the events make {expected}")


def peer(
    cluster: Cluster, load: Load, name: str, command: tuple[list[str], dict[str, str]], directory: Path, say: Say
) -> float:
    """A peer, with its state and its output. It tells its progress itself, or by a record of output for each event."""
    cluster.delete([PEER_OUTCOMES])
    cluster.create([PEER_OUTCOMES], DEFAULT_PARTITIONS)
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    argv, environment = command
    group, state = _fresh(name), str(directory / "state")
    arguments = [cluster.bootstrap, group, *sources_of(load), PEER_OUTCOMES, state, str(DEFAULT_PARTITIONS)]
    child = ChildProcess(name, [*argv, *arguments], directory / "peer.log", environment)
    tells = name == "kafka_streams"
    with child:
        done = (lambda: _told(child)) if tells else cluster.written(PEER_OUTCOMES)
        samples = follow(done, load.events, [child], say)
    check_peer(cluster, load, name)
    cluster.delete(topic for topic in cluster.topics() if group in topic)
    return rate(_tale(child) if tells else samples, load.events)


def check_peer(cluster: Cluster, load: Load, name: str) -> None:
    """Count the generations that a peer joined with feedback. Raises WrongError."""
    outcomes = (from_json(value) for value in cluster.last_values(PEER_OUTCOMES).values())
    found = sum(
        bool(one.get("generation")) and any(value for field, value in one.items() if field != "generation")
        for one in outcomes
    )
    if found != (wanted := joined(load)):
        raise WrongError(f"{name} joined {found} generations with feedback, and there are {wanted}")


def _tale(child: ChildProcess) -> list[Sample]:
    """What a peer said of its progress: lines of milliseconds and a count, among whatever else it logs."""
    lines = child.log.read_text(errors="replace").splitlines() if child.log else []
    pairs = (line.split() for line in lines)
    return [(int(pair[0]) / 1000, int(pair[1])) for pair in pairs if len(pair) == 2 and all(map(str.isdigit, pair))]


def _told(child: ChildProcess) -> int:
    return max((count for _, count in _tale(child)), default=0)


def _fresh(name: str) -> str:
    return f"bench-{name}-{time.time_ns()}"
