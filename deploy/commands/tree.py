"""The tree of commands."""

import typer

from keeprate.deploy.commands.migrate import migrate
from keeprate.deploy.commands.topics import topics
from keeprate.deploy.commands.worker import worker

app = typer.Typer(
    name="keeprate",
    help="Keeprate tells a team what its users keep of what its model wrote.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# With a callback, the first command stays a command while it is the only one.
app.callback()(lambda: None)
app.command()(migrate)
app.add_typer(topics, name="topics")
app.command()(worker)
