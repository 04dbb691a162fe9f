"""`keeprate reconcile`: what each producer emitted, and where it ended."""

import json
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from keeprate.deploy.settings import from_environment
from keeprate.deploy.terminal import printable

if TYPE_CHECKING:
    from keeprate.sinks.checks.reconcile import Balance, Producer
    from keeprate.sinks.store.clickhouse import Client

_WIDTH: Final = 80
_ALWAYS: Final = ("emitted", "landed", "unexplained")


def reconcile(
    app: Annotated[list[str] | None, typer.Option(help="Only producers of this app. Repeatable.")] = None,
    producer: Annotated[list[str] | None, typer.Option(help="Only this producer_id. Repeatable.")] = None,
    stats: Annotated[
        str, typer.Option(help="A file with the clients' own accounts as JSON; - for standard input.")
    ] = "",
    active_min: Annotated[float, typer.Option(help="A producer is active while its newest event is so young.")] = 15,
    ranges: Annotated[int, typer.Option(help="How many gaps to list for each producer.", min=0)] = 20,
    every: Annotated[bool, typer.Option("--all", help="Show also the producers whose account adds up.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    store: Annotated[str, typer.Option(help="The store's URL; default: KEEPRATE_STORE_URL.")] = "",
    brokers: Annotated[str, typer.Option(help="Kafka, which has what was sent twice; KEEPRATE_BROKERS.")] = "",
    offline: Annotated[
        bool, typer.Option("--offline", help="Do not ask Kafka: what was sent twice looks lost once.")
    ] = False,
) -> None:
    """Follow what each producer of an app emitted: emitted = landed + merged + dead-lettered + dropped + waiting.

    The SDK numbers events, so a gap is an event that did not arrive, or one that was sent again under another number
    and merged: Kafka is asked for those. With the clients' own accounts (--stats), what
    they dropped or still hold is told from what was lost; docs/upkeep.md shows how to write them. Exits with 1 when
    something of a producer that is no longer active is left over.

    keeprate reconcile --app editor --stats stats.json
    """
    from keeprate.sinks.checks import reconcile as accounts
    from keeprate.sinks.store.clickhouse import StoreError, connect

    try:
        given = read_stats(_text(stats)) if stats else {}
        with connect(from_environment(store=store).reader_url, answer_timeout_s=600) as client:
            merged = accounts.unmerged_numbers(client)
            if not offline:
                for name, numbers in _merged(client, from_environment(brokers).brokers).items():
                    merged.setdefault(name, set()).update(numbers)
            seen = accounts.producers(client, app or [], producer or [], ranges, merged)
            without = accounts.unnumbered(client)
        chosen = {name: one for name, one in given.items() if not producer or name[1] in producer}
        found = accounts.balance(seen, chosen, datetime.now(UTC), timedelta(minutes=active_min))
    except OSError as error:
        _refuse(f"--stats {stats}: {error.strerror}", 1)
    except StoreError as error:
        _refuse(f"{error}\nIs the store up, and --store or KEEPRATE_STORE_URL right?", 1)
    except ValueError as error:
        _refuse(str(error), 2)
    typer.echo(_as_json(found, without) if as_json else printable(_as_text(found, without, every)))
    if not all(one.is_sound for one in found):
        raise typer.Exit(1)


def _merged(client: "Client", brokers: str) -> "dict[Producer, set[int]]":
    """The numbers that merged into other rows, of what Kafka still has."""
    from keeprate.sinks.checks.accounting import rowless
    from keeprate.sinks.checks.reconcile import merged_numbers
    from keeprate.sinks.kafka.errors import BrokerError
    from keeprate.sinks.kafka.reader import Reader

    offsets = rowless(client)
    if not offsets:
        return {}
    reader = Reader(brokers)
    try:
        return merged_numbers(client, reader, offsets)
    except BrokerError as error:
        typer.echo(f"Kafka cannot be asked, so what was sent twice looks lost once: {error}", err=True)
        return {}
    finally:
        reader.close()


def read_stats(text: str) -> "dict[Producer, Mapping[str, Any]]":
    """Accounts by app ('' where it is not said) and producer_id: of one object, a list, a line for each, or an object
    by producer_id.

    Raises ValueError that says what is expected.
    """
    try:
        loaded = json.loads(text)
    except ValueError:
        try:
            loaded = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError as error:
            raise ValueError(f"--stats: {error}; write JSON, or a line of JSON for each client") from None
    if isinstance(loaded, dict) and "accepted" not in loaded:
        loaded = [{"producer_id": name, **one} for name, one in loaded.items() if isinstance(one, dict)]
    every = loaded if isinstance(loaded, list) else [loaded]
    if not all(isinstance(one, dict) and {"producer_id", "accepted"} <= one.keys() for one in every):
        raise ValueError(
            '--stats: write {"app": client.app, "producer_id": client.producer_id, '
            "**asdict(client.stats())} of each client"
        )
    # A client may have written its accounts several times: they only grow.
    ordered = sorted(every, key=lambda one: int(one["accepted"]))
    return {(str(one.get("app", "")), str(one["producer_id"])): one for one in ordered}


def _refuse(sentence: str, code: int) -> None:
    typer.echo(f"keeprate reconcile: {sentence}", err=True)
    raise typer.Exit(code)


def _text(path: str) -> str:
    return sys.stdin.read() if path == "-" else Path(path).read_text("utf-8")


def _as_json(found: "list[Balance]", without: int) -> str:
    producers = [
        {
            **asdict(one.seen),
            "missing": one.seen.missing,
            "state": "active" if one.is_active else "closed",
            "emitted": one.emitted,
            "dropped": dict(one.dropped),
            "waiting": one.waiting,
            "unexplained": one.unexplained,
            "has_stats": one.has_stats,
            "is_exact": one.is_exact,
        }
        for one in found
    ]
    return json.dumps({"producers": producers, "totals": _totals(found), "events_without_number": without}, default=str)


def _totals(found: "list[Balance]") -> dict[str, int]:
    return {
        "emitted": sum(one.emitted for one in found),
        "landed": sum(one.seen.landed for one in found),
        "merged": sum(one.seen.merged for one in found),
        "dead_lettered": sum(one.seen.dead_lettered for one in found),
        "dropped": sum(sum(one.dropped.values()) for one in found),
        "waiting": sum(one.waiting for one in found),
        "unexplained": sum(one.unexplained for one in found),
        "collisions": sum(one.seen.collisions for one in found),
        "copies": sum(one.seen.copies for one in found),
    }


def _as_text(found: "list[Balance]", without: int, every: bool) -> str:
    lines = []
    for one in found:
        if every or one.unexplained or one.seen.collisions or one.seen.missing:
            lines += _described(one)
    active = sum(one.is_active for one in found)
    lines.append(f"{len(found)} producers, {active} of them active")
    totals = {name: number for name, number in _totals(found).items() if number or name in _ALWAYS}
    lines += _wrapped("", ", ".join(f"{name.replace('_', '-')} {number}" for name, number in totals.items()))
    if any(not one.has_stats and one.unexplained for one in found):
        lines.append("unexplained without --stats: dropped by the client, waiting on its disk, or lost")
    if without:
        lines += _wrapped("", f"{without} events have no number, so nothing is said of them: they came without the SDK")
    return "\n".join(lines)


def _wrapped(indent: str, text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent)


def _described(one: "Balance") -> list[str]:
    seen, state = one.seen, "active" if one.is_active else "closed"
    never = seen.highest < seen.lowest
    when = "nothing arrived" if never else f"{state}, newest {seen.newest_at:%Y-%m-%d %H:%M:%S}"
    said = f"emitted {one.emitted} = landed {seen.landed}{f' + merged {seen.merged}' if seen.merged else ''}"
    said += f" + dead-lettered {seen.dead_lettered}"
    if one.has_stats:
        drops = ", ".join(f"{reason} {number}" for reason, number in sorted(one.dropped.items()))
        said += f" + dropped {sum(one.dropped.values())}{f' ({drops})' if drops else ''} + waiting {one.waiting}"
    lines = [f"{seen.producer_id} {seen.app or 'of no app'}", f"    {when}"]
    lines += _wrapped("    ", f"{said} + unexplained {one.unexplained}")
    if seen.gaps:
        listed = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in seen.gaps)
        missing = f"{seen.missing} numbers did not arrive: {listed}{', …' if _is_cut(one) else ''}"
        lines += _wrapped("    ", missing)
    if seen.collisions or seen.copies:
        lines.append(f"    {seen.collisions} events share a number, {seen.copies} rows are copies not merged yet")
    if not one.is_exact:
        lines.append("    it took over events of a former process, so its own drops are known only roughly")
    return lines


def _is_cut(one: "Balance") -> bool:
    return sum(last - first + 1 for first, last in one.seen.gaps) < one.seen.missing
