"""`keeprate cases run`: put a suite to a command or a model, and say what changed since the last time."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keeprate.deploy.commands.cases.files import Runs, SuiteFile, directory_of, read_suite
from keeprate.deploy.commands.read.asking import refuse
from keeprate.deploy.terminal import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keeprate.deploy.cases.checks import Judge
    from keeprate.deploy.cases.runs import CaseResult, SuiteRun
    from keeprate.deploy.cases.subjects import EndpointSubject, Subject
    from keeprate.deploy.cases.suite import Case, Json, Suite


@dataclass(frozen=True)
class Asked:
    """What is put to what, and how it is judged. checks: in place of the suite's own, where there are any."""

    subject: "Subject"
    checks: "Sequence[Json]"
    judge: "Judge | None"
    parallel: int


def run(
    suite: SuiteFile,
    command: Annotated[str, typer.Option(help="A command that reads a case as JSON and prints its answer.")] = "",
    url: Annotated[str, typer.Option(help="A server of OpenAI's protocol, like https://api.openai.com/v1.")] = "",
    model: Annotated[str, typer.Option(help="The model to ask at --url.")] = "",
    key_from: Annotated[str, typer.Option(help="The variable that holds the server's key.")] = "OPENAI_API_KEY",
    system: Annotated[Path | None, typer.Option(help="A file: the system's prompt, for the captured one.")] = None,
    version: Annotated[str, typer.Option(help="What is tested, as apps name it: the prompt's version.")] = "",
    check: Annotated[
        list[str] | None,
        typer.Option(help="For the suite's own: exact, distance=0.33, contains=TEXT, unlike, nonempty, judge=0.5."),
    ] = None,
    schema: Annotated[Path | None, typer.Option(help="A file: the JSON schema that answers must have.")] = None,
    judge_command: Annotated[str, typer.Option(help="Reads a case with its answer, prints a score, 0 to 1.")] = "",
    judge_url: Annotated[str, typer.Option(help="A server that judges; default: --url.")] = "",
    judge_model: Annotated[str, typer.Option(help="The model that judges, by a rubric.")] = "",
    judge_key_from: Annotated[str, typer.Option(help="The variable that holds the key of --judge-url.")] = "",
    rubric: Annotated[Path | None, typer.Option(help="A file: the judge's prompt, for the built-in one.")] = None,
    parallel: Annotated[int, typer.Option(min=1, max=256, help="How many cases at a time.")] = 4,
    timeout_s: Annotated[float, typer.Option(min=0.1, help="How long one answer may take.")] = 120.0,
    retries: Annotated[int, typer.Option(min=0, max=20, help="Of what a server may answer later.")] = 4,
    runs: Runs = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew, also where a run was cut off.")] = False,
    send: Annotated[bool, typer.Option(help="Send the results as evaluations of the suggestions.")] = True,
    send_only: Annotated[
        bool, typer.Option("--send-only", help="Send the last run's results, and run nothing.")
    ] = False,
    brokers: Annotated[str, typer.Option(help="Bootstrap servers; default: KEEPRATE_URL, KEEPRATE_BROKERS.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Run a suite against a command or a model, and name what broke and what was mended since the last run.

    Results are kept in SUITE.runs as they come: a run that was killed goes on where it was. They are sent
    as evaluations by code, which are in no rate. Exit code 0 when every case has an answer, whatever it is worth:
    keeprate cases gate decides. 1 when some could not be asked, or could not be sent; 2 when it did not begin.

    keeprate cases run refunds.jsonl --command "python answer.py" --version v5

    keeprate cases run refunds.jsonl --url http://127.0.0.1:8000/v1 --model llama --check judge=0.7
    """
    from keeprate.deploy.commands.cases.summary import show

    found = read_suite("cases run", suite)
    directory = directory_of(suite, runs)
    with _alone(directory):
        if send_only:
            done, before, taken_up = _last(directory), None, 0
        else:
            with _refusing():
                server = partial(_server, timeout_s=timeout_s, retries=retries, parallel=parallel)
                key = os.environ.get(key_from)
                subject = _subject(command, url, model, system, timeout_s, partial(server, key=key))
                # The key of one server is nothing to send to another.
                judge_key = os.environ.get(judge_key_from) if judge_url else key
                judge = _judge(
                    judge_command, judge_url or url, judge_model, rubric, timeout_s, partial(server, key=judge_key)
                )
                asked = Asked(subject, _checks(check or [], schema), judge, parallel)
            done, before, taken_up = _run(found, asked, directory, suite.stem, version, fresh)
        failure = _send(done, found, brokers) if send or send_only else ""
    show(done, found, before, taken_up, as_json)
    if failure:
        typer.echo(f"keeprate cases run: {printable(failure)}\nThe results are kept; --send-only sends them.", err=True)
    if failure or done.count("error"):
        raise typer.Exit(1)


@contextmanager
def _refusing() -> Iterator[None]:
    """What is wrong with an option, or a file that one names, ends the command."""
    try:
        yield
    except (ValueError, OSError) as error:
        refuse("cases run", str(error), 2)


def _server(url: str, model: str, system: str | None = None, **how: Any) -> "EndpointSubject":
    from keeprate.deploy.cases.subjects import EndpointSubject

    return EndpointSubject(url, model, system=system, **how)


def _subject(
    command: str, url: str, model: str, system: Path | None, timeout_s: float, server: "Callable[..., EndpointSubject]"
) -> "Subject":
    from keeprate.deploy.cases.subjects import CommandSubject

    if bool(command) == bool(url):
        raise ValueError("say what to test: --command, or --url with --model")
    return CommandSubject(command, timeout_s) if command else server(url, model, _text(system))


def _judge(
    command: str,
    url: str,
    model: str,
    rubric: Path | None,
    timeout_s: float,
    server: "Callable[..., EndpointSubject]",
) -> "Judge | None":
    from keeprate.deploy.cases.subjects import RUBRIC, CommandJudge, CommandSubject, EndpointJudge

    if command:
        return CommandJudge(CommandSubject(command, timeout_s))
    return EndpointJudge(server(url, model), _text(rubric) or RUBRIC) if model else None


def _checks(given: list[str], schema: Path | None) -> "list[Json]":
    from keeprate.deploy.cases.checks import checked, read_option

    checks = [read_option(each) for each in given]
    if schema is not None:
        try:
            checks.append(checked({"check": "schema", "schema": json.loads(_text(schema) or "")}))
        except json.JSONDecodeError as error:
            raise ValueError(f"--schema {schema}: not JSON: {error}") from None
    return checks


def _text(path: Path | None) -> str | None:
    return None if path is None else path.read_text("utf-8")


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Keep the runs of a suite to one process."""
    try:
        import fcntl
    except ModuleNotFoundError:
        # Windows has none: there, two runs at once are for whoever starts them.
        yield
        return
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            refuse("cases run", f"another run is at it in {directory}; wait for it, or give --runs", 2)
        yield


def _last(directory: Path) -> "SuiteRun":
    from keeprate.deploy.cases.runs import RunError, ended, runs_in

    try:
        found = ended(runs_in(directory))
    except RunError as error:
        refuse("cases run", str(error), 2)
    if not found:
        refuse("cases run", f"no run in {directory} has ended; there is nothing to send", 2)
    return found[-1]


def _run(
    suite: "Suite", asked: Asked, directory: Path, name: str, version: str, fresh: bool
) -> "tuple[SuiteRun, SuiteRun | None, int]":
    """The run, the one before it, and how many results it had already."""
    from keeprate.deploy.cases.runs import RunError, SuiteRun, ended, runs_in, to_take_up
    from keeprate.schemas.ids import uuid7

    head: Json = {"suite": name, "digest": suite.digest, "subject": asked.subject.name, "version": version}
    head |= {"checks": list(asked.checks)}
    try:
        before = runs_in(directory)
    except RunError as error:
        refuse("cases run", str(error), 2)
    with _refusing():
        _hold(suite, asked)
    current = None if fresh else to_take_up(before, head)
    if current is None:
        run_id = uuid7()
        current = SuiteRun(directory / f"{run_id}.jsonl", {"run": run_id, **head, "started_at": _now_ms()})
    current.begin()
    left = [case for case in suite.cases if current.verdicts.get(case.identity) in (None, "error")]
    _ask(current, left, len(suite.cases), asked)
    current.end(_now_ms())
    earlier = ended([each for each in before if each.run != current.run])
    return current, (earlier[-1] if earlier else None), len(suite.cases) - len(left)


def _hold(suite: "Suite", asked: Asked) -> None:
    """Raises CheckError where a check is none, or there is no judge for it: before anything is asked."""
    from keeprate.deploy.cases.checks import CheckError, checked

    for case in suite.cases:
        for each in asked.checks or case.checks:
            if checked(each)["check"] == "judge" and asked.judge is None:
                raise CheckError("judge: there is none; give --judge-command, or --judge-model")


def _ask(current: "SuiteRun", left: "Sequence[Case]", total: int, asked: Asked) -> None:
    """Ask what is left, and keep each result as it comes."""
    from keeprate.deploy.cases.running import run_all
    from keeprate.deploy.emitting import bar

    with bar() as progress:
        task = progress.add_task("cases", total=total, completed=total - len(left), unit="cases", note="")

        def keep(result: "CaseResult") -> None:
            current.add(result)
            progress.update(task, advance=1, note=f"{current.count('failed')} failed")

        try:
            run_all(left, asked.subject, asked.checks, asked.judge, asked.parallel, keep)
        except KeyboardInterrupt:
            got = f"{len(current.results)} of {total} results are in {current.path}"
            refuse("cases run", f"stopped: {got}; the same command goes on there", 130)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _send(run: "SuiteRun", suite: "Suite", brokers: str) -> str:
    """Send the results; why that failed, or the empty string."""
    from keeprate.deploy.cases.sending import events_of
    from keeprate.deploy.emitting import STALLED_S, EmitError, reaching

    events = list(events_of(run, {case.identity: case for case in suite.cases}))
    try:
        for app in sorted({event["app"] for event in events}):
            with reaching(app, brokers) as client:
                for event in events:
                    if event["app"] == app:
                        client.emit(event, block=True, timeout_s=STALLED_S)
    except EmitError as error:
        return str(error)
    run.mark_sent(len(events))
    return ""
