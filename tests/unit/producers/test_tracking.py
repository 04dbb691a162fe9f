"""Retention checks at their horizons, late, unreadable, and over a restart. The clock is the test's."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from keeprate.producers import Check, Keeprate, Unobserved
from keeprate.producers.sdk.journal import Journal
from keeprate.producers.sdk.tracking import Clock, Tracker
from keeprate.producers.testing import RecordingKeeprate


def checks(client: RecordingKeeprate) -> list[tuple[Any, ...]]:
    """Horizon, elapsed time, status, reason and distance of each check."""
    names = ("horizon_s", "elapsed_ms", "status", "reason", "distance")
    return [tuple(event.get(name) for name in names) for event in client.of_type("retention_check")]


def test_each_horizon_is_looked_at_when_it_comes() -> None:
    """Unchanged, edited, gone and back again: each check says what stood at its time."""
    client = RecordingKeeprate()
    document = "return a + b"
    client.generation(output="return a + b").accept().track(lambda: document)
    client.advance(30)
    document = "return a - b"
    client.advance(100)
    document = ""
    client.advance(200)
    document = "return a + b"
    client.advance(1_000)
    assert checks(client) == [
        (30, 30_000, "present", None, 0),
        (120, 120_000, "present", None, 1),
        (300, 300_000, "removed", None, 12),
        (600, 600_000, "present", None, 0),
    ]


@pytest.mark.parametrize(
    ("reader", "reason"),
    [
        (lambda: None, "no_text"),
        (lambda: 1 / 0, "read_failed"),
        (lambda: b"abc", "read_failed"),
        (lambda: (_ for _ in ()).throw(Unobserved("file_deleted")), "file_deleted"),
    ],
)
def test_a_text_that_cannot_be_read_is_unobserved_with_the_reason(reader: Any, reason: str) -> None:
    """Whatever a reader does, the check is sent and nothing is raised into the app."""
    client = RecordingKeeprate()
    client.generation(output="abc").accept().track(reader, horizons_s=[30])
    client.advance(60)
    assert checks(client) == [(30, 30_000, "unobserved", reason, None)]


def test_a_check_that_is_asked_late_is_made_and_says_so() -> None:
    """The machine slept over two horizons: both are sent with the time that really passed."""
    now_s = 0.0
    events: list[Any] = []

    def emit(event: Any) -> bool:
        events.append(event)
        return True

    tracker = Tracker(emit, clock=Clock(lambda: now_s), has_thread=False)
    check = Check({"generation_id": "g"}, 1, "abc", 0, 0)
    tracker.track(check, lambda: "abc", 0.0, [30, 120])
    now_s = 500.0
    tracker.make_due()
    assert [(event["horizon_s"], event["elapsed_ms"]) for event in events] == [(30, 500_000), (120, 500_000)]


def test_the_check_belongs_to_the_accept_it_was_started_from() -> None:
    """A later accept has its own checks, with its own accept_seq, text and age."""
    client = RecordingKeeprate()
    handle = client.generation(output="abcd").accept_partial("ab").track(lambda: "ab", horizons_s=[30])
    client.advance(10)
    handle.accept().track(lambda: "abcd", horizons_s=[30])
    client.advance(60)
    found = [(event.get("accept_seq"), event.get("distance")) for event in client.of_type("retention_check")]
    assert found == [(1, 0), (2, 0)]


def test_nothing_accepted_is_nothing_to_track(caplog: pytest.LogCaptureFixture) -> None:
    """An accept of no text has no checks; a handle that knows no accept says so in the log, and is counted."""
    client = RecordingKeeprate(strict=False)
    client.generation(output="").accept().track(lambda: "")
    client.feedback(client.new_id()).track(lambda: "")
    client.advance(1_000)
    assert checks(client) == []
    assert "give it to accept" in caplog.text
    assert client.stats().dropped == {"invalid": 1}


@pytest.mark.parametrize("horizons", [[0], [30, -1], [30.5], [float("nan")], ["30"], [10**9], [True]])
def test_a_horizon_that_no_check_can_have_is_refused(horizons: Any) -> None:
    """It is counted where it is given, and neither ends nor stalls the thread that makes the checks."""
    client = RecordingKeeprate(strict=False)
    client.generation(output="abc").accept().track(lambda: "abc", horizons_s=horizons)
    client.advance(1_000)
    assert checks(client) == []
    assert client.stats().refusals == {"invalid horizons_s": 1}


def test_a_damaged_line_of_a_journal_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """The checks around it are made; the log says that one cannot be."""
    good = {"number": 1, "check": {"origin": {}, "accept_seq": 1, "original": None, "horizon_s": 30}}
    good["check"]["accepted_at_ms"] = 5  # type: ignore[index]
    bad = [[1], {"number": 2}, {"number": 3, "check": {"origin": 7}}, {"number": "x", "check": {}}, 7]
    assert [check.horizon_s for check in Journal.parse("\n".join(map(json.dumps, [*bad, good])))] == [30]
    assert "cannot be read" in caplog.text


def test_closing_without_a_spool_reports_what_was_to_come() -> None:
    """Checks that nobody will make are unobserved, so that they are no riddle to the processor."""
    client = RecordingKeeprate()
    client.generation(output="abc").accept().track(lambda: "abc", horizons_s=[30, 120])
    client.advance(60)
    client.close()
    assert checks(client) == [(30, 30_000, "present", None, 0), (120, 60_000, "unobserved", "exit", None)]


def resumed(journal: str, **settings: Any) -> RecordingKeeprate:
    """A client that takes over a journal a hundred seconds after the accept."""
    client = RecordingKeeprate(**settings)
    client.advance(100)
    client._tracker.resume(journal)
    return client


@pytest.fixture
def journal(tmp_path: Path) -> str:
    """What a process leaves that was killed between the checks at 30 and at 120 seconds."""
    client = RecordingKeeprate()
    path = tmp_path / "checks.jsonl"
    client._tracker.keep_in(path)
    client.generation(output="return a + b").accept().track(lambda: "", horizons_s=[30, 120], ref="a.py:7")
    client.advance(60)
    client.close()
    return path.read_text()


def test_a_restarted_app_makes_the_checks_that_were_to_come(journal: str) -> None:
    """`reread` gets the check with its ref; the elapsed time runs on from the accept, over the restart."""
    seen: list[Check] = []

    def reread(check: Check) -> str:
        seen.append(check)
        return "return a - b"

    client = resumed(journal, reread=reread).advance(50)
    assert checks(client) == [(120, 120_000, "present", None, 1)]
    assert seen[0].ref == "a.py:7"


def test_a_restarted_app_that_cannot_read_reports_unobserved(journal: str) -> None:
    """Without `reread` the rest is reported at once."""
    assert checks(resumed(journal)) == [(120, 100_000, "unobserved", "exit", None)]


def test_texts_do_not_rest_on_disk_where_content_must_not_leave(tmp_path: Path) -> None:
    """With content off, the journal holds no text, and a restarted app reports unobserved."""
    client = RecordingKeeprate(content="off")
    path = tmp_path / "checks.jsonl"
    client._tracker.keep_in(path)
    client.generation(output="secret").accept("secret").track(lambda: "", horizons_s=[120], ref="a.py")
    journal = path.read_text()
    assert "secret" not in journal
    client = resumed(journal, content="off", reread=lambda _: "secret").advance(60)
    assert checks(client) == [(120, 120_000, "unobserved", "exit", None)]


def test_a_journal_keeps_what_is_pending_and_goes_with_the_last(tmp_path: Path) -> None:
    """It is rewritten when most of it is done, a line cut short is left out, and an empty one is deleted."""
    path = tmp_path / "checks.jsonl"
    journal = Journal(path)
    check = Check({"generation_id": "g"}, 1, "abc", 30, 0)
    for number in range(1_500):
        journal.add(number, check)
    for number in range(1_000):
        journal.done(number)
    assert len(path.read_text().splitlines()) < 1_500
    torn = path.read_text() + json.dumps({"number": 9_999, "check": {}})[:-9]
    assert list(Journal.parse(torn)) == [check] * 500
    for number in range(1_000, 1_500):
        journal.done(number)
    assert not path.exists()


def test_a_reader_may_be_a_coroutine_function() -> None:
    """It runs on the loop that was running when tracking began, while the check's thread waits."""

    async def app() -> list[Any]:
        client = RecordingKeeprate()

        async def read() -> str:
            return "abd"

        client.generation(output="abc").accept().track(read, horizons_s=[30])
        await asyncio.to_thread(client.advance, 30)
        return checks(client)

    assert asyncio.run(app()) == [(30, 30_000, "present", None, 1)]


def test_the_tracker_of_a_real_client_makes_checks_by_itself() -> None:
    """Its thread makes a check when it is due, without anybody asking."""
    client = Keeprate("docs", kafka={"test.mock.num.brokers": 1})
    client.generation(output="abc").accept().track(lambda: "abc", horizons_s=[1])
    while client.stats().accepted < 3:
        time.sleep(0.01)
    client.close()
    assert (client.stats().delivered, client.stats().lost) == (3, 0)
