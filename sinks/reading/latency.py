"""How long calls of the model took: quantiles, each with an interval that assumes nothing of their distribution."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

from keeprate.sinks.reading import hours
from keeprate.sinks.reading.hours import FINAL
from keeprate.sinks.reading.rates import Z
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.store.clickhouse import Client

LEVELS: Final = (0.5, 0.95)


@dataclass(frozen=True)
class Quantile:
    """A quantile in milliseconds with its 95 % interval, and of how many calls."""

    level: float
    value_ms: float
    low_ms: float
    high_ms: float
    calls: int


def latency(client: Client, scope: Scope) -> list[Quantile]:
    """The median and the 95th percentile of a scope; none where no call says how long it took. Raises StoreError.

    The interval is between the order statistics around the quantile's rank, by the normal approximation of the binomial
    (Conover, Practical Nonparametric Statistics, 3.2).
    """
    rows = (
        f"FROM suggestions FINAL PREWHERE {scope.hours} WHERE {hours.not_moved(scope.hours)} AND {scope.condition()} "
        "AND NOT orphan AND choice_index = 0 AND latency_ms IS NOT NULL"
    )
    ((calls,),) = client.query(f"SELECT count() {rows}", scope.parameters(), FINAL)
    if not calls:
        return []
    levels = [level for each in LEVELS for level in ranks(each, int(calls))]
    wanted = ", ".join(f"{level:.9f}" for level in levels)
    ((values,),) = client.query(
        f"SELECT quantilesTDigest({wanted})(assumeNotNull(latency_ms)) {rows}", scope.parameters(), FINAL
    )
    ends = [values[3 * at : 3 * at + 3] for at in range(len(LEVELS))]
    return [Quantile(level, *_three(end), int(calls)) for level, end in zip(LEVELS, ends, strict=True)]


def _three(end: Sequence[float]) -> tuple[float, float, float]:
    return float(end[0]), float(end[1]), float(end[2])


def ranks(level: float, calls: int) -> tuple[float, float, float]:
    """A quantile's level, and the levels of both ends of its interval."""
    half = Z * sqrt(level * (1 - level) / calls)
    return level, max(0.0, level - half), min(1.0, level + half)
