"""The worker's page says what the code says."""

import re
from pathlib import Path

import typer.main
from typer.testing import CliRunner

from keeprate.deploy.commands.tree import app
from keeprate.streams.metrics import METRICS

PAGE = (Path(__file__).parents[2] / "docs" / "worker.md").read_text()


def test_every_metric_is_on_the_page_as_it_is_in_the_code() -> None:
    """Name, labels, meaning and remedy, and no other metric."""
    rows = [line for line in PAGE.splitlines() if line.startswith("| `keeprate_")]
    wanted = []
    for metric in METRICS:
        labels = "{" + ", ".join(metric.labels) + "}" if metric.labels else ""
        wanted.append(f"| `{metric.name}{labels}` | {metric.meaning} | {metric.remedy} |")
    assert rows == wanted


def test_every_option_on_the_page_is_one_of_the_command() -> None:
    """An option that was renamed must not stay in the docs."""
    command = typer.main.get_command(app)
    parameters = command.commands["worker"].params  # type: ignore[attr-defined]
    options = {name for parameter in parameters for name in (*parameter.opts, *parameter.secondary_opts)}
    assert set(re.findall(r"--[a-z][a-z-]+", PAGE)) <= options


def test_help_teaches_what_a_kill_means() -> None:
    """`keeprate worker --help` says what an operator fears to ask."""
    shown = CliRunner().invoke(app, ["worker", "--help"]).output
    assert "killed loses nothing" in " ".join(shown.split())
