"""`keeprate replay`: rebuild outcomes from the facts in the store."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from keeprate.deploy.commands.read.report import read_moment
from keeprate.deploy.settings import from_environment
from keeprate.deploy.terminal import printable

if TYPE_CHECKING:
    from keeprate.sinks.upkeep.recompute import GenerationFilter
    from keeprate.sinks.upkeep.replay import Replayed

_OUTCOMES = "outcomes"


def replay(
    app: Annotated[list[str] | None, typer.Option(help="Only this app. Repeatable.")] = None,
    generation: Annotated[list[str] | None, typer.Option(help="Only this generation_id. Repeatable.")] = None,
    since: Annotated[str, typer.Option(help="Only generations with an event since: 90min, 24h, 7d ago, a date.")] = "",
    until: Annotated[str, typer.Option(help="Only generations with an event before: the same forms.")] = "",
    into: Annotated[str, typer.Option(help="Write into this table, made when it is not there.")] = _OUTCOMES,
    yes: Annotated[bool, typer.Option("--yes", help="Write. Without it nothing is written.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="List what differs, and exit with 1 if anything does.")
    ] = False,
    show: Annotated[int, typer.Option(help="How many differences --verify lists.", min=0)] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    store: Annotated[
        str, typer.Option(help="The store's URL, or one shard's alone; default: KEEPRATE_STORE_URL, with all shards.")
    ] = "",
) -> None:
    """Rebuild outcomes from the facts in the store.

    Says what it would write, and writes with --yes. Inserting is safe at any time: a recomputed outcome merges with
    the stored one. Where a stored outcome holds more than its facts say, rebuild --into a table of its own and exchange
    the two: docs/upkeep.md says how.

    keeprate replay --since 7d --app editor --yes

    keeprate replay --into outcomes_rebuilt --yes

    keeprate replay --verify
    """
    from keeprate.sinks.store.clickhouse import StoreError, connect
    from keeprate.sinks.tables.placing import servers
    from keeprate.sinks.upkeep.recompute import count_facts
    from keeprate.sinks.upkeep.replay import make_table
    from keeprate.sinks.upkeep.replay import replay as rebuild

    if yes and verify:
        _refuse("--yes writes and --verify only looks: give one of them", 2)
    try:
        selection = _selection(datetime.now(UTC), app or [], generation or [], since, until)
        said = from_environment(store=store)
        # One server's tables may have copies all the same.
        topology = dataclasses.replace(said.topology, shard_urls=()) if store else said.topology
        with connect(said.store_url) as client, servers(client, topology) as holding:
            if yes and into != _OUTCOMES:
                make_table(holding, into)
            with _progress(not as_json, lambda: count_facts(client, selection)) as advance:
                done = rebuild(holding, selection, into, yes, show if verify else 0, advance)
    except StoreError as error:
        _refuse(f"{error}\nIs the store up and migrated, and --store or KEEPRATE_STORE_URL right?", 1)
    except ValueError as error:
        _refuse(str(error), 2)
    typer.echo(_as_json(done, into, yes) if as_json else printable(_as_text(done, into, yes, verify)))
    if verify and done.differing:
        raise typer.Exit(1)


def _refuse(sentence: str, code: int) -> None:
    typer.echo(f"keeprate replay: {sentence}", err=True)
    raise typer.Exit(code)


def _selection(now: datetime, apps: list[str], generations: list[str], since: str, until: str) -> "GenerationFilter":
    from uuid import UUID

    from keeprate.sinks.upkeep.recompute import GenerationFilter

    for generation in generations:
        try:
            UUID(generation)
        except ValueError:
            raise ValueError(f"--generation {generation}: write a generation_id, which is a UUID") from None
    return GenerationFilter(
        apps,
        generations,
        read_moment("--since", since, now) if since else None,
        read_moment("--until", until, now) if until else None,
    )


@contextmanager
def _progress(wanted: bool, total: Callable[[], int]) -> Iterator[Callable[[int], None]]:
    """A bar on stderr, where a person looks."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not (wanted and console.is_terminal):
        yield lambda number: None
        return
    columns = (TextColumn("events"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("events", total=total())
        yield lambda number: progress.advance(task, number)


def _as_json(done: "Replayed", table: str, wrote: bool) -> str:
    from keeprate.sinks.upkeep.replay import explain

    numbers = {name: getattr(done, name) for name in ("events", "outcomes", "equal", "lacking", "more", "written")}
    listed = [
        {
            "key": one.key,
            "lacks": one.lacks,
            "has_more": one.has_more,
            "fields": [{"field": name, "stored": held, "facts": said} for name, held, said in explain(one)],
        }
        for one in done.differences
    ]
    unread = [dataclasses.asdict(one) for one in done.unread]
    more = {"fields": done.fields, "differences": listed, "unread": unread}
    return json.dumps({"table": table, "dry_run": not wrote, **numbers, **more})


def _as_text(done: "Replayed", table: str, wrote: bool, verified: bool) -> str:
    from keeprate.sinks.upkeep.replay import explain

    lines = []
    for one in done.differences:
        lines.append(f"{one.key} {'lacks something' if one.lacks else 'holds more'}")
        lines += [
            f"    {name}: stored {json.dumps(held)}, facts {json.dumps(said)}" for name, held, said in explain(one)
        ]
    if done.fields:
        lines.append("differing: " + ", ".join(f"{name} {count}" for name, count in done.fields.most_common()))
    lines.append(
        f"{done.outcomes:,} outcomes recomputed from {done.events:,} events; in {table}, {done.equal:,} are the same,\n"
        f"{done.lacking:,} lack something and {done.more:,} hold more than their facts say"
    )
    if done.unread:
        first = done.unread[0]
        lines.append(
            f"{len(done.unread)} facts are not taken by this version and are in no recomputed outcome, the first "
            f"{first.app} {first.event_id}: {first.reason}"
        )
    if wrote:
        lines.append(f"wrote {done.written} to {table}")
    elif done.lacking:
        lines.append(f"would write {done.lacking} to {table}; " + ("" if verified else "add --yes to do it"))
    if done.more and (wrote or verified):
        lines.append("an insert takes nothing away: see docs/upkeep.md on --into")
    return "\n".join(line.rstrip("; ") for line in lines)
