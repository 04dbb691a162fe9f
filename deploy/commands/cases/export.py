"""`keeprate cases export`: a suggestion, or a list of them, as a suite of regression tests."""

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal
from uuid import UUID

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
from keeprate.deploy.commands.read.suggestions import AT_ONCE, NOTHING, rows_of
from keeprate.deploy.horizons import USUAL_S
from keeprate.deploy.settings import PAGE_URL
from keeprate.deploy.terminal import printable

if TYPE_CHECKING:
    from keeprate.deploy.cases.gathering import Gathered
    from keeprate.sinks.reading.lists.listing import Listing
    from keeprate.sinks.store.clickhouse import Client

Form = Literal["jsonl", "pytest", "openai", "promptfoo", "langsmith", "braintrust"]
_EVER: Final = "1000w"


def export(
    identity: Annotated[str, typer.Argument(metavar="[ID]", help="One suggestion, by its generation_id.")] = "",
    app: Apps = None,
    only: Only = None,
    since: Since = "",
    until: Until = "",
    fate: Fate = "",
    horizon: Horizon = USUAL_S,
    signal: Signals = None,
    text: Text = "",
    worst: Worst = False,
    limit: Limit = 100,
    form: Annotated[Form, typer.Option("--format", help="What reads it: docs/cases.md has each.")] = "jsonl",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Into this file. Replaces it.")] = None,
    page: Annotated[str, typer.Option(help="Where the page is, for links to suggestions.")] = PAGE_URL,
    store: Store = "",
) -> None:
    """Make regression tests of suggestions: what each stage was given, and what should have come out.

    The filters are those of keeprate suggestions; --since is 7d, and for one ID as long ago as you like. Suggestions
    for the same request are one case. A correction is the expected output; else, what users kept. What an app sends as
    hashes, or not at all, cannot be a case: that is said, with the remedy. Exit code 1 where there is no case at all.

    keeprate cases export --app support --signal flagged -o refunds.jsonl

    keeprate cases export 0197c0de-0000-7000-8000-000000000001 --format pytest -o test_it.py
    """
    from keeprate.sinks.reading.lists.listing import Listing

    if identity:
        try:
            text = str(UUID(identity))
        except ValueError:
            refuse("cases export", f"{identity!r} is no UUID, such as 0197c0de-0000-7000-8000-000000000001", 2)
    with opened("cases export", store) as client:
        since = since or (_EVER if identity else "7d")
        scope = read_scope(datetime.now(UTC), "", app or [], only or [], since, until)
        size = min(limit or AT_ONCE, AT_ONCE)
        order = "worst" if worst else "newest"
        asked = Listing(scope, fate, horizon, signal or [], text, order, limit=size)  # type: ignore[arg-type]
        found = _gather(client, asked, limit, page)
    _tell(found, limit)
    if not found.cases:
        raise typer.Exit(1)
    _write(found, form, out)


def _gather(client: "Client", asked: "Listing", limit: int, page: str) -> "Gathered":
    from keeprate.deploy.cases.gathering import gather
    from keeprate.deploy.emitting import bar

    with bar() as progress:
        task = progress.add_task("suggestions", total=None, unit="suggestions", note="")
        rows = rows_of(client, asked, limit or None)
        return gather(client, rows, page, lambda app, generation_id: progress.advance(task))


def _tell(found: "Gathered", limit: int) -> None:
    """What became of the suggestions, on standard error: the suite may go to standard output."""
    from keeprate.deploy.cases.gathering import told

    if not found.suggestions:
        typer.echo(NOTHING, err=True)
        return
    corrected = sum(case.expected_from == "correction" for case in found.cases)
    kept = sum(case.expected_from == "kept" for case in found.cases)
    without = len(found.cases) - corrected - kept
    typer.echo(
        f"cases: {len(found.cases)}, of {found.suggestions} suggestions; {found.same} ask the same as another\n"
        f"expected output: {corrected} of corrections, {kept} that users kept, {without} without",
        err=True,
    )
    if limit and found.suggestions == limit:
        typer.echo(f"there may be more than these {limit}: --limit 0 takes all", err=True)
    for line in told(found):
        typer.echo(f"left out: {printable(line)}", err=True)


def _write(found: "Gathered", form: Form, out: Path | None) -> None:
    from keeprate.deploy.cases.formats import FORMS

    text: Iterable[str] = FORMS[form].write(found.cases, found.left_out_json)
    if out is None:
        for part in text:
            sys.stdout.write(part)
        return
    fresh = out.with_name(f"{out.name}.new")
    try:
        with fresh.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(text)
        fresh.replace(out)
    except OSError as error:
        refuse("cases export", f"--out {out}: {error.strerror}", 2)
