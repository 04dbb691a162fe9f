"""`keeprate agreement`: how well judges, users and experts agree."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from keeprate.deploy.commands.read.asking import opened
from keeprate.deploy.commands.read.report import read_scope
from keeprate.deploy.horizons import USUAL_S


def agreement(
    app: Annotated[list[str] | None, typer.Option(help="Only this app. Repeatable.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Only this value of a dimension, like prompt_version=v4. Repeatable.")
    ] = None,
    since: Annotated[str, typer.Option(help="From when: 24h, 7d, 4w ago, or a date like 2026-03-01.")] = "4w",
    until: Annotated[str, typer.Option(help="Until when, not included; the same forms. Default: now.")] = "",
    horizon: Annotated[
        int, typer.Option(help="Seconds after the accept at which users had kept it or not.", min=1)
    ] = USUAL_S,
    review_config: Annotated[
        Path | None, typer.Option(help="The file that says which words of judges are good: docs/review.md.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON, each judge over time too.")] = False,
    store: Annotated[str, typer.Option(help="The store's URL; default: KEEPRATE_STORE_URL.")] = "",
) -> None:
    """Compare what judges, users and experts say of the same suggestions, and judges with what users kept.

    Precision and recall are those of finding what is bad; kappa and alpha are agreement beyond chance, 1 at most.

    keeprate agreement --app editor --since 4w
    """
    from keeprate.deploy.review import agreeing, reading, settings

    scales = settings.read(review_config).scales
    with opened("agreement", store) as client:
        scope = read_scope(datetime.now(UTC), "", app or [], only or [], since, until)
        found = reading.agreement(client, scope, horizon, scales)
    if as_json:
        typer.echo(json.dumps({"horizon_s": horizon} | agreeing.as_json(found), ensure_ascii=False))
        return
    from rich.console import Console

    from keeprate.deploy.review import terminal

    terminal.show(found, horizon, Console(highlight=False))
