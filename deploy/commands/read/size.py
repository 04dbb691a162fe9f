"""`keeprate size`: how large an installation has to be."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from random import Random
from textwrap import wrap
from typing import Annotated

import typer

from keeprate.deploy.simulated_day import SAMPLE, Waited, first_to_bend, simulate
from keeprate.deploy.sizing import NODE_CORES, Load, size

_WORDS = {
    "events_per_s": "events a second, mean",
    "peak_events_per_s": "events a second, busiest hour",
    "partitions": "partitions of each topic, for twice as much",
    "workers": "workers, a core each",
    "worker_disk_gib": "GiB of disk for each worker",
    "recovery_s": "seconds until a worker with an empty disk is back",
    "sinks": "sinks, half a core each",
    "store_cores": "cores of ClickHouse, each replica",
    "store_shards": "shards of ClickHouse that have those cores together",
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
    store_node_cores: Annotated[
        int, typer.Option(help="Of the largest ClickHouse server that you would run: more are shards.", min=1)
    ] = NODE_CORES,
    core_hour: Annotated[float, typer.Option(help="What a core costs an hour.", min=0)] = _DEFAULTS.core_hour,
    gib_month: Annotated[float, typer.Option(help="What a GiB of disk costs a month.", min=0)] = _DEFAULTS.gib_month,
    simulated: Annotated[
        bool, typer.Option("--simulate", help="Then let a day of a sample go through it: which stage bends first?")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print an object, with what was assumed.")] = False,
) -> None:
    """Say how many partitions, workers, sinks, cores and disks a number of suggestions a day takes.

    From what `make bench` measured on two cores, planned with half of it: `keeprate size 1000000`. What is assumed of
    the traffic are the options; docs/operations.md says what was measured and what was not. `--simulate` lets a day go
    through what it plans, minute by minute, and says which stage cannot keep up first.
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
    found = size(load, store_node_cores)
    day = simulate(load, Random(1)) if simulated else []
    if as_json:
        more = {"day": [asdict(each) for each in day]} if simulated else {}
        typer.echo(json.dumps({**asdict(found), "assumed": asdict(load), **more}))
        return
    for field, words in _WORDS.items():
        typer.echo(f"{getattr(found, field):>12,}  {words}")
    for line in wrap(f"first to divide: {found.first_limit}", 80, subsequent_indent=" " * 17):
        typer.echo(line)
    for line in _as_table(day):
        typer.echo(line)


def _as_table(day: list[Waited]) -> Iterator[str]:
    if not day:
        return
    yield f"\na day of it, by {SAMPLE:,} of them, with no headroom left:"
    yield f"{'':12} {'busiest':>8} {'longest wait':>13} {'behind':>12} {'bends at, a day':>18}"
    for each in day:
        behind = "never" if each.behind_from is None else f"{_clock(each.behind_from)}-{_clock(each.behind_until)}"
        yield f"{each.name:12} {each.busiest:8.0%} {each.longest_s:11,.0f} s {behind:>12} {each.bends_at:18,}"
    first = first_to_bend(day)
    yield f"bends first: {first.name}, at {first.bends_at:,} suggestions a day"


def _clock(minute: int | None) -> str:
    return "" if minute is None else f"{minute // 60:02}:{minute % 60:02}"
