"""How many orphans there are, and how old they are."""

from datetime import UTC, datetime, timedelta

import pytest

from keeprate.schemas.ids import uuid7
from keeprate.schemas.outcome import Outcome
from keeprate.sinks.facts.orphans import by_age
from keeprate.sinks.store.clickhouse import Client
from keeprate.sinks.upkeep.recompute import write
from tests.reading import reading

pytestmark = pytest.mark.clickhouse

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def land(client: Client, ages: list[timedelta]) -> list[str]:
    """Suggestions that were accepted so long ago, and whose generations have not arrived; their keys."""
    times_ms = [int((NOW - age).timestamp() * 1000) for age in ages]
    outcomes: dict[str, Outcome] = {f"chat/{uuid7(at_ms)}/0": {"first_at": {"accept": at_ms}} for at_ms in times_ms}
    write(client, outcomes)
    return list(outcomes)


def generation(at: datetime) -> list[object]:
    """A generation's register, with nothing known but when it occurred."""
    return [0, int(at.timestamp() * 1000), "e", *[""] * 19, -1, -1, -1.0, -1, -1, 0, 0, ""]


def test_orphans_are_counted_by_age_and_the_joined_ones_no_longer() -> None:
    """Cumulative, as Prometheus' buckets are; what waited for longer than anybody waits is left out."""
    with reading() as client:
        assert by_age(client, NOW) == {}
        minutes, hours, day = timedelta(minutes=6), timedelta(hours=2), timedelta(hours=23)
        joined, *_ = land(client, [minutes, minutes, hours, day, timedelta(days=4)])
        found = by_age(client, NOW)
        assert [found["chat", bound] for bound in (600, 3_600, 21_600, 86_400)] == [2, 2, 3, 4]
        assert found["chat", float("inf")] == 4
        write(client, {joined: {"generation": generation(NOW - minutes)}})
        assert by_age(client, NOW)["chat", 600] == 1
