"""`keeprate forget`: take a person's content out of the store, and keep it out."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from keeprate.deploy.settings import from_environment

if TYPE_CHECKING:
    from keeprate.sinks.forget import Receipt

# Rewriting a table reads all of it.
_ANSWER_TIMEOUT_S: Final = 6 * 3600
_USAGE: Final = "give --user, as it stands in the events, or --list to see what was done"


def forget(
    user: Annotated[str, typer.Option(help="The user, as events name them: the SDK's hash.")] = "",
    app: Annotated[str, typer.Option(help="Only in this app; default: in every one.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without it nothing is changed.")] = False,
    listed: Annotated[
        bool, typer.Option("--list", help="Show the receipts of what was done, the newest first.")
    ] = False,
    settle_s: Annotated[float, typer.Option(help="How long to wait until every sink knows.", min=0)] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    store: Annotated[str, typer.Option(help="The store's URL; default: KEEPRATE_STORE_URL.")] = "",
) -> None:
    """Take a person's content out of every table, and out of what the sink lands from now on.

    Says how many rows hold something of the person; with --yes it rewrites them and stores a receipt. What is counted
    stays, under a pseudonym. Doing it again is safe. docs/upkeep.md says what goes, what stays, and what Kafka holds.

    keeprate forget --user 9f86d081884c7d65 --yes
    """
    from keeprate.sinks import forget as forgetting
    from keeprate.sinks.clickhouse import StoreError, connect

    if bool(user) == listed:
        _refuse(_USAGE, 2)
    try:
        with connect(store or from_environment().store_url, answer_timeout_s=_ANSWER_TIMEOUT_S) as client:
            if listed:
                _show(forgetting.receipts(client), as_json)
                return
            person = forgetting.find(client, user, app)
            if not yes:
                _say_plan(forgetting.count(client, person), bool(person.pseudonym), as_json)
                return
            receipt = forgetting.forget(client, person, _version(), settle_s)
    except (StoreError, ValueError) as error:
        _refuse(f"{error}\nIs the store up and migrated? Once it is, the same command does what is left", 1)
    _say_done(receipt, as_json)


def _refuse(sentence: str, code: int) -> None:
    typer.echo(f"keeprate forget: {sentence}", err=True)
    raise typer.Exit(code)


def _version() -> str:
    from importlib.metadata import version

    return version("keeprate")


def _say_plan(rows: Mapping[str, int], is_known: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(
            json.dumps({"dry_run": True, "forgotten_before": is_known, "rows": rows, "kafka_days": _kafka_days()})
        )
        return
    typer.echo(f"rows with something of the person: {_listed(rows)}")
    if not any(rows.values()):
        typer.echo(
            "they were forgotten before" if is_known else "none; with --yes what still comes is kept out as well"
        )
    else:
        typer.echo("content would go, and counts would stay under a pseudonym; add --yes to do it")
    _say_kafka()


def _say_done(receipt: "Receipt | None", as_json: bool) -> None:
    if as_json:
        said = _plain(receipt) if receipt else None
        typer.echo(json.dumps({"dry_run": False, "receipt": said, "kafka_days": _kafka_days()}))
        return
    if receipt is None:
        typer.echo("nothing left to do: they were forgotten before, see keeprate forget --list")
    else:
        typer.echo(f"forgotten; receipt {receipt.receipt_id}")
        typer.echo(f"rows rewritten: {_listed(receipt.rows)}")
    _say_kafka()


def _show(receipts: "list[Receipt]", as_json: bool) -> None:
    for receipt in receipts:
        if as_json:
            typer.echo(json.dumps(_plain(receipt)))
        else:
            where = receipt.app or "every app"
            typer.echo(
                f"{receipt.forgotten_at:%Y-%m-%d %H:%M:%S}  {receipt.receipt_id}  user sha256:{receipt.person[:16]}…  "
                f"{where}: {_listed(receipt.rows)}  (keeprate {receipt.version})"
            )
    if not receipts and not as_json:
        typer.echo("nobody was forgotten")


def _plain(receipt: "Receipt") -> dict[str, Any]:
    return asdict(receipt) | {"forgotten_at": receipt.forgotten_at.isoformat()}


def _listed(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{table} {number}" for table, number in rows.items())


def _kafka_days() -> dict[str, int]:
    """For how many days each topic holds what was written to it, unless its settings were changed."""
    from keeprate.schemas.topics import DAY_MS, DEAD_LETTERS, OUTCOMES, SOURCES

    return {topic.name: int(topic.config["retention.ms"]) // DAY_MS for topic in (*SOURCES, OUTCOMES, DEAD_LETTERS)}


def _say_kafka() -> None:
    held = ", ".join(f"{topic} {days} days" for topic, days in _kafka_days().items())
    typer.echo(f"Kafka still holds what was written to it, for: {held}. docs/upkeep.md says what to do sooner.")
