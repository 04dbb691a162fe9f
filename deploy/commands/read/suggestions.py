"""`keeprate suggestions`: the suggestions behind a number, in the terminal, as JSON or as CSV."""

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from keeprate.deploy.commands.read.asking import opened, refuse
from keeprate.deploy.commands.read.filters import (
    Apps,
    Fate,
    Horizon,
    Limit,
    Only,
    Signals,
    Since,
    Store,
    Text,
    Until,
    Worst,
)
from keeprate.deploy.commands.read.report import read_scope
from keeprate.deploy.horizons import USUAL_S
from keeprate.deploy.terminal import json_array, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keeprate.sinks.reading.lists.listing import Listing, Suggestion
    from keeprate.sinks.store.clickhouse import Client

AT_ONCE: Final = 1000
"""Rows of a page of the list."""
NOTHING: Final = "no suggestion is like that; try a longer --since, or fewer of the options that choose"
_WIDTH: Final = 80
_BECAME: Final = len("accepted unchanged")


def suggestions(
    app: Apps = None,
    only: Only = None,
    since: Since = "7d",
    until: Until = "",
    fate: Fate = "",
    horizon: Horizon = USUAL_S,
    signal: Signals = None,
    text: Text = "",
    worst: Worst = False,
    limit: Limit = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array, one a line.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print each as a line of CSV, safe for spreadsheets.")] = False,
    store: Store = "",
) -> None:
    """List the suggestions behind a number: which ones, what became of them, and what was said.

    A fate lists exactly what the number of its name counts. No text of users or models is read.

    keeprate suggestions --app editor --only prompt_version=v4 --fate removed --horizon 3600

    keeprate suggestions --signal flagged --worst --limit 0 --csv
    """
    from keeprate.sinks.reading.lists.listing import Listing

    if as_json and as_csv:
        refuse("suggestions", "--json and --csv: choose one", 2)
    with opened("suggestions", store) as client:
        scope = read_scope(datetime.now(UTC), "", app or [], only or [], since, until)
        size = min(limit or AT_ONCE, AT_ONCE)
        order = "worst" if worst else "newest"
        asked = Listing(scope, fate, horizon, signal or [], text, order, limit=size)  # type: ignore[arg-type]
        _print(rows_of(client, asked, limit or None), as_json, as_csv)


def rows_of(client: "Client", asked: "Listing", limit: int | None) -> "Iterator[Suggestion]":
    """The rows of a list, page after page; all where there is no limit."""
    from keeprate.sinks.reading.lists.listing import page

    given = 0
    while True:
        found = page(client, asked, math.inf)
        for row in found.rows:
            yield row
            given += 1
            if given == limit:
                return
        if found.next is None:
            return
        asked = replace(asked, after=found.next)


def _print(rows: "Iterator[Suggestion]", as_json: bool, as_csv: bool) -> None:
    from keeprate.deploy.page.exploring import sheet
    from keeprate.deploy.page.exploring.listed import row_json

    if as_json:
        for line in json_array(map(row_json, rows)):
            typer.echo(line)
        return
    if as_csv:
        typer.echo(sheet.head(), nl=False)
    count = 0
    for count, row in enumerate(map(row_json, rows), 1):  # noqa: B007
        if as_csv:
            typer.echo(sheet.lines([row]), nl=False)
        else:
            at = datetime.fromtimestamp(row["at"] / 1000, UTC)
            became = " ".join(filter(None, (row["fate"] or "not shown", row["state"])))
            said = ", ".join([*row["flag_labels"], *(["voted down"] if row["votes_negative"] else [])])
            line = (
                f"{at:%m-%d %H:%M}  {row['generation_id']}  {printable(became):{_BECAME}}  {printable(said)}".rstrip()
            )
            typer.echo(line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…")
    if not count and not as_csv:
        typer.echo(NOTHING, err=True)
