"""Are the sums of hours and days what their suggestions come to (I4)? Both are asked the same, and compared.

Only what is summed before and after both questions is judged: what was touched between them is not summed any more, and
of what is not, both answers are of rows. So a pipeline at work changes nothing here.
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from keeprate.sinks.checks.finding import Finding
from keeprate.sinks.reading import counting, splitting
from keeprate.sinks.reading.counting import Counts
from keeprate.sinks.reading.hours import DAY, Known, touch
from keeprate.sinks.reading.scope import HOUR_MS, Scope
from keeprate.sinks.store.clickhouse import Client
from keeprate.sinks.store.servers import Servers

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_UNSUMMED: Final = Known(0, 0)
_SPANS_S: Final = (3600, DAY * 3600)
_MOST: Final = 2000

Place = tuple[str, int]
"""An app, and an hour, or the first one of a day."""


def check_sums(
    store: Client, repair: Servers | None = None, since: datetime | None = None, until: datetime | None = None
) -> list[Finding]:
    """The hours and days of generations in [since, until) whose sums are not those of their suggestions.

    repair: have these servers, which hold the rows, sum them again.
    """
    wrong = _wrong(store, since, until)
    for client in repair.clients if repair else ():
        touch(client, sorted(wrong))
    what = (
        "was not what its suggestions come to, and is made again" if repair else "is not what its suggestions come to"
    )
    return [
        Finding("I4", f"{app} {_EPOCH + timedelta(hours=hour):%F %H:%M}", f"the sum of this hour or day {what}")
        for app, hour in sorted(wrong)[:_MOST]
    ]


def _wrong(store: Client, since: datetime | None, until: datetime | None) -> set[Place]:
    ((now_ms,),) = store.query("SELECT toUnixTimestamp64Milli(now64(3))")
    now = _EPOCH + timedelta(milliseconds=now_ms)
    found: set[Place] = set()
    for bucket_s in _SPANS_S:
        scope = Scope(since or _EPOCH, until or now, now, ("app",), bucket_s=bucket_s)
        if not (summed := splitting.known(store, scope)).any:
            break
        differing: set[Place] = set()
        for ask in (counting.suggestions, counting.at_horizons):
            ours, plain = (_by_place(ask(store, scope, (), each)) for each in (summed, _UNSUMMED))
            differing |= {key[0] for key in ours.keys() | plain.keys() if ours.get(key) != plain.get(key)}
        after = splitting.known(store, scope) if differing else summed
        found |= {each for each in differing if all(_is_summed(known, *each, bucket_s) for known in (summed, after))}
    return found


def _is_summed(known: Known, app: str, hour: int, bucket_s: int) -> bool:
    """Whether sums answered for an hour, or for a day as one: elsewhere both answers are of rows, as of their time."""
    hours, apart = bucket_s // 3600, known.others if bucket_s == 3600 else known.apart
    return known.first <= hour and hour + hours - 1 <= known.last and (app, hour) not in apart


def _by_place(rows: list[Counts]) -> dict[tuple[Place, int], Counts]:
    return {((row["app"], row["bucket_ms"] // HOUR_MS), row.get("horizon_s", 0)): row for row in rows}
