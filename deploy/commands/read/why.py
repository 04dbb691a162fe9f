"""`keeprate why`: which cuts explain that a rate fell or rose."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from keeprate.deploy.commands.read.asking import opened, refuse
from keeprate.deploy.commands.read.report import read_moment, read_scope
from keeprate.deploy.horizons import USUAL_S

if TYPE_CHECKING:
    from keeprate.deploy.why.explaining import Sides
    from keeprate.sinks.store.clickhouse import Client


def why(
    app: Annotated[str, typer.Argument(help="The app.")],
    version: Annotated[
        str, typer.Argument(help="A version that was released: explains what differs from the one before it.")
    ] = "",
    metric: Annotated[
        str, typer.Option(help="acceptance_rate, retention, touchless_rate, correction_rate, flag_rate, …")
    ] = "retention",
    horizon: Annotated[int, typer.Option(help="Of retention: seconds after the accept.", min=1)] = USUAL_S,
    since: Annotated[str, typer.Option(help="Without VERSION: this long, against as long before.")] = "7d",
    only: Annotated[
        list[str] | None, typer.Option(help="Only this value of a dimension, like language=python. Repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
    store: Annotated[str, typer.Option(help="The store's URL; default: KEEPRATE_STORE_URL.")] = "",
) -> None:
    """Say which cuts explain that a rate fell or rose: of a release, or of two periods.

    A cut explains with other shares (more Go than before), or with a value that moved more than the rest did. First
    comes what explains most for certain; below are all cuts with all values.

    keeprate why editor v4 --horizon 3600

    keeprate why support --metric correction_rate --since 7d
    """
    from rich.console import Console

    from keeprate.deploy.why import explaining, terminal, words
    from keeprate.sinks.reading.cuts import METRICS

    now = datetime.now(UTC)
    if metric not in METRICS:
        refuse("why", f"--metric {metric}: choose from {', '.join(METRICS)}", 2)
    with opened("why", store) as client:
        sides = _of_version(client, app, version, now) if version else _of_periods(app, only or [], since, now)
        found = explaining.explain(client, sides, metric, horizon)
    against = f"{sides.version[2]} after {sides.version[1]}" if sides.version else f"the last {since}, and before"
    if found is None:
        refuse("why", f"{app}: {against}: one side has nothing that counts; try a longer --since or another metric", 0)
    if as_json:
        typer.echo(json.dumps(asdict(found), ensure_ascii=False, indent=2))
        return
    title = f"{app}: {words.metric_name(metric, horizon)}, {against}"
    terminal.show(found, title, Console(highlight=False))


def _of_periods(app: str, only: list[str], since: str, now: datetime) -> "Sides":
    from keeprate.deploy.why.explaining import Sides

    at = read_moment("--since", since, now)
    scope = read_scope(now, "", [app], only, (at - (now - at)).isoformat())
    return Sides(scope, at)


def _of_version(client: "Client", app: str, version: str, now: datetime) -> "Sides":
    """Of the newest release of that name. Raises ValueError where there is none."""
    from keeprate.deploy.releases import judging
    from keeprate.deploy.why.explaining import of_release

    found = [each for each in judging.find(client, now - judging.LOOK_BACK, now) if each.app == app]
    chosen = [each for each in found if each.version == version]
    verdicts = [each.kept for each in judging.findings(client, chosen[-1], now)] if chosen else []
    if not verdicts:
        known = ", ".join(sorted({each.version for each in found})) or "none"
        raise ValueError(f"{version}: no release of {app} within {judging.LOOK_BACK.days} days; there is {known}")
    return of_release(verdicts[0], now)
