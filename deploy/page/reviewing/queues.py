"""What is in each queue: looked for part by part, and what was found stands until what is newer is found in full.

So a queue's size is not what a store happened to find in the time of one request: it grows until it is whole, and then
changes with what happens.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from keeprate.deploy.page import happenings
from keeprate.deploy.page.access.viewer import Sight
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.recent import TIMES_ITS_COST
from keeprate.deploy.page.selection import Selection
from keeprate.deploy.review.reading import Looking, Queued
from keeprate.deploy.review.settings import Queue
from keeprate.sinks.reading.voices import Scales

PATIENCE_S: Final = 3.0
"""How long one request looks for a queue's suggestions."""
_KEPT_S: Final = 20.0


@dataclass
class _Known:
    """found: what stands. looking: for what is newer. until_s: when to look on. is_whole: `found` is all there was."""

    found: Queued = field(default_factory=Queued)
    looking: Looking | None = None
    until_s: float = 0.0
    is_whole: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class Queues:
    """Threads share it. clock_s: monotonic."""

    def __init__(self, scales: Scales, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._scales = scales
        self._clock_s = clock_s
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()

    def of(self, reads: Reads, queue: Queue) -> Queued:
        """A queue as far as it is known. It is the same for everybody, whatever who asks may see. Raises StoreError."""
        with self._lock:
            known = self._known.setdefault(queue.name, _Known())
        with known.lock:
            if self._clock_s() >= known.until_s:
                self._look(reads, queue, known)
            return known.found

    def _look(self, reads: Reads, queue: Queue, known: _Known) -> None:
        began_s = self._clock_s()
        if known.looking is None:
            known.looking = Looking(queue, reads.now, _horizon_s(reads, queue), self._scales)
        found = known.looking.look(reads.client, PATIENCE_S)
        took_s = self._clock_s() - began_s
        if found.looked_back_to is None:
            known.found, known.looking, known.is_whole = found, None, True
            known.until_s = began_s + took_s + max(_KEPT_S if found.candidates else 0.0, TIMES_ITS_COST * took_s)
            return
        if not known.is_whole:
            known.found = found
        # The store rests as long as it looked.
        known.until_s = began_s + 2 * took_s


def _horizon_s(reads: Reads, queue: Queue) -> int:
    filters = (("app", tuple(sorted(queue.apps))),) if queue.apps else ()
    return happenings.known(replace(reads, sight=Sight()), Selection(filters=filters)).horizon_s
