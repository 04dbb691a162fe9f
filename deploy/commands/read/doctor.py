"""`keeprate doctor`: is what Keeprate stands on as it must be?"""

import json
import os
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from keeprate.deploy.settings import from_environment
from keeprate.deploy.terminal import printable
from keeprate.schemas.topics import DEFAULT_PARTITIONS

if TYPE_CHECKING:
    from keeprate.deploy.doctor.findings import Diagnosis

_WIDTH = 80
_MARKS = {"ok": "ok   ", "note": "note ", "fault": "FAULT"}


class Process(StrEnum):
    """Whose rights in Kafka are asked for."""

    APP = "app"
    COLLECTOR = "collector"
    WORKER = "worker"
    SINK = "sink"
    MONITOR = "monitor"


def doctor(
    brokers: Annotated[str, typer.Option(help="Bootstrap servers; default: KEEPRATE_BROKERS.")] = "",
    store: Annotated[str, typer.Option(help="The store's URL; default: KEEPRATE_STORE_URL.")] = "",
    process: Annotated[
        Process | None, typer.Option(help="Check that this principal has the rights of such a process.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print an object for each check.")] = False,
) -> None:
    """Check Kafka, the store and the settings by which they are reached, and say what to do about what is wrong.

    It asks and changes nothing: whether both answer and let in whom the settings name; topics with their partitions,
    copies, retention and compaction; the version of the tables; rights; clocks; who may see which app on the page.
    Exits with 1 when there is a fault. `keeprate doctor --process sink` asks as a sink would.
    """
    from keeprate.deploy.doctor import kafka, page, surroundings
    from keeprate.deploy.doctor import store as clickhouse

    env = from_environment(brokers, store)
    found = list(surroundings.check(os.environ))
    found += kafka.check(env.brokers, env.topics, process)
    found += clickhouse.check(env.store_url, env.reader_url)
    found += page.check(env.access, env.data_dir)
    found += clickhouse.check_shards(env.topology.shard_urls, env.topics.partitions or DEFAULT_PARTITIONS)
    for line in (json.dumps(asdict(each)) for each in found) if as_json else _as_text(found):
        typer.echo(printable(line))
    if any(each.state == "fault" for each in found):
        raise typer.Exit(1)


def _as_text(found: "list[Diagnosis]") -> Iterator[str]:
    for each in found:
        yield from textwrap.wrap(f"{_MARKS[each.state]} {each.subject}: {each.said}", _WIDTH, subsequent_indent=" " * 6)
        if each.remedy:
            yield from textwrap.wrap(f"-> {each.remedy}", _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 9)
