"""The worker process: starts the processors, logs what an operator needs, and stops when it is told to.

Runs Faust's own worker, so signals, supervision and shutdown order are Faust's; only its pauses are shorter.
"""

import asyncio
import faulthandler
import gc
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import faust

from keeprate.schemas.topics import FEEDBACK, JOIN_GROUP
from keeprate.streams.app import App, build
from keeprate.streams.delivery import missing_topics
from keeprate.streams.liveness import Liveness
from keeprate.streams.metrics import WorkerMetrics
from keeprate.streams.state.recovery import Recovery

logger = logging.getLogger(__name__)

WATCH_EVERY_S: Final = 2.0
TELL_EVERY_S: Final = 30.0
TELL_RECOVERY_EVERY_S: Final = 5.0
STUCK_AFTER_S: Final = 120.0
"""Longer than a delivery may take: a broker that is away is an error with a name of its own."""
STUCK_EXIT_CODE: Final = 70


@dataclass(frozen=True)
class WorkerSettings:
    """What `keeprate worker` was told.

    data_dir: where the state is kept; None keeps it in memory, to be recovered from the changelog at each start.
    standby_replicas: how many other workers keep a copy of each partition's state.
    instance: a name that no other worker has: under it, a restart within session_timeout_s gets its partitions back
    without a rebalance.
    """

    brokers: str
    data_dir: Path | None = None
    group: str = JOIN_GROUP
    standby_replicas: int = 0
    metrics_port: int | None = None
    metrics_host: str = "127.0.0.1"
    instance: str | None = None
    session_timeout_s: float = 6.0
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


def collect_seldom() -> None:
    """Look for garbage rarely: what lives from here on dies young or holds no cycles.

    A full collection would walk through all recent outcomes.
    """
    gc.freeze()
    gc.set_threshold(500_000, 20, 100)


def run(settings: WorkerSettings, metrics: WorkerMetrics | None = None) -> None:
    """Process records until SIGTERM or SIGINT; then finish the batches in hand, commit and return by SystemExit(0).

    A failure ends it by SystemExit with another code. Raises TopicsMissingError before it starts.
    metrics: of whoever shows them elsewhere too.
    """
    _quiet_parts()
    if problems := missing_topics(settings.brokers):
        raise TopicsMissingError(problems)
    metrics = metrics or WorkerMetrics(settings.group)
    if settings.metrics_port is not None:
        metrics.serve(settings.metrics_port, settings.metrics_host)
    app = build(
        settings.brokers,
        settings.data_dir,
        metrics,
        settings.group,
        table_standby_replicas=settings.standby_replicas,
        consumer_group_instance_id=settings.instance,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 4,
    )
    _Watch(app, metrics)
    collect_seldom()
    worker: Any = Worker(app, quiet=True, loglevel=settings.log_level, redirect_stdouts=False)
    worker.spinner = None
    worker.execute_from_commandline()


class _Watch:
    """Tells of assignments and, once in a while, of the work done, and ends the process when it is stuck."""

    def __init__(self, app: App, metrics: WorkerMetrics) -> None:
        self._app = app
        self._metrics = metrics
        self._liveness = Liveness(STUCK_AFTER_S)
        self._recovery = Recovery(STUCK_AFTER_S, TELL_RECOVERY_EVERY_S)
        self._told = 0
        app.watch_recovery = self.judge_recovery
        app.on_rebalance_complete.connect(self.tell_partitions)
        app.timer(interval=WATCH_EVERY_S)(self.judge)
        app.timer(interval=TELL_EVERY_S)(self.tell_work)

    async def tell_partitions(self, *args: Any, **kwargs: Any) -> None:
        assignment = self._app.consumer.assignment()
        ours = sorted({tp.partition for tp in assignment if tp.topic == FEEDBACK.name})
        logger.info("partitions that are ours: %s", ", ".join(map(str, ours)) or "none")

    async def judge(self) -> None:
        """Ends the process when it does not get on, with the stacks of all threads on stderr."""
        lag = self._lag()
        # What there is to recover comes first, and is judged by itself.
        to_do = 0 if self._app.rebalancing else sum(lag.values())
        if not self._liveness.judge(time.monotonic(), self._metrics.records, to_do):
            _end_stuck(f"{to_do} records to do")
        self._metrics.judged(lag, self._liveness.idle_s(time.monotonic()))

    def judge_recovery(self, going_on: bool, left: int) -> None:
        """Tells of a recovery, and ends the process when it does not get on."""
        now_s, recovery = time.monotonic(), self._recovery
        if not recovery.judge(now_s, going_on, left):
            _end_stuck(f"{left} records to recover")
        # When even this does not run again, the event loop itself is blocked.
        faulthandler.dump_traceback_later(STUCK_AFTER_S, exit=True)
        if line := recovery.tell(now_s):
            logger.info(line)
        self._metrics.recovering(recovery.left, recovery.took_s)

    async def tell_work(self) -> None:
        metrics = self._metrics
        if metrics.records != self._told:
            self._told = metrics.records
            numbers = metrics.records, metrics.outcomes, metrics.refused, sum(self._lag().values())
            logger.info("%s records joined, %s outcomes written, %s records refused; %s to do", *numbers)

    def _lag(self) -> dict[str, int]:
        consumer: Any = self._app.consumer
        lag: dict[str, int] = consumer.lag()
        return lag


def _end_stuck(to_do: str) -> None:
    logger.critical("%s, and none was done for %.0f s", to_do, STUCK_AFTER_S)
    faulthandler.dump_traceback(all_threads=True)
    os._exit(STUCK_EXIT_CODE)


def _quiet_parts() -> None:
    # Faust and its parts tell of every service that starts and stops. What they warn of matters.
    level = logging.getLogger().level
    for name in ("faust", "mode", "aiokafka", "asyncio"):
        logging.getLogger(name).setLevel(level if level == logging.DEBUG else max(logging.WARNING, level))
