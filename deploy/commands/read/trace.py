"""`keeprate trace`: one suggestion's whole way, from the producer's numbers to its row."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from keeprate.deploy.commands.read.asking import opened, refuse
from keeprate.deploy.terminal import printable

if TYPE_CHECKING:
    from keeprate.sinks.facts.trace import Trace

_WIDTH = 80


def trace(
    identity: Annotated[str, typer.Argument(metavar="ID", help="A generation_id, or the event_id of any event.")],
    app: Annotated[str, typer.Option(help="Only of this app, where several use the id.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as one JSON object for each app.")] = False,
    store: Annotated[str, typer.Option(help="The store's URL; default: KEEPRATE_STORE_URL.")] = "",
) -> None:
    """Follow one suggestion: its events with producer, number, offset and landing, what was refused, and what became.

    A producer's numbers have no gap, so a missing one is an event that did not arrive (keeprate reconcile). What has
    not landed yet is in Kafka: keeprate tail shows it.

    keeprate trace 0197c0de-0000-7000-8000-000000000001
    """
    from keeprate.sinks.facts.trace import find

    try:
        identity = str(UUID(identity))
    except ValueError:
        refuse("trace", f"{identity!r} is no UUID, such as 0197c0de-0000-7000-8000-000000000001", 2)
    with opened("trace", store) as client:
        found = [each for each in find(client, identity) if not app or each.app == app]
    if not found:
        refuse("trace", f"nothing has landed of {identity}{f' of {app}' if app else ''}; see keeprate tail", 1)
    for each in found:
        if as_json:
            typer.echo(json.dumps({**asdict(each), "fate": fates(each)}, default=_plain))
        else:
            for line in _lines(each):
                typer.echo(_line(line))


def fates(found: "Trace") -> dict[str, str]:
    """What became of each choice, in words."""
    return {str(row["choice_index"]): _fate(row) for row in found.suggestions}


def _lines(found: "Trace") -> Iterator[str]:
    yield f"generation {found.generation_id} of {found.app}"
    yield f"\nevents: {len(found.facts)}"
    for fact in found.facts:
        event = fact["event"]
        at = datetime.fromtimestamp(event["occurred_at"] / 1000, UTC)
        number = f"  number {event['producer_seq']} of {event['producer_id']}" if "producer_seq" in event else ""
        took_s = (fact["stored_at"] - fact["recorded_at"]).total_seconds()
        yield f"  {at:%Y-%m-%d %H:%M:%S.%f}"[:-3] + f"  {_said(event)}"
        yield f"      {fact['topic']}/{fact['partition']}/{fact['offset']}, landed {took_s:.1f} s after{number and ','}"
        if number:
            yield f"    {number}"
    yield f"\ndead letters: {len(found.dead_letters)}"
    for letter in found.dead_letters:
        where = f"{letter['topic']}/{letter['partition']}/{letter['offset']}"
        yield f"  {where}  refused by the {letter['stage']}: {letter['error_type']} {letter['field']}"
        yield f"      {letter['reason']}"
    yield f"\noutcomes: {len(found.outcomes) or 'none: has the worker seen it? keeprate verify compares'}"
    for row in found.suggestions:
        yield f"  choice {row['choice_index']}: {_fate(row)}"


def _said(event: Mapping[str, Any]) -> str:
    named = event.get("action") or event.get("label") or event.get("name") or event.get("model") or ""
    value = event.get("value", event.get("score", event.get("status", event.get("horizon_s", ""))))
    return " ".join(str(part) for part in (event["type"], named, value) if part != "")


def _fate(row: Mapping[str, Any]) -> str:
    if row["orphan"]:
        return "orphan: no generation of it has arrived"
    steps = [name for name in ("shown", "accepted", "undone", "corrected") if row[name]]
    checks = zip(row["checks.horizon_s"], row["checks.state"], strict=True)
    kept = [f"after {horizon} s {state}" for horizon, state in checks]
    votes = [f"{row[f'votes_{sign}']} {sign} votes" for sign in ("positive", "negative") if row[f"votes_{sign}"]]
    flags = [f"flagged {label}" for label in row["flag_labels"]]
    return "joined: " + ", ".join([*(steps or [row["end_reason"] or "not shown"]), *kept, *votes, *flags])


def _line(text: str) -> str:
    line = printable(text)
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"


def _plain(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
