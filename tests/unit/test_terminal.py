"""What apps wrote is shown in a terminal, and never obeyed by it."""

import io
import json
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from keeprate.deploy.commands.read import dead_letters as command
from keeprate.deploy.report import document, terminal
from keeprate.deploy.report.gathering import Report
from keeprate.deploy.terminal import json_array, printable
from keeprate.sinks.facts import dead_letters
from keeprate.sinks.reading.queries import FeedbackRate, Funnel, JudgeRate, Rate
from keeprate.sinks.reading.scope import Scope

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOSTILE = "\x1b]0;title\x07\x1b[2K\x9b31m\u202e[/bold][red]gpt"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("gpt-5 mini, größer 模型 👍", "gpt-5 mini, größer 模型 👍"),
        ("two\nlines", "two\nlines"),
        ("\x1b[2J\r\x07\x9b1m", r"\x1b[2J\r\x07\x9b1m"),
        ("a\u202eb\ud800", r"a\u202eb\ud800"),
    ],
)
def test_what_a_terminal_obeys_is_shown_as_escapes(text: str, shown: str) -> None:
    """Everything else is as it was."""
    assert printable(text) == shown


def _rate(kind: type[Any], metric: str, **own: str) -> Any:
    segment = {"bucket_at": NOW, "dimensions": {"model": HOSTILE}}
    return kind(**segment, metric=metric, numerator=1, denominator=2, value=0.5, coverage=1, **_INTERVAL, **own)


_INTERVAL: dict[str, float] = {"interval_low": 0.1, "interval_high": 0.9}


def _report() -> Report:
    counts = dict.fromkeys((name for name in Funnel.__dataclass_fields__ if name not in ("bucket_at", "dimensions")), 2)
    rates = [_rate(Rate, metric) for metric in ("shown_rate", "acceptance_rate", "car", "efficiency", "touchless_rate")]
    feedback = [
        _rate(FeedbackRate, metric, label="")
        for metric in ("vote_rate", "positive_vote_share", "correction_rate", "negative_feedback_rate")
    ]
    feedback.append(_rate(FeedbackRate, "flag_rate", label=HOSTILE))
    judges = [
        _rate(JudgeRate, metric, evaluation=HOSTILE, annotator=HOSTILE, label="")
        for metric in ("judge_agreement", "judge_kappa")
    ]
    scope = Scope(since=NOW - timedelta(days=7), until=NOW, as_of=NOW, by=["model"])
    funnel = [Funnel(bucket_at=NOW, dimensions={"model": HOSTILE}, **counts)]
    return Report(scope, funnel, rates, [], [], feedback, judges)


@pytest.mark.parametrize(("width", "whole"), [(400, 7), (80, 4)])
def test_names_that_are_markup_or_commands_are_cells_of_the_report(width: int, whole: int) -> None:
    """One app's model, flag or judge of any name keeps nobody from the report, and colours nothing."""
    out = io.StringIO()
    terminal.show(_report(), Console(file=out, width=width))
    shown = out.getvalue()
    assert shown.count(printable(HOSTILE)) >= whole
    assert not set(shown) & set("\x1b\x07\x9b\u202e")


def test_names_that_are_markup_are_text_of_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither an element nor an attribute comes of a name, and no character that an editor or a browser obeys."""
    monkeypatch.setitem(globals(), "HOSTILE", "<img src=x onerror=alert(1)>&amp;\"'\x1b\u202e")
    text = document.as_html(_report())
    assert "<img" not in text
    assert text.count("&lt;img src=x onerror=alert(1)&gt;&amp;amp;\"'\\x1b\\u202e") == 7
    assert not set(text) & set("\x1b\u202e")


def test_a_dead_letter_is_shown_and_not_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes, headers, field and reason are what anybody wrote to a topic."""
    place = {"name": "keeprate.feedback/0/7", "topic": "keeprate.feedback", "app": HOSTILE, "refused_at": NOW}
    why = {"error_type": "invalid", "field": HOSTILE, "reason": HOSTILE, "stages": ["join"], "cut": ""}
    raw = HOSTILE.encode()
    letter = dead_letters.Letter("keeprate.feedback", 0, 7, place | why, raw, raw, ((HOSTILE, raw),))
    group = place | why | {"records": 1, "example": HOSTILE}
    monkeypatch.setattr(command, "open_store", lambda *_: nullcontext())
    monkeypatch.setattr(dead_letters, "find", lambda *_: [letter])
    monkeypatch.setattr(dead_letters, "newest", lambda *_: [place | why | {"refusals": 1}])
    monkeypatch.setattr(dead_letters, "count_by_reason", lambda *_: [group])
    for arguments in (["show", "keeprate.feedback/0/7"], ["list"], ["count"], ["list", "--json"]):
        result = CliRunner().invoke(command.dead_letters, arguments, catch_exceptions=False)
        assert "title" in result.stdout
        assert not set(result.stdout) & set("\x1b\x07\x9b\u202e")


def test_a_list_for_machines_is_one_array_with_an_item_on_each_line() -> None:
    """Also where there is none."""
    assert list(json_array([])) == ["[]"]
    lines = list(json_array({"at": NOW, "name": HOSTILE} for _ in range(3)))
    assert len(lines) == 3
    assert json.loads("".join(lines)) == [{"at": str(NOW), "name": HOSTILE}] * 3
    assert "\x1b" not in "".join(lines)
    assert list(json_array([1])) == ["[1]"]
