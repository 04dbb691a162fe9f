"""The worked example as events, and as the numbers that the views must give of them.

Pure and deterministic: the same app gives the same events, and another app another, disjoint set.
"""

import uuid
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, Final

from keeprate.producers.text import length, line_count, survival
from keeprate.schemas.decode import validate
from keeprate.schemas.events import Event
from keeprate.sinks.reading import queries
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.store.clickhouse import Client

START_MS: Final = 1_772_442_000_000
"""2026-03-02 09:00 UTC. The suggestions are shown in this hour and the next: two active hours."""
HORIZONS_S: Final = (30, 120, 300, 600)
MATURE_MS: Final = START_MS + 3 * 3_600_000
"""By now every check has had its time, grace included."""

COUNTS: Final = {
    "opportunities": 40,
    "shown": 10,
    "shown_read": 8,
    "accepted": 6,
    "accepted_full": 6,
    "accepted_char": 57,
    "active_hours": 2,
    "user_days": 1,
    "unanswered": 4,
    "orphans": 0,
    "orphan_accept": 0,
}
RATES: Final = {
    "shown_rate": 0.25,
    "acceptance_rate": 0.6,
    "efficiency": 0.15,
    "acceptance_frequency": 3,
    "contribution_speed": 28.5,
    "cpo": 1.425,
    "car": 0.75,
}
RETENTION_METRICS: Final = (
    "retention_coverage",
    "persistence_rate",
    "persistence_observed",
    "fuzzy_persistence_lower",
    "fuzzy_persistence_observed",
    "fuzzy_persistence_paper",
)
# O, U and M, then the rates in the order above.
RETENTION: Final = {
    30: (6, 3, 4, "1", "1/2", "1/2", "2/3", "2/3", "2/3"),
    120: (6, 2, 4, "1", "1/3", "1/3", "2/3", "2/3", "2/3"),
    300: (5, 2, 3, "5/6", "1/3", "2/5", "1/2", "3/5", "2/3"),
    600: (5, 2, 3, "5/6", "1/3", "2/5", "1/2", "3/5", "2/3"),
}
NUMBERS: Final[dict[str, float | None]] = {
    **COUNTS,
    **RATES,
    **{
        f"{name}_{horizon_s}": float(Fraction(str(value)))
        for horizon_s, row in RETENTION.items()
        for name, value in zip(("observed", "unchanged", "mostly", *RETENTION_METRICS), row, strict=True)
    },
}
"""Every number of the example, by name; those of retention end in their horizon in seconds."""

OPPORTUNITIES: Final = 40
DWELLS_MS: Final = (1200, 900, 300, 2000, 800, 1500, 400, 760, 5000, 749)
# Accepted text, and what stood at each horizon; None: not observed.
ACCEPTED: Final[tuple[tuple[str, tuple[str | None, ...]], ...]] = (
    ("return a + b", ("return a + b",) * 4),
    ("return a + b", ("return a - b",) * 4),
    ("foo", ("fo0",) * 4),
    ("abcdefghij", ("abcdefghij", "", "", "")),
    ("abcdefghij", ("abcdefghij", "abcdefg", None, None)),
    ("abcdefghij", ("abcdef", "abcdefghij", "abcdefghij", "abcdefghij")),
)
IGNORED_TEXT: Final = "pass"


def worked_example(app: str = "worked-example", start_ms: int = START_MS) -> list[Event]:
    """The example's events in the order in which they happen to each suggestion, not in order of time."""
    events: list[dict[str, Any]] = []
    for number in range(OPPORTUNITIES):
        # Seven minutes apart, so that the ten that are shown fall into two clock hours.
        at_ms = start_ms + min(number, len(DWELLS_MS)) * 7 * 60_000
        events.append(_generation(app, number, at_ms))
        if number < len(DWELLS_MS):
            events += _feedback(app, number, at_ms + 1000)
    return [validate(event) for event in events]


def numbers(store: Client, app: str = "worked-example") -> dict[str, float | None]:
    """What the views say of the example, in the shape of `NUMBERS`."""
    start_at, mature_at = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (START_MS, MATURE_MS))
    scope = Scope(start_at, start_at + timedelta(hours=4), mature_at, by=["app"], only={"app": [app]})
    (funnel,) = queries.funnel(store, scope)
    got: dict[str, float | None] = {name: getattr(funnel, name) for name in COUNTS}
    got |= {row.metric: row.value for row in queries.rates(store, scope, list(RATES))}
    for row in queries.retention(store, scope):
        got |= {f"{name}_{row.horizon_s}": getattr(row, name) for name in ("observed", "unchanged", "mostly")}
    rates = queries.retention_rates(store, scope, RETENTION_METRICS)
    return got | {f"{rate.metric}_{rate.horizon_s}": rate.value for rate in rates}


def _envelope(app: str, number: int, what: str, at_ms: int) -> dict[str, Any]:
    return {
        "event_id": _identity(app, f"{number}/{what}"),
        "schema_version": 1,
        "occurred_at": at_ms,
        "app": app,
        "generation_id": _identity(app, str(number)),
        "environment": "test",
        "user": "7d1c2f",
    }


def _identity(app: str, name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://keeprate.example/{app}/{name}"))


def _generation(app: str, number: int, at_ms: int) -> dict[str, Any]:
    shown = number < len(DWELLS_MS)
    return _envelope(app, number, "generation", at_ms) | {
        "type": "generation",
        "operation": "text_completion",
        "surface": "inline",
        "language": "python",
        "model": "model-a",
        "prompt_name": "complete",
        "prompt_version": "1",
        "outcome": "produced" if shown else "empty",
        "cost_usd": 0.5,
        "latency_ms": 250,
    }


def _feedback(app: str, number: int, at_ms: int) -> list[dict[str, Any]]:
    accepted = ACCEPTED[number] if number < len(ACCEPTED) else None
    text = accepted[0] if accepted else IGNORED_TEXT
    size = {"length": length(text), "lines": line_count(text)}
    action = {"type": "action", "action": "shown", "dwell_ms": DWELLS_MS[number]} | size
    events = [_envelope(app, number, "shown", at_ms) | action]
    if accepted is None:
        return events
    accept_ms = at_ms + DWELLS_MS[number]
    events.append(_envelope(app, number, "accept", accept_ms) | {"type": "action", "action": "accept"} | size)
    for horizon_s, current in zip(HORIZONS_S, accepted[1], strict=True):
        check = {"type": "retention_check", "horizon_s": horizon_s, "elapsed_ms": horizon_s * 1000 + 12}
        check |= _state(text, current)
        # An editor that has quit sends nothing; one that closed the file says so.
        if current is not None or horizon_s == HORIZONS_S[2]:
            events.append(_envelope(app, number, f"check {horizon_s}", accept_ms + horizon_s * 1000 + 12) | check)
    return events


def _state(original: str, current: str | None) -> dict[str, Any]:
    if current is None:
        return {"status": "unobserved", "reason": "file_closed"}
    return {"status": "present" if current else "removed"} | asdict(survival(original, current))
