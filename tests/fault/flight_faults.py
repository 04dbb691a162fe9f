"""A member that goes while its inserts are under way: they reach the store after others have landed the same ranges."""

import os
import signal
import time
from collections.abc import Callable

from tests.fault.sink_faults import LOAD, state_of
from tests.fault.trial import Fault, Trial

UNDER_WAY = 3


def _late(goes: Callable[[Trial], None]) -> Fault:
    """The first inserts are held on the way; `goes` takes their partitions from the member and lands their ranges."""

    def fault(trial: Trial) -> None:
        front = trial.front
        trial.load(LOAD)
        front.misbehave("late", UNDER_WAY)
        goes(trial)
        front.heal()
        trial.wait(lambda: front.late == UNDER_WAY)
        trial.load(LOAD)

    return fault


def killed(trial: Trial) -> None:
    """SIGKILL, and the next one replays all ranges."""
    child = trial.sink(instance="one")
    trial.wait(lambda: trial.front.met == UNDER_WAY)
    trial.kill(child)
    trial.sink(instance="one")
    trial.wait_landed()


def revoked(trial: Trial) -> None:
    """Another member joins, and the inserts last for longer than the budget; or they are done within it."""
    trial.sink()
    trial.wait(lambda: trial.front.met == UNDER_WAY)
    trial.sink()
    if trial.rng.random() < 0.5:
        time.sleep(trial.rng.uniform(0.5, 2.0))
    else:
        trial.wait_landed()


def fenced(trial: Trial) -> None:
    """It stands still for longer than its session, and wakes when its inserts have arrived, or before."""
    frozen = trial.sink()
    trial.wait(lambda: trial.front.met == UNDER_WAY)
    pid = frozen.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    trial.wait(lambda: state_of(pid) == "T")
    trial.sink()
    trial.wait_landed()
    if trial.rng.random() < 0.5:
        trial.front.heal()
        trial.wait(lambda: trial.front.late == UNDER_WAY)
    os.kill(pid, signal.SIGCONT)


FAULTS: dict[str, Fault] = {
    f"{goes.__name__} with inserts of several partitions under way": _late(goes) for goes in (killed, revoked, fenced)
}
