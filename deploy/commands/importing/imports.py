"""`keeprate import`: history that becomes events, from a repository or from files."""

import json
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keeprate.deploy.settings import from_environment

if TYPE_CHECKING:
    from keeprate.deploy.commands.importing.rejects import Rejects
    from keeprate.producers.imports.git import HistorySelection
    from keeprate.producers.imports.summary import ImportSummary

imports = typer.Typer(help="Import history: a repository's commits, or files of events.", no_args_is_help=True)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Read and check everything, send nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")]
Brokers = Annotated[str, typer.Option(help="Bootstrap servers; default: KEEPRATE_BROKERS.")]
RejectsFile = Annotated[
    Path | None, typer.Option("--rejects", help="Write what was rejected to this file, each with its reason.")
]


@imports.callback()
def _imports() -> None:
    """Import history. Importing twice adds nothing: the same input gives the same ids."""


@imports.command("git")
def import_git(
    repository: Annotated[Path, typer.Argument(help="A repository, bare or not.", exists=True, file_okay=False)],
    app: Annotated[str, typer.Option(help="The app of the events; default: git- and the repository's name.")] = "",
    branch: Annotated[str, typer.Option(help="Whose first-parent history is read.")] = "HEAD",
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Leave out what landed before this day (UTC).")
    ] = None,
    sample: Annotated[float, typer.Option(min=0, max=1, help="Share of the commits, always the same ones.")] = 1.0,
    out: Annotated[Path | None, typer.Option(help="Write NDJSON to this file instead of sending.")] = None,
    rejects: RejectsFile = None,
    dry_run: DryRun = False,
    again: Annotated[bool, typer.Option("--again", help="Send again what was sent before.")] = False,
    brokers: Brokers = "",
    as_json: AsJson = False,
) -> None:
    """Replay a repository: what each commit wrote is an accepted suggestion, and blame says what still stands later.

    What a commit wrote in one language is one suggestion, accepted when it lands on the branch and checked after 1, 7,
    30, 90 and 365 days. Its model is the assistant or bot that the author line or a trailer names (Claude, Copilot,
    Cursor, aider, dependabot, ...), or human; its variant is assistant, bot or human.

    With --dry-run the summary needs no broker. Running it again sends what is new since the last time. A commit dated
    before 1980 or in the future is rejected; exit code 1 then, 2 when the import did not finish.
    """
    from keeprate.deploy.commands.importing.rejects import Rejects
    from keeprate.deploy.emitting import EmitError
    from keeprate.producers.imports.git import HistoryError, HistorySelection, app_name

    since_ms = int(since.replace(tzinfo=UTC).timestamp() * 1000) if since else 0
    with ExitStack() as stack:
        try:
            bad = Rejects(stack.enter_context(rejects.open("w")) if rejects else None)
            selection = HistorySelection(app or app_name(repository), branch, sample, since_ms)
            servers = from_environment(brokers).brokers
            summary = _import_git(repository, selection, out, dry_run, again, servers, bad)
        except (HistoryError, EmitError, OSError) as error:
            typer.echo(f"keeprate import git: {repository}: {error}", err=True)
            raise typer.Exit(2) from None
    if as_json:
        counts = {"events": summary.events, "rejected": bad.count, "rejected_by_field": dict(bad.by_field)}
        typer.echo(json.dumps({"app": selection.app, **counts, "authors": summary.as_json()}))
    else:
        _show(summary, selection.app)
    if bad.count:
        typer.echo(bad.summary(), err=True)
        raise typer.Exit(1)


def _import_git(
    repository: Path,
    selection: "HistorySelection",
    out: Path | None,
    dry_run: bool,
    again: bool,
    brokers: str,
    bad: "Rejects",
) -> "ImportSummary":
    from keeprate.deploy.commands.importing.destination import Bookmark, now_ms, send, sound, target
    from keeprate.deploy.emitting import bar
    from keeprate.producers.imports.git import import_events, is_on_branch
    from keeprate.producers.imports.summary import ImportSummary

    bookmark = None
    if out is None and not dry_run:
        bookmark = Bookmark.of(from_environment().data_dir, selection.app, repository.resolve(), selection, brokers)
    after = bookmark.load() if bookmark and not again else ""
    if after and not is_on_branch(repository, selection.branch, after):
        after = ""
    summary = ImportSummary()
    with bar() as progress, target(selection.app, brokers, out, dry_run) as to:
        task = progress.add_task("commits", unit="commits", note="")
        steps = import_events(repository, selection, lambda total: progress.update(task, total=total))
        for step in send(sound(steps, bad, str(repository), now_ms()), after, to, bookmark):
            for event in step.events:
                summary.add(event)
            progress.update(task, advance=bool(step.sha), note=f"{summary.events:,} events")
    return summary


def _show(summary: "ImportSummary", app: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from keeprate.deploy.terminal import printable

    days = sorted({day for by_day in summary.kept.values() for day in by_day})
    table = Table(title=f"{app}: share of the text that still stands, {summary.events:,} events")
    table.add_column("author")
    for column in ("suggestions", *(f"{day} d" for day in days)):
        table.add_column(column, justify="right")
    for author, suggestions in summary.suggestions.most_common():
        kept = [summary.kept[author][day] for day in days]
        shares = [f"{k.units_kept / k.units:.1%}\nof {k.suggestions:,}" if k.units else "" for k in kept]
        table.add_row(Text(printable(author)), f"{suggestions:,}", *shares)
    Console().print(table)


@imports.command("events")
def import_events(
    file: Annotated[str, typer.Argument(help="NDJSON, one event a line; .gz and .zst by name; - is standard input.")],
    app: Annotated[str, typer.Option(help="The app of lines that name none.")] = "",
    rejects: RejectsFile = None,
    dry_run: DryRun = False,
    brokers: Brokers = "",
    as_json: AsJson = False,
) -> None:
    """Import events from a file, each checked against the schema; a bad line is reported and left out.

    What a line may leave out is filled in, the same way each time: schema_version; app (--app); generation_id, from
    external_id; event_id, from the line's content. Exit code 1 when a line was bad, 2 when the import did not finish.
    """
    from keeprate.deploy.commands.importing.rejects import Rejects
    from keeprate.deploy.emitting import EmitError

    counts = {"lines": 0, "events": 0}
    with ExitStack() as stack:
        try:
            bad = Rejects(stack.enter_context(rejects.open("w")) if rejects else None)
            _import_events(file, app, bad, dry_run, from_environment(brokers).brokers, counts)
        except (EmitError, OSError) as error:
            where = f"after line {counts['lines']:,}: " if counts["lines"] else ""
            typer.echo(f"keeprate import events: {where}{error}", err=True)
            raise typer.Exit(2) from None
    if as_json:
        typer.echo(json.dumps({**counts, "rejected": bad.count, "rejected_by_field": dict(bad.by_field)}))
    else:
        done = "checked" if dry_run else "sent"
        typer.echo(f"{counts['lines']:,} lines: {counts['events']:,} events {done}, {bad.summary()}")
    if bad.count:
        raise typer.Exit(1)


def _import_events(file: str, app: str, bad: "Rejects", dry_run: bool, brokers: str, counts: dict[str, int]) -> None:
    from keeprate.deploy.commands.importing.destination import now_ms, target
    from keeprate.deploy.emitting import bar
    from keeprate.producers.imports.events import read, reading

    with ExitStack() as stack:
        stream = stack.enter_context(reading(file))
        to = stack.enter_context(target(app or "import", brokers, None, dry_run))
        progress = stack.enter_context(bar())
        task = progress.add_task("lines", total=None, unit="lines", note="")
        for line in read(stream, app or None, now_ms()):
            counts["lines"] = line.number
            progress.update(task, completed=line.number)
            if line.event is not None:
                to.emit(line.event)
                counts["events"] += 1
            elif line.error is not None:
                raw = line.raw.decode("utf-8", "replace")
                bad.add(f"{file}, line {line.number}", line.error, line=line.number, raw=raw)
