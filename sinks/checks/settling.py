"""Which partitions have caught up with themselves: what a check has to know of a pipeline that is busy.

The two sides of a comparison travel separately: a record becomes a row by one way, and an outcome by another. So what
looked different at first is looked at again when both have arrived, and a partition that lags is not judged.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final

from keeprate.schemas.topics import JOIN_GROUP, OUTCOMES
from keeprate.sinks.checks.backwards import SOURCE_NAMES, ledger_ends
from keeprate.sinks.kafka.positions import Positions
from keeprate.sinks.kafka.records import TopicPartition
from keeprate.sinks.store.clickhouse import Client

PATIENCE_S: Final = 30.0
_PAUSE_S: Final = 0.5


def settled_partitions(
    store: Client,
    positions: Positions,
    patience_s: float = PATIENCE_S,
    join_group: str = JOIN_GROUP,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> frozenset[int]:
    """The partitions of which everything that Kafka held at the call is a row by now, and is in an outcome's row.

    Waits for at most `patience_s`; those that are behind then are left out.
    """
    marks = positions.ends(SOURCE_NAMES)
    partitions = {partition for _, partition in marks}
    outcome_ends: dict[int, int] = {}
    deadline_s = clock() + patience_s
    while True:
        joined = _reached(positions.committed(join_group, SOURCE_NAMES), marks)
        if new := joined - outcome_ends.keys():
            # Read after the join's commit: by then the outcomes of all that it joined are below this end.
            ends = positions.ends([OUTCOMES.name])
            outcome_ends |= {partition: ends.get((OUTCOMES.name, partition), 0) for partition in new}
        landed = ledger_ends(store)
        outcomes = {(OUTCOMES.name, partition): end for partition, end in outcome_ends.items()}
        settled = _reached(landed, marks) & _reached(landed, outcomes)
        if settled == partitions or clock() >= deadline_s:
            return frozenset(settled)
        sleep(_PAUSE_S)


def _reached(offsets: Mapping[TopicPartition, int], marks: Mapping[TopicPartition, int]) -> set[int]:
    """The partitions that are at their marks, in every topic."""
    behind = {at[1] for at, mark in marks.items() if offsets.get(at, 0) < mark}
    return {partition for _, partition in marks} - behind
