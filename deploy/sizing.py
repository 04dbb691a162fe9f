"""How large an installation has to be, from what was measured on two cores and what is assumed of the traffic. Pure.

A measurement is that of README's table, by its name; an assumption is a field of `Load`, for who knows better.
"""

from dataclasses import dataclass
from math import ceil
from typing import Final

JOIN_EVENTS_PER_S: Final = 47_700
"""`join.keeprate`: one worker, one core."""
SINK_ROWS_PER_S: Final = 148_000
"""`sink.keeprate`: sink and store on two cores; half of one is the sink's."""
DERIVED_PER_S: Final = 14_500
"""`read.landing`: suggestions derived from outcomes that landed, of one million, by the store on two cores."""
PENDING_BYTES: Final = 366
"""`join.bytes_per_pending`: a suggestion's state on a worker's disk."""
RECOVERED_PER_S: Final = 87_700
"""`join.recovery`: pending suggestions that an empty disk gets back, the worker's start included."""
SUGGESTION_BYTES: Final = 46
"""A row of `suggestions`, compressed and merged: 918 MB for 20 million synthetic ones."""
PENDING_DAYS: Final = 8
"""A suggestion is pending until so long after its last event (docs/worker.md)."""
NODE_CORES: Final = 32
"""Of a ClickHouse server that is still easily had."""
_DAY_S: Final = 86_400
_GIB: Final = 1 << 30
_HOURS_A_MONTH: Final = 730


@dataclass(frozen=True)
class Load:
    """What comes, and what is wanted of it.

    suggestions_per_day: of all apps. events_each: generation, shown, answer, checks. peak: the busiest hour against the
    mean. event_bytes: of one, encoded. kafka_ratio, store_ratio: what compression leaves of it. kafka_days, store_days:
    how long it is kept. replication: copies in Kafka; store_replicas: in ClickHouse. headroom: what part of what was
    measured is planned with. core_hour, gib_month: what they cost you.
    """

    suggestions_per_day: int
    events_each: float = 6.0
    peak: float = 3.0
    event_bytes: int = 1_500
    kafka_ratio: float = 0.5
    store_ratio: float = 0.2
    kafka_days: int = 30
    store_days: int = 365
    replication: int = 3
    store_replicas: int = 2
    headroom: float = 0.5
    core_hour: float = 0.04
    gib_month: float = 0.1


@dataclass(frozen=True)
class Size:
    """What it takes. Disks in GiB, over all copies; store_cores: over all shards; first_limit: what has to be divided
    first, and from when on.
    """

    events_per_s: int
    peak_events_per_s: int
    partitions: int
    workers: int
    worker_disk_gib: int
    recovery_s: int
    sinks: int
    store_cores: int
    store_shards: int
    store_disk_gib: int
    kafka_disk_gib: int
    cost_month: int
    first_limit: str


def stored_per_s(cores: int) -> float:
    """Events a second that so many cores of ClickHouse land and derive suggestions from, and do nothing else."""
    return cores / 2 / (1 / SINK_ROWS_PER_S + 1 / DERIVED_PER_S)


def size(load: Load, store_node_cores: int = NODE_CORES) -> Size:
    """What a load takes. store_node_cores: of the largest ClickHouse node that you would run."""
    mean = load.suggestions_per_day * load.events_each / _DAY_S
    peak = mean * load.peak
    workers = max(1, ceil(peak / (JOIN_EVENTS_PER_S * load.headroom)))
    # Every event is a row, and at most as many outcomes land: those of one moment are one.
    sinks = max(1, ceil(2 * peak / (SINK_ROWS_PER_S * load.headroom)))
    needed_cores = peak / load.headroom / stored_per_s(1)
    store_cores = max(2, ceil(needed_cores))
    pending = load.suggestions_per_day * PENDING_DAYS
    facts = load.suggestions_per_day * load.events_each * load.event_bytes
    store_day = facts * load.store_ratio + load.suggestions_per_day * SUGGESTION_BYTES
    kafka_disk = ceil(facts * load.kafka_ratio * load.kafka_days * load.replication / _GIB)
    # Merges need as much room again, for a while.
    store_disk = ceil(2 * store_day * load.store_days * load.store_replicas / _GIB)
    worker_disk = ceil(2 * pending * PENDING_BYTES / workers / _GIB)
    disks = kafka_disk + store_disk + worker_disk * workers
    cores = workers + sinks + store_cores * load.store_replicas
    needed_shards = ceil(needed_cores / store_node_cores)
    partitions = _partitions(workers, sinks, needed_shards)
    return Size(
        events_per_s=ceil(mean),
        peak_events_per_s=ceil(peak),
        partitions=partitions,
        workers=workers,
        worker_disk_gib=worker_disk,
        recovery_s=ceil(pending / workers / RECOVERED_PER_S),
        sinks=sinks,
        store_cores=store_cores,
        # A partition's rows are on one shard where their number divides that of the partitions.
        store_shards=next(each for each in range(needed_shards, partitions + 1) if partitions % each == 0),
        store_disk_gib=store_disk,
        kafka_disk_gib=kafka_disk,
        cost_month=ceil(cores * load.core_hour * _HOURS_A_MONTH + disks * load.gib_month),
        first_limit=_first_limit(load, needed_cores, store_node_cores),
    )


def _partitions(workers: int, sinks: int, shards: int) -> int:
    """For twice as many workers and sinks: twelve, which much divides, or some of them."""
    most = max(2 * workers, 2 * sinks, shards)
    return 4 if most <= 2 else 12 * ceil(most / 12)


def _first_limit(load: Load, needed_cores: float, node_cores: int) -> str:
    at = load.suggestions_per_day * node_cores / needed_cores
    said = f"deriving suggestions in one ClickHouse of {node_cores} cores, at {at:,.0f} suggestions a day"
    return said + (": this load needs shards" if needed_cores > node_cores else "")
