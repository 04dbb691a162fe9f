"""`keeprate drift`: what is in alarm first, what would not be seen in words, and eighty columns."""

from datetime import UTC, datetime

import pytest

from keeprate.deploy.drift.listing import chosen, sees, show
from keeprate.sinks.closed.drift_states import Kept, Standing

AT = datetime(2026, 3, 2, tzinfo=UTC)
NOTHING = [[-1e308] * 5, [0.0] * 5, [0.0] * 5]
STRONG = [[20.0] * 5, [1.0] * 5, [0.0] * 5]


def kept(metric: str, standing: Standing, fell: list[list[float]] = NOTHING) -> Kept:
    return Kept(("editor", "inline-completion", "v4", "orion-2-code", metric), AT, AT, fell, NOTHING, standing)


KEPT = [
    kept("acceptance", Standing("own", 0.31, 812, 240, 0.18)),
    kept("flag", Standing("inherited", 0.02, 812, 20, 1.4)),
    kept("retention_600", Standing("alarm", 0.85, 240, 132, 0.2), STRONG),
    kept("judge_grounded", Standing("warming", None, 12, 10, None)),
    kept("correction", Standing("own", 0.001, 812, 1, None)),
]


def test_what_is_in_alarm_comes_first_and_metrics_are_chosen_by_their_label() -> None:
    """As Prometheus has it, retention_10m."""
    assert chosen(KEPT, "", "")[0].series[4] == "retention_600"
    assert [each.series[4] for each in chosen(KEPT, "editor", "retention_10m")] == ["retention_600"]
    assert chosen(KEPT, "chat", "") == []


def test_what_would_not_be_seen_is_said() -> None:
    """A fall of what should be high, a rise of what should be low; of the young and the rare, which of them is not."""
    assert [sees(each) for each in KEPT] == ["-18 %", "+140 %", "-20 %", "no fall", "no rise"]


def test_a_list_fits_eighty_columns(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """And ends with how many are blind."""
    monkeypatch.setenv("COLUMNS", "80")
    show(chosen(KEPT, "", ""))
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= 80
    assert "retention_10m alarm 85.0 % 55.0 % /240 -20 %" in " ".join(said.split())
    assert "5 series; 2 of them see no change within a day" in said
