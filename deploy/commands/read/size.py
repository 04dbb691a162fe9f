"""`keeprate size`: how large an installation has to be."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from keeprate.deploy.sizing import Load, size

_WORDS = {
    "events_per_s": "events a second, mean",
    "peak_events_per_s": "events a second, busiest hour",
    "partitions": "partitions of each topic, for twice as much",
    "workers": "workers, a core each",
    "worker_disk_gib": "GiB of disk for each worker",
    "recovery_s": "seconds until a worker with an empty disk is back",
    "sinks": "sinks, half a core each",
    "store_cores": "cores of ClickHouse, each replica",
    "store_disk_gib": "GiB of ClickHouse's disks, all replicas",
    "kafka_disk_gib": "GiB of Kafka's disks, all copies",
    "cost_month": "of your money a month, at --core-hour and --gib-month",
}
_DEFAULTS = Load(0)


def compute_size(
    suggestions_per_day: Annotated[int, typer.Argument(help="Of all apps.", min=1)],
    events_each: Annotated[float, typer.Option(help="Events of one: generation, shown, answer, checks.", min=1)] = (
        _DEFAULTS.events_each
    ),
    peak: Annotated[float, typer.Option(help="The busiest hour against the mean.", min=1)] = _DEFAULTS.peak,
    event_bytes: Annotated[int, typer.Option(help="Of one event, with its content.", min=100)] = _DEFAULTS.event_bytes,
    kafka_days: Annotated[int, typer.Option(help="How long Kafka keeps events.", min=1)] = _DEFAULTS.kafka_days,
    store_days: Annotated[int, typer.Option(help="How long ClickHouse keeps them.", min=1)] = _DEFAULTS.store_days,
    replication: Annotated[int, typer.Option(help="Copies in Kafka.", min=1)] = _DEFAULTS.replication,
    store_replicas: Annotated[int, typer.Option(help="Copies in ClickHouse.", min=1)] = _DEFAULTS.store_replicas,
    core_hour: Annotated[float, typer.Option(help="What a core costs an hour.", min=0)] = _DEFAULTS.core_hour,
    gib_month: Annotated[float, typer.Option(help="What a GiB of disk costs a month.", min=0)] = _DEFAULTS.gib_month,
    as_json: Annotated[bool, typer.Option("--json", help="Print an object, with what was assumed.")] = False,
) -> None:
    """Say how many partitions, workers, sinks, cores and disks a number of suggestions a day takes.

    From what `make bench` measured on two cores, planned with half of it: `keeprate size 1000000`. What is assumed of
    the traffic are the options; docs/operations.md says what was measured and what was not.
    """
    load = Load(
        suggestions_per_day=suggestions_per_day,
        events_each=events_each,
        peak=peak,
        event_bytes=event_bytes,
        kafka_days=kafka_days,
        store_days=store_days,
        replication=replication,
        store_replicas=store_replicas,
        core_hour=core_hour,
        gib_month=gib_month,
    )
    found = size(load)
    if as_json:
        typer.echo(json.dumps({**asdict(found), "assumed": asdict(load)}))
        return
    for field, words in _WORDS.items():
        typer.echo(f"{getattr(found, field):>12,}  {words}")
    typer.echo(f"first to divide: {found.first_limit}")
