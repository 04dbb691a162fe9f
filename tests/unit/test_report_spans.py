"""Spans that the options of `keeprate report` say, and what of many labels it shows."""

from datetime import UTC, datetime, timedelta

import pytest

from keeprate.deploy.commands.read.report import read_moment, read_scope
from keeprate.deploy.report.gathering import Report
from keeprate.deploy.report.sheets import _FEEDBACK, sheets
from keeprate.sinks.reading.queries import FeedbackRate
from keeprate.sinks.reading.scope import Scope

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["99999999999999d", "9999999w", "3000000min3", "0x7d"])
def test_a_span_that_no_calendar_has_is_told_with_what_would_do(text: str) -> None:
    """As any other word that says no time."""
    with pytest.raises(ValueError, match="write 90min, 24h, 7d or 4w"):
        read_moment("--since", text, NOW)


def test_a_bucket_longer_than_time_is_told_with_what_would_do() -> None:
    """Before anything is read."""
    with pytest.raises(ValueError, match="like 1h or 1d"):
        read_scope(NOW, "app", [], [], "7d", bucket="99999999999d")


def test_of_many_labels_a_report_shows_the_most_frequent() -> None:
    """Users name them: ten thousand in one segment are told in twenty lines and how many there are besides."""

    def rate(metric: str, number: int = 0, label: str = "") -> FeedbackRate:
        return FeedbackRate(NOW, {"app": "a"}, metric, number, 99, number / 99, None, 0, 1, label)

    def shown(labels: int) -> list[object]:
        rates = [*map(rate, _FEEDBACK), *(rate("flag_rate", n, f"l{n:02}") for n in range(labels))]
        scope = Scope(NOW - timedelta(days=1), NOW, NOW, ["app"])
        flags = sheets(Report(scope, [], [], [], [], rates, []))[-1]
        assert flags.title == "Flags"
        return [line.cells[0] for line in flags.lines]

    assert shown(30) == [*(f"l{n:02}" for n in range(29, 9, -1)), "10 more: --json has them"]
    assert shown(3) == ["l00", "l01", "l02"]
