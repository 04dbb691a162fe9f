"""`keeprate cases`: the commands, together."""

import typer

from keeprate.deploy.commands.cases.export import export
from keeprate.deploy.commands.cases.gate import gate
from keeprate.deploy.commands.cases.run import run

cases = typer.Typer(help="Suggestions as regression tests: export, run, gate.", no_args_is_help=True)
for command in (export, run, gate):
    cases.command()(command)
