"""Is anything lost, and what does the drift detector watch? From the ledger and the states that the monitor keeps."""

from datetime import datetime, timedelta
from typing import Final, Literal

from keeprate.deploy.monitor.drifting import FROZEN_ABOVE, MIN_EVENTS
from keeprate.deploy.page.answers import Json
from keeprate.deploy.page.parts.verdicts import is_chosen, ratio_of, series_json
from keeprate.deploy.page.reads import Reads
from keeprate.deploy.page.selection import Selection
from keeprate.sinks.checks.accounting import accounted, check_ledger
from keeprate.sinks.closed import batches, drift_states
from keeprate.sinks.closed.drift_states import Kept, Level, Series
from keeprate.sinks.store.clickhouse import Client, to_ms
from keeprate.streams.quality.detector import SIDES

KEPT_S: Final = 30.0
CHECKED_FOR: Final = timedelta(hours=24)
SILENT_AFTER: Final = timedelta(days=2)
_MOST_FINDINGS: Final = 20
_ORDER: Final = ("alarm", "suspected", "watching", "silent", "warming")

Standing = Literal["alarm", "suspected", "watching", "silent", "warming"]


def accounts(reads: Reads, selection: Selection) -> Json | None:
    """What became of every record that a sink landed, and whether the last day's ranges add up.

    The ledger knows no apps: it is for those who may see all of them, and None for the others.
    """
    if reads.sight.apps is not None:
        return None
    return reads.fact("accounts", None, lambda: _accounts(reads.client, reads.now), KEPT_S)


def _accounts(client: Client, now: datetime) -> Json:
    hops: dict[str, dict[str, int]] = {}
    for (topic, _, result), number in batches.ledger(client).items():
        hops.setdefault(topic, {})[result] = number
    since = now - CHECKED_FOR
    ranges, offsets = accounted(client, since)
    findings = check_ledger(client, since)
    set_aside = batches.quarantined(client)
    return {
        "hops": [{"topic": topic, **results} for topic, results in sorted(hops.items())],
        "quarantined": [
            {"stage": stage, "topic": topic, "count": number}
            for (stage, topic), number in sorted(set_aside.items())
            if number
        ],
        "ledger": {
            "ranges": ranges,
            "offsets": offsets,
            "findings": [f"{each.where}: {each.detail}" for each in findings[:_MOST_FINDINGS]],
        },
    }


def drift(reads: Reads, selection: Selection) -> Json:
    """Every series that has closed batches: where the detector stands, and what it cannot see yet."""
    kept, levels = reads.fact("drift", None, lambda: _drift(reads.client, reads.now), 2 * KEPT_S)
    rows = [
        _row(series, level, kept.get(series), reads.now)
        for series, level in levels.items()
        if is_chosen(series, selection)
    ]
    rows.sort(key=lambda row: (_ORDER.index(row["standing"]), -row["evidence"], -row["events"]))
    return {"enough": MIN_EVENTS, "rows": rows}


def _drift(client: Client, now: datetime) -> tuple[dict[Series, Kept], dict[Series, Level]]:
    return drift_states.kept(client), drift_states.levels(client, now)


def _row(series: Series, level: Level, state: Kept | None, now: datetime) -> Json:
    evidence = max((ratio_of(state, side) for side in SIDES), default=0.0) if state else 0.0
    return series_json(series) | {
        "standing": _standing(state, evidence, now),
        "evidence": evidence,
        "events": level.trials + level.trials_before,
        "rate": level.successes / level.trials if level.trials else None,
        "last_at": to_ms(state.last_batch_at) if state else None,
    }


def _standing(state: Kept | None, evidence: float, now: datetime) -> Standing:
    """A series without a state has too little for a baseline: the detector is blind to it."""
    if state is None:
        return "warming"
    if evidence >= 1:
        return "alarm"
    if state.last_batch_at < now - SILENT_AFTER:
        return "silent"
    return "suspected" if evidence > FROZEN_ABOVE else "watching"
