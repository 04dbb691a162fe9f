"""When the monitor judges a release: at once, until nothing more of it lands, and then as it grows older."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from keeprate.deploy.monitor import releasing
from keeprate.deploy.monitor.releasing import LOOKS_EVERY, Releases
from keeprate.deploy.releases.judging import Release
from keeprate.sinks.closed import batches, release_verdicts

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
CLIENT: Any = None


def looks(
    patch: pytest.MonkeyPatch, age: timedelta, landed: list[int], behind: list[timedelta] | None = None
) -> Iterator[int]:
    """Looks as of the same time, of a release of which so many trials have landed; how often it was judged by then.

    behind: by how much what is closed is behind what could be, at each look.
    """
    release = Release("prompt_version", ("editor", "inline"), "v5", "v3", AT - age, AT)
    judged, now = 0, 0

    def findings(*_: Any) -> list[Any]:
        nonlocal judged
        judged += 1
        return [SimpleNamespace(comparison=SimpleNamespace(new_trials=now, new_successes=0), kept=None)]

    def closed_until(_: Any) -> dict[tuple[str, str], datetime]:
        return {("generation", "editor"): AT - behind[number]} if behind else {("generation", "editor"): AT}

    number = 0
    patch.setattr(batches, "closed_until", closed_until)
    patch.setattr(releasing, "find", lambda *_: [release])
    patch.setattr(releasing, "findings", findings)
    patch.setattr(release_verdicts, "keep", lambda *_: None)
    releases = Releases()
    for number, now in enumerate(landed):  # noqa: B007 (`findings` has it)
        releases.refresh(CLIENT, AT + number * LOOKS_EVERY, {"editor": AT})
        yield judged


def test_a_young_release_is_judged_until_two_looks_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told late may have landed by half at the first look, and nothing closes for minutes after it."""
    assert list(looks(monkeypatch, timedelta(hours=3), [10, 950, 950, 950, 950])) == [1, 2, 3, 3, 3]


def test_an_old_release_is_judged_once_as_of_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a minute adds to days says nothing."""
    assert list(looks(monkeypatch, timedelta(days=3), [9000, 9001, 9002])) == [1, 1, 1]


def test_a_release_is_judged_before_its_batches_are_closed_and_when_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weeks of history are counted for minutes: what is not read from batches has a verdict at once."""
    days, landed = [timedelta(days=20), timedelta(days=20), timedelta(), timedelta()], [9000] * 4
    assert list(looks(monkeypatch, timedelta(days=3), landed, days)) == [1, 1, 2, 2]


def test_batches_that_close_as_time_goes_on_are_no_reason_to_judge_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that could be closed is closed some seconds later, every five minutes."""
    behind = [timedelta(minutes=5), timedelta(minutes=5), timedelta()]
    assert list(looks(monkeypatch, timedelta(hours=3), [950] * 3, behind)) == [1, 2, 2]


def test_what_was_complete_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Late events move the watermark back; a release of before is not forgotten for that."""
    monkeypatch.setattr(batches, "closed_until", lambda _: {})
    seen = []

    def find(_client: Any, _since: datetime, until: datetime) -> list[Release]:
        seen.append(until)
        return []

    monkeypatch.setattr(releasing, "find", find)
    releases = Releases()
    releases.refresh(CLIENT, AT)
    releases.refresh(CLIENT, AT, {"editor": AT})
    releases.refresh(CLIENT, AT + LOOKS_EVERY, {"editor": AT - timedelta(hours=3)})
    assert seen == [AT, AT]
