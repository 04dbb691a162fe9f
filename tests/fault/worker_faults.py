"""What is done to workers while records arrive, and what must come of it: the oracle's outcomes."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.fault.arena import Arena

# Past the session timeout of six seconds, so that the group goes on without the member.
SUSPENDED_S: Final = 9.0


@dataclass(frozen=True)
class Fault:
    """make: what is done, while records arrive. standby_replicas: of the workers' state. alone: it harms the broker.

    upgrade: the workers are at first of the version before.
    """

    make: Callable[[Arena], None]
    standby_replicas: int = 0
    alone: bool = False
    upgrade: bool = False


def worker_killed(arena: Arena) -> None:
    """kill -9 of one of two workers, again and again, each time started again."""
    for _ in range(3):
        _kill_and_restart(arena)
        arena.pause()


def both_killed(arena: Arena) -> None:
    """kill -9 of both at once."""
    for worker in arena.workers:
        arena.kill(worker)
    arena.pause()
    for worker in arena.workers:
        worker.start()


def killed_while_it_recovers(arena: Arena) -> None:
    """kill -9 of a worker whose state is gone, while it reads its changelog, and again."""
    for _ in range(3):
        state_deleted(arena)
        time.sleep(arena.rng.uniform(0.2, 1.5))


def rebalance_storm(arena: Arena) -> None:
    """Workers leave and come back in order, faster than they settle."""
    for _ in range(4):
        _leave_and_come_back(arena)


def worker_suspended(arena: Arena) -> None:
    """SIGSTOP past the session timeout: the other takes over, and then there are two who think it is theirs."""
    pid = arena.rng.choice(arena.workers).pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    time.sleep(SUSPENDED_S)
    os.kill(pid, signal.SIGCONT)


def broker_killed(arena: Arena) -> None:
    """kill -9 of the only broker, and its return."""
    arena.together.do(arena.lab.broker.kill)
    arena.kills += 1
    arena.pause()
    arena.together.do(lambda: arena.lab.start(arena.lab.broker))


def state_deleted(arena: Arena) -> None:
    """The state's directory is gone when the worker comes back."""
    worker = arena.rng.choice(arena.workers)
    arena.kill(worker)
    shutil.rmtree(arena.state_of(worker), ignore_errors=True)
    worker.start()


def standby_takes_over(arena: Arena) -> None:
    """kill -9 of a worker that does not come back: the other goes on from the copy of its state."""
    arena.pause()
    gone = arena.workers.pop(arena.rng.randrange(2))
    arena.kill(gone)


def one_after_another(arena: Arena) -> None:
    """Four of the others in an order that nobody chose, hardly a moment apart."""
    for fault in arena.rng.choices((_kill_and_restart, both_killed, _leave_and_come_back, state_deleted), k=4):
        fault(arena)
    worker_suspended(arena)


def _kill_and_restart(arena: Arena) -> None:
    victim = arena.rng.choice(arena.workers)
    arena.kill(victim)
    arena.pause()
    victim.start()


def _leave_and_come_back(arena: Arena) -> None:
    worker = arena.rng.choice(arena.workers)
    worker.terminate(deadline_s=30)
    arena.pause()
    worker.start()


FAULTS: Final[dict[str, Fault]] = {
    "worker: killed": Fault(worker_killed),
    "worker: both killed": Fault(both_killed),
    "worker: killed while it recovers": Fault(killed_while_it_recovers),
    "worker: rebalance storm": Fault(rebalance_storm),
    "worker: suspended": Fault(worker_suspended),
    "worker: broker killed": Fault(broker_killed, alone=True),
    "worker: state deleted": Fault(state_deleted),
    "worker: standby takes over": Fault(standby_takes_over, standby_replicas=1),
    "worker: one fault after another": Fault(one_after_another),
}


def survive(arena: Arena, fault: Fault) -> None:
    """Load, fault, heal."""
    for worker in arena.workers:
        worker.start()
    with arena.arriving():
        arena.wait_at_work()
        fault.make(arena)
    arena.settle()
