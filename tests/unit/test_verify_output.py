"""What `keeprate verify` prints: it fits a terminal, names what it found, and tells apart what is no violation."""

from datetime import date, timedelta

import pytest

from keeprate.deploy.commands.read import verify as command
from keeprate.sinks.checks.agreement import Agreement
from keeprate.sinks.checks.backwards import Position
from keeprate.sinks.checks.conflicts import Conflict
from keeprate.sinks.checks.finding import Finding
from keeprate.sinks.checks.verification import VerifyReport
from keeprate.sinks.upkeep.recompute import Unread

IDS = ("0198c0de-0000-7000-8000-000000000001", "0198c0de-0000-7000-8000-000000000002")
DAY = date(2026, 3, 2)


def report(findings: int = 0, noted: int = 0) -> VerifyReport:
    found = [Finding("I4", f"editor/{IDS[0]}/0", f"lacks {', '.join(['generation'] * 20)}")] * findings
    positions = [Position("keeprate-sink", "keeprate.dead-letters", 3, 1_234_567, 1_234_999, 1_234_999, 1_234_999)]
    agreements = [Agreement(n, DAY + timedelta(days=n // 2), 10, 1, 0, 2) for n in range(4)]
    conflicts = [Conflict("editor", *IDS, "keeprate.feedback/0/1234567", b"secret")] * noted
    unread = [Unread("support", *IDS, "cost_usd: at most 1000000, got 100000000000.0; " * 3)] * noted
    return VerifyReport(found, positions, agreements, 12, 99_999_999, 88_888_888, 1, conflicts, unread)


def text(of: VerifyReport) -> list[str]:
    return list(command._as_text(of, repair=False))


def test_every_line_fits_a_terminal() -> None:
    """Of 80 columns, whatever was found."""
    assert max(map(len, text(report(findings=2, noted=9)))) <= 80


def test_a_day_is_one_line_over_all_partitions() -> None:
    """A line for each partition and day of three weeks would be a hundred; --json has them."""
    assert "2026-03-02  20           2           0        4" in text(report())
    assert sum('"I7"' in line for line in command._as_json(report())) == 4


def test_what_is_no_violation_is_told_apart() -> None:
    """By app, with the first ids, and how many more there are."""
    told = " ".join(text(report(noted=9)))
    assert "9 events have the id of another event" in told
    assert "(editor 9):" in told
    assert "and 4 more: --json lists them" in told
    assert told.endswith("0 findings")
    assert not any("secret" in line for line in command._as_json(report(noted=1)))


def test_where_nobody_looks_progress_is_a_line_for_each_stage(capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, so that what is printed can be piped."""
    with command._telling() as tell:
        for done in (1, 2):
            tell("facts", done, 2)
    assert capsys.readouterr() == ("", "facts: 2 of 2\n")
