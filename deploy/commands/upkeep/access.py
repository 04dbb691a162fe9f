"""`keeprate access`: who may see what on the page."""

import json
import re
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from keeprate.deploy.settings import from_environment

if TYPE_CHECKING:
    from keeprate.deploy.page.access.people import Allowed

access = typer.Typer(name="access", no_args_is_help=True, help="Say who may see what on the page, and make tokens.")

File = Annotated[Path | None, typer.Option(help="[default: KEEPRATE_ACCESS_FILE, else in KEEPRATE_DATA_DIR]")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON value, for machines")]


@access.command()
def token(
    name: Annotated[str, typer.Argument(help="whose it is, as logs have it")],
    app: Annotated[list[str], typer.Option(help="an app that it opens; may repeat; '*' for every app")],
    role: Annotated[
        Literal["viewer", "reviewer", "admin"], typer.Option(help="what it may do there; each role includes the former")
    ] = "viewer",
    expires: Annotated[str | None, typer.Option(help="the last day on which it is good, such as 2027-12-31")] = None,
    file: File = None,
    as_json: AsJson = False,
) -> None:
    """Make a token for a program, or for somebody without another login. It is shown now and never again.

    Its hash is appended to the file of people. Remove its entry there, and it is refused within a second.

    keeprate access token ci --app editor --app support --expires 2027-12-31
    """
    from pydantic import ValidationError

    from keeprate.deploy.page.access.people import add_token

    path = _path(file)
    try:
        text = add_token(path, name, app, role, _day(expires))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = {"who": "NAME", "apps": "--app"}.get(str(first["loc"][0]), str(first["loc"][0]))
        wrong = next((each for each in app if not re.fullmatch(r"[\w.-]+|\*", each)), app[0])
        said = f"{wrong!r} is none: give letters, digits, . _ - alone, or *" if field == "--app" else first["msg"]
        raise SystemExit(f"keeprate access: {field}: {said}") from None
    if as_json:
        typer.echo(json.dumps({"name": name, "apps": app, "role": role, "token": text, "file": str(path)}))
    else:
        typer.echo(text)
        typer.echo(f"{name} is {role} of {', '.join(app)}, by {path}. Keep it: it is not shown again.", err=True)
        if "tokens" not in from_environment().access.doors:
            typer.echo("The page does not ask for tokens yet: set KEEPRATE_ACCESS_BY=tokens for it.", err=True)


@access.command("list")
def list_(file: File = None, as_json: AsJson = False) -> None:
    """Show who may see what, by app: people, groups and tokens with their roles."""
    from keeprate.deploy.page.access.people import read

    path = _path(file)
    entries = read(path)
    if as_json:
        typer.echo(json.dumps([_public(each) for each in entries]))
        return
    if not entries:
        typer.echo(f"{path} names nobody: keeprate access token NAME --app APP, or docs/access.md.", err=True)
    for each in entries:
        for line in _lines(each):
            typer.echo(line)


def _path(file: Path | None) -> Path:
    from keeprate.deploy.page.access.people import FILE_NAME

    env = from_environment()
    return file or env.access.file or env.data_dir / FILE_NAME


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise SystemExit(f"keeprate access: --expires: {text!r} is no day such as 2027-12-31") from None


def _public(entry: "Allowed") -> dict[str, Any]:
    return {
        "who": entry.who,
        "group": entry.group,
        "is_token": entry.token is not None,
        "apps": entry.apps,
        "role": entry.role,
        "expires": entry.expires.isoformat() if entry.expires else None,
    }


def _lines(entry: "Allowed") -> list[str]:
    from textwrap import wrap

    from keeprate.deploy.terminal import printable

    kind = "token of " if entry.token else "group " if entry.group else ""
    until = f", until {entry.expires.isoformat()}" if entry.expires else ""
    text = f"{entry.role:<8} {kind}{entry.who or entry.group}: {', '.join(entry.apps)}{until}"
    return wrap(printable(text.replace(": *", ": every app")), 80, subsequent_indent=" " * 9)
