"""The worker process: starts the processors, logs what an operator needs, and stops when it is told to.

Runs Faust's own worker, so signals, supervision and shutdown order are Faust's; only its pauses are shorter.
"""

import asyncio
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faust

from keeprate.streams.app import GROUP, build
from keeprate.streams.delivery import missing_topics

LOG_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@dataclass(frozen=True)
class WorkerSettings:
    """What `keeprate worker` was told.

    data_dir: where the state is kept; None keeps it in memory, to be recovered from the changelog at each start.
    standby_replicas: how many other workers keep a copy of each partition's state.
    """

    brokers: str
    data_dir: Path | None = None
    group: str = GROUP
    standby_replicas: int = 0
    metrics_port: int | None = None
    log_level: str = "INFO"


class TopicsMissingError(Exception):
    """The topics are not as the registry says: the worker refuses to start. `problems` has a line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems) + "; create the topics with: keeprate topics create")
        self.problems = problems


class Worker(faust.Worker):
    """Faust's worker without the second it sleeps before the loop is closed, and with our logging."""

    def _setup_logging(self) -> None:
        """Nothing: `run` has set it up."""

    async def _sentinel_task(self) -> None:
        await asyncio.sleep(0)


def run(settings: WorkerSettings) -> None:
    """Process records until SIGTERM or SIGINT; then finish the batch in hand, commit and return by SystemExit(0).

    A failure ends it by SystemExit with another code. Raises TopicsMissingError before it starts.
    """
    _log_to_stderr(settings.log_level)
    if problems := missing_topics(settings.brokers):
        raise TopicsMissingError(problems)
    app = build(settings.brokers, settings.data_dir, settings.group, table_standby_replicas=settings.standby_replicas)
    worker: Any = Worker(app, quiet=True, loglevel=settings.log_level, redirect_stdouts=False)
    worker.spinner = None
    worker.execute_from_commandline()


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(stream=sys.stderr, level=level, format=LOG_FORMAT, force=True)
    # Faust and its parts tell of every service that starts and stops. What they warn of matters.
    for name in ("faust", "mode", "aiokafka", "asyncio"):
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level) if level != "DEBUG" else level)
