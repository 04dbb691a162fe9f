"""Several worker processes as one: started together, ended together, with one endpoint of metrics.

The group divides the partitions among them, as among workers that were started apart. Each has a pipe to the parent:
what it measures goes through it when the parent is asked, and its end says that the parent is gone, so that no worker
goes on alone.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from multiprocessing import connection, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry, Metric, generate_latest, start_http_server
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from keeprate.streams.delivery import missing_topics
from keeprate.streams.metrics import WorkerMetrics
from keeprate.streams.state.partition import StateLockedError
from keeprate.streams.worker import TopicsMissingError, WorkerSettings, run

logger = logging.getLogger(__name__)

ANSWER_S: Final = 2.0
"""How long a scrape waits for one process. One that is suspended is left out of the answer."""


def run_many(settings: WorkerSettings, count: int, begin: Callable[[], str]) -> None:
    """Process records in so many processes until SIGTERM or SIGINT, and return by SystemExit(0) when all have ended.

    When one of them fails, all are told to end, and the code is that one's. Raises TopicsMissingError.
    begin: is called first in each process, sets up its log, and returns the brokers with what they let it in by: a
    source of tokens cannot be handed to another process.
    """
    if problems := missing_topics(settings.brokers):
        raise TopicsMissingError(problems)
    processes = Processes(count, lambda number: (_work, share_of(settings, number), begin))
    if settings.metrics_port is not None:
        registry = CollectorRegistry()
        registry.register(Merged(processes.pipes))
        start_http_server(settings.metrics_port, settings.metrics_host, registry)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: processes.terminate())
    raise SystemExit(processes.wait())


def share_of(settings: WorkerSettings, number: int) -> WorkerSettings:
    """What the worker of this number is told: a directory and a name of its own."""
    home: Path | None = settings.data_dir and settings.data_dir / str(number)
    instance = settings.instance and f"{settings.instance}-{number}"
    return replace(settings, brokers="", data_dir=home, instance=instance, metrics_port=None)


@dataclass
class Pipe:
    """The parent's end of what a process measures."""

    number: int
    end: Connection
    # An answer that came too late is in front of the one that is asked for.
    owed: int = 0

    def ask(self) -> str:
        """The process's metrics as text; empty when it does not answer."""
        try:
            self.end.send(None)
            self.owed += 1
            said = b""
            while self.owed and self.end.poll(ANSWER_S):
                said, self.owed = self.end.recv_bytes(), self.owed - 1
        except (EOFError, OSError):
            return ""
        return said.decode() if not self.owed else ""


class Processes:
    """So many processes, started at once. begin: what the process of a number does: a function and its arguments.

    The function's last argument is the process's end of its pipe.
    """

    def __init__(self, count: int, begin: Callable[[int], tuple[Any, ...]]) -> None:
        # Spawned: librdkafka's threads do not survive a fork.
        context, self.pipes, self._processes = get_context("spawn"), list[Pipe](), list[Any]()
        self._is_ending = False
        for number in range(count):
            ours, theirs = context.Pipe()
            target, *arguments = begin(number)
            process = context.Process(target=target, args=(*arguments, theirs), name=f"keeprate worker {number}")
            process.start()
            theirs.close()
            self.pipes.append(Pipe(number, ours))
            self._processes.append(process)

    def terminate(self) -> None:
        """Tell all to end. Once: whoever has all but ended takes no signal any more, and would be killed by another."""
        if not self._is_ending:
            self._is_ending = True
            for process in self._processes:
                process.terminate()

    def wait(self) -> int:
        """Wait until all have ended. The code of the first that failed; the others are told to end then."""
        running, code = {process.sentinel: process for process in self._processes}, 0
        while running:
            for sentinel in connection.wait(list(running)):
                process = running.pop(sentinel)
                process.join()
                logger.info("%s ended with code %s", process.name, process.exitcode)
                if process.exitcode and not code:
                    # Killed by a signal, it has the code that a shell would show.
                    code = process.exitcode if process.exitcode > 0 else 128 - process.exitcode
                self.terminate()
        return code


class Merged(Collector):
    """What all processes measure, each sample with the label `process`."""

    def __init__(self, pipes: Iterable[Pipe]) -> None:
        self._pipes = list(pipes)
        self._asking = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        with self._asking:
            texts = [(pipe.number, pipe.ask()) for pipe in self._pipes]
        yield from merged(texts)

    def describe(self) -> Iterator[Metric]:
        """Nothing: the processes may not be there yet."""
        return iter(())


def merged(texts: Iterable[tuple[int, str]]) -> Iterator[Metric]:
    """The metrics of several processes, by number, as one."""
    families: dict[str, Metric] = {}
    for number, text in texts:
        for family in text_string_to_metric_families(text):
            known = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            for sample in family.samples:
                labels = {**sample.labels, "process": str(number)}
                known.samples.append(sample._replace(labels=labels))
    yield from families.values()


def _work(settings: WorkerSettings, begin: Callable[[], str], pipe: Connection) -> None:
    """A worker in a process of its own."""
    # What a terminal tells its group, the parent says once.
    os.setsid()
    brokers = begin()
    metrics = WorkerMetrics(settings.group)
    answer(pipe, metrics.registry)
    try:
        run(replace(settings, brokers=brokers), metrics)
    except StateLockedError as error:
        raise SystemExit(f"keeprate worker: {error}") from None


def answer(pipe: Connection, registry: CollectorRegistry) -> None:
    """Tell the parent what is measured, whenever it asks, and end this process when it is gone."""

    def listen() -> None:
        try:
            while True:
                pipe.recv()
                pipe.send_bytes(generate_latest(registry))
        except (EOFError, OSError):
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=listen, name="metrics", daemon=True).start()
