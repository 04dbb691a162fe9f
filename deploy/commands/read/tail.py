"""`keeprate tail`: what arrives, as it arrives, and what becomes of it."""

import contextlib
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from keeprate.deploy.commands.read.asking import refuse
from keeprate.deploy.settings import from_environment
from keeprate.deploy.terminal import printable

if TYPE_CHECKING:
    from keeprate.deploy.tailing import Arrival
    from keeprate.sinks.kafka.client import Consumer

_WIDTH = 80
_POLL_S = 0.2


def tail(
    app: Annotated[list[str] | None, typer.Option(help="Only this app. Repeatable.")] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--type", help="Only this type, as generation, action or vote. Repeatable.")
    ] = None,
    generation: Annotated[str, typer.Option(help="Only what is said of this generation_id.")] = "",
    user: Annotated[str, typer.Option(help="Only of this user, as the hash that events carry.")] = "",
    last: Annotated[int, typer.Option(help="Begin so many records before the end of each partition.", min=0)] = 0,
    patience: Annotated[float, typer.Option(help="Seconds to wait for what becomes of an event.", min=0)] = 3.0,
    seconds: Annotated[float, typer.Option("--for", help="End after so many seconds; 0: with Ctrl-C.", min=0)] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object for each event, whole.")] = False,
    brokers: Annotated[str, typer.Option(help="Bootstrap servers; default: KEEPRATE_BROKERS.")] = "",
) -> None:
    """Show events as they arrive in Kafka, live, each with what became of it.

    joined: the worker has its suggestion with its generation. orphan: it has no generation of it yet. refused: by the
    worker or the sink, and why. waiting: nobody said anything of it in time; is keeprate worker running? What the
    collector refuses never arrives: it tells its client why. One suggestion's whole way: keeprate trace ID.

    keeprate tail --app docs-assistant

    keeprate tail --type vote --type flag --json
    """
    from keeprate.deploy.tailing import Tail
    from keeprate.sinks.kafka.errors import BrokerError

    def wanted(event: Mapping[str, Any]) -> bool:
        return (
            (not app or event.get("app") in app)
            and (not kind or event.get("type") in kind)
            and (not generation or str(event.get("generation_id")).lower() == generation.lower())
            and (not user or event.get("user") == user)
        )

    where = brokers or from_environment().brokers
    try:
        with contextlib.suppress(KeyboardInterrupt), contextlib.closing(_opened(where, last)) as consumer:
            _follow(consumer, Tail(wanted, patience), seconds, as_json)
    except BrokerError as error:
        refuse("tail", f"{error}\nIs Kafka up, and --brokers or KEEPRATE_BROKERS right? It is {where}", 1)


def _opened(brokers: str, last: int) -> "Consumer":
    """A reader of every partition, in no group, from its end on or so many records before."""
    from keeprate.deploy.tailing import TOPICS
    from keeprate.sinks.kafka.client import Consumer

    consumer = Consumer(brokers, "keeprate-tail", {"client.id": "keeprate-tail", "log_level": 0})
    starts = {}
    for at in consumer.partitions(TOPICS):
        low, high = consumer.watermarks(at)
        starts[at] = max(low, high - last)
    if not starts:
        consumer.close()
        refuse("tail", f"{brokers} has none of the topics; keeprate topics create makes them", 1)
    consumer.assign_all(starts)
    return consumer


def _follow(consumer: "Consumer", watch: Any, seconds: float, as_json: bool) -> None:
    if not as_json:
        typer.echo("time     fate    generation                           app, event", err=True)
    end_at_s = time.monotonic() + seconds if seconds else float("inf")
    while (now_s := time.monotonic()) < end_at_s:
        records, _ = consumer.poll(500, min(_POLL_S, end_at_s - now_s))
        for record in records:
            watch.take(record, time.monotonic())
        for arrival in watch.ready(time.monotonic()):
            _show(arrival, as_json)


def _show(arrival: "Arrival", as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(arrival.as_json()))
        return
    at = datetime.fromtimestamp(arrival.recorded_ms / 1000, UTC).astimezone().strftime("%H:%M:%S")
    app, generation_id = str(arrival.event.get("app") or "no app"), str(arrival.event.get("generation_id") or "")
    typer.echo(_line(f"{at} {arrival.fate:7} {generation_id:36} {app[:14]} {arrival.what}"))
    if arrival.why:
        typer.echo(_line(f"{'':9}{arrival.why}"))


def _line(text: str) -> str:
    line = printable(" ".join(text.split("\n")))
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"
