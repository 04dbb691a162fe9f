"""`keeprate migrate`: bring the store's tables up to this version."""

import json
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from keeprate.deploy.settings import from_environment

if TYPE_CHECKING:
    from keeprate.sinks.reading.rebuild import Rebuilt
    from keeprate.sinks.store.topology import Topology
    from keeprate.sinks.tables.migrate import Plan, Script


def migrate(
    store: Annotated[str, typer.Option(help="The store's URL; default: KEEPRATE_STORE_URL.")] = "",
    show_plan: Annotated[
        bool, typer.Option("--plan", help="Print the statements that would run, and change nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was applied as JSON.")] = False,
) -> None:
    """Create or upgrade the store's database and tables.

    Where this version defines anew what a suggestion comes to, all of them are derived beside the old ones, compared
    and swapped in, while sinks go on landing. Safe to run again. Forward only: a store that a newer Keeprate migrated
    is refused. Shards (KEEPRATE_STORE_SHARDS) are made and upgraded with it.
    """
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from keeprate.sinks.store.clickhouse import StoreError
    from keeprate.sinks.tables.migrate import migrate as migrate_store

    said = from_environment(store=store)
    url, topology = said.store_url, said.topology
    if show_plan:
        _show_plan(url, topology, as_json)
        return
    rebuilt: list[Rebuilt] = []
    columns = SpinnerColumn(), TextColumn("{task.description} {task.completed:,.0f}"), TimeElapsedColumn()
    try:
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("outcomes derived", total=None)
            applied = migrate_store(url, lambda rows: progress.advance(task, rows), rebuilt.append, topology)
    except (StoreError, ValueError) as error:
        _end(error)
    if as_json:
        typer.echo(json.dumps(_as_json(applied, rebuilt)))
        return
    for line in _as_text(applied, rebuilt) or ["up to date"]:
        typer.echo(line)


def _show_plan(url: str, topology: "Topology", as_json: bool) -> None:
    from keeprate.sinks.store.clickhouse import StoreError
    from keeprate.sinks.tables.migrate import plan

    try:
        plans = plan(url, topology)
    except (StoreError, ValueError) as error:
        _end(error)
    if as_json:
        typer.echo(json.dumps(_plans_as_json(plans)))
        return
    for number, planned in enumerate(plans):
        if len(plans) > 1:
            shard = f"shard {number + 1} of {len(plans) - 1}" if number < len(plans) - 1 else "the store"
            typer.echo(f"-- {shard}, in `{planned.database}`")
        typer.echo("\n".join(_planned(planned)) or "-- up to date")
    if len(plans) > 1:
        typer.echo("-- Then the store's tables over its shards are made anew: CREATE OR REPLACE … ENGINE = Distributed")


def _planned(planned: "Plan") -> list[str]:
    lines = [f"CREATE DATABASE IF NOT EXISTS `{planned.database}`;\n"] if planned.makes_database else []
    lines += [
        f"-- {script.name}\n" + "".join(f"{statement};\n" for statement in script.statements)
        for script in planned.scripts
        if script.statements
    ]
    if planned.scripts and not planned.makes_database:
        lines.append("-- Forward only: an older sink refuses these tables from then on. Make a backup to go back to.")
    if planned.derives_anew:
        lines.append("-- Then all suggestions are derived anew beside the old ones, and exchanged.")
    return lines


def _plans_as_json(plans: "list[Plan]") -> dict[str, object]:
    """Of the store, as it always was; with its shards, where it has some."""
    *shards, whole = (
        {
            "database": planned.makes_database,
            "migrations": {script.name: script.statements for script in planned.scripts},
            "derives_anew": planned.derives_anew,
        }
        for planned in plans
    )
    return {**whole, "shards": shards} if shards else whole


def _end(error: Exception) -> NoReturn:
    typer.echo(f"keeprate migrate: {error}\nIs the store up, and --store or KEEPRATE_STORE_URL right?", err=True)
    raise typer.Exit(1) from None


def _as_json(applied: "list[Script]", rebuilt: "list[Rebuilt]") -> list[dict[str, object]]:
    lines: list[dict[str, object]] = [{"kind": "migration", "name": script.name} for script in applied]
    return lines + [{"kind": "suggestions", **vars(each)} for each in rebuilt]


def _as_text(applied: "list[Script]", rebuilt: "list[Rebuilt]") -> list[str]:
    lines = [f"applied migration {script.name}" for script in applied]
    for each in rebuilt:
        lines.append(f"derived {each.suggestions:,} suggestions; there were {each.before:,}")
        lines += [f"  {number:,} differ in {column}" for column, number in each.changed.items()]
    return lines
