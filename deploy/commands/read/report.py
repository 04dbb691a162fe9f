"""`keeprate report`: acceptance, retention and feedback in the terminal, as a page, as JSON or as CSV."""

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from keeprate.deploy.commands.read.asking import opened, refuse, write_html
from keeprate.deploy.terminal import printable

if TYPE_CHECKING:
    from keeprate.sinks.reading.scope import Scope
    from keeprate.sinks.store.clickhouse import Client

_SPAN: Final = re.compile(r"(\d+)\s*(min|h|d|w)")
_MAX_DIGITS: Final = 6
_UNITS: Final = {
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}


def report(
    by: Annotated[str, typer.Option(help="Dimensions to cut by, with commas: app, model, prompt_version, …")] = "app",
    app: Annotated[list[str] | None, typer.Option(help="Only this app. Repeatable.")] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Only this value of a dimension, like language=python. Repeatable.")
    ] = None,
    since: Annotated[str, typer.Option(help="From when: 90min, 24h, 7d, 4w ago, or a date like 2026-03-01.")] = "7d",
    until: Annotated[str, typer.Option(help="Until when, not included; the same forms. Default: now.")] = "",
    bucket: Annotated[str, typer.Option(help="Cut time as well: 1h, 1d, …; aligned in UTC.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print every rate as a line of CSV.")] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write one HTML file that needs nothing else. Replaces it."),
    ] = None,
    curve: Annotated[bool, typer.Option(help="Draw the retention curve.")] = True,
    store: Annotated[str, typer.Option(help="The store's URL; default: KEEPRATE_STORE_URL.")] = "",
) -> None:
    """Show what users accepted, and how much of it they kept.

    Every rate comes with its interval at 95 %, its denominator and its coverage: docs/metrics.md says what each means.

    keeprate report --by app,model --since 4w

    keeprate report --app editor --by prompt_version,language --csv

    keeprate report --by app,prompt_version --html report.html
    """
    from keeprate.deploy.report import gathering

    if sum((as_json, as_csv, html is not None)) > 1:
        refuse("report", "--json, --csv and --html: choose one", 2)
    with opened("report", store) as client:
        scope = read_scope(datetime.now(UTC), by, app or [], only or [], since, until, bucket)
        found = gathering.gather(client, scope)
        if found.empty and not (as_json or as_csv):
            refuse("report", nothing_found(client, scope), 0)
    if html is not None:
        from keeprate.deploy.report import document

        write_html("report", html, document.as_html(found))
        return
    if as_json or as_csv:
        text = gathering.as_json(found) if as_json else gathering.as_csv(found)
        # Where a program reads, names are what they are.
        typer.echo(printable(text) if sys.stdout.isatty() else text, nl=as_json)
        return
    from rich.console import Console

    from keeprate.deploy.report import terminal

    terminal.show(found, Console(highlight=False), curve)


def read_scope(
    now: datetime, by: str, apps: list[str], only: list[str], since: str, until: str = "", bucket: str = ""
) -> "Scope":
    """The scope that the options describe, as of `now`. Raises ValueError that names the option and what would do."""
    from keeprate.sinks.reading.scope import Scope

    chosen: dict[str, list[str]] = {"app": apps} if apps else {}
    for pair in only:
        name, found, value = pair.partition("=")
        if not found:
            raise ValueError(f"--only {pair}: write a dimension and a value, like --only language=python")
        chosen.setdefault(name, []).append(value)
    span = _SPAN.fullmatch(bucket)
    if bucket and (span is None or len(span[1]) > _MAX_DIGITS):
        raise ValueError(f"--bucket {bucket}: write a number and min, h, d or w, like 1h or 1d")
    return Scope(
        since=read_moment("--since", since, now),
        until=read_moment("--until", until, now) if until else now,
        as_of=now,
        by=[name.strip() for name in by.split(",") if name.strip()],
        only=chosen,
        bucket_s=int((int(span[1]) * _UNITS[span[2]]).total_seconds()) if span else 0,
    )


def read_moment(option: str, text: str, now: datetime) -> datetime:
    """The time that an option says: so long before `now`, or a date. Raises ValueError that names the option."""
    try:
        if span := _SPAN.fullmatch(text):
            return now - int(span[1]) * _UNITS[span[2]]
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ValueError(f"{option} {text}: write 90min, 24h, 7d or 4w, or a date like 2026-03-01") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def nothing_found(client: "Client", scope: "Scope") -> str:
    """Why the scope is empty, and what would show something."""
    from keeprate.sinks.reading.queries import event_span

    span = event_span(client)
    if span is None:
        return (
            "the store holds no generations yet. Emit some with the SDK, or see it work: keeprate up --demo\n"
            "Events sent and nothing here? Both keeprate worker and keeprate sink must run."
        )
    first, last = span
    chosen = "".join(f", {name} {' or '.join(values)}" for name, values in scope.only.items())
    return (
        f"no generations of {scope.since:%Y-%m-%d %H:%M} to {scope.until:%Y-%m-%d %H:%M} UTC{chosen}.\n"
        f"The store holds some of {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}: try --since {first:%Y-%m-%d}"
        + (", or without --app and --only" if scope.only else "")
    )
