"""Which horizons of an app are told of: those that its checks have, and of too many the most checked.

Whoever may send an app's feedback, such as a page with a key, may make up horizons, and each is a line of every answer.
A horizon weighs as many suggestions as have a check at it, and a check of no generation weighs nothing: who knows a few
suggestions displaces no horizon that the app asks of all of them.
"""

from typing import Final

from keeprate.sinks.reading.hours import PRUNED, not_moved
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.store.clickhouse import Client

MOST_HORIZONS: Final = 24
"""Of one app."""


def most_checked(client: Client, scope: Scope, limit: int = MOST_HORIZONS) -> list[tuple[str, int]]:
    """The horizons that most suggestions of a scope have a check at, `limit` of each app, with the app; the most
    frequent first, and of equals the shortest. Reads only. Raises StoreError."""
    statement = (
        "SELECT its_app, horizon_s FROM (SELECT toString(app) AS its_app, arrayJoin(checks.horizon_s) AS horizon_s "
        f"FROM suggestions FINAL PREWHERE {scope.hours} "
        f"WHERE {not_moved(scope.hours)} AND {scope.condition()} AND NOT orphan) "
        "GROUP BY its_app, horizon_s ORDER BY its_app, count() DESC, horizon_s LIMIT {most:UInt32} BY its_app"
    )
    rows = client.query(statement, {**scope.parameters(), "most": limit}, PRUNED)
    return [(str(app), int(horizon_s)) for app, horizon_s in rows]
