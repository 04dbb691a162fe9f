"""The stack starts again what ends by itself, with pauses, and ends only with what everything stands on."""

import stat
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from keeprate.deploy.local.process import ProcessError, free_port
from keeprate.deploy.local.stack import ATTEMPTS, LONGEST_PAUSE_S, STEADY_S, Failures, Part, Stack, url

_ENDS = (sys.executable, "-c", "import sys; sys.exit('cannot go on')")
_RUNS = (sys.executable, "-c", "import time; time.sleep(600)")


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def stack(tmp_path: Path, told: list[str]) -> Iterator[Stack]:
    stack = Stack(tmp_path / "logs", {}, told.append)
    yield stack
    stack.stop()


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _has_run(log: Path, times: int) -> bool:
    return log.read_text().count("cannot go on") == times


def test_pauses_double_up_to_a_minute_and_begin_anew_after_a_steady_run() -> None:
    """The first failure costs nothing, a loop costs little, and yesterday's failures are forgotten."""
    failures, now_s, pauses = Failures(), 0.0, []
    for _ in range(10):
        pauses.append(failures.ended(now_s))
        now_s += pauses[-1]
        failures.started(now_s)
    assert pauses == [0, 1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert max(pauses) == LONGEST_PAUSE_S
    assert failures.ended(now_s + STEADY_S) == 0


def test_a_part_that_loops_disturbs_no_other(stack: Stack, told: list[str], tmp_path: Path) -> None:
    """It starts again when its pause is over and not before, told of in one line with its log; the others go on."""
    stack.launch(Part("steady", _RUNS), Part("looping", _ENDS))
    log = tmp_path / "logs" / "looping.log"
    now_s = time.monotonic()
    for run in range(1, ATTEMPTS + 4):
        _until(partial(_has_run, log, run))
        _until(lambda: not stack.running("looping"))
        stack.check(now_s)
        assert len(told) == run
        assert "looping ended by itself with code 1" in told[-1]
        assert str(log) in told[-1]
        assert "\n" not in told[-1]
        stack.check(now_s + (0 if run == 1 else 0.5))
        assert len(told) == run
        now_s += LONGEST_PAUSE_S - 1 if run > 1 else 0
        stack.check(now_s)
    assert stack.running("steady")


def test_what_all_stand_on_ends_the_stack_when_it_loops(stack: Stack, told: list[str], tmp_path: Path) -> None:
    """After some attempts, with its name, how often, and the end of its log."""
    stack.launch(Part("store", _ENDS, essential=True))
    now_s = time.monotonic()
    for _ in range(ATTEMPTS):
        _until(lambda: not stack.running("store"))
        stack.check(now_s)
        now_s += LONGEST_PAUSE_S - 1
        stack.check(now_s)
    _until(lambda: not stack.running("store"))
    with pytest.raises(ProcessError, match=f"store ended .* {ATTEMPTS + 1} times in a row.*nothing goes on") as caught:
        stack.check(now_s)
    assert "cannot go on" in caught.value.log_tail
    assert len(told) == ATTEMPTS


def test_a_part_that_does_not_get_ready_is_told_and_the_others_start(stack: Stack, told: list[str]) -> None:
    """An essential one is an error, with the end of its log."""
    stack.launch(Part("page", _ENDS, ready_url=url(free_port(), "/")), Part("sink", _RUNS))
    stack.wait_ready()
    assert len(told) == 1
    assert "page ended with code 1 while starting" in told[0]
    assert stack.running("sink")
    stack.launch(Part("store", _ENDS, ready_url=url(free_port(), "/"), essential=True))
    with pytest.raises(ProcessError, match="store ended with code 1 while starting"):
        stack.wait_ready()


def test_logs_and_what_parts_write_are_the_users_alone(stack: Stack, tmp_path: Path) -> None:
    """Events pass through them."""
    written = tmp_path / "logs" / "written"
    stack.launch(Part("writer", (sys.executable, "-c", f"open({str(written)!r}, 'w').write('x')")))
    _until(lambda: written.exists() and not stack.running("writer"))
    for path, mode in ((tmp_path / "logs", 0o700), (tmp_path / "logs" / "writer.log", 0o600), (written, 0o600)):
        assert stat.S_IMODE(path.stat().st_mode) == mode
