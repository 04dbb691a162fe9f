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


def looks(patch: pytest.MonkeyPatch, age: timedelta, landed: list[int]) -> Iterator[int]:
    """Looks as of the same time, of a release of which so many trials have landed; how often it was judged by then."""
    release = Release("prompt_version", ("editor", "inline"), "v5", "v3", AT - age, AT)
    judged, now = 0, 0

    def findings(*_: Any) -> list[Any]:
        nonlocal judged
        judged += 1
        return [SimpleNamespace(comparison=SimpleNamespace(new_trials=now, new_successes=0), kept=None)]

    patch.setattr(batches, "closed_until", lambda client: {("generation", "editor"): AT})
    patch.setattr(releasing, "find", lambda *_: [release])
    patch.setattr(releasing, "findings", findings)
    patch.setattr(release_verdicts, "keep", lambda *_: None)
    releases = Releases()
    for number, now in enumerate(landed):  # noqa: B007 (`findings` has it)
        releases.refresh(CLIENT, AT + number * LOOKS_EVERY)
        yield judged


def test_a_young_release_is_judged_until_two_looks_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told late may have landed by half at the first look, and nothing closes for minutes after it."""
    assert list(looks(monkeypatch, timedelta(hours=3), [10, 950, 950, 950, 950])) == [1, 2, 3, 3, 3]


def test_an_old_release_is_judged_once_as_of_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a minute adds to days says nothing."""
    assert list(looks(monkeypatch, timedelta(days=3), [9000, 9001, 9002])) == [1, 1, 1]
