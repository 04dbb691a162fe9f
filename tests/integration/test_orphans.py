"""How many orphans there are, and how old they are."""

from datetime import UTC, datetime, timedelta

import pytest

from keeprate.schemas.ids import uuid7
from keeprate.schemas.topics import WINDOWS
from keeprate.schemas.window_record import Form, WindowId, encode_window, fold
from keeprate.sinks.clickhouse import Client
from keeprate.sinks.orphans import by_age
from keeprate.sinks.rows import sort
from tests.reading import reading
from tests.unit.sinks.records import FakeRecord
from tests.windowing import counted

pytestmark = pytest.mark.clickhouse

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def land_orphans(client: Client, ages: list[timedelta], version: int) -> None:
    """Windows of suggestions that were accepted so long ago, and whose generations have not arrived."""
    times_ms = [int((NOW - age).timestamp() * 1000) for age in ages]
    outcomes = {f"chat/{uuid7(at_ms)}/0": {"first_at": {"accept": at_ms}} for at_ms in times_ms}
    records = [
        FakeRecord(0, encode_window(WindowId(*at, 0), version, *fold(segments, 100), Form()))
        for at, segments in counted(outcomes).items()
    ]
    for table, rows in sort(WINDOWS.name, 0, records).tables.items():
        client.insert_bytes(table.name, (), b"".join(rows.encoded), table.format, dict(table.settings))


def test_orphans_are_counted_by_age_and_the_joined_ones_no_longer() -> None:
    """Cumulative, as Prometheus' buckets are; a later version of a window replaces the earlier one."""
    with reading() as client:
        assert by_age(client, NOW) == {}
        minutes, hours, day = timedelta(minutes=6), timedelta(hours=2), timedelta(hours=23)
        land_orphans(client, [minutes, minutes, hours, day], version=1)
        found = by_age(client, NOW)
        assert [found["chat", bound] for bound in (600, 3_600, 21_600, 86_400)] == [2, 2, 3, 4]
        assert found["chat", float("inf")] == 4
        land_orphans(client, [minutes], version=2)
        assert by_age(client, NOW)["chat", float("inf")] == 3
