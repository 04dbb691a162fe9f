"""Identities: their form, their order, and what a fork does to them."""

import os
import signal
import threading
import uuid
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from keeprate.schemas import ids
from keeprate.schemas.ids import foreign_id, uuid7


def test_an_id_is_a_uuid_of_version_7() -> None:
    """Version, variant and time are where RFC 9562 has them."""
    identity = uuid.UUID(uuid7(1_764_000_000_123))
    assert (identity.version, identity.variant) == (7, uuid.RFC_4122)
    assert identity.int >> 80 == 1_764_000_000_123
    assert str(identity) == str(identity).lower()


def test_ids_of_one_process_ascend_and_never_repeat() -> None:
    """Also beyond the 4096 that a millisecond's counter holds."""
    made = [uuid7() for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The clock's milliseconds, which the test sets."""
    now_ms = [1_800_000_000_000]
    with monkeypatch.context() as patch:
        patch.setattr(ids, "time", SimpleNamespace(time_ns=lambda: now_ms[0] * 1_000_000))
        patch.setattr(ids, "_last", (0, 0))
        yield now_ms


def test_ids_ascend_while_a_clock_that_was_set_back_a_little_catches_up(clock: list[int]) -> None:
    """A second of a time service's correction changes nothing in their order, nor does standing still."""
    made = []
    for step_ms in (0, 5, -1_000, 0, 1, 500, 498, 2):
        clock[0] += step_ms
        made += [uuid7() for _ in range(20)]
    assert made == sorted(set(made))


def test_ids_follow_a_clock_that_was_far_ahead_and_was_put_right(clock: list[int]) -> None:
    """They stay ahead by no more than the bound, ascend again from there, and never repeat."""
    true_ms = clock[0]
    clock[0] += 86_400_000
    ahead = [uuid7() for _ in range(20)]
    clock[0] = true_ms
    made = []
    for _ in range(200):
        made.append(uuid7())
        clock[0] += 100
        assert abs((uuid.UUID(made[-1]).int >> 80) - clock[0]) <= ids.MAX_AHEAD_MS
    assert made == sorted(made)
    assert len({*ahead, *made}) == 220


def test_a_foreign_id_is_the_same_each_time_and_the_apps_own() -> None:
    """A provider's response id maps to one identity within an app, and to another in another app."""
    assert foreign_id("chat", "resp_1") == foreign_id("chat", "resp_1") != foreign_id("editor", "resp_1")
    assert uuid.UUID(foreign_id("chat", "resp_1")).version == 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_child_forked_while_a_thread_makes_an_id_can_make_one() -> None:
    """The lock that the other thread holds does not exist in the child."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with ids._lock:
            held.set()
            done.wait(30)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait(30)
    child = os.fork()
    if child == 0:
        # An alarm ends a child that hangs: SIGALRM's default action.
        signal.alarm(10)
        uuid7()
        os._exit(0)
    done.set()
    holder.join()
    assert os.waitpid(child, 0)[1] == 0
