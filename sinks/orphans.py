"""Orphans by age: feedback that waits for its generation, as the newest windows count it."""

from collections import defaultdict
from datetime import datetime
from math import inf
from typing import Final

from keeprate.schemas.window_names import ANSWER_MS
from keeprate.sinks.clickhouse import Client, to_ms

AGE_BOUNDS_S: Final = (600, 3_600, 21_600, 86_400, ANSWER_MS / 1000, inf)
"""Windows are of five minutes, so an age is known to five minutes. What is older counts in no window as an orphan."""

_QUERY: Final = """
SELECT
    app,
    arrayFirst(bound -> {now_s:Int64} - toUnixTimestamp(window_at) <= bound, {bounds:Array(Float64)}) AS le,
    sum(arraySum(segments.orphans)) AS number
FROM (SELECT app, window_at, segments FROM windows FINAL WHERE window_at > toDateTime({since_s:Int64}, 'UTC'))
GROUP BY app, le
HAVING number > 0
"""


def by_age(client: Client, now: datetime) -> dict[tuple[str, float], int]:
    """How many orphans each app has that are not older than each of `AGE_BOUNDS_S`, as in a histogram's buckets.

    By app and bound in seconds; an app without orphans is left out. Reads only. Raises StoreError.
    """
    now_s = to_ms(now) // 1000
    parameters = {"now_s": now_s, "since_s": now_s - ANSWER_MS // 1000, "bounds": list(AGE_BOUNDS_S)}
    found: dict[str, dict[float, int]] = defaultdict(dict)
    for app, bound, number in client.query(_QUERY, parameters):
        found[str(app)][float(bound)] = int(number)
    return {
        (app, bound): sum(number for other, number in counts.items() if other <= bound)
        for app, counts in found.items()
        for bound in AGE_BOUNDS_S
    }
