"""The tree of commands."""

import typer

app = typer.Typer(
    name="keeprate",
    help="Keeprate tells a team what its users keep of what its model wrote.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
