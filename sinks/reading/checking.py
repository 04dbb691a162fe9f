"""Are suggestions what their outcomes come to? The definition is run again and compared, row by row."""

from collections.abc import Mapping
from typing import Any, Final

from keeprate.sinks.reading.derive import derivation, merged
from keeprate.sinks.reading.hours import FINAL
from keeprate.sinks.store.clickhouse import Client

_DIFFERING: Final = """
SELECT app::String, toString(generation_id), choice_index
FROM
(
    SELECT app, generation_id, choice_index, cityHash64(tuple(* EXCEPT derived_at)) AS digest
    FROM (SELECT * FROM suggestions FINAL WHERE {condition} UNION ALL SELECT * FROM ({derivation}))
)
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
    statement = _DIFFERING.replace("{condition}", condition).replace("{derivation}", derivation(merged(condition)))
    rows = store.query(statement.replace("{limit}", str(limit)), parameters, FINAL)
    return [(str(app), str(generation_id), int(choice)) for app, generation_id, choice in rows]
