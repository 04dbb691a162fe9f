"""Verifying the recent past now and then, in a thread of its own, and exporting what was found.

A pass is bounded: hours of ranges, a share of the generations where they are many, and seconds of waiting for what
lags.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from keeprate.deploy.monitor import catalogue
from keeprate.deploy.monitor.families import gauge
from keeprate.schemas.topics import JOIN_GROUP
from keeprate.sinks.checks.backwards import GroupPartition, committed_of
from keeprate.sinks.checks.finding import CHECKS
from keeprate.sinks.checks.verification import CheckScope, Kafka, VerifyReport, verify
from keeprate.sinks.kafka.errors import BrokerError
from keeprate.sinks.kafka.positions import KafkaPositions
from keeprate.sinks.kafka.reader import Reader
from keeprate.sinks.store.clickhouse import StoreError, connect

logger = logging.getLogger(__name__)

WINDOW: Final = timedelta(hours=6)
MAX_FACTS: Final = 200_000
_LOGGED: Final = 20


@dataclass(frozen=True)
class Pass:
    """A verification that came to its end."""

    report: VerifyReport
    took_s: float
    ended_at_s: float


class Verifier(Collector):
    """Verifies every `every_s` seconds and hands out what the last pass found. Connects when it first verifies."""

    def __init__(
        self,
        store_url: str,
        brokers: str,
        every_s: float,
        join_group: str = JOIN_GROUP,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store_url = store_url
        self._brokers = brokers
        self._every_s = every_s
        self._join_group = join_group
        self._now = now
        self._last: Pass | None = None
        self._turn = 0
        self._committed: dict[GroupPartition, int] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="verify", daemon=True)

    def start(self) -> None:
        """Begin to verify. Returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no other pass. Does not wait for one that runs: it changes nothing, and may wait for Kafka."""
        self._stopping.set()

    @property
    def running(self) -> bool:
        """Whether it still verifies: a defect ends its thread, and should end the process."""
        return self._thread.is_alive()

    def collect(self) -> Iterator[Family]:
        """What the last pass found; zeros before the first. Never waits."""
        yield gauge(catalogue.VERIFY_INTERVAL, {(): self._every_s})
        yield from families(self._last)

    def refresh(self) -> None:
        """Verify once, in this thread. Where the store or Kafka cannot be read, what was found before stays."""
        began_s = time.monotonic()
        try:
            report = self._verify()
        except (StoreError, BrokerError) as error:
            logger.warning("it cannot be verified now: %s", error)
            return
        self._turn += 1
        self._committed |= committed_of(report.positions)
        for finding in report.findings[:_LOGGED]:
            logger.error("%s does not hold: %s: %s", finding.check, finding.where, finding.detail)
        self._last = Pass(report, time.monotonic() - began_s, time.time())

    def _verify(self) -> VerifyReport:
        scope = CheckScope(since=self._now() - WINDOW, max_facts=MAX_FACTS, turn=self._turn)
        with ExitStack() as opened:
            client = opened.enter_context(connect(self._store_url))
            positions = opened.enter_context(KafkaPositions(self._brokers))
            reader = Reader(self._brokers)
            opened.callback(reader.close)
            return verify(client, Kafka(reader, positions, self._join_group), scope, self._committed)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.refresh()
            self._stopping.wait(self._every_s)


def families(last: Pass | None) -> list[Family]:
    """A pass as gauges, every invariant and subject among them. Pure."""
    found = Counter(finding.check for finding in last.report.findings) if last else Counter()
    report = last.report if last else None
    checked = {
        "ranges": report.ranges if report else 0,
        "offsets": report.offsets if report else 0,
        "positions": len(report.positions) if report else 0,
        "generations": sum(each.facts for each in report.agreements) if report else 0,
        "outcomes": report.outcomes if report else 0,
    }
    noted = {
        "conflicts": len(report.conflicts) if report else 0,
        "unread": len(report.unread) if report else 0,
    }
    waiting = sum(each.waiting for each in report.agreements) if report else 0
    return [
        gauge(catalogue.VERIFY_FINDINGS, {(check,): found[check] for check in CHECKS}),
        gauge(catalogue.VERIFY_CHECKED, {(subject,): number for subject, number in checked.items()}),
        gauge(catalogue.VERIFY_NOTED, {(subject,): number for subject, number in noted.items()}),
        gauge(catalogue.VERIFY_WAITING, {(): waiting}),
        gauge(catalogue.VERIFY_SHARES, {(): report.shares if report else 1}),
        gauge(catalogue.VERIFY_DURATION, {(): last.took_s if last else 0.0}),
        gauge(catalogue.VERIFY_SUCCESS, {(): last.ended_at_s if last else 0.0}),
    ]
