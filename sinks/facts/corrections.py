"""Corrections: what outputs should have been, and who said so. It reads content.

One text may have a megabyte, and one generation any number of corrections: so who corrected what is listed without the
texts, and a text is read when it is known to be wanted.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from keeprate.sinks.store.clickhouse import Client

MOST: Final = 1000
_FIELDS: Final = ("event_id", "choice_index", "origin", "revision", "occurred_at", "user", "session", "distance")
_TEXT: Final = "corrected_text"
_OF_THESE: Final = "toUInt128(generation_id) IN (SELECT toUInt128(toUUID(arrayJoin({ids:Array(String)}))))"


def corrections(client: Client, app: str, generation_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Those of some generations of an app, an expert's first and then the latest: the first MOST of all.

    Of the corrected text there is only whether it is empty: its first character. `whole` has the rest.
    """
    query = (
        "SELECT toString(generation_id), toString(event_id), choice_index, toString(origin), revision, "
        "toUnixTimestamp64Milli(occurred_at), user, session, distance, "
        f"leftUTF8(JSONExtractString(event, '{_TEXT}'), 1) FROM feedback "
        f"WHERE app = {{app:String}} AND {_OF_THESE} AND type = 'edit' "
        "ORDER BY origin = 'expert' DESC, revision DESC, occurred_at DESC, event_id DESC "
        "LIMIT 1 BY event_id LIMIT {limit:UInt32}"
    )
    found: dict[str, list[dict[str, Any]]] = {each: [] for each in generation_ids}
    for generation_id, *row in client.query(query, {"app": app, "ids": list(generation_ids), "limit": MOST}):
        found[generation_id].append(dict(zip((*_FIELDS, _TEXT), row, strict=True)))
    return found


def whole(
    client: Client, app: str, generation_ids: Sequence[str], event_ids: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Corrections of these generations as they were sent, by their event's id."""
    if not event_ids:
        return {}
    query = (
        f"SELECT event FROM feedback WHERE app = {{app:String}} AND {_OF_THESE} "
        "AND event_id IN (SELECT toUUID(arrayJoin({events:Array(String)}))) ORDER BY event_id LIMIT 1 BY event_id"
    )
    rows = client.query(query, {"app": app, "ids": list(generation_ids), "events": list(event_ids)})
    return {event["event_id"]: event for event in map(json.loads, (row[0] for row in rows))}
