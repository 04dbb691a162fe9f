"""The counts of windows are those of the views, where both ask the same of the same suggestions."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from keeprate.schemas.events import Event
from keeprate.schemas.lift import fold
from keeprate.schemas.topics import WINDOWS
from keeprate.schemas.window_names import COUNTS, HORIZON_COUNTS, LABELS, RATIO_BOUNDS
from keeprate.schemas.window_record import Form, Segments, WindowId, encode_window
from keeprate.schemas.window_record import fold as fold_segments
from keeprate.sinks import batches
from keeprate.sinks.clickhouse import Client
from keeprate.sinks.reading import queries
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.rows import sort
from tests import reference
from tests.reading import load, reading
from tests.strategies import logs
from tests.unit.sinks.records import FakeRecord
from tests.windowing import counted
from tests.worked_example import MATURE_MS, START_MS, worked_example

pytestmark = [pytest.mark.clickhouse, pytest.mark.slow]

SINCE, UNTIL, LATER = (
    datetime(2020, 1, 1, tzinfo=UTC),
    datetime(2030, 1, 1, tzinfo=UTC),
    datetime(2040, 1, 1, tzinfo=UTC),
)
REQUEST = "choice_index = 0 AND "
_ACTIVE_VOTES = "arrayMap(v -> v.value, arrayFilter(v -> v.value != 0 OR v.score >= 0, mapValues(votes)))"
_NEGATIVE = f"has({_ACTIVE_VOTES}, -1) OR arrayExists(f -> f.active = 1 AND f.valence = 'negative', mapValues(flags))"
# Each count, asked of the view of suggestions; a plain name is a column of it.
ASKED = {
    "opportunities": "countIf(choice_index = 0)",
    "generations_ok": f"countIf({REQUEST}outcome NOT IN ('failed', 'cancelled', 'filtered'))",
    "input_tokens": f"sumIf(coalesce(input_tokens, 0), {REQUEST}1)",
    "cost_known": f"countIf({REQUEST}cost_usd IS NOT NULL)",
    "cost_nano_usd": f"sumIf(toInt64(round(coalesce(cost_usd, 0) * 1e9)), {REQUEST}1)",
    "latency_known": f"countIf({REQUEST}latency_ms IS NOT NULL)",
    "latency_ms": f"sumIf(coalesce(latency_ms, 0), {REQUEST}1)",
    "latency_le_250_ms": f"countIf({REQUEST}latency_ms <= 250)",
    "voted": f"countIf(notEmpty({_ACTIVE_VOTES}))",
    "votes_positive": f"sum(countEqual({_ACTIVE_VOTES}, 1))",
    "votes_negative": f"sum(countEqual({_ACTIVE_VOTES}, -1))",
    "flagged": "countIf(arrayExists(f -> f.active = 1, mapValues(flags)))",
    "negative": f"countIf({_NEGATIVE})",
    "corrected": "countIf(corrected)",
    "corrections": "sum(length(corrections))",
    "correction_distances_known": "sum(arrayCount(e -> e.distance >= 0, mapValues(corrections)))",
    "accepted_in_time": "countIf(accepted AND first_accepted_at <= coalesce(first_shown_at, first_accepted_at) + 300)",
    "used_checked": "countIf(used AND checked)",
    "accepted_length_known": "countIf(accepted AND accepted_length IS NOT NULL)",
    "accepted_char": "sumIf(coalesce(accepted_length, 0), accepted)",
    "shown_read_length_known": "countIf(shown_read AND shown_length IS NOT NULL)",
    "shown_read_char": "sumIf(coalesce(shown_length, 0), shown_read)",
    "accepted_full_shown_char": "sumIf(coalesce(shown_length, 0), accepted_full)",
    "shown_lines_known": "countIf(shown AND shown_lines IS NOT NULL)",
    "lines_suggested": "sumIf(coalesce(shown_lines, 0), shown)",
    "lines_accepted": "sumIf(coalesce(accepted_lines, 0), accepted)",
    "zero_length": "countIf((accepted OR auto_applied) AND NOT retainable)",
} | {
    name: f"countIf({name})"
    for name in (
        *("shown", "shown_read", "accepted", "accepted_full", "auto_applied", "rejected", "ignored", "superseded"),
        *("unanswered", "undone", "orphan_accept", "used", "touchless", "retainable"),
    )
}
SPAN = "since='2020-01-01', until='2030-01-01', bucket_s=0"


@pytest.fixture(scope="module")
def engine() -> Iterator[Client]:
    with reading() as client:
        reference.create(client)
        yield client


def land(client: Client, log: list[Event]) -> None:
    """The outcomes of a log, and its windows, as two partitions would count them."""
    load(client, log)
    client.command("TRUNCATE TABLE windows")
    outcomes = fold(log)
    parts = ({key: outcomes[key] for key in outcomes if len(key) % 2 == parity} for parity in (0, 1))
    records = [
        FakeRecord(0, encode_window(WindowId(*at, number), 1, *fold_segments(segments, 100), Form()))
        for number, part in enumerate(parts)
        for at, segments in counted(part).items()
    ]
    (table,), rows = zip(*sort(WINDOWS.name, 0, records).tables.items(), strict=True)
    assert len(rows[0]) == len(records)
    client.insert_bytes(table.name, (), b"".join(rows[0].encoded), table.format, dict(table.settings))


def rows_of(client: Client, query: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Rows by app, model and horizon, where there is one."""
    found = client.query_dicts(query)
    return {(row.pop("app"), row.pop("model"), row.pop("horizon_s", 0)): row for row in found}


@settings(max_examples=3, deadline=None)
@given(logs(60))
def test_windows_count_what_the_views_count(engine: Client, log: list[Event]) -> None:
    """Over all windows, each count is that of the suggestions, and each state at a horizon that of `retention`."""
    land(engine, log)
    asked = ", ".join(f"toInt64({expression}) AS {name}_" for name, expression in ASKED.items())
    wanted = rows_of(
        engine, f"SELECT app, model, {asked} FROM reference_suggestions WHERE NOT orphan GROUP BY app, model"
    )
    sums = ", ".join(f"sum({name}) AS {name}_" for name in ASKED)
    got = rows_of(engine, f"SELECT app, model, {sums} FROM window_counts({SPAN}) GROUP BY app, model")
    assert got == wanted
    _retention_is_that_of_the_view(engine)


def _retention_is_that_of_the_view(client: Client) -> None:
    names = [name for name in ("accepted", "missing", *HORIZON_COUNTS) if not name.startswith("edit_distance")]
    sums = ", ".join(f"sum({name}) AS {name}_" for name in names)
    query = f"SELECT app, model, horizon_s, {sums} FROM window_retention({SPAN}, as_of='2040-01-01', grace_s=300)"
    got = rows_of(client, f"{query} GROUP BY app, model, horizon_s")
    scope = Scope(SINCE, UNTIL, LATER, by=["app", "model"])
    wanted = {
        (row.dimensions["app"], row.dimensions["model"], row.horizon_s): {
            f"{name}_": int(getattr(row, name)) for name in names
        }
        for row in queries.retention(client, scope)
    }
    # A horizon that only checks of earlier accepts have is one of the view alone, and so is who accepted nothing.
    assert got == {key: wanted[key] for key in got}
    assert not any(row["observed_"] for key, row in wanted.items() if key not in got)


def test_the_worked_example_in_windows(engine: Client) -> None:
    """Funnel, acceptance in time and edit distances, window by window, are those of the monitor's batches."""
    land(engine, worked_example())
    start_at, end_at = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (START_MS, MATURE_MS))
    span = {"since": start_at - timedelta(minutes=5), "until": end_at}
    acceptance = batches.count(engine, "acceptance", "worked-example", **span)
    retention = batches.count(engine, "retention_600", "worked-example", **span)
    # Windows are by the time of showing and accepting, batches by that of the generation: here the sums agree.
    ((shown, in_time, opportunities),) = engine.query(
        f"SELECT sum(shown), sum(accepted_in_time), sum(opportunities) FROM window_counts({SPAN})"
    )
    assert (shown, opportunities) == (10, 40)
    assert shown == sum(one.count for one in acceptance)
    assert in_time == sum(one.count for one in acceptance if one.outcome == "accepted")
    buckets = [f"edit_distance_le_{round(bound * 100)}_pct" for bound in RATIO_BOUNDS]
    (found,) = engine.query(
        f"SELECT {', '.join(f'sum({name})' for name in buckets)} "
        f"FROM window_retention({SPAN}, as_of='2040-01-01', grace_s=300) WHERE horizon_s = 600"
    )
    wanted: Counter[float] = Counter()
    for one in retention:
        wanted[float(one.outcome) if one.kind == "edit_distance" else -1.0] += one.count
    assert dict(zip(RATIO_BOUNDS, found, strict=True)) == {bound: wanted[bound] for bound in RATIO_BOUNDS}


def test_the_higher_version_holds(engine: Client) -> None:
    """Whatever the order in which they land; of equal versions the last."""
    engine.command("TRUNCATE TABLE windows")
    for version, shown in ((5, 1), (9, 2), (9, 3), (7, 4)):
        segments: Segments = {("",) * len(LABELS): {COUNTS.index("shown"): shown}}
        record = FakeRecord(0, encode_window(WindowId("editor", START_MS, 0), version, segments, 0, Form()))
        ((table, rows),) = sort(WINDOWS.name, 0, [record]).tables.items()
        engine.insert_bytes(table.name, (), rows.encoded[0], table.format, dict(table.settings))
    assert engine.query(f"SELECT shown FROM window_counts({SPAN})") == [(3,)]
