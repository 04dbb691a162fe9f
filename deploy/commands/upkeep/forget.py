"""`keeprate forget`: take a person's content out of the store, and keep it out."""

import json
import os
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from keeprate.deploy.settings import from_environment
from keeprate.deploy.terminal import json_array

if TYPE_CHECKING:
    from keeprate.sinks.erasure.forget import Person, Receipt
    from keeprate.sinks.store.clickhouse import Client

_HASH: Final = re.compile(r"[0-9a-fA-F]{16,64}")
_WIDTH: Final = 80
_NOT_FOUND: Final = "nothing of this user was found."
_NO_HASH: Final = (
    "Events hold hashes of users, and this is none: give what client.user_hash(...) says, or the app's user_salt "
    "(--salt, KEEPRATE_USER_SALT), or --app where the app has none, because its name is the salt then."
)
_USAGE: Final = "give --user, as it stands in the events, or --list to see what was done"


def forget(
    user: Annotated[
        str, typer.Option(help="The user, as events name them: the SDK's hash; or, with the salt, as the app does.")
    ] = "",
    app: Annotated[str, typer.Option(help="Only in this app; default: in every one.")] = "",
    salt: Annotated[
        str, typer.Option(help="The app's user_salt, to hash --user as the SDK does; KEEPRATE_USER_SALT.")
    ] = "",
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
    from keeprate.sinks.erasure import forget as forgetting
    from keeprate.sinks.store.clickhouse import StoreError, connect
    from keeprate.sinks.tables.placing import servers

    if bool(user) == listed:
        _refuse(_USAGE, 2)
    said, patience_s = from_environment(store=store), forgetting.REWRITE_TIMEOUT_S
    try:
        with connect(said.store_url, answer_timeout_s=patience_s) as client:
            if listed:
                _show(forgetting.receipts(client), as_json)
                return
            with servers(client, said.topology, patience_s) as holding:
                person, rows = _find(client, _names(user, app, salt), app)
                is_unknown = not person.pseudonym and not any(rows.values())
                is_name = is_unknown and not _is_hash(user) and not _salt(app, salt)
                if is_name and (yes or not as_json):
                    _refuse(f"{_NOT_FOUND} {_NO_HASH} Nothing was changed.", 1)
                if not yes:
                    _say_plan(rows, bool(person.pseudonym), as_json)
                else:
                    receipt = forgetting.forget(client, person, _version(), settle_s, servers=holding)
                    _say_done(receipt, as_json)
    except (StoreError, ValueError) as error:
        _refuse(f"{error}\nIs the store up and migrated? Once it is, the same command does what is left", 1)
    if is_unknown:
        _refuse(f"{_NOT_FOUND} {_NO_HASH}" if is_name else _NOT_FOUND, 1)


def _is_hash(user: str) -> bool:
    return bool(_HASH.fullmatch(user))


def _salt(app: str, salt: str) -> str:
    """What the SDK salts with, as far as it is known here."""
    return salt or os.environ.get("KEEPRATE_USER_SALT") or app


def _names(user: str, app: str, salt: str) -> list[str]:
    """How events may name the user: as given, as the SDK writes a hash, and by the hash that the SDK makes."""
    from keeprate.producers.sdk.content import ContentPolicy

    names = [user]
    if _is_hash(user):
        names.append(user.lower())
    elif salted := _salt(app, salt):
        names.insert(0, ContentPolicy("full", salted.encode()).user_hash(user))
    return list(dict.fromkeys(names))


def _find(client: "Client", names: Sequence[str], app: str) -> "tuple[Person, Mapping[str, int]]":
    """The first of the names of which there is something, else the first; with how many rows hold something."""
    from keeprate.sinks.erasure import forget as forgetting

    looked = []
    for name in names:
        person = forgetting.find(client, name, app)
        looked.append((person, forgetting.count(client, person)))
        if person.pseudonym or any(looked[-1][1].values()):
            return looked[-1]
    return looked[0]


def _refuse(sentence: str, code: int) -> None:
    _say(f"keeprate forget: {sentence}", err=True)
    raise typer.Exit(code)


def _say(text: str, indent: str = "", err: bool = False) -> None:
    """Lines of at most 80 columns; what is told in lines of its own stays so."""
    for line in text.splitlines():
        wrapped = textwrap.wrap(line, _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
        typer.echo("\n".join(wrapped), err=err)


def _version() -> str:
    from importlib.metadata import version

    return version("keeprate")


def _say_plan(rows: Mapping[str, int], is_known: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(
            json.dumps({"dry_run": True, "forgotten_before": is_known, "rows": rows, "kafka_days": _kafka_days()})
        )
        return
    _say(f"rows with something of the person: {_listed(rows)}")
    if not any(rows.values()):
        _say("they were forgotten before" if is_known else "none; with --yes what still comes is kept out as well")
    else:
        _say("content would go, and counts would stay under a pseudonym; add --yes to do it")
    _say_kafka()


def _say_done(receipt: "Receipt | None", as_json: bool) -> None:
    if as_json:
        said = _plain(receipt) if receipt else None
        typer.echo(json.dumps({"dry_run": False, "receipt": said, "kafka_days": _kafka_days()}))
        return
    if receipt is None:
        _say("nothing left to do: they were forgotten before, see keeprate forget --list")
    else:
        typer.echo(f"forgotten; receipt {receipt.receipt_id}")
        _say(f"rows rewritten: {_listed(receipt.rows)}")
    _say_kafka()


def _show(receipts: "list[Receipt]", as_json: bool) -> None:
    if as_json:
        for line in json_array(map(_plain, receipts)):
            typer.echo(line)
        return
    for receipt in receipts:
        where = receipt.app or "every app"
        typer.echo(f"{receipt.forgotten_at:%Y-%m-%d %H:%M:%S}  receipt {receipt.receipt_id}")
        _say(f"user sha256:{receipt.person[:16]}…, {where}, keeprate {receipt.version}", indent="    ")
        _say(f"rows rewritten: {_listed(receipt.rows)}", indent="    ")
    if not receipts:
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
    _say(f"Kafka still holds what was written to it, for: {held}. docs/upkeep.md says what to do sooner.")
