"""`keeprate migrate`: bring the store's tables and views up to this version."""

import json
from typing import Annotated

import typer

from keeprate.deploy.settings import from_environment


def migrate(
    store: Annotated[str, typer.Option(help="The store's URL; default: KEEPRATE_STORE_URL.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was applied as JSON.")] = False,
) -> None:
    """Create or upgrade the store's database, tables and views.

    Safe to run again, and by many at once. Forward only: a store that a newer Keeprate migrated is refused.
    """
    from keeprate.sinks.clickhouse import StoreError
    from keeprate.sinks.migrate import migrate as migrate_store

    url = store or from_environment().store_url
    try:
        applied = migrate_store(url)
    except (StoreError, ValueError) as error:
        typer.echo(f"keeprate migrate: {error}\nIs the store up, and --store or KEEPRATE_STORE_URL right?", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps([{"kind": script.kind, "name": script.name} for script in applied]))
    elif not applied:
        typer.echo("up to date")
    for script in () if as_json else applied:
        typer.echo(f"applied {script.kind} {script.name}")
