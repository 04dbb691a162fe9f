"""What is worked on in one go: the runs of records of one partition number that belong to the same time. Pure.

A suggestion's generation and its feedback are in partitions of the same number of two topics. A worker that is behind
reads the topics at different speeds. Where their records are worked on together, by the time that Kafka gave them, a
suggestion is looked up, merged and written once for many of its events, and few outcomes begin as orphans.

Time only decides what is worked on together. Whatever the timestamps are, nothing is left out, and each partition's
order stays.
"""

from bisect import bisect_right
from collections.abc import Mapping, Set
from dataclasses import dataclass
from itertools import chain
from math import inf
from operator import attrgetter
from typing import Any, Final

_TIME: Final = attrgetter("timestamp")


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive records of one partition, at least one.

    start: the offset after the run before. It may be below the first record's, where Kafka keeps a marker.
    """

    start: int
    records: list[Any]

    @property
    def next_offset(self) -> int:
        """What is committed once the run is done."""
        return int(self.records[-1].offset) + 1


@dataclass(frozen=True, slots=True)
class Batch:
    """Runs of one partition number, by topic; at least one. They are done together."""

    runs: Mapping[str, Run]

    @property
    def count(self) -> int:
        """How many records there are in all runs."""
        return sum(len(run.records) for run in self.runs.values())

    @property
    def records(self) -> list[Any]:
        """The records of all runs."""
        return list(chain.from_iterable(run.records for run in self.runs.values()))


def align(held: Mapping[str, Run], behind: Set[str]) -> tuple[dict[str, Run], dict[str, Run]]:
    """Divide the runs of one partition number, by topic, into what is to be worked on now and what waits.

    behind: the topics of which Kafka has more than is held. None of the others waits for a record that is not there.
    The first part is empty only when nothing is held of a topic that is behind: its records come first.
    """
    if not behind <= held.keys():
        return {}, dict(held)
    limit_ms = min((held[topic].records[-1].timestamp for topic in behind), default=inf)
    now, waiting = {}, {}
    for topic, run in held.items():
        count = len(run.records)
        if run.records[-1].timestamp > limit_ms:
            # Where the times are not in order, any place will do.
            count = bisect_right(run.records, limit_ms, key=_TIME)
        if count:
            now[topic] = Run(run.start, run.records[:count])
        if count < len(run.records):
            waiting[topic] = Run(now[topic].next_offset if count else run.start, run.records[count:])
    return now, waiting
