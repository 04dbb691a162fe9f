"""`keeprate releases` and `keeprate compare`: is a version better or worse than what it replaced?"""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keeprate.deploy.commands.read.asking import opened, refuse
from keeprate.deploy.commands.read.report import read_moment
from keeprate.deploy.terminal import printable

if TYPE_CHECKING:
    from keeprate.deploy.releases.judging import ReleaseFinding

_STORE = Annotated[str, typer.Option(help="The store's URL; default: KEEPRATE_STORE_URL.")]
_JSON = Annotated[bool, typer.Option("--json", help="Print everything as one JSON object.")]


def releases(
    since: Annotated[str, typer.Option(help="Released since: 24h, 7d, 4w ago, or a date like 2026-03-01.")] = "4w",
    app: Annotated[list[str] | None, typer.Option(help="Only this app. Repeatable.")] = None,
    prompt: Annotated[list[str] | None, typer.Option(help="Only versions of this prompt. Repeatable.")] = None,
    as_json: _JSON = False,
    store: _STORE = "",
) -> None:
    """List the releases, newest first, and whether users take each for worse or better than what it replaced.

    A release is a version of a prompt, a model or a strategy of context that began after another had been in use. It is
    compared with the one that had most traffic in the week before it, from its first event on, in acceptance,
    retention, feedback, edits, what judges say, failures, latency and cost. "not yet" says that chance is still an
    explanation; "sees -10 %" how long it takes until a version that is a tenth worse would be seen.

    keeprate releases --since 4w

    keeprate releases --app editor --json
    """
    from rich.console import Console

    from keeprate.deploy.releases import judging, terminal

    now = datetime.now(UTC)
    with opened("releases", store) as client:
        found = judging.find(client, read_moment("--since", since, now), now)
        found = [each for each in found if not app or each.app in app]
        if prompt:
            found = [each for each in found if each.component == "prompt_version" and each.family[1] in prompt]
        judged = [each.kept for release in reversed(found) for each in judging.findings(client, release, now)]
    if as_json:
        _print_json({"since": since, "verdicts": [asdict(each) for each in judged]})
    elif not judged:
        typer.echo(f"no release since {since}: nothing replaced a version that was in use; try --since 8w")
    else:
        console = Console(highlight=False)
        terminal.show(judged, console)
        console.print(terminal.how(judged[0]).partition("; ")[2], style="dim")


def compare(
    app: Annotated[str, typer.Argument(help="The app.")],
    prompt: Annotated[str, typer.Argument(help="The prompt.")],
    old: Annotated[str, typer.Argument(help="The version to compare with.")],
    new: Annotated[str, typer.Argument(help="The version to judge.")],
    split: Annotated[
        float | None,
        typer.Option(min=0.001, max=0.999, help="The share of users that NEW was meant to have: checks it first."),
    ] = None,
    as_json: _JSON = False,
    store: _STORE = "",
) -> None:
    """Compare two versions of a prompt: every metric and horizon, and how the evidence came.

    Where both have traffic, they are compared hour by hour; where NEW took over, with what OLD did in the 28 days
    before. Intervals and evidence hold however often you look. The verdict is worse or better once evidence reaches 1,
    the same once the whole interval lies within two points, else not yet.

    keeprate compare editor inline-completion v3 v4

    keeprate compare editor inline-completion v3 v4 --split 0.5
    """
    from rich.console import Console

    from keeprate.deploy.releases import judging, terminal

    now = datetime.now(UTC)
    with opened("compare", store) as client:
        release = judging.between(client, app, prompt, old, new, now)
        found = judging.findings(client, release, now)
        users = judging.users(client, release, now) if split is not None else (0, 0)
    if as_json:
        _print_json({"verdicts": [_with_path(each) for each in found]} | _split_json(users, split))
        return
    if not found:
        refuse("compare", f"{new} has nothing yet that is old enough to count; an accept takes ten minutes", 0)
    console = Console(highlight=False)
    if split is not None:
        console.print(_split_sentence(users, split, release.version))
    kept = [each.kept for each in found]
    terminal.show_release(kept, console)
    terminal.show_evidence(found, console)
    console.print(f"\n{terminal.how(kept[0])}", style="dim")


def _split_json(users: tuple[int, int], split: float | None) -> dict[str, Any]:
    from keeprate.streams.quality.concurrent import split_evidence

    if split is None:
        return {}
    return {
        "split": {"expected": split, "new_users": users[0], "old_users": users[1], "e": split_evidence(*users, split)}
    }


def _split_sentence(users: tuple[int, int], split: float, version: str) -> str:
    from rich.markup import escape

    from keeprate.streams.quality.concurrent import split_evidence
    from keeprate.streams.quality.evidence import ALPHA

    seen = (
        f"{users[0]:,} users had {escape(printable(version))} and {users[1]:,} the other one, {split:.0%} were meant to"
    )
    if split_evidence(*users, split) >= 1 / ALPHA:
        return f"[red]the split is not as meant[/red]: {seen}. Find out why before you believe a difference."
    return f"the split is as meant: {seen}"


def _with_path(found: "ReleaseFinding") -> dict[str, Any]:
    """A verdict with how its evidence came, as ratios to the threshold in natural logarithms."""
    path = [
        {
            "until": datetime.fromtimestamp(each.until_s, UTC),
            "new_trials": each.trials,
            "log_fell": each.fell - found.log_threshold,
            "log_rose": each.rose - found.log_threshold,
        }
        for each in found.comparison.path
    ]
    return asdict(found.kept) | {"path": path}


def _print_json(body: dict[str, Any]) -> None:
    typer.echo(json.dumps(body, default=lambda at: at.isoformat(), ensure_ascii=False, indent=2))
