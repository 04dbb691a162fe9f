"""One version takes another's place while records arrive: an upgrade of sinks and workers one by one, and back.

For `make fault` alone: the version before has a nest of its own, which imports all of it.
"""

from typing import Final

from keeprate.sinks.store.clickhouse import connect
from keeprate.sinks.tables.migrate import migrate
from tests.fault.arena import Arena
from tests.fault.lab import stop_merges
from tests.fault.sink_faults import LOAD
from tests.fault.trial import Fault, Trial
from tests.fault.worker_faults import Fault as WorkerFault

INSTANCES: Final = ("one", "two")


def sinks_upgraded(trial: Trial) -> None:
    """Older sinks land while the tables are migrated; then new ones take their places, also after a kill."""
    # What a killed sink had in the store and not in its commit, a newer one may land again: docs/delivery.md.
    trial.merged = True
    _tables_of_before(trial)
    trial.nest = trial.lab.before().nest
    old = [trial.sink(instance=name) for name in INSTANCES]
    trial.nest = trial.lab.nest
    trial.load(LOAD)
    trial.wait_some_landed()
    assert migrate(trial.store_url), "the version before has the same tables"
    for child, name in zip(old, INSTANCES, strict=True):
        trial.load(LOAD)
        assert child.running, f"an older sink does not bear newer tables:\n{child.log_tail()}"
        if trial.rng.random() < 0.5:
            trial.kill(child)
        else:
            child.terminate(30)
        trial.sink(instance=name)
        trial.load(LOAD)


def sinks_rolled_back(trial: Trial) -> None:
    """An older sink ends before it lands anything in newer tables, and says why; the new one goes on."""
    trial.merged = True
    trial.sink(instance="one")
    trial.load(LOAD)
    trial.wait_landed()
    trial.end()
    trial.load(LOAD)
    trial.nest = trial.lab.before().nest
    old = trial.sink(instance="one")
    trial.nest = trial.lab.nest
    assert trial.wait_ended(old) > 0
    assert "does not know: upgrade" in old.log_tail(), old.log_tail()
    trial.sink(instance="one")


def _tables_of_before(trial: Trial) -> None:
    with connect(f"{trial.lab.store.url}/default") as client:
        client.command(f"DROP DATABASE {trial.database}")
    trial.lab.before().migrate(trial.store_url)
    stop_merges(trial.store_url)


def workers_upgraded(arena: Arena) -> None:
    """Workers of the version before are replaced one after the other, each with its state."""
    _replaced_in_turn(arena, to_before=False)


def workers_rolled_back(arena: Arena) -> None:
    """And back: what the newer ones wrote is read by the older ones."""
    _replaced_in_turn(arena, to_before=False)
    _replaced_in_turn(arena, to_before=True)


def _replaced_in_turn(arena: Arena, to_before: bool) -> None:
    for at in range(len(arena.workers)):
        arena.pause()
        if arena.rng.random() < 0.5:
            arena.kill(arena.workers[at])
        arena.replace(at, arena.lab.before().nest if to_before else arena.lab.nest)


SINKS: Final[dict[str, Fault]] = {
    "upgrade: sinks one by one": sinks_upgraded,
    "upgrade: sinks and back": sinks_rolled_back,
}
WORKERS: Final[dict[str, WorkerFault]] = {
    "upgrade: workers one by one": WorkerFault(workers_upgraded, upgrade=True),
    "upgrade: workers and back": WorkerFault(workers_rolled_back, upgrade=True),
}
