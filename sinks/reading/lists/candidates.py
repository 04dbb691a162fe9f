"""Which hours may hold a match, from the sums of hours: so that a list of what is rare does not read what it is not in.

An hour that is not summed as it is may hold anything, and is always one of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from keeprate.sinks.reading import hours as sums
from keeprate.sinks.reading.hours import checks_table, sums_table
from keeprate.sinks.reading.lists.conditions import Condition
from keeprate.sinks.reading.scope import HOUR_MS, Scope
from keeprate.sinks.store.clickhouse import Client

FIRST: Final = 8
"""Hours that are read at first."""
STEP_S: Final = 0.12
"""How long one read is meant to take: the next is sized by how long the last one took."""
_GROWS: Final = 6
_WHENEVER_MS: Final = 1 << 62


@dataclass(frozen=True)
class CandidateHour:
    """bound: about how many match, by its sums; 0 where the hour is not summed."""

    hour: int
    bound: int = 0


def hours(client: Client, scope: Scope, bounds: Sequence[Condition], horizon_s: int) -> list[CandidateHour]:
    """The hours of a scope in which each of the bounds is above 0, or may be."""
    first, last = max(0, scope.since_ms // HOUR_MS), max(0, (scope.until_ms - 1) // HOUR_MS)
    known = sums.known(client, first, last, scope.only.get("app", ()), _WHENEVER_MS)
    found: dict[int, int] | None = None
    for of_checks in (False, True):
        names = sorted({each.measure for each in bounds if each.of_checks == of_checks})
        if names and known.any:
            bounded = _bounded(client, scope, names, horizon_s if of_checks else None)
            found = bounded if found is None else {at: min(found[at], bounded[at]) for at in found.keys() & bounded}
    unknown = {hour for _, hour in known.others}
    summed = [CandidateHour(at, bound) for at, bound in (found or {}).items() if at not in unknown]
    return summed + [CandidateHour(at) for at in unknown]


def batch(left: Sequence[CandidateHour], size: int, want: int) -> Sequence[CandidateHour]:
    """The hours to read next: no more than `size`, and no more than seem to be needed."""
    bound = 0
    for at, each in enumerate(left[:size], 1):
        bound += each.bound
        if bound >= want:
            return left[:at]
    return left[:size]


def next_size(size: int, took_s: float) -> int:
    """How many hours to read after `size` took so long."""
    return max(1, int(size * min(_GROWS, STEP_S / max(took_s, 0.001))))


def _bounded(client: Client, scope: Scope, names: Sequence[str], horizon_s: int | None) -> dict[int, int]:
    # Sums that are not believed any more may be among them: they add hours, and take none away.
    table = sums_table() if horizon_s is None else checks_table()
    totals = ", ".join(f"sum(m_{name})" for name in names)
    at_horizon = "" if horizon_s is None else "AND horizon_s = {horizon_s:UInt32} "
    first, last = scope.since_ms // HOUR_MS, (scope.until_ms - 1) // HOUR_MS
    keeps = "".join(f"AND {each} " for each in scope.keeps())
    statement = (
        f"SELECT hour, toInt64(least({totals})) AS bound FROM {table} "
        f"WHERE span = 1 AND hour BETWEEN {first} AND {last} {keeps}{at_horizon}GROUP BY hour HAVING bound > 0"
    )
    rows = client.query(statement, scope.parameters() | {"horizon_s": horizon_s or 0})
    return {int(hour): int(bound) for hour, bound in rows}
