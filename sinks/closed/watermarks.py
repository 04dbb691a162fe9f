"""How far an app's events have come: the event time below which hardly anything is still to arrive."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from keeprate.sinks.store.clickhouse import Client

RECENT: Final = timedelta(minutes=1)
MEMORY: Final = timedelta(days=60)
"""An app whose last event is older than this is silent: its batches stay as they are."""
AHEAD: Final = timedelta(minutes=5)
"""A client's clock may be this fast; an event from farther ahead says nothing of the time."""

# While events arrive, the oldest twentieth of the recent ones: a stray late one holds nothing up, and a replay of
# history, whose every event is old, does. When nothing arrives, the newest.
_QUERY: Final = """
SELECT
    app,
    least({now_ms:Int64}, if(countIf(recent) > 0, quantileExactLowIf(0.05)(at_ms, recent), max(at_ms))),
    max(at_ms),
    countIf(recent)
FROM
(
    SELECT app, toUnixTimestamp64Milli(occurred_at) AS at_ms,
        toUnixTimestamp64Milli(stored_at) > {now_ms:Int64} - {recent_ms:Int64} AS recent
    FROM generations
    WHERE occurred_at >= {oldest:DateTime64(3, 'UTC')} AND occurred_at < {newest:DateTime64(3, 'UTC')}
    UNION ALL
    SELECT app, toUnixTimestamp64Milli(occurred_at),
        toUnixTimestamp64Milli(stored_at) > {now_ms:Int64} - {recent_ms:Int64}
    FROM feedback
    WHERE occurred_at >= {oldest:DateTime64(3, 'UTC')} AND occurred_at < {newest:DateTime64(3, 'UTC')}
)
GROUP BY app
"""


@dataclass(frozen=True)
class Progress:
    """One app's watermark, its newest event, and how many events landed recently."""

    watermark: datetime
    newest: datetime
    recent: int


def progress(client: Client, now: datetime, recent: timedelta = RECENT) -> dict[str, Progress]:
    """Every app's progress as of `now`, the store's clock. Reads only. Raises StoreError.

    recent: how long ago something landed that says what is still arriving.
    """
    parameters = {
        "now_ms": int(now.timestamp() * 1000),
        "recent_ms": int(recent.total_seconds() * 1000),
        "oldest": _text(now - MEMORY),
        "newest": _text(now + AHEAD),
    }
    return {
        app: Progress(_moment(watermark_ms), _moment(newest_ms), recent)
        for app, watermark_ms, newest_ms, recent in client.query(_QUERY, parameters)
    }


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
