"""The faults that the sink survives. Each takes a trial, makes load and the fault, and leaves a sink that can go on."""

import os
import signal
import time

from tests.fault.lab import stop_merges
from tests.fault.trial import Fault, Trial
from tests.landing import PARTITIONS

LOAD = 800


def _killed_at(step: int) -> Fault:
    def fault(trial: Trial) -> None:
        for _ in range(3):
            trial.load(LOAD)
            child = trial.sink(at=(step, trial.rng.randint(1, PARTITIONS), "SIGKILL"), instance="one")
            trial.wait_ended(child)
        trial.sink(instance="one")

    return fault


def killed_at_random(trial: Trial) -> None:
    """Twelve kills at any moment."""
    for _ in range(12):
        trial.load(LOAD // 2)
        child = trial.sink(instance="one")
        # It is forked, and at work after some tenths of a second.
        time.sleep(trial.rng.uniform(0.2, 2.2))
        trial.kill(child)
    trial.sink(instance="one")


def _store(mode: str, times: int = 1 << 30, code: int = 0, name: str = "") -> Fault:
    """The store's front misbehaves under load, a sink is killed meanwhile, then the front heals."""

    def fault(trial: Trial) -> None:
        trial.load(LOAD)
        trial.front.misbehave(mode, times, code, name)  # type: ignore[arg-type]
        child = trial.sink(instance="one")
        trial.wait(lambda: trial.front.met >= min(times, 2))
        if trial.rng.random() < 0.5:
            trial.kill(child)
            child = trial.sink(instance="one")
        trial.load(LOAD)
        time.sleep(1.0)
        trial.front.heal()

    return fault


def store_killed(trial: Trial) -> None:
    """The store's process is killed under load and started again."""
    trial.sink(instance="one")
    for _ in range(3):
        trial.load(LOAD)
        time.sleep(trial.rng.uniform(0.2, 1.0))
        trial.together.do(trial.lab.store.kill)
        trial.kills += 1
        trial.load(LOAD // 4)
        trial.together.do(lambda: trial.lab.start(trial.lab.store))
        # What stopped the merges was in the process that was killed.
        stop_merges(trial.store_url)


def rebalanced_between_intent_and_insert(trial: Trial) -> None:
    """While flushes wait for the store, a second member joins and takes half of the partitions with their intents."""
    trial.load(LOAD)
    trial.front.misbehave("503")
    trial.sink()
    trial.wait(lambda: trial.front.met >= 4)
    trial.sink()
    time.sleep(5.0)
    trial.load(LOAD)


def zombie(trial: Trial) -> None:
    """A member stands still after an intent for longer than its session, and wakes when another landed its range."""
    trial.load(LOAD)
    frozen = trial.sink(at=(1, trial.rng.randint(1, PARTITIONS), "SIGSTOP"))
    pid = frozen.pid
    assert pid is not None
    trial.wait(lambda: state_of(pid) == "T")
    trial.load(LOAD)
    second = trial.sink()
    trial.wait_landed()
    os.kill(pid, signal.SIGCONT)
    trial.load(LOAD)
    trial.wait(lambda: second.running)


def _upgraded_after(step: int) -> Fault:
    """A sink of an older revision dies after a step, and the new one replays its range, as its own decisions."""

    def fault(trial: Trial) -> None:
        trial.merged = step >= 4
        for _ in range(2):
            trial.load(LOAD)
            # No thread has a flush yet when the first step of the first one was done.
            number = 1 if step == 1 else trial.rng.randint(1, PARTITIONS)
            child = trial.sink(at=(step, number, "SIGKILL"), instance="one", revision="1.0")
            trial.wait_ended(child)
            assert trial.intents(" 1.0"), "the older sink left no intent"
            trial.sink(instance="one")
            trial.wait_landed()
            trial.end()
        trial.sink(instance="one")

    return fault


def members_come_and_go(trial: Trial) -> None:
    """Members join and leave under load, in order and by SIGKILL."""
    for _ in range(4):
        trial.load(LOAD)
        child = trial.sink()
        time.sleep(trial.rng.uniform(2.0, 4.0))
        if trial.rng.random() < 0.5:
            trial.kill(child)
        else:
            child.terminate(15)
    trial.sink()


def broker_killed(trial: Trial) -> None:
    """The only broker is killed under load and started again."""
    trial.sink(instance="one")
    for _ in range(2):
        trial.load(LOAD)
        time.sleep(trial.rng.uniform(0.1, 1.0))
        trial.together.do(trial.lab.broker.kill)
        trial.kills += 1
        time.sleep(1.0)
        trial.together.do(lambda: trial.lab.start(trial.lab.broker))
    trial.load(LOAD)
    # The broker may have forgotten the member, or not have taken a dead letter in time: both end the sink.
    trial.supervise(instance="one")


def state_of(pid: int) -> str:
    """The kernel's letter for what a process does: T stands still."""
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rsplit(")", 1)[1].split()[0]


# They harm what trials share.
ALONE = frozenset(("store killed", "broker killed"))
FAULTS: dict[str, Fault] = {
    **{f"sink killed after step {step}": _killed_at(step) for step in range(1, 7)},
    "sink killed at random": killed_at_random,
    "store answers 503": _store("503"),
    "store breaks connections": _store("refuse"),
    "store stalls": _store("stall"),
    "store gets half of a request": _store("cut", times=5),
    "store's reply is lost": _store("reply_lost", times=5),
    "store: memory limit": _store("error", 4, 241, "MEMORY_LIMIT_EXCEEDED"),
    "store: too many parts": _store("error", 3, 252, "TOO_MANY_PARTS"),
    "store: read only": _store("error", 4, 164, "READONLY"),
    "store killed": store_killed,
    "rebalance between intent and insert": rebalanced_between_intent_and_insert,
    "zombie wakes after its partitions moved": zombie,
    "members come and go": members_come_and_go,
    "broker killed": broker_killed,
    "upgrade between intent and insert": _upgraded_after(1),
    "upgrade between insert and ledger": _upgraded_after(4),
    "upgrade between ledger and commit": _upgraded_after(5),
}
