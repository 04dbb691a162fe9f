"""Are suggestions what their outcomes come to? The definition is run again and compared, row by row."""

from collections.abc import Mapping
from typing import Any, Final

from keeprate.sinks.reading.derive import derivation, merged
from keeprate.sinks.reading.hours import FINAL
from keeprate.sinks.store.clickhouse import Client

_BOTH: Final = """
SELECT app, generation_id, choice_index, cityHash64(tuple(* EXCEPT derived_at)) AS digest
FROM (SELECT * FROM suggestions FINAL WHERE {condition} UNION ALL SELECT * FROM ({derivation}))
"""
_REST: Final = "SELECT groupBitXor(digest) FROM ({both})"
"""What is left of the digests where each has its like: zero. To say which have none takes the engine three times as
long, most of it to understand the statement, and nearly always all have."""
_DIFFERING: Final = """
SELECT app::String, toString(generation_id), choice_index
FROM ({both})
GROUP BY ALL
HAVING count() != 2 OR uniqExact(digest) != 1
ORDER BY ALL
LIMIT {limit}
"""


def differing(
    store: Client, condition: str, parameters: Mapping[str, Any], limit: int = 2000
) -> list[tuple[str, str, int]]:
    """The first suggestions (app, generation_id, choice_index) that are missing, too many or not what they should be.

    condition: of whole generations, by app and generation_id.
    """
    both = _BOTH.replace("{condition}", condition).replace("{derivation}", derivation(merged(condition)))
    if store.query(_REST.replace("{both}", both), parameters, FINAL) == [(0,)]:
        return []
    statement = _DIFFERING.replace("{both}", both).replace("{limit}", str(limit))
    rows = store.query(statement, parameters, FINAL)
    return [(str(app), str(generation_id), int(choice)) for app, generation_id, choice in rows]
