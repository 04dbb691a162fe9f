"""The verdicts on releases, as they were judged last."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

from keeprate.sinks.store.clickhouse import Client


@dataclass(frozen=True)
class KeptVerdict:
    """One metric of one release: docs/observability.md says what each number means."""

    app: str
    component: str
    family: str
    version: str
    predecessor: str
    released_at: datetime
    metric: str
    horizon_s: int
    method: str
    new_trials: int
    new_successes: int
    old_trials: int
    old_successes: int
    difference: float | None
    low: float | None
    high: float | None
    fell: float
    rose: float
    p_value: float
    verdict: str
    found_at: datetime | None
    days_left: float | None
    as_of: datetime


_COLUMNS: Final = tuple(each.name for each in fields(KeptVerdict))


def keep(client: Client, verdicts: Iterable[KeptVerdict]) -> None:
    """Keep verdicts; of one release and metric, the one as of the latest time counts."""
    client.insert("release_verdicts", _COLUMNS, [astuple(each) for each in verdicts])


def kept(client: Client, since: datetime, apps: Sequence[str] = ()) -> list[KeptVerdict]:
    """The verdicts on releases since a time, of some apps or of all, the newest release first."""
    query = (
        f"SELECT {', '.join(_COLUMNS)} FROM release_verdicts FINAL "
        "WHERE released_at >= fromUnixTimestamp64Milli({since_ms:Int64}) "
        "AND (empty({apps:Array(String)}) OR app IN {apps:Array(String)}) "
        "ORDER BY released_at DESC, app, component, family, version, metric, horizon_s"
    )
    rows = client.query(query, {"since_ms": int(since.timestamp() * 1000), "apps": list(apps)})
    return [_verdict(row) for row in rows]


def _verdict(row: Sequence[Any]) -> KeptVerdict:
    values: list[Any] = [value.astimezone(UTC) if isinstance(value, datetime) else value for value in row]
    return KeptVerdict(*values)
