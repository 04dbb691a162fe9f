"""The corrections of one generation, as they were sent: what its output should have been. It reads content."""

import json
from typing import Any, Final

from keeprate.sinks.store.clickhouse import Client

MOST: Final = 50


def corrections(client: Client, app: str, generation_id: str) -> list[dict[str, Any]]:
    """The latest MOST, the latest first."""
    query = (
        "SELECT event FROM feedback WHERE app = {app:String} "
        "AND toUInt128(generation_id) = toUInt128(toUUID({generation_id:String})) AND type = 'edit' "
        "ORDER BY revision DESC, occurred_at DESC, event_id DESC LIMIT 1 BY event_id LIMIT {limit:UInt32}"
    )
    rows = client.query(query, {"app": app, "generation_id": generation_id, "limit": MOST})
    return [json.loads(row[0]) for row in rows]
