"""What a run came to, in the terminal or as JSON: what broke, what was mended, and what did not pass."""

import json
from collections.abc import Iterator
from typing import Final

import typer

from keeprate.deploy.cases.comparing import Difference, compare
from keeprate.deploy.cases.runs import CaseResult, SuiteRun
from keeprate.deploy.cases.suite import Json, Suite
from keeprate.deploy.terminal import printable

_WIDTH: Final = 80
_MOST_LINES: Final = 20


def show(run: SuiteRun, suite: Suite, before: SuiteRun | None, taken_up: int, as_json: bool) -> None:
    """Print it. before: the run to compare with. taken_up: how many results were there when it began."""
    since = compare(before.verdicts if before else {}, run.verdicts)
    if as_json:
        typer.echo(json.dumps(_as_json(run, suite, before, since, taken_up)))
        return
    for line in _lines(run, suite, before, since, taken_up):
        typer.echo(line)
    missed = _missed(run, suite)
    for each in missed[:_MOST_LINES]:
        mark = "broke" if each.case in since.regressions else each.verdict
        typer.echo(_line(f"  {mark:6}  {each.case}  {each.why}"))
    if len(missed) > _MOST_LINES:
        typer.echo(f"  and {len(missed) - _MOST_LINES} more, in {run.path}")
    for name in since.repairs[:_MOST_LINES]:
        typer.echo(_line(f"  mended  {name}"))


def _missed(run: SuiteRun, suite: Suite) -> list[CaseResult]:
    """What did not pass, in the suite's order."""
    found = (run.results.get(case.identity) for case in suite.cases)
    return [each for each in found if each is not None and each.verdict != "passed"]


def _as_json(run: SuiteRun, suite: Suite, before: SuiteRun | None, since: Difference, taken_up: int) -> Json:
    links = {case.identity: case.source.get("link", "") for case in suite.cases}
    counts = {verdict: run.count(verdict) for verdict in ("passed", "failed", "error")}
    return (
        {name: run.head[name] for name in ("suite", "run", "version", "subject")}
        | {"cases": len(suite.cases), **counts, "taken_up": taken_up, "left_out": len(suite.left_out)}
        | {"before": before.run if before else None, **vars(since)}
        | {"results": str(run.path), "sent": run.sent}
        | {
            "failures": [
                {"case": each.case, "verdict": each.verdict, "why": each.why, "score": each.score}
                | {"link": links.get(each.case, "")}
                for each in _missed(run, suite)
            ]
        }
    )


def _lines(run: SuiteRun, suite: Suite, before: SuiteRun | None, since: Difference, taken_up: int) -> Iterator[str]:
    yield (
        f"{printable(run.head['suite'])}{_version(run)}: {run.count('passed')} of {len(suite.cases)} cases passed, "
        + (f"{run.count('failed')} failed, {run.count('error')} without an answer")
    )
    if taken_up:
        yield f"taken up where it was cut off: {taken_up} results were there already"
    if before is not None:
        yield f"since the last run{_version(before)}: {len(since.regressions)} broke, {len(since.repairs)} mended"
    if without := sum(case.expected is None for case in suite.cases):
        yield f"{without} of them have no expected output: their checks say less"
    if suite.left_out:
        yield f"{len(suite.left_out)} suggestions could not be made cases; the end of the suite says why"
    if run.sent is not None:
        yield f"sent as evaluations: {run.sent}"


def _version(run: SuiteRun) -> str:
    return f" ({printable(run.head['version'])})" if run.head["version"] else ""


def _line(text: str) -> str:
    line = printable(text).replace("\n", " ")
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"
