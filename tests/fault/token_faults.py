"""The store dies when it has noted an insert's token and not yet put the rows into the table.

ClickHouse writes the token to its log first and renames the part after that. The gap is some 0.1 ms: a kill at random
met it once in 150. So it is made in two steps: the rows' parts are removed while the store is down. What is removed was
never acknowledged, because the front lost the replies.
"""

import shutil
from pathlib import Path
from typing import Any, Final

from keeprate.sinks.store.clickhouse import connect
from tests.fault.lab import stop_merges
from tests.fault.sink_faults import LOAD
from tests.fault.trial import Trial

TABLES: Final = ("generations", "feedback", "dead_letters", "ledger")


def store_killed_between_token_and_rows(trial: Trial) -> None:
    """In one of the tables. The sink goes on, or another one replays its ranges."""
    kill_store(trial, trial.rng.choice(TABLES))


def kill_store(trial: Trial, table: str, **sink: Any) -> None:
    """Of one table, some of the parts whose inserts were not answered are gone. sink: its options."""
    store = trial.own_store(trial.lab.directory / f"{trial.group}-store")
    trial.load(LOAD)
    trial.front.misbehave("reply_lost", table=table)
    child = trial.sink(instance="one", **sink)
    trial.wait(lambda: trial.front.met > 0 and bool(_parts(trial, table)))
    parts = _parts(trial, table)
    if trial.rng.random() < 0.5:
        trial.kill(child)
    store.kill()
    trial.kills += 1
    for part in trial.rng.sample(parts, trial.rng.randint(1, len(parts))):
        shutil.rmtree(part)
    trial.lab.start(store)
    # What stopped the merges was in the process that was killed.
    stop_merges(trial.store_url)
    trial.front.heal()
    if not child.running:
        trial.sink(instance="one", **sink)
    trial.load(LOAD)


def _parts(trial: Trial, table: str) -> list[Path]:
    query = "SELECT path FROM system.parts WHERE active AND database = {database:String} AND table = {table:String}"
    with connect(trial.store_url) as client:
        return [Path(path) for (path,) in client.query(query, {"database": trial.database, "table": table})]


NAME: Final = "store killed between token and rows"
FAULTS: Final = {NAME: store_killed_between_token_and_rows}
