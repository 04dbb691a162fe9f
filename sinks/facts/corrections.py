"""Corrections as they were sent: what outputs should have been. It reads content."""

import json
from collections.abc import Sequence
from typing import Any, Final

from keeprate.sinks.store.clickhouse import Client

MOST: Final = 1000


def corrections(client: Client, app: str, generation_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Those of some generations of an app, the latest first; the latest MOST of all."""
    query = (
        "SELECT event FROM feedback WHERE app = {app:String} "
        "AND toUInt128(generation_id) IN (SELECT toUInt128(toUUID(arrayJoin({ids:Array(String)})))) AND type = 'edit' "
        "ORDER BY revision DESC, occurred_at DESC, event_id DESC LIMIT 1 BY event_id LIMIT {limit:UInt32}"
    )
    found: dict[str, list[dict[str, Any]]] = {each: [] for each in generation_ids}
    for row in client.query(query, {"app": app, "ids": list(generation_ids), "limit": MOST}):
        event = json.loads(row[0])
        found[event["generation_id"]].append(event)
    return found
