"""How fast something is, from looking at it while it works."""

import time
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Final

from keeprate.deploy.local.process import ChildProcess

Sample = tuple[float, int]
"""A time in seconds, and how many records were done by then."""

WARM_UP: Final = 0.2
"""The share of the records before the clock starts: compilers are warm, caches full and partitions assigned by then."""
POLL_S: Final = 0.1
STALL_S: Final = 90.0


class StalledError(RuntimeError):
    """A contender ended or made no progress; the message has the end of its log."""


def rate(samples: Iterable[Sample], events: int) -> float:
    """Events per second, from the end of the warm-up until all are done.

    The clock starts at the first sample past the warm-up at which something was just done, so that a contender whose
    progress shows in steps is measured from step to step.
    """
    known = list(samples)
    begin = next(after for before, after in pairwise(known) if after[1] > before[1] and after[1] >= WARM_UP * events)
    end = next(sample for sample in known if sample[1] >= events)
    if end[0] <= begin[0]:
        raise ValueError(f"{events} events were over before they could be measured: take more of them")
    return (end[1] - begin[1]) / (end[0] - begin[0])


def follow(
    done: Callable[[], int],
    events: int,
    children: Iterable[ChildProcess],
    say: Callable[[str], None],
    patience_s: float = STALL_S,
) -> list[Sample]:
    """Look at a contender until it has done all events. Raises StalledError when nothing moves for too long."""
    children = list(children)
    samples: list[Sample] = [(time.monotonic(), 0)]
    moved_s = said_s = samples[0][0]
    while samples[-1][1] < events:
        time.sleep(POLL_S)
        now_s, count = time.monotonic(), done()
        if count > samples[-1][1]:
            moved_s = now_s
        samples.append((now_s, count))
        if now_s - said_s > 5:
            said_s = now_s
            say(f"{children[0].name}: {count:,} of {events:,} events")
        if now_s - moved_s > patience_s or not all(child.running for child in children):
            logs = "\n".join(child.log_tail(200) for child in children)
            raise StalledError(f"{children[0].name} stopped at {count} of {events} events; its log ends:\n{logs}")
    return samples
