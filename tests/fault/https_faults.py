"""Faults of an app that sends by a collector, over TLS: it is away, slow, refuses; the app is killed, has no disk.

Every event that `emit` took is in Kafka, in the spool or counted as dropped by its reason: the account is exact.
"""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from keeprate.deploy.local.process import free_port
from keeprate.producers import Keeprate
from keeprate.producers.collector.gate.keys import FILE_NAME
from keeprate.schemas.ids import uuid7
from keeprate.schemas.topics import SOURCES
from tests.collecting import CollectorProcess, certificate_in
from tests.fault.cell import Cell, Outcome
from tests.fault.lab import Lab
from tests.fault.links import Link
from tests.fault.sdk_lab import Way, files_in, killed_again_and_again, landed, start_app
from tests.fault.trial import Together
from tests.streaming import remove_records

_FOREIGN_EVERY: Final = 50
_OVERFLOW: Final = 14_000
"""Events of 4 kB: more than an app without a disk holds."""


@dataclass
class Bad:
    """One trial: a collector behind a link, and an app that sends to it. kills: of either, so far."""

    lab: Lab
    rng: random.Random
    app: str
    directory: Path
    collector: CollectorProcess
    link: Link
    kills: int = 0
    emitted: int = 0
    stats: dict[str, Any] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def way(self) -> Way:
        """What a client is told."""
        url, ca = f"https://{self.link.address}", str(self.directory / "cert.pem")
        return {"url": url, "key": self.collector.key, "ca": ca}

    @property
    def spool(self) -> Path:
        return self.directory / "spool"

    @contextmanager
    def load(self, foreign: bool = False) -> Iterator[None]:
        """Three threads emit while the block runs. foreign: now and then in another app's name."""
        client = Keeprate(self.app, spool_dir=self.spool, **self.way)
        over = threading.Event()
        threads = [threading.Thread(target=self._emit, args=(client, over, foreign)) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()
            self.link.heal()
            client.flush(60)
            client.close()
            self.stats = vars(client.stats())

    def _emit(self, client: Keeprate, over: threading.Event, foreign: bool) -> None:
        key, number = uuid7(), 0
        while not over.wait(0.004):
            event: dict[str, Any] = {"type": "vote", "value": 1, "generation_id": key, "attributes": {"n": str(number)}}
            if foreign and number % _FOREIGN_EVERY == 1:
                event["app"] = "another"
            client.emit(event)
            number += 1
        with self.lock:
            self.emitted += number

    def outcome(self, name: str) -> Outcome:
        """lost: acknowledged and not in Kafka, or left behind. unaccounted: what the numbers do not explain."""
        found, stats = landed(self.lab.broker.bootstrap, self.app), self.stats
        found.check_order()
        arrived = sum(len(set(each)) for each in found.sequences.values())
        dropped = sum(stats["dropped"].values())
        unaccounted = abs(stats["accepted"] - stats["delivered"] - stats["spooled"] - stats["pending"] - dropped)
        # A number that is dropped is spent: so the gaps in what arrived are the drops, and nothing else.
        unaccounted += abs(self.emitted - stats["accepted"]) + abs(self.emitted - arrived - dropped)
        unaccounted += len(files_in(self.spool))
        lost = max(0, stats["delivered"] - arrived) + stats["spooled"] + stats["pending"]
        return Outcome(name, 1, self.emitted, self.kills, lost, found.doubled, unaccounted)


def _collector_killed(bad: Bad) -> None:
    with bad.load():
        for _ in range(2):
            time.sleep(bad.rng.uniform(0.2, 0.6))
            bad.collector.process.kill()
            bad.kills += 1
            time.sleep(bad.rng.uniform(0, 0.5))
            bad.collector.start()


def _collector_slow(bad: Bad) -> None:
    with bad.load():
        for fault in bad.rng.sample([_late, _reset, _cut], 3):
            fault(bad)
            time.sleep(bad.rng.uniform(0.3, 0.9))
            bad.link.heal()


def _late(bad: Bad) -> None:
    bad.link.slow_down(bad.rng.uniform(0.05, 0.3))


def _reset(bad: Bad) -> None:
    bad.link.reset_some(bad.rng.uniform(0.2, 0.6), bad.rng)


def _cut(bad: Bad) -> None:
    bad.link.cut()


def _collector_refuses(bad: Bad) -> None:
    keys = bad.directory / FILE_NAME
    with bad.load(foreign=True):
        time.sleep(bad.rng.uniform(0.2, 0.6))
        # No key is known for a while: 401. And of more than some requests a second each gets 429 and a Retry-After.
        content = keys.read_bytes()
        keys.unlink()
        time.sleep(bad.rng.uniform(1.1, 2.0))
        keys.write_bytes(content)
        time.sleep(bad.rng.uniform(0.2, 0.6))
    assert set(bad.stats["dropped"]) == {"refused"}, bad.stats
    assert bad.stats["refusals"] == {"refused forbidden app": bad.stats["dropped"]["refused"]}, bad.stats


def _app_killed(bad: Bad, name: str) -> Outcome:
    found = killed_again_and_again(bad.lab.broker.bootstrap, bad.way, bad.app, bad.spool, bad.rng)
    left = len(files_in(bad.spool))
    return Outcome(name, 1, found.events, found.kills, found.lost, found.doubled, left)


def _disk_full(bad: Bad, name: str) -> Outcome:
    """No file can be made and nothing passes: memory takes what it holds, and the rest is counted."""
    bad.link.cut()
    process = start_app("overflow", bad.app, bad.way, bad.spool, _OVERFLOW)
    assert process.stdout is not None
    while int(process.stdout.readline()) < _OVERFLOW:
        pass
    bad.link.heal()
    out, _ = process.communicate("go on\n")
    bad.stats, bad.emitted = json.loads(out), _OVERFLOW
    assert set(bad.stats["dropped"]) == {"full"}, bad.stats
    return bad.outcome(name)


Survive = Callable[[Bad, str], Outcome]


def _cell(name: str, survive: Survive, *options: str) -> Cell:
    def trial(lab: Lab, seed: int, together: Together) -> Outcome:
        """A collector, the fault, the account."""
        directory, app = lab.directory / f"https-{seed}-{free_port()}", f"https-{seed}"
        tls = certificate_in(directory)
        # Apps share the registry's topics, and reading what others left there would take ever longer.
        with lab.one_app, ExitStack() as running:
            collector = CollectorProcess(directory, lab.broker.bootstrap, app, *options, tls=tls)
            running.enter_context(collector)
            link = running.enter_context(Link(collector.port))
            outcome = survive(Bad(lab, random.Random(seed), app, directory, collector, link), name)
            for topic in SOURCES:
                remove_records(lab.broker.bootstrap, topic.name)
            return outcome

    return Cell(name, trial)


def _loaded(fault: Callable[[Bad], None]) -> Survive:
    def survive(bad: Bad, name: str) -> Outcome:
        fault(bad)
        return bad.outcome(name)

    return survive


CELLS: Final = {
    cell.name: cell
    for cell in (
        _cell("collector killed", _loaded(_collector_killed)),
        _cell("collector slow and cut off", _loaded(_collector_slow)),
        _cell("collector refuses", _loaded(_collector_refuses), "--rate", "2"),
        _cell("app killed, over HTTPS", _app_killed),
        _cell("app without a disk, over HTTPS", _disk_full),
    )
}
