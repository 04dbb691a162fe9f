"""`keeprate worker`: join generations and feedback into outcomes."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from keeprate.deploy.commands import logs
from keeprate.deploy.settings import from_environment
from keeprate.schemas.topics import JOIN_GROUP


class StatePlace(StrEnum):
    """Where a worker keeps the outcomes it is working on."""

    MEMORY = "memory"
    ROCKSDB = "rocksdb"


def worker(
    state: Annotated[
        StatePlace, typer.Option(help="memory is recovered from the changelog at each start")
    ] = StatePlace.ROCKSDB,
    data_dir: Annotated[
        Path | None, typer.Option(help="of the state; each worker needs its own [default: KEEPRATE_DATA_DIR/worker]")
    ] = None,
    brokers: Annotated[str | None, typer.Option(help="[default: KEEPRATE_BROKERS]")] = None,
    processes: Annotated[
        int, typer.Option(help="so many workers as one, each with a directory in the data directory", min=1)
    ] = 1,
    group: Annotated[str, typer.Option(help="workers of one group share the partitions")] = JOIN_GROUP,
    standby_replicas: Annotated[int, typer.Option(help="other workers that keep a copy of the state")] = 0,
    instance: Annotated[
        str | None,
        typer.Option(help="a name that no other worker has: under it, a restart gets its partitions at once"),
    ] = None,
    session_timeout_s: Annotated[
        float, typer.Option(help="after so long without a word a worker counts as gone; longer than a restart", min=1)
    ] = 6.0,
    metrics_port: Annotated[int | None, typer.Option(help="serve /metrics there")] = None,
    metrics_host: Annotated[str, typer.Option(help="and at this address; it has no login")] = "127.0.0.1",
    log_level: Annotated[str, typer.Option(help="DEBUG, INFO, WARNING or ERROR")] = "INFO",
) -> None:
    """Join generations and feedback into outcomes, until Ctrl-C or SIGTERM.

    One process uses one core: --processes takes more of a machine, with one end and one /metrics. Start more of them to
    share the work between machines; there are as many shares as partitions. A worker that is killed loses nothing:
    another one, or the next start, takes over from the last commit.
    """
    from functools import partial

    from confluent_kafka import KafkaException

    from keeprate.streams.processes import run_many
    from keeprate.streams.state.partition import StateLockedError
    from keeprate.streams.worker import TopicsMissingError, WorkerSettings, run

    logs.start(log_level)
    settings = from_environment(brokers)
    directory = (data_dir or settings.data_dir / "worker") if state is StatePlace.ROCKSDB else None
    wanted = WorkerSettings(
        brokers=settings.brokers,
        data_dir=directory,
        group=group,
        standby_replicas=standby_replicas,
        instance=instance,
        session_timeout_s=session_timeout_s,
        metrics_port=metrics_port,
        metrics_host=metrics_host,
        log_level=log_level.upper(),
    )
    try:
        if processes == 1:
            run(wanted)
        else:
            run_many(wanted, processes, partial(_begin, log_level, brokers))
    except (TopicsMissingError, StateLockedError) as error:
        raise SystemExit(f"keeprate worker: {error}") from None
    except KafkaException as error:
        raise SystemExit(
            f"keeprate worker: no broker answers at {settings.brokers} ({error.args[0]}); "
            "set KEEPRATE_BROKERS or --brokers"
        ) from None


def _begin(log_level: str, brokers: str | None) -> str:
    """What each process of several does first."""
    logs.start(log_level)
    return from_environment(brokers).brokers
