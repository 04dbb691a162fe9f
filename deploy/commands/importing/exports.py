"""`keeprate import langfuse|otel`: what other tools exported."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from keeprate.deploy.commands.importing.imports import imports
from keeprate.deploy.settings import from_environment

if TYPE_CHECKING:
    from keeprate.deploy.commands.importing.rejects import Rejects
    from keeprate.producers.imports.langfuse import Outcome
    from keeprate.producers.imports.rows import Found

Files = Annotated[list[str], typer.Argument(help="JSON, JSON lines or CSV; .gz and .zst by name.")]
App = Annotated[str, typer.Option(help="The app of the events.")]
Out = Annotated[Path | None, typer.Option(help="Write NDJSON to this file instead of sending.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Read and check everything, send nothing.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the counts as JSON.")]
Brokers = Annotated[str, typer.Option(help="Bootstrap servers; default: KEEPRATE_BROKERS.")]

RejectsFile = Annotated[
    Path | None, typer.Option("--rejects", help="Write what was rejected to this file, each with its reason.")
]

Reader = Callable[[bytes, int], Iterator["Outcome"]]


@imports.command("langfuse")
def import_langfuse(
    files: Files,
    app: App,
    out: Out = None,
    rejects: RejectsFile = None,
    dry_run: DryRun = False,
    brokers: Brokers = "",
    as_json: AsJson = False,
) -> None:
    """Import Langfuse's exports: observations, traces and scores, from its tables, its API or its blob storage.

    Give all files of one project at once: scores find their observations in whichever file they are. Generations,
    agents, chains and tools become generations; scores become votes, corrections or evaluations (docs/importing.md).
    Exit code 1 when a row was rejected, 2 when the import did not finish.
    """
    from keeprate.producers.imports import langfuse
    from keeprate.producers.imports.rows import read_rows

    def rows() -> Iterable["Found"]:
        return chain.from_iterable(read_rows(file) for file in files)

    def read(salt: bytes, now_ms: int) -> Iterator["Outcome"]:
        return langfuse.outcomes(rows, app, salt, now_ms)

    _import("langfuse", files, ImportOptions(app, out, rejects, dry_run, brokers), as_json, read)


@imports.command("otel")
def import_otel(
    files: Files,
    app: App = "",
    out: Out = None,
    rejects: RejectsFile = None,
    dry_run: DryRun = False,
    brokers: Brokers = "",
    as_json: AsJson = False,
) -> None:
    """Import OTLP in JSON, as the OpenTelemetry Collector's file exporter writes it: a request on each line.

    GenAI spans become generations, evaluations and Copilot's edits feedback, as `keeprate collector` has it. Without
    --app, each service is an app by its service.name. Exit code 1 when an item was rejected, 2 when the import did not
    finish.
    """
    from keeprate.producers.imports import otel
    from keeprate.producers.imports.events import reading
    from keeprate.producers.imports.rows import read_documents

    def documents() -> Iterable["Found"]:
        for file in files:
            with reading(file) as stream:
                yield from read_documents(stream, file)

    def read(salt: bytes, now_ms: int) -> Iterator["Outcome"]:
        return otel.outcomes(documents, app, salt, now_ms)

    _import("otel", files, ImportOptions(app, out, rejects, dry_run, brokers), as_json, read)


@dataclass(frozen=True)
class ImportOptions:
    """Where events and rejects go."""

    app: str
    out: Path | None
    rejects: Path | None
    dry_run: bool
    brokers: str


def _import(name: str, files: list[str], to: ImportOptions, as_json: bool, read: Reader) -> None:
    from keeprate.deploy.commands.importing.rejects import Rejects
    from keeprate.deploy.emitting import EmitError
    from keeprate.producers.imports.rows import exists

    if missing := [file for file in files if not exists(file)]:
        typer.echo(f"keeprate import {name}: {missing[0]}: not a file, and it has to be read twice", err=True)
        raise typer.Exit(2)
    counts: Counter[str] = Counter({"events": 0})
    ignored: Counter[str] = Counter()
    with ExitStack() as stack:
        try:
            bad = Rejects(stack.enter_context(to.rejects.open("w")) if to.rejects else None)
            _emit(read, to, counts, ignored, bad)
        except (EmitError, OSError) as error:
            typer.echo(f"keeprate import {name}: after {counts['events']:,} events: {error}", err=True)
            raise typer.Exit(2) from None
    if as_json:
        rejected = {"rejected": bad.count, "rejected_by_field": dict(bad.by_field)}
        typer.echo(json.dumps({**counts, **rejected, "ignored": dict(ignored)}))
    else:
        done = "checked" if to.dry_run else "sent" if to.out is None else "written"
        aside = ", ".join(f"{count:,} {reason}" for reason, count in ignored.most_common())
        typer.echo(f"{counts['events']:,} events {done}, {bad.summary()}; left aside: {aside or 'none'}")
    if bad.count:
        raise typer.Exit(1)


def _emit(read: Reader, to: ImportOptions, counts: Counter[str], ignored: Counter[str], bad: "Rejects") -> None:
    from keeprate.deploy.commands.importing.destination import now_ms, target
    from keeprate.producers.collector.gate.keys import FILE_NAME, Keys

    salt = Keys(from_environment().data_dir / FILE_NAME).salt()
    brokers = from_environment(to.brokers).brokers
    with target(to.app or "import", brokers, to.out, to.dry_run) as sink:
        for outcome in read(salt, now_ms()):
            if outcome.event is not None:
                sink.emit(outcome.event)
                counts["events"] += 1
            elif outcome.error is not None:
                bad.add(outcome.place, outcome.error)
            else:
                ignored[outcome.ignored] += 1
        sink.settle()
