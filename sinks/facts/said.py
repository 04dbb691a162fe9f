"""What was said of generations: the latest remarks of users, and all that happened to one generation. It reads content.

A text may have a megabyte, and whoever has a key that is published in a page may send as many as they like: so what is
read here is bounded in bytes as well as in rows, and texts are read of those rows alone that are shown.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from keeprate.sinks.facts.evidence import OF_APPS, SPAN, span
from keeprate.sinks.reading.hours import FINAL
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.store.clickhouse import Client

FEEDBACK_KINDS: Final = ("flag", "vote", "edit")
MOST_COMMENT: Final = 1_000
"""Characters of a remark's comment: its generation's story has all of it."""
MOST_STORY_BYTES: Final = 4 << 20
"""Of the events of one story: of its reports, and again of what was said."""
MOST_REPORTS: Final = 20
_WHERE_KEPT: Final = (
    f"{OF_APPS} AND (empty({{environments:Array(String)}}) OR environment IN {{environments:Array(String)}})"
)
_NEWEST: Final = "occurred_at DESC, event_id LIMIT 1 BY app, generation_id, event_id"
_LATEST: Final = "revision DESC, occurred_at DESC, event_id DESC"
"""Of reports of one generation: which holds comes first."""
_REMARK: Final[Mapping[str, str]] = {
    "app": "toString(app)",
    "event_id": "toString(event_id)",
    "generation_id": "toString(generation_id)",
    "choice_index": "choice_index",
    "occurred_at": "toUnixTimestamp64Milli(occurred_at)",
    **{name: f"toString({name})" for name in ("type", "label", "status", "severity", "valence")},
    **{name: name for name in ("value", "score", "distance", "original_length", "corrected_length")},
    **{name: f"JSONExtract(event, '{name}', 'Nullable(Float64)')" for name in ("scale_min", "scale_max")},
    "comment": "leftUTF8(comment, {most_comment:UInt32})",
}
"""The fields of a remark, each in SQL. Not the corrected text, nor what an app says in attributes of its own."""


@dataclass(frozen=True)
class Remark:
    """A flag, vote or edit, with the generation that it speaks of ('' where that has not arrived).

    event: fields of it as they were sent, without its texts but for the beginning of its comment.
    """

    event: dict[str, Any]
    prompt_name: str
    prompt_version: str
    model: str


def remarks(
    client: Client,
    since: datetime,
    until: datetime,
    kinds: Sequence[str] = FEEDBACK_KINDS,
    only: Mapping[str, Sequence[str]] | None = None,
    limit: int = 50,
) -> list[Remark]:
    """The latest flags, votes and edits of users that occurred in [since, until), the newest first.

    only: the values to keep, by dimension, as in a Scope. What feedback does not know itself, its suggestion does.
    """
    kept = dict(only or {})
    own = {name: list(kept.pop(name, ())) for name in ("app", "environment")}
    newest = (
        "SELECT app, toUInt128(generation_id), event_id FROM feedback "
        "WHERE type IN {kinds:Array(String)} AND origin != 'expert' "
        f"AND {SPAN.format('occurred_at')} AND {_WHERE_KEPT} "
        f"{_of_suggestions(Scope(since, until, until, only=kept)) if kept else ''}"
        f"ORDER BY {_NEWEST} LIMIT {{limit:UInt32}}"
    )
    query = (
        f"SELECT {', '.join(_REMARK.values())} FROM feedback "
        f"WHERE (app, toUInt128(generation_id), event_id) GLOBAL IN ({newest}) "
        f"ORDER BY {_NEWEST}"
    )
    parameters = {**span(since, until), "apps": own["app"], "environments": own["environment"]}
    parameters |= {f"only_{name}": list(values) for name, values in kept.items()}
    parameters |= {"kinds": list(kinds), "limit": limit, "most_comment": MOST_COMMENT}
    rows = client.query(query, parameters, FINAL)
    events = [_said(dict(zip(_REMARK, row, strict=True))) for row in rows]
    origins = _origins(client, sorted({event["generation_id"] for event in events}))
    return [Remark(event, *origins.get((event["app"], event["generation_id"]), ("", "", ""))) for event in events]


def _said(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that were sent: a column is empty or null for one that was not."""
    said = {name: value for name, value in fields.items() if value is not None and value != ""}
    return said | ({"value": int(said["value"])} if "value" in said else {})


def _of_suggestions(scope: Scope) -> str:
    """Of feedback whose suggestion the scope keeps, whenever that was generated."""
    kept = f"SELECT app, toUInt128(generation_id) FROM suggestions FINAL WHERE {' AND '.join(scope.keeps())}"
    return f"AND (app, toUInt128(generation_id)) GLOBAL IN ({kept}) "


def _origins(client: Client, generation_ids: list[str]) -> dict[tuple[str, str], tuple[str, str, str]]:
    if not generation_ids:
        return {}
    query = (
        "SELECT app, toString(generation_id), prompt_name, prompt_version, model FROM generations "
        "WHERE toUInt128(generation_id) IN (SELECT toUInt128(toUUID(arrayJoin({ids:Array(String)})))) "
        f"ORDER BY {_LATEST} LIMIT 1 BY app, generation_id"
    )
    rows = client.query(query, {"ids": generation_ids})
    return {(app, generation_id): (name, version, model) for app, generation_id, name, version, model in rows}


def story(client: Client, app: str, generation_id: str, limit: int = 500) -> tuple[list[dict[str, Any]], bool]:
    """The events of one generation as they were sent, in the order of its clock, and whether these are all of them.

    Its reports come first of equals, and the latest is always there, whatever else was said before it.
    """
    parameters = {"app": app, "generation_id": generation_id}
    reports, has_reports = _first(client, "generations", _LATEST, MOST_REPORTS, parameters)
    others, has_others = _first(client, "feedback", "occurred_at, event_id", limit, parameters)
    ranked = [(rank, event) for rank, events in enumerate((reports, others)) for event in events]
    ranked.sort(key=lambda each: (each[1]["occurred_at"], each[0], each[1]["event_id"]))
    return [event for _, event in ranked], has_reports and has_others


def _first(
    client: Client, table: str, order: str, most: int, parameters: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], bool]:
    """The first events of a table about one generation, and whether there are no more."""
    of_it = "app = {app:String} AND toUInt128(generation_id) = toUInt128(toUUID({generation_id:String}))"
    sizes = client.query(
        f"SELECT toString(event_id), length(event) FROM {table} WHERE {of_it} "
        f"ORDER BY {order} LIMIT 1 BY event_id LIMIT {{limit:UInt32}}",
        {**parameters, "limit": most + 1},
    )
    fitting = within(sizes[:most], MOST_STORY_BYTES)
    rows = client.query(
        f"SELECT event FROM {table} WHERE {of_it} AND event_id IN "
        "(SELECT toUUID(arrayJoin({events:Array(String)}))) ORDER BY event_id LIMIT 1 BY event_id",
        {**parameters, "events": fitting},
    )
    return [json.loads(row[0]) for row in rows], len(fitting) == len(sizes)


def within(sizes: Iterable[Sequence[Any]], most_bytes: int) -> list[str]:
    """The names that come first and have no more bytes together; the first in any case. sizes: names with theirs."""
    found: list[str] = []
    for name, size in sizes:
        most_bytes -= size
        if found and most_bytes < 0:
            break
        found.append(name)
    return found
