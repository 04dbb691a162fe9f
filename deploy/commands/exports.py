"""`keeprate import langfuse|otel`: what other tools exported."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keeprate.deploy.settings import from_environment

if TYPE_CHECKING:
    from keeprate.producers.imports.langfuse import Outcome

SHOWN_ERRORS = 10

Files = Annotated[list[str], typer.Argument(help="JSON, JSON lines or CSV; .gz and .zst by name.")]
App = Annotated[str, typer.Option(help="The app of the events.")]
Out = Annotated[Path | None, typer.Option(help="Write NDJSON to this file instead of sending.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Read and check everything, send nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")]
Brokers = Annotated[str, typer.Option(help="Bootstrap servers; default: KEEPRATE_BROKERS.")]

Reader = Callable[[bytes], Iterator["Outcome"]]


def import_langfuse(
    files: Files,
    app: App,
    out: Out = None,
    dry_run: DryRun = False,
    brokers: Brokers = "",
    as_json: AsJson = False,
) -> None:
    """Import Langfuse's exports: observations, traces and scores, from its tables, its API or its blob storage.

    Give all files of one project at once: scores find their observations in whichever file they are. Generations,
    agents, chains and tools become generations; scores become votes, corrections or evaluations (docs/importing.md).
    """
    from keeprate.producers.imports import langfuse
    from keeprate.producers.imports.rows import read_rows

    def rows() -> Iterable[Any]:
        return chain.from_iterable(read_rows(file) for file in files)

    _import("langfuse", files, app, out, dry_run, brokers, as_json, lambda salt: langfuse.outcomes(rows, app, salt))


def import_otel(
    files: Files,
    app: App = "",
    out: Out = None,
    dry_run: DryRun = False,
    brokers: Brokers = "",
    as_json: AsJson = False,
) -> None:
    """Import OTLP in JSON, as the OpenTelemetry Collector's file exporter writes it: a request on each line.

    GenAI spans become generations, evaluations and Copilot's edits feedback, as `keeprate collector` has it. Without
    --app, each service is an app by its service.name.
    """
    from keeprate.producers.imports import otel
    from keeprate.producers.imports.events import open_lines
    from keeprate.producers.imports.rows import read_documents

    def documents() -> Iterable[Any]:
        for file in files:
            with open_lines(file) as stream:
                yield from read_documents(stream, file)

    _import("otel", files, app, out, dry_run, brokers, as_json, lambda salt: otel.outcomes(documents, app, salt))


def _import(
    name: str, files: list[str], app: str, out: Path | None, dry_run: bool, brokers: str, as_json: bool, read: Reader
) -> None:
    from keeprate.deploy.emitting import EmitError
    from keeprate.producers.imports.rows import FormatError, exists

    if missing := [file for file in files if not exists(file)]:
        raise SystemExit(f"keeprate import {name}: {missing[0]}: not a file, and it has to be read twice")
    counts: Counter[str] = Counter({"events": 0, "rejected": 0})
    ignored: Counter[str] = Counter()
    try:
        _emit(read, app or "import", out, dry_run, brokers or from_environment().brokers, counts, ignored)
    except (EmitError, FormatError, OSError, EOFError) as error:
        raise SystemExit(f"keeprate import {name}: after {counts['events']:,} events: {error}") from None
    if as_json:
        typer.echo(json.dumps({**counts, "ignored": dict(ignored)}))
    else:
        done = "checked" if dry_run else "sent" if out is None else "written"
        aside = ", ".join(f"{count:,} {reason}" for reason, count in ignored.most_common())
        typer.echo(
            f"{counts['events']:,} events {done}, {counts['rejected']:,} rejected; left aside: {aside or 'none'}"
        )
    if counts["rejected"]:
        raise typer.Exit(1)


def _emit(
    read: Reader,
    app: str,
    out: Path | None,
    dry_run: bool,
    brokers: str,
    counts: Counter[str],
    ignored: Counter[str],
) -> None:
    from keeprate.deploy.importing import target
    from keeprate.producers.collector.keys import FILE_NAME, Keys

    salt = Keys(from_environment().data_dir / FILE_NAME).salt()
    with target(app, brokers, out, dry_run) as to:
        for outcome in read(salt):
            if outcome.event is not None:
                to.emit(outcome.event)
                counts["events"] += 1
            elif outcome.error is not None:
                counts["rejected"] += 1
                if counts["rejected"] <= SHOWN_ERRORS:
                    typer.echo(f"rejected: {outcome.error}", err=True)
            else:
                ignored[outcome.ignored] += 1
        to.settle()
