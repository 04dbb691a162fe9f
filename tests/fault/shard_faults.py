"""What a store with three shards survives: all that a single one does, met by one of the three, and a shard away."""

from typing import Final

from tests.fault import flight_faults, sink_faults, token_faults
from tests.fault.lab import stop_merges
from tests.fault.sharded import SHARDS, ShardedTrial
from tests.fault.sink_faults import LOAD
from tests.fault.trial import Fault, Trial


def shard_down_and_back(trial: Trial) -> None:
    """Killed under load. What belongs to the others lands meanwhile, all of it; what belongs to it waits."""
    assert isinstance(trial, ShardedTrial)
    store = trial.own_store(trial.lab.directory / f"{trial.group}-store")
    trial.load(LOAD)
    child = trial.sink(instance="one")
    trial.wait_some_landed()
    store.kill()
    trial.kills += 1
    trial.load(LOAD)
    with trial._offsets() as offsets:
        trial.wait(lambda: _others_reached(trial, offsets.committed(), offsets.ends()))
        behind = {at for at, end in offsets.ends().items() if offsets.committed()[at] < end}
    assert behind, "nothing waits for a shard that is down"
    assert {partition % SHARDS for _, partition in behind} == {trial.at}
    if trial.rng.random() < 0.5:
        trial.kill(child)
    trial.lab.start(store)
    # What stopped the merges was in the process that was killed.
    stop_merges(trial.store_url)
    if not child.running:
        trial.sink(instance="one")
    trial.load(LOAD)


def _others_reached(
    trial: ShardedTrial, committed: dict[tuple[str, int], int], ends: dict[tuple[str, int], int]
) -> bool:
    others = {at: end for at, end in ends.items() if at[1] % SHARDS != trial.at}
    return bool(others) and all(committed.get(at) == end for at, end in others.items())


DOWN_AND_BACK: Final = "three shards: one down and back"
_FAULTS: Final[dict[str, Fault]] = {
    name: fault
    for name, fault in {**sink_faults.FAULTS, **flight_faults.FAULTS, **token_faults.FAULTS}.items()
    if name not in sink_faults.ALONE
}
FAULTS: Final[dict[str, Fault]] = {
    DOWN_AND_BACK: shard_down_and_back,
    **{f"three shards: {name}": fault for name, fault in _FAULTS.items()},
}
IN_TEST: Final = (DOWN_AND_BACK,)
"""Those of them that `make test` makes too."""
