"""An import of a repository sends what is new, remembers it only once it is safe, and survives a stop at any point."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from typer.testing import CliRunner

from keeprate.deploy.commands.importing.destination import SAVE_EVERY_EVENTS, Bookmark, EventOutlet, send
from keeprate.deploy.commands.tree import app as commands
from keeprate.producers.imports.git import CommitStep
from keeprate.producers.imports.summary import ImportSummary
from keeprate.schemas.events import Event
from tests.repositories import DAY_S, START_S, Repository


def _event(name: str) -> Event:
    return cast(Event, {"event_id": name})


# Two commits of the branch with a commit made elsewhere between them, then what was due before the end.
STEPS = [
    CommitStep("a", True, [_event("a1"), _event("a2")]),
    CommitStep("b", False, []),
    CommitStep("c", True, [_event("c1")]),
    CommitStep("", True, [_event("end")]),
]
LONGER = [*STEPS[:3], CommitStep("d", True, [_event("end"), _event("d1")]), CommitStep("", True, [])]


def _send(steps: list[CommitStep], bookmark: Bookmark) -> list[str]:
    sent: list[str] = []
    to = EventOutlet(lambda event: sent.append(event["event_id"]), lambda: None)
    assert list(send(iter(steps), bookmark.load(), to, bookmark)) == steps
    return sent


@pytest.fixture
def bookmark(tmp_path: Path) -> Bookmark:
    """One that nobody has used."""
    return Bookmark.of(tmp_path, "git-project", "main")


def test_the_first_time_everything_is_sent(bookmark: Bookmark) -> None:
    """And the last commit of the branch is remembered."""
    assert _send(STEPS, bookmark) == ["a1", "a2", "c1", "end"]
    assert bookmark.load() == "c"


def test_the_second_time_nothing_is_sent(bookmark: Bookmark) -> None:
    """Not even what the end of a history repeats."""
    _send(STEPS, bookmark)
    assert _send(STEPS, bookmark) == []
    assert bookmark.load() == "c"


def test_a_longer_history_sends_the_rest(bookmark: Bookmark) -> None:
    """What came since; a check that was sent at the end comes again under its id."""
    _send(STEPS, bookmark)
    assert _send(LONGER, bookmark) == ["end", "d1"]
    assert bookmark.load() == "d"


def test_nothing_is_remembered_that_is_not_safe(bookmark: Bookmark) -> None:
    """When the brokers fail, the next time begins where they last acknowledged."""

    def fail() -> None:
        raise RuntimeError

    many = [CommitStep("a", True, [_event("x")] * SAVE_EVERY_EVENTS), *STEPS[2:]]
    with pytest.raises(RuntimeError):
        list(send(iter(many), "", EventOutlet(lambda event: None, fail), bookmark))
    assert bookmark.load() == ""


def test_it_is_remembered_on_the_way(bookmark: Bookmark) -> None:
    """A stop in the middle of a long history costs a part of it, not the whole."""

    def steps() -> Iterator[CommitStep]:
        yield CommitStep("a", True, [_event("x")] * SAVE_EVERY_EVENTS)
        yield CommitStep("c", True, [])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(send(steps(), "", EventOutlet(lambda event: None, lambda: None), bookmark))
    assert bookmark.load() == "a"


def test_a_commit_of_no_possible_date_is_rejected_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that was at its beginning, and one far ahead: each event is named by repository, commit and field."""
    monkeypatch.setenv("KEEPRATE_DATA_DIR", str(tmp_path / "data"))
    repository, rejects, out = Repository(tmp_path / "project.git"), tmp_path / "rejects", tmp_path / "out"
    repository.commit(0, {"a.py": b"one\n"})
    for at_s in (5, 7_226_582_400):
        repository.commit((at_s - START_S) / DAY_S, {f"{at_s}.py": b"two\n"})
    repository.write()
    command = ["import", "git", str(repository.path), "--json", "--rejects", str(rejects), "--out", str(out)]
    done = CliRunner().invoke(commands, command)
    assert done.exit_code == 1, done.output
    summary = json.loads(done.stdout)
    entries = [json.loads(line) for line in rejects.read_text().splitlines()]
    assert summary["rejected"] == len(entries) == sum(summary["rejected_by_field"].values())
    assert {entry["field"] for entry in entries} == {"occurred_at", "generation_id"}
    assert all(entry["place"].startswith(f"{repository.path}, ") for entry in entries)
    written = out.read_text().splitlines()
    assert len(written) == summary["events"] > 0
    assert all(json.loads(line)["occurred_at"] > 315_532_800_000 for line in written)


def test_a_damaged_bookmark_is_none(bookmark: Bookmark) -> None:
    """The import then begins anew, which does no harm."""
    bookmark.save("c")
    bookmark.path.write_text("{")
    assert bookmark.load() == ""


def test_a_summary_gives_null_for_a_rate_of_nothing() -> None:
    """And shares by author and day otherwise."""
    summary = ImportSummary()
    base: dict[str, Any] = {"generation_id": "g"}
    summary.add(cast(Event, base | {"type": "generation", "model": "human"}))
    kept = {"horizon_s": 86_400, "distance": 4, "original_length": 16, "retained_length": 12}
    summary.add(cast(Event, base | {"type": "retention_check"} | kept))
    assert summary.as_json() == {
        "human": {"suggestions": 1, "days": {"1": {"suggestions": 1, "unchanged_rate": 0.0, "units_kept_rate": 0.75}}}
    }
    assert summary.kept["nobody"][7].as_json()["units_kept_rate"] is None
