"""What runs of regression tests said of suggestions, as evaluations of the name `case`; and the suggestions themselves.

Names of suites, runs and versions are read out of attributes; of answers and inputs nothing is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from keeprate.sinks.reading.hours import FINAL
from keeprate.sinks.store.clickhouse import Client

MOST_RESULTS: Final = 20_000
_ATTRIBUTES: Final = ", ".join(
    f"JSONExtractString(event, 'attributes', '{name}') AS {name}" for name in ("suite", "run", "version", "case")
)


@dataclass(frozen=True)
class Told:
    """One result. label: passed, failed or error. why: in words, where it did not pass."""

    app: str
    suite: str
    run: str
    version: str
    case: str
    generation_id: str
    choice_index: int
    label: str
    at_ms: int
    why: str


def results(client: Client, since: datetime, until: datetime, apps: Sequence[str] = ()) -> list[Told]:
    """The newest results of [since, until), the oldest of them first; at most MOST_RESULTS."""
    query = (
        f"SELECT app, suite, run, version, case, id, choice_index, label, at_ms, why FROM ("
        f"SELECT toString(app) AS app, {_ATTRIBUTES}, toString(generation_id) AS id, choice_index, "
        "toString(label) AS label, toUnixTimestamp64Milli(occurred_at) AS at_ms, event_id, "
        "leftUTF8(JSONExtractString(event, 'explanation'), 1000) AS why FROM feedback "
        "WHERE type = 'evaluation' AND name = 'case' AND annotator_kind = 'code' "
        "AND occurred_at >= {since:DateTime64(3, 'UTC')} AND occurred_at < {until:DateTime64(3, 'UTC')} "
        "AND (empty({apps:Array(String)}) OR app IN {apps:Array(String)}) "
        "ORDER BY occurred_at DESC, event_id DESC LIMIT 1 BY app, event_id LIMIT {limit:UInt32}) "
        "WHERE suite != '' AND run != '' ORDER BY at_ms, event_id"
    )
    span = {"since": _moment(since), "until": _moment(until), "apps": list(apps), "limit": MOST_RESULTS}
    return [Told(*row) for row in client.query(query, span)]


def suggestions_of(client: Client, keys: Sequence[tuple[str, str, int]]) -> dict[tuple[str, str, int], dict[str, Any]]:
    """What is known of suggestions, by app, generation and choice: version, model, when, and what was said."""
    if not keys:
        return {}
    statement = (
        "SELECT app, toString(generation_id) AS id, choice_index, prompt_name, prompt_version, model, cohort_ms, "
        "flag_labels, votes_negative, corrections, negative FROM suggestions AS s FINAL "
        "WHERE (s.app, toUInt128(s.generation_id), s.choice_index) IN "
        "(SELECT each.1, toUInt128(toUUID(each.2)), each.3 "
        "FROM (SELECT arrayJoin({keys:Array(Tuple(String, String, UInt16))}) AS each))"
    )
    rows = client.query_dicts(statement, {"keys": list(keys)}, FINAL)
    return {(row["app"], row.pop("id"), row["choice_index"]): row for row in rows}


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
