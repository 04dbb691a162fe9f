"""Did the first event arrive? The newest event, what became of it, the newest refusal, and where apps send to."""

import os
from datetime import timedelta
from typing import Any, Final

from keeprate.deploy.page.answers import Json
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.selection import Selection
from keeprate.deploy.settings import HOST, from_environment
from keeprate.sinks.facts import evidence
from keeprate.sinks.store.clickhouse import to_ms

_WITHIN: Final = timedelta(hours=1)
_COLLECTOR_PORT: Final = 4318


def arrival(reads: Reads, selection: Selection) -> Json:
    """Of the last hour, of every app that may be seen: whoever waits for a first event looks for it wherever it is."""
    since, apps = reads.now - _WITHIN, reads.sight.apps or ()
    newest = evidence.newest_landed(reads.client, since, apps)
    refused = evidence.newest_refused(reads.client, since, apps)
    return {
        "newest": newest and _shown(newest),
        "refused": refused and {**refused, "refused_at": to_ms(refused["refused_at"])},
        "brokers": from_environment().brokers,
        "collector": os.environ.get("KEEPRATE_URL") or f"http://{HOST}:{_COLLECTOR_PORT}",
    }


def _shown(newest: evidence.Landed) -> dict[str, Any]:
    event = newest.event
    said: dict[str, Any] = {name: event[name] for name in ("type", "action", "app", "generation_id") if name in event}
    return {**said, "stored_at": to_ms(newest.stored_at), "fate": newest.fate}
