"""The chain that a generation is a stage of: what called it, and all that was called with it. It reads content."""

import json
from typing import Any, Final

from keeprate.sinks.store.clickhouse import Client

MOST_LEVELS: Final = 20
MOST_STAGES: Final = 60

Report = dict[str, Any]


def chain(client: Client, app: str, generation_id: str) -> list[Report]:
    """The latest report of each stage, from the root on, in the order of the clock; no more than MOST_STAGES.

    Nothing where the generation has not arrived. A circle, which only a mistaken app can send, ends the walk.
    """
    found = {each["generation_id"]: each for each in _reports(client, app, "generation_id", [generation_id])}
    if not found:
        return []
    top = found[generation_id]
    for _ in range(MOST_LEVELS):
        parent = top.get("parent_generation_id")
        above = _reports(client, app, "generation_id", [parent]) if parent and parent not in found else []
        if not above:
            break
        top = above[0]
        found[top["generation_id"]] = top
    level = list(found)
    for _ in range(MOST_LEVELS):
        below = _reports(client, app, "parent_generation_id", level) if level and len(found) < MOST_STAGES else []
        level = [each["generation_id"] for each in below if each["generation_id"] not in found]
        found |= {each["generation_id"]: each for each in below}
    stages = sorted(found.values(), key=lambda each: (each is not top, each["occurred_at"], each["generation_id"]))
    return stages[:MOST_STAGES]


def _reports(client: Client, app: str, column: str, ids: list[str]) -> list[Report]:
    asked = "toUInt128(generation_id) IN (SELECT toUInt128(toUUID(arrayJoin({ids:Array(String)}))))"
    if column == "parent_generation_id":
        asked = "parent_generation_id IN {ids:Array(String)}"
    query = (
        f"SELECT event FROM generations WHERE app = {{app:String}} AND {asked} "
        "ORDER BY revision DESC, occurred_at DESC, event_id DESC LIMIT 1 BY generation_id LIMIT {limit:UInt32}"
    )
    rows = client.query(query, {"app": app, "ids": ids, "limit": MOST_STAGES + 1})
    return [json.loads(row[0]) for row in rows]
