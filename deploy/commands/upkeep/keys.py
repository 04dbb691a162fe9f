"""`keeprate keys`: the API keys of the collector."""

import json
import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from keeprate.deploy.settings import from_environment

if TYPE_CHECKING:
    from keeprate.producers.collector.gate.keys import Key, Keys

keys = typer.Typer(name="keys", no_args_is_help=True, help="Make, list and revoke the collector's API keys.")

DataDir = Annotated[Path | None, typer.Option(help="[default: KEEPRATE_DATA_DIR]")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON value, for machines")]
Limit = Annotated[int | None, typer.Option(min=1, help="of this key, in each process of the collector")]

_SPANS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_ORIGIN: Final = re.compile(r"https?://(\[[0-9a-f:]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?")
_WIDTH: Final = 80


@keys.command()
def create(
    app: Annotated[str, typer.Argument(help="the app whose events the key may send")],
    label: Annotated[str, typer.Option(help="who or what uses it")] = "",
    scope: Annotated[
        Literal["all", "feedback"],
        typer.Option(help="feedback: only what users do with outputs, for pages"),
    ] = "all",
    origin: Annotated[
        list[str] | None,
        typer.Option(help="of a page that may use it, https://shop.example; may repeat; * for any"),
    ] = None,
    expires: Annotated[str | None, typer.Option(help="after 90d, 12h or 30m, or at a date such as 2027-12-31")] = None,
    events_per_minute: Limit = None,
    events_per_day: Limit = None,
    bytes_per_day: Limit = None,
    events_per_address: Annotated[
        int | None, typer.Option(min=1, help="a minute and client's address [default of scope feedback: 600]")
    ] = None,
    users_per_address: Annotated[
        int | None, typer.Option(min=1, help="an hour and client's address [default of scope feedback: 50]")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a key for one app. It is shown now and never again: only its hash is kept.

    For a page: keeprate keys create shop --scope feedback --origin https://shop.example --expires 90d
    """
    from pydantic import TypeAdapter, ValidationError

    from keeprate.producers.collector.gate.keys import PUBLISHED, Quotas
    from keeprate.schemas.kinds import AppName

    try:
        TypeAdapter(AppName).validate_python(app)
    except ValidationError:
        raise SystemExit(f"keeprate keys: APP: {app!r} has other characters than letters, digits, . _ -") from None
    published = PUBLISHED if scope == "feedback" else Quotas()
    key, text = _keys(data_dir).create(
        app,
        label,
        scope=scope,
        origins=tuple(_checked_origin(each) for each in origin or ()),
        expires_at=_moment(expires) if expires else None,
        quotas=Quotas(
            events_per_minute,
            events_per_day,
            bytes_per_day,
            events_per_address or published.events_per_address,
            users_per_address or published.users_per_address,
        ),
    )
    if as_json:
        typer.echo(json.dumps({**_public(key), "key": text}))
    else:
        typer.echo(text)
        typer.echo(f"The key {key.id} sends {_may(key)} of {app}. Keep it: it is not shown again.", err=True)


@keys.command("list")
def list_(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show every key ever made, without the keys themselves."""
    found = _keys(data_dir).list()
    if as_json:
        typer.echo(json.dumps([_public(key) for key in found]))
        return
    if not found:
        typer.echo("No keys yet. Make one: keeprate keys create APP", err=True)
    now = datetime.now(UTC)
    for key in found:
        for line in _lines(key, now):
            typer.echo(line)


@keys.command()
def revoke(
    key_id: Annotated[str, typer.Argument(help="as `keeprate keys list` shows it")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Refuse a key from now on. A running collector follows within a second."""
    from keeprate.producers.collector.gate.keys import UnknownKeyError

    try:
        key = _keys(data_dir).revoke(key_id)
    except UnknownKeyError as error:
        raise SystemExit(f"keeprate keys: {error}; see `keeprate keys list`") from None
    typer.echo(json.dumps(_public(key)) if as_json else f"{key.id} of {key.app} is revoked")


def _keys(data_dir: Path | None) -> "Keys":
    from keeprate.producers.collector.gate.keys import FILE_NAME, Keys
    from keeprate.producers.errors import SettingsError

    found = Keys((data_dir or from_environment().data_dir) / FILE_NAME)
    try:
        found.list()
    except SettingsError as error:
        raise SystemExit(f"keeprate keys: {error.reason}") from None
    return found


def _public(key: "Key") -> dict[str, Any]:
    return {name: value for name, value in asdict(key).items() if name != "hash"}


def _checked_origin(text: str) -> str:
    """An origin as browsers send it: without a path, in lower case."""
    origin = text.lower().removesuffix("/")
    if origin != "*" and not _ORIGIN.fullmatch(origin):
        raise SystemExit(
            f"keeprate keys: --origin: {text!r} is none; give scheme and host, such as https://shop.example"
        )
    return origin


def _moment(text: str) -> datetime:
    """The end of a span from now, or the begin of a day in UTC."""
    span = re.fullmatch(r"([1-9][0-9]{0,4})([mhd])", text)
    if span:
        return datetime.now(UTC) + int(span[1]) * _SPANS[span[2]]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SystemExit(
            f"keeprate keys: --expires: {text!r} is no span such as 90d, 12h or 30m, and no date such as 2027-12-31"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment <= datetime.now(UTC):
        raise SystemExit(f"keeprate keys: --expires: {text} is in the past")
    return moment.astimezone(UTC)


def _may(key: "Key") -> str:
    return "what users do with outputs" if key.scope == "feedback" else "events"


def _lines(key: "Key", now: datetime) -> list[str]:
    """A key in lines of at most 80 columns: who and whether, and below it what it may."""
    since = key.refused_since(now)
    state = since.replace(" at ", " ").removeprefix("was ") if since else "valid"
    until = f" until {key.expires_at}" if key.expires_at and not since else ""
    about = [f"scope {key.scope}", *(f"pages of {origin}" for origin in key.origins)]
    about += [f"{most:,} {name.replace('_', ' ')}" for name, most in asdict(key.quotas).items() if most is not None]
    about += [f"made {key.created_at}", *([key.label] if key.label else [])]
    return [*_wrapped([f"{key.id}  {key.app}", f"{state}{until}"], "", "  "), *_wrapped(about, "          ", ", ")]


def _wrapped(parts: list[str], indent: str, between: str) -> list[str]:
    """Parts one after another, in as many lines as they need; a part that is too long by itself is cut."""
    lines = [""]
    for part in parts:
        joined = f"{lines[-1]}{between}{part}" if lines[-1] else f"{indent}{part}"
        if len(joined) <= _WIDTH or not lines[-1]:
            lines[-1] = joined
        else:
            lines.append(f"{'          '}{part}")
    return [line if len(line) <= _WIDTH else f"{line[: _WIDTH - 1]}…" for line in lines]
