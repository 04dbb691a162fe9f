"""A record at which processes end is set aside by itself, and nothing else is taken for one."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from keeprate.schemas.structs.reading import read
from keeprate.streams.crashes import FATAL_ENDINGS, CrashJournal
from keeprate.streams.join import feedback_join, judging
from keeprate.streams.join.judging import judge_each
from keeprate.streams.state.partition import MemoryState, StateLockedError
from tests.streaming import Message, Stored
from tests.unit.test_feedback_join import NOW_MS, Recorder, batch, vote
from tests.unit.test_judging import MARK


class Ended(BaseException):
    """Where the real process would be gone: nothing after it runs."""


class Process:
    """Processes one after the other, with one data directory, that end where a record has a mark."""

    def __init__(self, directory: Path, patch: pytest.MonkeyPatch) -> None:
        self.directory = directory
        self.state = MemoryState()
        self.fatal = True
        for module in (feedback_join, judging):
            patch.setattr(module, "read", self._decode)
        # An end is an end: no `finally` runs then.
        patch.setattr(CrashJournal, "end", lambda journal: self._end(journal))

    def _decode(self, value: bytes, *rest: Any) -> Any:
        if self.fatal and MARK in value:
            self.ended = True
            raise Ended
        return read(value, *rest)

    _real_end = CrashJournal.end

    def _end(self, journal: CrashJournal) -> None:
        if not self.ended:
            Process._real_end(journal)

    def live(self, messages: Iterable[Message]) -> Recorder | None:
        """What a process came to; None where it ended."""
        self.ended = False
        journal = CrashJournal(self.directory)

        async def scenario() -> Recorder:
            recorder = Recorder()
            pipeline = recorder.pipeline(self.state, journal=journal)
            for message in messages:
                await pipeline.take(message)
            await pipeline.drain()
            return recorder

        try:
            return asyncio.run(scenario())
        except Ended:
            return None
        finally:
            journal.close()


def lives(process: Process, messages: Callable[[], list[Message]]) -> tuple[int, Recorder]:
    """How many processes ended before one got through, and what came of that one."""
    for endings in range(10):
        if (recorder := process.live(messages())) is not None:
            return endings, recorder
    raise AssertionError("no process got through")


@pytest.mark.parametrize(("before", "after"), [(0, 0), (0, 5), (5, 0), (5, 5)])
def test_a_record_at_which_three_processes_ended_is_set_aside_by_the_fourth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int, after: int
) -> None:
    """Wherever it is in its batch; all others are joined, and its dead letter says what happened."""
    process = Process(tmp_path, monkeypatch)
    values = [vote(number) for number in range(before)] + [vote(666)] + [vote(100 + number) for number in range(after)]
    endings, recorder = lives(process, lambda: [batch(values)])
    assert endings == FATAL_ENDINGS
    ((refusal),) = recorder.refused
    assert (refusal.record.offset, refusal.letter.error_type) == (before, "quarantined")
    assert "ended here" in refusal.letter.reason
    assert recorder.acknowledged == [before + 1 + after]
    votes = list(recorder.done[0].step.outcomes.values())
    assert [len(outcome["votes"]) for outcome in votes] == ([before + after] if before + after else [])


def test_a_batch_before_it_that_is_read_again_does_not_hide_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cut of the batches is another one at each start."""
    process = Process(tmp_path, monkeypatch)
    values = [*(vote(number) for number in range(7)), vote(666), vote(8), vote(9)]
    cuts = iter([[3, 10], [5, 8, 10], [10], [2, 9, 10], [7, 8, 10], [8, 10]])

    def messages() -> list[Message]:
        begins = [0, *(ends := next(cuts))]
        return [batch(values[begin:end], start=begin) for begin, end in zip(begins, ends, strict=False)]

    endings, recorder = lives(process, messages)
    assert endings == FATAL_ENDINGS
    assert [refusal.record.offset for refusal in recorder.refused] == [7]


def test_it_stays_set_aside_until_it_is_committed_past(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process that set it aside may be stopped before its commit: the next one does the same at once."""
    process = Process(tmp_path, monkeypatch)
    lives(process, lambda: [batch([vote(1), vote(666)])])
    endings, recorder = lives(process, lambda: [batch([vote(1), vote(666), vote(3)])])
    assert (endings, len(recorder.refused)) == (0, 1)


def test_who_is_killed_while_it_judges_condemns_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """kill -9 meets another record each time: the batch is judged record by record then, and nothing is set aside."""
    process = Process(tmp_path, monkeypatch)
    for number in range(2 * FATAL_ENDINGS):
        values = [vote(each) for each in range(10)]
        values[number] = vote(666)
        assert process.live([batch(values)]) is None
    process.fatal = False
    endings, recorder = lives(process, lambda: [batch([vote(each) for each in range(10)])])
    assert (endings, recorder.refused) == (0, [])


def test_an_end_between_two_batches_is_no_records(tmp_path: Path) -> None:
    """A broker that is away, a signal, an error: however often, the next process judges whole batches."""
    for number in range(2 * FATAL_ENDINGS):
        journal = CrashJournal(tmp_path)
        runs = batch([vote(number)]).value.runs
        assert not journal.begin(runs, 0)
        journal.end()
        journal.close()


def test_a_file_that_cannot_be_read_is_no_obstacle(tmp_path: Path) -> None:
    """Nothing is known then."""
    for text in (b"", b"{", b"\xff", b"[]", b'{"judged": [[1]], "suspect": [], "counts": {}}', b'{"judged": 3}'):
        (tmp_path / "judging").write_bytes(text)
        journal = CrashJournal(tmp_path)
        assert not journal.begin(batch([vote(1)]).value.runs, 0)
        journal.close()


def test_two_workers_do_not_share_a_directory(tmp_path: Path) -> None:
    """The second one says so before it reads anything."""
    journal = CrashJournal(tmp_path)
    with pytest.raises(StateLockedError, match="--data-dir"):
        CrashJournal(tmp_path)
    journal.close()
    CrashJournal(tmp_path).close()


def test_a_worker_without_files_keeps_none(tmp_path: Path) -> None:
    """--state memory."""
    journal = CrashJournal(None)
    record = Stored(vote(1), 0, timestamp=NOW_MS)
    judge_each([record], lambda keys: {}, journal)
    assert not list(tmp_path.iterdir())
