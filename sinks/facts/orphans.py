"""Orphans by age: suggestions whose feedback waits for its generation."""

from collections import defaultdict
from datetime import datetime
from math import inf
from typing import Final

from keeprate.schemas.topics import DAY_MS
from keeprate.sinks.reading.hours import FINAL
from keeprate.sinks.reading.scope import HOUR_MS
from keeprate.sinks.store.clickhouse import Client, to_ms

AWAITED_MS: Final = 3 * DAY_MS
"""So long a generation is waited for."""
AGE_BOUNDS_S: Final = (600, 3_600, 21_600, 86_400, AWAITED_MS / 1000, inf)

_QUERY: Final = """
SELECT
    app::String,
    arrayFirst(bound -> {now_ms:Int64} - cohort_ms <= bound * 1000, {bounds:Array(Float64)}) AS le,
    count()
FROM suggestions FINAL
WHERE orphan AND hour >= {since_hour:UInt32} AND cohort_ms >= {now_ms:Int64} - {awaited_ms:Int64}
GROUP BY app, le
"""


def by_age(client: Client, now: datetime) -> dict[tuple[str, float], int]:
    """How many orphans each app has that are not older than each of `AGE_BOUNDS_S`, as in a histogram's buckets.

    By app and bound in seconds; an app without orphans is left out, and so is what has waited longer than the last
    bound but one: it is not waited for any more. Reads only. Raises StoreError.
    """
    now_ms = to_ms(now)
    parameters = {
        "now_ms": now_ms,
        "awaited_ms": AWAITED_MS,
        "since_hour": max(0, (now_ms - AWAITED_MS) // HOUR_MS),
        "bounds": list(AGE_BOUNDS_S),
    }
    found: dict[str, dict[float, int]] = defaultdict(dict)
    for app, bound, number in client.query(_QUERY, parameters, FINAL):
        found[str(app)][float(bound)] = int(number)
    return {
        (app, bound): sum(number for other, number in counts.items() if other <= bound)
        for app, counts in found.items()
        for bound in AGE_BOUNDS_S
    }
