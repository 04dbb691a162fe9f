"""`keeprate keys`: the API keys of the collector."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keeprate.deploy.settings import from_environment

if TYPE_CHECKING:
    from keeprate.producers.collector.keys import Key, Keys

keys = typer.Typer(name="keys", no_args_is_help=True, help="Make, list and revoke the collector's API keys.")

DataDir = Annotated[Path | None, typer.Option(help="[default: KEEPRATE_DATA_DIR]")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON value, for machines")]


@keys.command()
def create(
    app: Annotated[str, typer.Argument(help="the app whose events the key may send")],
    label: Annotated[str, typer.Option(help="who or what uses it")] = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a key for one app. It is shown now and never again: only its hash is kept."""
    from pydantic import TypeAdapter, ValidationError

    from keeprate.schemas.kinds import AppName

    try:
        TypeAdapter(AppName).validate_python(app)
    except ValidationError:
        raise SystemExit(f"keeprate keys: APP: {app!r} has other characters than letters, digits, . _ -") from None
    key, text = _keys(data_dir).create(app, label)
    if as_json:
        typer.echo(json.dumps({**_public(key), "key": text}))
    else:
        typer.echo(text)
        typer.echo(f"The key {key.id} sends events of {app}. Keep it: it is not shown again.", err=True)


@keys.command("list")
def list_(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show every key ever made, without the keys themselves."""
    found = _keys(data_dir).list()
    if as_json:
        typer.echo(json.dumps([_public(key) for key in found]))
        return
    if not found:
        typer.echo("No keys yet. Make one: keeprate keys create APP", err=True)
    for key in found:
        state = f"revoked {key.revoked_at}" if key.revoked_at else "valid"
        typer.echo(f"{key.id}  {key.app:<24} {state:<34} made {key.created_at}  {key.label}")


@keys.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="as `keeprate keys list` shows it")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Refuse a key from now on. A running collector follows within a second."""
    from keeprate.producers.collector.keys import UnknownKeyError

    try:
        key = _keys(data_dir).revoke(key_id)
    except UnknownKeyError as error:
        raise SystemExit(f"keeprate keys: {error}; see `keeprate keys list`") from None
    typer.echo(json.dumps(_public(key)) if as_json else f"{key.id} of {key.app} is revoked")


def _keys(data_dir: Path | None) -> "Keys":
    from keeprate.producers.collector.keys import FILE_NAME, Keys

    return Keys((data_dir or from_environment().data_dir) / FILE_NAME)


def _public(key: "Key") -> dict[str, Any]:
    return {name: value for name, value in asdict(key).items() if name != "hash"}
