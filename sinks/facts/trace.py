"""One suggestion's way, from its producer's numbers to its row: facts, dead letters, merged outcome, what is derived.

Every function takes a client and plain values, and writes nothing.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from keeprate.sinks.reading.hours import FINAL
from keeprate.sinks.store.clickhouse import Client

_COLUMNS: Final = "event, topic, partition, offset, recorded_at, stored_at"
_FACTS: Final = " UNION ALL ".join(
    f"SELECT {_COLUMNS} FROM {table} WHERE toUInt128({{column}}) = toUInt128(toUUID({{{{id:String}}}}))"
    for table in ("generations", "feedback")
)
_OF_ONE: Final = (
    "FROM {0} FINAL WHERE app = {{app:String}} AND toUInt128(generation_id) = toUInt128(toUUID({{id:String}}))"
)


@dataclass(frozen=True)
class Trace:
    """All that the store has of one generation of an app.

    facts: its events with where Kafka had them and when they landed, by the client's clock; one that came twice is
    there twice. dead_letters: refused records that name it. outcomes: of each choice, what was merged, by field.
    suggestions: of each choice, the derived row.
    """

    app: str
    generation_id: str
    facts: list[dict[str, Any]]
    dead_letters: list[dict[str, Any]]
    outcomes: list[dict[str, Any]]
    suggestions: list[dict[str, Any]]


def find(client: Client, identity: str) -> list[Trace]:
    """The traces of a generation_id, or of the generation that an event_id speaks of: one for each app that has it."""
    facts = _facts(client, "generation_id", identity)
    if not facts and (events := _facts(client, "event_id", identity)):
        identity = str(events[0]["event"]["generation_id"])
        facts = _facts(client, "generation_id", identity)
    letters = _dead_letters(client, identity)
    apps = {str(each["event"]["app"]) for each in facts} | {str(each["app"]) for each in letters}
    return [_trace(client, app, identity, facts, letters) for app in sorted(apps)]


def _trace(client: Client, app: str, identity: str, facts: list[Any], letters: list[Any]) -> Trace:
    outcomes, suggestions = (
        client.query_dicts(
            f"SELECT * {_OF_ONE.format(table)} ORDER BY choice_index", {"app": app, "id": identity}, settings=FINAL
        )
        for table in ("outcomes", "suggestions")
    )
    of_app = [each for each in facts if each["event"]["app"] == app]
    return Trace(app, identity, of_app, [each for each in letters if each["app"] == app], outcomes, suggestions)


def _facts(client: Client, column: str, identity: str) -> list[dict[str, Any]]:
    rows = client.query_dicts(_FACTS.format(column=column), {"id": identity})
    found = [{**row, "event": json.loads(row["event"])} for row in rows]
    return sorted(found, key=_when)


def _when(fact: Mapping[str, Any]) -> tuple[Any, ...]:
    event = fact["event"]
    return event["occurred_at"], event["type"] != "generation", event["event_id"], fact["offset"]


def _dead_letters(client: Client, identity: str) -> list[dict[str, Any]]:
    query = (
        "SELECT topic, partition, offset, toString(app) AS app, stage, error_type, field, reason, refused_at "
        "FROM dead_letters FINAL WHERE lower(ifNull(key, '')) = {id:String} "
        "OR positionCaseInsensitive(ifNull(value, ''), {id:String}) > 0 "
        "ORDER BY refused_at, topic, partition, offset, stage"
    )
    return client.query_dicts(query, {"id": identity})
