"""`keeprate drift`: where each watched series stands, and what would not be seen."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from keeprate.deploy.commands.read.asking import opened
from keeprate.deploy.terminal import json_array

if TYPE_CHECKING:
    from keeprate.sinks.closed.drift_states import Kept


def drift(
    app: Annotated[str, typer.Option(help="Of this app alone.")] = "",
    metric: Annotated[str, typer.Option(help="Of this metric alone, as in acceptance or retention_10m.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print every series in a JSON array, one a line.")] = False,
    store: Annotated[str, typer.Option(help="The store's URL; default: KEEPRATE_STORE_URL.")] = "",
) -> None:
    """List what the drift detector watches: what it expects, what the last day had, and what it would not see.

    "sees" is the smallest change for the worse that is found within a day at the last day's traffic: -18 % is a fall
    by 18 % of the rate, +140 % a rise to 2.4 times it. "no fall" and "no rise" (up to tenfold): the series is too young
    or too small, and a change there shows after days, or only in the sum of versions. The monitor writes this as
    batches close.

    keeprate drift --app editor --metric retention_10m
    """
    from keeprate.deploy.drift import listing
    from keeprate.sinks.closed import drift_states

    with opened("drift", store) as client:
        found = listing.chosen(drift_states.kept(client).values(), app, metric)
    if as_json:
        for line in json_array(map(_object, found)):
            typer.echo(line)
        return
    listing.show(found)


def _object(kept: "Kept") -> dict[str, object]:
    from keeprate.deploy.drift.listing import ratio

    names = ("app", "prompt", "prompt_version", "model", "metric")
    return {
        **dict(zip(names, kept.series, strict=True)),
        **asdict(kept.standing),
        "evidence": {"fell": ratio(kept, "fell"), "rose": ratio(kept, "rose")},
        "last_batch_at": kept.last_batch_at.isoformat(),
    }
