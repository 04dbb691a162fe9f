"""The tree of commands."""

import typer

from keeprate.deploy.commands.importing.exports import import_langfuse, import_otel
from keeprate.deploy.commands.importing.imports import imports
from keeprate.deploy.commands.read.dead_letters import dead_letters
from keeprate.deploy.commands.read.digest import digest
from keeprate.deploy.commands.read.reconcile import reconcile
from keeprate.deploy.commands.read.releases import compare, releases
from keeprate.deploy.commands.read.report import report
from keeprate.deploy.commands.read.verify import verify
from keeprate.deploy.commands.run.collector import collector
from keeprate.deploy.commands.run.demo import demo
from keeprate.deploy.commands.run.monitor import monitor
from keeprate.deploy.commands.run.page import page
from keeprate.deploy.commands.run.sink import sink
from keeprate.deploy.commands.run.store import store
from keeprate.deploy.commands.run.up import up
from keeprate.deploy.commands.run.worker import worker
from keeprate.deploy.commands.upkeep.alerts import alerts
from keeprate.deploy.commands.upkeep.forget import forget
from keeprate.deploy.commands.upkeep.keys import keys
from keeprate.deploy.commands.upkeep.migrate import migrate
from keeprate.deploy.commands.upkeep.replay import replay
from keeprate.deploy.commands.upkeep.topics import topics

app = typer.Typer(
    name="keeprate",
    help="Keeprate tells a team what its users keep of what its model wrote.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    # Not rich: there, the brackets of "[default: …]" are markup and vanish.
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

# With a callback, the first command stays a command while it is the only one.
app.callback()(lambda: None)
app.add_typer(alerts, name="alerts")
app.command()(collector)
app.add_typer(dead_letters, name="dead-letters")
app.command()(compare)
app.command()(demo)
app.command()(digest)
app.command()(forget)
imports.command("langfuse")(import_langfuse)
imports.command("otel")(import_otel)
app.add_typer(imports, name="import")
app.add_typer(keys, name="keys")
app.command()(migrate)
app.command()(monitor)
app.command()(store)
app.command()(sink)
app.add_typer(topics, name="topics")
app.command()(page)
app.command()(reconcile)
app.command()(releases)
app.command()(replay)
app.command()(report)
app.command()(up)
app.command()(verify)
app.command()(worker)
