"""`keeprate dead-letters`: what was refused and why, and what to do about it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keeprate.deploy.settings import from_environment
from keeprate.deploy.terminal import json_array, printable

if TYPE_CHECKING:
    from keeprate.sinks.facts.dead_letters import Filter, Letter
    from keeprate.sinks.store.clickhouse import Client

dead_letters = typer.Typer(help="Records that were refused or set aside, and why.", no_args_is_help=True)

Store = Annotated[str | None, typer.Option(help="the store's URL (default: KEEPRATE_STORE_URL)")]
App = Annotated[str | None, typer.Option(help="only of this app; '' for records that name none")]
Topic = Annotated[str, typer.Option(help="only of this topic")]
Stage = Annotated[str, typer.Option(help="only those that `join` or `sink` refused")]
ErrorType = Annotated[str, typer.Option(help="only of this type, as not_json, invalid or quarantined")]
SinceHours = Annotated[float | None, typer.Option(help="only refused in the last hours", min=0, max=1_000_000)]
All = Annotated[bool, typer.Option("--all", help="also those that were replayed or dropped")]
Names = Annotated[list[str] | None, typer.Argument(help="of records, as `list` shows them; all that fit without")]
Limit = Annotated[int, typer.Option(help="at most so many records, the oldest first", min=1)]
Note = Annotated[str, typer.Option(help="why, for whoever looks at it later")]
Yes = Annotated[bool, typer.Option("--yes", help="do it; without, only say what would be done")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON: lists as an array, one a line")]
_WIDTH = 80


@dead_letters.callback()
def _dead_letters() -> None:
    """Records that were refused or set aside, and why. None is lost: each is one entry, with its bytes."""


@dead_letters.command("list")
def list_letters(
    store: Store = None,
    app: App = None,
    topic: Topic = "",
    stage: Stage = "",
    error_type: ErrorType = "",
    since_hours: SinceHours = None,
    closed: All = False,
    limit: Annotated[int, typer.Option(help="how many records to show, newest first", min=1)] = 20,
    as_json: AsJson = False,
) -> None:
    """How many records were refused for which reason, then the newest of them."""
    from keeprate.sinks.facts import dead_letters as letters

    only = only_those(topic, stage, error_type, since_hours, closed, app)
    with open_store("list", store) as client:
        groups = [] if as_json else letters.count_by_reason(client, only)
        rows = letters.newest(client, only, limit)
    if as_json:
        _print_json(rows)
        return
    if not groups:
        typer.echo("no dead letters")
        return
    _print_groups(groups)
    typer.echo("\nthe newest; see one with: keeprate dead-letters show NAME")
    for row in rows:
        again = f", refused {row['refusals']} times" if row["refusals"] > 1 else ""
        typer.echo(printable(f"  {row['name']}  {row['refused_at']:%Y-%m-%d %H:%M:%S}  {_app(row)}{again}"))
        typer.echo(_line(f"      {_why(row)}: ", row["reason"]))


@dead_letters.command()
def count(
    store: Store = None,
    app: App = None,
    topic: Topic = "",
    stage: Stage = "",
    error_type: ErrorType = "",
    since_hours: SinceHours = None,
    closed: All = False,
    as_json: AsJson = False,
) -> None:
    """How many records were refused, by topic, app and reason."""
    from keeprate.sinks.facts.dead_letters import count_by_reason

    with open_store("count", store) as client:
        groups = count_by_reason(client, only_those(topic, stage, error_type, since_hours, closed, app))
    if as_json:
        _print_json(groups)
    else:
        _print_groups(groups)
        typer.echo(f"{sum(group['records'] for group in groups):>8}  in all")


@dead_letters.command()
def show(
    name: Annotated[str, typer.Argument(help="topic/partition/offset, as `list` shows it")],
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """One record, whole, and every refusal of it: its app, why, its key, headers and bytes, and what they lack."""
    from keeprate.sinks.facts.dead_letters import find

    with open_store("show", store) as client:
        found = find(client, name)
    if not found:
        raise SystemExit(f"keeprate dead-letters show: no dead letter {name}; see keeprate dead-letters list")
    for letter in found:
        headers = {header: _readable(value) for header, value in letter.headers}
        facts = {**letter.facts, "whole": letter.is_whole, "key": _readable(letter.key), "headers": headers}
        if as_json:
            typer.echo(json.dumps({**facts, "value": _readable(letter.value)}, default=str))
        else:
            _print(facts, letter.value)


@dead_letters.command()
def replay(
    names: Names = None,
    store: Store = None,
    brokers: Annotated[str | None, typer.Option(help="bootstrap servers (default: KEEPRATE_BROKERS)")] = None,
    app: App = None,
    topic: Topic = "",
    stage: Stage = "",
    error_type: ErrorType = "",
    since_hours: SinceHours = None,
    limit: Limit = 1000,
    note: Note = "",
    yes: Yes = False,
) -> None:
    """Write refused records into their topics again, after what refused them was fixed.

    Without --yes it only says what it would do. A record that is refused again is open again, as the same entry. One
    whose bytes are not whole stays open: its source has to write it again.
    """
    from keeprate.sinks.facts import dead_letters as letters
    from keeprate.sinks.kafka.client import DeadLetterProducer
    from keeprate.sinks.kafka.errors import BrokerError

    only = only_those(topic, stage, error_type, since_hours, False, app, names)
    with open_store("replay", store) as client:
        found = letters.open_records(client, only, limit)
        chosen = [letter for letter in found if letter.is_whole]
        for letter in found:
            if not letter.is_whole:
                typer.echo(
                    printable(f"{letter.facts['name']} cannot be replayed, it is not whole: {letter.facts['cut']}")
                )
        if _agreed("replay", chosen, yes):
            try:
                letters.replay(client, DeadLetterProducer(from_environment(brokers).brokers), chosen, note)
            except BrokerError as error:
                raise SystemExit(f"keeprate dead-letters replay: {error}; what was not taken is still open") from None
            typer.echo(f"replayed {len(chosen)}")


@dead_letters.command()
def drop(
    names: Names = None,
    store: Store = None,
    app: App = None,
    topic: Topic = "",
    stage: Stage = "",
    error_type: ErrorType = "",
    since_hours: SinceHours = None,
    limit: Limit = 1000,
    note: Note = "",
    yes: Yes = False,
) -> None:
    """Close refused records without replaying them. They stay in the store, and `list --all` shows them.

    Without --yes it only says what it would do.
    """
    from keeprate.sinks.facts import dead_letters as letters

    only = only_those(topic, stage, error_type, since_hours, False, app, names)
    with open_store("drop", store) as client:
        chosen = letters.open_records(client, only, limit)
        if _agreed("drop", chosen, yes):
            letters.close(client, chosen, "dropped", note)
            typer.echo(f"dropped {len(chosen)}")


def _agreed(verb: str, chosen: "Sequence[Letter]", yes: bool) -> bool:
    if not chosen:
        typer.echo("no open dead letters fit")
        return False
    if not yes:
        topics = ", ".join(sorted({letter.topic for letter in chosen}))
        typer.echo(f"would {verb} {len(chosen)} records of {topics}; add --yes to do it")
    return yes


@contextmanager
def open_store(command: str, url: str | None) -> "Iterator[Client]":
    """The store for one command; its failures end the command with a sentence."""
    from keeprate.sinks.store.clickhouse import StoreError, connect

    try:
        with connect(from_environment(store=url).store_url) as client:
            yield client
    except (StoreError, ValueError) as error:
        raise SystemExit(f"keeprate dead-letters {command}: {error}") from None


def only_those(
    topic: str,
    stage: str,
    error_type: str,
    since_hours: float | None,
    closed: bool = False,
    app: str | None = None,
    names: "Sequence[str] | None" = None,
) -> "Filter":
    """The filter that the options say. A name of no form ends the command with a sentence."""
    from keeprate.sinks.facts.dead_letters import Filter, parse_name

    for name in names or ():
        try:
            parse_name(name)
        except ValueError as error:
            raise SystemExit(f"keeprate dead-letters: {error}") from None
    since = None if since_hours is None else datetime.now(UTC) - timedelta(hours=since_hours)
    return Filter(topic, stage, error_type, since, closed, app, names or ())


def _print_json(rows: Sequence[Mapping[str, Any]]) -> None:
    for line in json_array(rows):
        typer.echo(line)


def _print_groups(groups: Sequence[Mapping[str, Any]]) -> None:
    for group in groups:
        typer.echo(printable(f"{group['records']:>8}  {group['topic']}  {_app(group)}"))
        typer.echo(_line(f"{'':>10}{_why(group)}: ", group["example"]))


def _app(row: Mapping[str, Any]) -> str:
    return f"app {row['app']}" if row["app"] else "no app"


def _why(row: Mapping[str, Any]) -> str:
    return " ".join(filter(None, ("+".join(row["stages"]), row["error_type"], row["field"])))


def _print(shown: Mapping[str, Any], value: bytes | None) -> None:
    for field, content in shown.items():
        typer.echo(printable(f"{field:>17}  {content}"))
    typer.echo(printable(f"{'value':>17}  {_readable(value)}\n"))


def _readable(value: bytes | None) -> str | None:
    """Text as it is, other bytes as hexadecimal with a mark."""
    if value is None:
        return None
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return f"hex:{value.hex()}"


def _line(before: str, text: str) -> str:
    """One line of a terminal: what stands before, and as much of a text as there is room for."""
    line = printable(before + " ".join(text.split()))
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"
