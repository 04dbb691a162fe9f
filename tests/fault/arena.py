"""Where workers are harmed: two of them in a group of their own, on topics of their own, and records that arrive."""

import random
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from keeprate.deploy.local.process import ChildProcess
from keeprate.schemas.outcome import Outcome, decode_outcome, encode_outcome, merge_all
from keeprate.schemas.topics import ALL, DEFAULT_PARTITIONS, OUTCOMES, SOURCES
from tests.fault.lab import Lab
from tests.fault.nest import Nest
from tests.fault.trial import Together
from tests.offsets import Offsets
from tests.streaming import Sourced, disordered, expected, produce, read, story

SUGGESTIONS: Final = 2_000
PARTS: Final = 16
PART_EVERY_S: Final = 0.5
_PATIENCE_S: Final = 180.0


class Arena:
    """One fault of workers with one seed."""

    def __init__(
        self, lab: Lab, seed: int, standby_replicas: int, together: Together, nest: Nest | None = None
    ) -> None:
        """nest: of whose code the workers are at first."""
        self.lab, self.seed, self.together = lab, seed, together
        self.rng = random.Random(seed)
        self.kills = self.exits = 0
        self.name = f"w{seed}-{time.monotonic_ns()}"
        self.prefix = f"{self.name}."
        lab.create_topics({self.prefix + topic.name: topic.config for topic in ALL})
        self.log = story(self.rng, self.name, SUGGESTIONS)
        self.records = self._on_own_topics(disordered(self.rng, self.log))
        self._options = {
            "brokers": lab.broker.bootstrap,
            "group": self.name,
            "state": self.rng.choice(["memory", "rocksdb"]),
            "standby-replicas": standby_replicas,
        }
        self.workers = [self._worker(number, nest or lab.nest) for number in range(2)]
        self._until_end = ExitStack()
        sources = [self.prefix + topic.name for topic in SOURCES]
        self._offsets, self._written = (
            self._until_end.enter_context(Offsets(lab.broker.bootstrap, self.name, topics, DEFAULT_PARTITIONS))
            for topics in (sources, [self.prefix + OUTCOMES.name])
        )

    def _on_own_topics(self, records: list[Sourced]) -> list[Sourced]:
        return [(self.prefix + topic, key, value) for topic, key, value in records]

    def _worker(self, number: int, nest: Nest) -> ChildProcess:
        home = self.lab.directory / f"{self.name}-{number}"
        options = {**self._options, "data-dir": home / "state"}
        child = {"prefix": self.prefix, "arguments": [f"--{name}={value}" for name, value in options.items()]}
        return nest.child("keeprate worker", "tests.fault.worker_child", child, home / "worker.log")

    def replace(self, number: int, nest: Nest) -> None:
        """End a worker in order, and have one of another version take its place and its state."""
        self.workers[number].terminate(deadline_s=30)
        self.workers[number] = self._worker(number, nest)
        self.workers[number].start()

    def state_of(self, worker: ChildProcess) -> Path:
        """Where a worker keeps its state, when it keeps it on disk."""
        assert worker.log is not None
        return worker.log.parent / "state"

    @contextmanager
    def arriving(self) -> Iterator[None]:
        """Records arrive, part by part, from here on; at the end all of them have."""
        size = len(self.records) // PARTS + 1
        parts = [self.records[at : at + size] for at in range(0, len(self.records), size)]

        def send() -> None:
            for part in parts:
                produce(self.lab.broker.bootstrap, part)
                time.sleep(PART_EVERY_S)

        with ThreadPoolExecutor(1) as thread:
            sent = thread.submit(send)
            yield
            sent.result()

    def kill(self, worker: ChildProcess) -> None:
        """SIGKILL, counted."""
        worker.kill()
        self.kills += 1

    def pause(self) -> None:
        """A moment of work."""
        time.sleep(self.rng.uniform(0.3, 2.0))

    def wait_at_work(self) -> None:
        """Return when outcomes are being written."""
        self._wait(lambda: any(self._written.ends().values()))

    def settle(self) -> None:
        """Return when everything is joined. A worker that ended is started again, as any supervisor would."""

        def settled() -> bool:
            for worker in self.workers:
                if not worker.running:
                    self.exits += 1
                    worker.start()
            return self._offsets.reached()

        self._wait(settled)

    def _wait(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while not condition():
            assert not self.lab.breaking_off.is_set(), "broken off"
            assert time.monotonic() < deadline, f"not within {_PATIENCE_S} s; the workers' logs:\n{self.logs()}"
            time.sleep(0.1)

    def wrong(self) -> list[str]:
        """The keys whose outcome is not the oracle's, merged from all that was written, as the store merges it."""
        written: dict[str, list[Outcome]] = {}
        for value in self._outcomes():
            key, outcome = decode_outcome(value)
            written.setdefault(key, []).append(outcome)
        merged = {key: encode_outcome(key, merge_all(all_)) for key, all_ in written.items()}
        wanted = expected(self.log)
        return sorted(key for key in merged.keys() | wanted.keys() if merged.get(key) != wanted.get(key))

    def behind(self) -> list[str]:
        """The keys whose last record holds less than the oracle, after a worker has recovered alone."""
        for worker in self.workers:
            worker.kill()
        (alone, *_) = self.workers = self.workers[:1]
        shutil.rmtree(self.state_of(alone), ignore_errors=True)
        alone.start()
        marker = story(self.rng, f"{self.name}-after", 1)
        produce(self.lab.broker.bootstrap, self._on_own_topics(disordered(self.rng, marker)))
        self.settle()
        last = {decode_outcome(value)[0]: value for value in self._outcomes()}
        return sorted(key for key, value in expected(self.log).items() if last.get(key) != value)

    def evidence(self, keys: Iterable[str]) -> str:
        """Of each outcome that is wrong, what a single thread makes of it, and the records in Kafka that speak of it.

        And all that the workers said. A source record that the log has and Kafka has not was never delivered.
        """
        wanted = expected(self.log)
        records = [
            (topic.name, one) for topic in ALL for one in read(self.lab.broker.bootstrap, self.prefix + topic.name)
        ]
        lines = []
        for key in keys:
            lines += [f"outcome {key}", f"  wanted {wanted.get(key, b'nothing').decode()}"]
            generation_id = key.split("/")[1].encode()
            lines += [f"  log {event}" for event in self.log if event["generation_id"].encode() == generation_id]
            lines += [
                f"  {topic}/{one.partition()} {one.offset()} at {one.timestamp()[1]}: {one.value()!r}"
                for topic, one in records
                if generation_id in (one.key() or b"")
            ]
        logs = (worker.log for worker in self.workers if worker.log is not None)
        return "\n".join([*lines, *(f"--- {log}\n{log.read_text(errors='replace')}" for log in logs)])

    def _outcomes(self) -> list[bytes]:
        return [record.value() for record in read(self.lab.broker.bootstrap, self.prefix + OUTCOMES.name)]

    def close(self) -> None:
        """End the workers, and leave nothing that would make the next trial slower."""
        for worker in self.workers:
            worker.kill()
        self._until_end.close()
        self.lab.admin.delete_topics([self.prefix + topic.name for topic in ALL])

    def logs(self) -> str:
        """The end of each worker's log."""
        return "\n".join(f"--- {worker.log}\n{worker.log_tail(8)}" for worker in self.workers)
