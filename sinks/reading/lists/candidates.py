"""Which hours may hold a match, from the sums of hours: so that a list of what is rare does not read what it is not in.

An hour that is not summed as it is may hold anything, and is always one of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from keeprate.sinks.reading import hours as sums
from keeprate.sinks.reading.hours import checks_table, sums_table
from keeprate.sinks.reading.lists.conditions import Condition
from keeprate.sinks.reading.scope import HOUR_MS, Scope
from keeprate.sinks.store.clickhouse import Client

FIRST: Final = 8
"""Hours that are read at first."""
STEP_S: Final = 0.08
"""How long one read is meant to take: the next is sized by how long the last one took."""
FIRST_SPAN: Final = 7 * 24
"""Hours whose sums are asked at first: most pages are full of what is in them."""
_GROWS: Final = 6
_SPAN_GROWS: Final = 4
_WHENEVER_MS: Final = 1 << 62


@dataclass(frozen=True)
class CandidateHour:
    """bound: about how many match, by its sums; 0 where the hour is not summed."""

    hour: int
    bound: int = 0


class Candidates:
    """Finds them, of a scope. What is summed of a span is asked once, however often it is looked through."""

    def __init__(self, client: Client, scope: Scope, horizon_s: int) -> None:
        self._client, self._scope, self._horizon_s = client, scope, horizon_s
        self.first, self.last = max(0, scope.since_ms // HOUR_MS), max(0, (scope.until_ms - 1) // HOUR_MS)
        apps = scope.only.get("app", ())
        self._known = cache(lambda first, last: sums.known(client, first, last, apps, _WHENEVER_MS))

    def between(self, first: int, last: int, bounds: Sequence[Condition]) -> list[CandidateHour]:
        """The hours of [first, last] in which each of the bounds is above 0, or may be."""
        known = self._known(first, last)
        found: dict[int, int] | None = None
        for of_checks in (False, True):
            names = sorted({each.measure for each in bounds if each.of_checks == of_checks})
            if names and known.any:
                bounded = self._bounded(first, last, names, of_checks)
                found = bounded if found is None else {at: min(found[at], bounded[at]) for at in found.keys() & bounded}
        unknown = {hour for _, hour in known.others}
        summed = [CandidateHour(at, bound) for at, bound in (found or {}).items() if at not in unknown]
        return summed + [CandidateHour(at) for at in unknown]

    def _bounded(self, first: int, last: int, names: Sequence[str], of_checks: bool) -> dict[int, int]:
        # Sums that are not believed any more may be among them: they add hours, and take none away.
        totals = ", ".join(f"sum(m_{name})" for name in names)
        at_horizon = "AND horizon_s = {horizon_s:UInt32} " if of_checks else ""
        keeps = "".join(f"AND {each} " for each in self._scope.keeps())
        statement = (
            f"SELECT hour, toInt64(least({totals})) AS bound FROM {checks_table() if of_checks else sums_table()} "
            f"WHERE span = 1 AND hour BETWEEN {first} AND {last} {keeps}{at_horizon}GROUP BY hour HAVING bound > 0"
        )
        rows = self._client.query(statement, self._scope.parameters() | {"horizon_s": self._horizon_s})
        return {int(hour): int(bound) for hour, bound in rows}


def spans(first: int, last: int, backwards: bool) -> Iterator[tuple[int, int]]:
    """The hours [first, last] in parts, in the order in which a list reads them; each longer than the one before."""
    size = FIRST_SPAN
    while first <= last:
        if backwards:
            yield first, min(last, first + size - 1)
            first += size
        else:
            yield max(first, last - size + 1), last
            last -= size
        size *= _SPAN_GROWS


def batch(left: Sequence[CandidateHour], size: int, want: int) -> Sequence[CandidateHour]:
    """The hours to read next: no more than `size`, and no more than seem to be needed."""
    bound = 0
    for at, each in enumerate(left[:size], 1):
        bound += each.bound
        if bound >= want:
            return left[:at]
    return left[:size]


def next_size(size: int, took_s: float, left_s: float) -> int:
    """How many hours to read after `size` took so long, and no longer is left than `left_s`."""
    return max(1, int(size * min(_GROWS, min(STEP_S, left_s) / max(took_s, 0.001))))
