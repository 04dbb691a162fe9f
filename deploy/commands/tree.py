"""The tree of commands."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from keeprate.deploy.commands.cases.export import export as export_cases
from keeprate.deploy.commands.cases.gate import gate as gate_cases
from keeprate.deploy.commands.cases.run import run as run_cases
from keeprate.deploy.commands.importing.exports import import_langfuse, import_otel
from keeprate.deploy.commands.importing.imports import imports
from keeprate.deploy.commands.read.dead_letters import dead_letters
from keeprate.deploy.commands.read.digest import digest
from keeprate.deploy.commands.read.doctor import doctor
from keeprate.deploy.commands.read.drift import drift
from keeprate.deploy.commands.read.reconcile import reconcile
from keeprate.deploy.commands.read.releases import compare, releases
from keeprate.deploy.commands.read.report import report
from keeprate.deploy.commands.read.size import compute_size
from keeprate.deploy.commands.read.suggestions import suggestions
from keeprate.deploy.commands.read.tail import tail
from keeprate.deploy.commands.read.trace import trace
from keeprate.deploy.commands.read.verify import verify
from keeprate.deploy.commands.read.why import why
from keeprate.deploy.commands.reviews.agreement import agreement
from keeprate.deploy.commands.run.collector import collector
from keeprate.deploy.commands.run.demo import demo
from keeprate.deploy.commands.run.monitor import monitor
from keeprate.deploy.commands.run.page import page
from keeprate.deploy.commands.run.sink import sink
from keeprate.deploy.commands.run.store import store
from keeprate.deploy.commands.run.up import up
from keeprate.deploy.commands.run.worker import worker
from keeprate.deploy.commands.upkeep.access import access
from keeprate.deploy.commands.upkeep.alerts import alerts
from keeprate.deploy.commands.upkeep.forget import forget
from keeprate.deploy.commands.upkeep.keys import keys
from keeprate.deploy.commands.upkeep.migrate import migrate
from keeprate.deploy.commands.upkeep.replay import replay
from keeprate.deploy.commands.upkeep.topics import topics
from keeprate.deploy.settings import CONFIG_VARIABLE, PROCESSES, config_file
from keeprate.producers.errors import SettingsError

app = typer.Typer(
    name="keeprate",
    help="Keeprate tells a team what its users keep of what its model wrote.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    # Not rich: there, the brackets of "[default: …]" are markup and vanish.
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _keeprate(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(envvar=CONFIG_VARIABLE, help="A file of settings, TOML: see docs/deploying.md.", show_envvar=True),
    ] = None,
) -> None:
    if config is not None:
        os.environ[CONFIG_VARIABLE] = str(config)
    context.default_map = _defaults(context.command)


def _defaults(tree: Any) -> dict[str, Any]:
    """What the file of settings says of the options of processes. Raises SettingsError for an option there is not."""
    said = {name: table for name, table in config_file().items() if name in PROCESSES}
    for name, table in said.items():
        known = {parameter.name for parameter in tree.commands[name].params}
        if unknown := table.keys() - known:
            reason = f"[{name}] has {', '.join(sorted(unknown))}, and keeprate {name} takes {', '.join(sorted(known))}"
            raise SettingsError(CONFIG_VARIABLE, reason)
    return said


def _process(command: Callable[..., None]) -> None:
    """A command whose options the environment may set, as KEEPRATE_SINK_LINGER_S."""
    name = command.__name__
    app.command(name, context_settings={"auto_envvar_prefix": f"KEEPRATE_{name.upper()}"})(command)


cases = typer.Typer(help="Suggestions as regression tests: export, run, gate.", no_args_is_help=True)
cases.command("export")(export_cases)
cases.command("run")(run_cases)
cases.command("gate")(gate_cases)

app.add_typer(access, name="access")
app.command()(agreement)
app.add_typer(alerts, name="alerts")
app.add_typer(cases, name="cases")
_process(collector)
app.add_typer(dead_letters, name="dead-letters")
app.command()(compare)
app.command()(demo)
app.command()(digest)
app.command()(doctor)
app.command()(drift)
app.command()(forget)
imports.command("langfuse")(import_langfuse)
imports.command("otel")(import_otel)
app.add_typer(imports, name="import")
app.add_typer(keys, name="keys")
app.command()(migrate)
_process(monitor)
app.command()(store)
_process(sink)
app.add_typer(topics, name="topics")
_process(page)
app.command()(reconcile)
app.command()(releases)
app.command()(replay)
app.command()(report)
app.command()(tail)
app.command()(trace)
app.command("size")(compute_size)
app.command()(suggestions)
app.command()(up)
app.command()(verify)
app.command()(why)
_process(worker)
