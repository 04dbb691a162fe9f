"""Spans that the options of `keeprate report` say."""

from datetime import UTC, datetime

import pytest

from keeprate.deploy.commands.read.report import read_moment, read_scope

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
