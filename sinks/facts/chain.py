"""The chain that a generation is a stage of: what called it, and all that was called with it. It reads content."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from keeprate.sinks.store.clickhouse import Client

MOST_LEVELS: Final = 20
MOST_STAGES: Final = 60

Report = dict[str, Any]


def chain(client: Client, app: str, generation_id: str) -> list[Report]:
    """The latest report of each stage, from the root on, in the order of the clock; no more than MOST_STAGES.

    Nothing where the generation has not arrived. A circle, which only a mistaken app can send, ends the walk.
    """
    return chains(client, app, [generation_id])[generation_id]


def reports(client: Client, app: str, generation_ids: Sequence[str]) -> list[Report]:
    """The latest report of each of some generations of an app, in no order; of those that have arrived."""
    return list(_reports(client, app, "generation_id", generation_ids, len(generation_ids)).values())


def chains(client: Client, app: str, generation_ids: Sequence[str]) -> dict[str, list[Report]]:
    """The chain of each of some generations of an app, in a few questions for all."""
    most = MOST_STAGES * len(generation_ids)
    found = _reports(client, app, "generation_id", generation_ids, most)
    above = _parents(found.values()) - found.keys()
    for _ in range(MOST_LEVELS):
        called_by = _reports(client, app, "generation_id", sorted(above), most)
        found |= called_by
        above = _parents(called_by.values()) - found.keys()
    level = list(found)
    for _ in range(MOST_LEVELS):
        called = _reports(client, app, "parent_generation_id", level, most) if len(found) < most else {}
        level = [each for each in called if each not in found]
        found |= called
    if len(found) >= most and len(generation_ids) > 1:
        # One that is too long must not take stages from the others.
        return {each: chain(client, app, each) for each in generation_ids}
    below: dict[str, list[Report]] = {}
    for each in found.values():
        below.setdefault(each.get("parent_generation_id") or "", []).append(each)
    return {each: _stages(each, found, below) for each in generation_ids}


def _parents(reports: Iterable[Report]) -> set[str]:
    return {each["parent_generation_id"] for each in reports if each.get("parent_generation_id")}


def _stages(generation_id: str, found: Mapping[str, Report], below: Mapping[str, Sequence[Report]]) -> list[Report]:
    """Of all that was found, the stages of one chain."""
    if generation_id not in found:
        return []
    own = top = found[generation_id]
    seen = {generation_id}
    while (parent := str(top.get("parent_generation_id"))) in found and parent not in seen:
        top = found[parent]
        seen.add(parent)
    stages, level = {top["generation_id"]: top}, [top["generation_id"]]
    while level:
        fresh = [each for name in level for each in below.get(name, ()) if each["generation_id"] not in stages]
        stages |= {each["generation_id"]: each for each in fresh}
        level = [each["generation_id"] for each in fresh]
    in_order = sorted(stages.values(), key=lambda each: (each is not top, each["occurred_at"], each["generation_id"]))
    kept = in_order[:MOST_STAGES]
    # Where not all stages fit, the one that was asked for does.
    return kept if own in kept else [*kept[:-1], own]


def _reports(client: Client, app: str, column: str, ids: Sequence[str], most: int) -> dict[str, Report]:
    if not ids:
        return {}
    asked = "toUInt128(generation_id) IN (SELECT toUInt128(toUUID(arrayJoin({ids:Array(String)}))))"
    if column == "parent_generation_id":
        asked = "parent_generation_id IN {ids:Array(String)}"
    query = (
        f"SELECT event FROM generations WHERE app = {{app:String}} AND {asked} "
        "ORDER BY revision DESC, occurred_at DESC, event_id DESC LIMIT 1 BY generation_id LIMIT {limit:UInt32}"
    )
    rows = client.query(query, {"app": app, "ids": list(ids), "limit": most + 1})
    found = (json.loads(row[0]) for row in rows)
    return {each["generation_id"]: each for each in found}
