"""`keeprate cases gate`: whether the last run of a suite may pass, for CI."""

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from keeprate.deploy.commands.cases.files import Runs, SuiteFile, directory_of, read_suite
from keeprate.deploy.commands.read.asking import refuse
from keeprate.deploy.terminal import printable

if TYPE_CHECKING:
    from keeprate.deploy.cases.comparing import Decision
    from keeprate.deploy.cases.runs import SuiteRun


def gate(
    suite: SuiteFile,
    runs: Runs = None,
    min_pass_rate: Annotated[float, typer.Option(min=0, max=1, help="The share of cases that must pass.")] = 1.0,
    max_new_failures: Annotated[
        int, typer.Option(min=0, help="Cases that may fail although they passed in the last green run.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the decision as JSON.")] = False,
) -> None:
    """Let the last run of a suite pass, or say why not: exit code 1.

    It is green where enough cases passed, none went without an answer, and none fails that passed in the last green
    run. That is kept in SUITE.runs/green.json: commit it, or keep it in CI's cache. Exit code 2: there is no run.

    keeprate cases gate refunds.jsonl --min-pass-rate 0.9
    """
    from keeprate.deploy.cases.comparing import GatePolicy, decide
    from keeprate.deploy.cases.runs import Green, RunError, ended, read_green, runs_in, write_green

    found = read_suite("cases gate", suite)
    directory = directory_of(suite, runs)
    try:
        done, green = ended(runs_in(directory)), read_green(directory)
    except RunError as error:
        refuse("cases gate", str(error), 2)
    if not done:
        refuse("cases gate", f"no run in {directory} has ended: keeprate cases run {suite}", 2)
    last, names = done[-1], [case.identity for case in found.cases]
    decision = decide(last, names, found.digest, green, GatePolicy(min_pass_rate, max_new_failures))
    if decision.is_open:
        passed = [name for name, verdict in last.verdicts.items() if verdict == "passed"]
        write_green(directory, Green(last.run, last.head["version"], time.time_ns() // 1_000_000, passed))
    _show(last, decision, as_json)
    if not decision.is_open:
        raise typer.Exit(1)


def _show(run: "SuiteRun", decision: "Decision", as_json: bool) -> None:
    state = "green" if decision.is_open else "red"
    if as_json:
        own = {"state": state, "run": run.run, "version": run.head["version"], "reasons": list(decision.reasons)}
        typer.echo(json.dumps(own | {"broken": list(decision.broken)}))
        return
    version = f" ({printable(run.head['version'])})" if run.head["version"] else ""
    typer.echo(f"{state}: {run.count('passed')} of {len(run.results)} cases passed{version}")
    for reason in decision.reasons:
        typer.echo(f"  {printable(reason)}")
