"""The store's disk is full for a while: a small file system, and something else that fills it."""

import os
import subprocess
import time
from pathlib import Path

from tests.fault.sink_faults import LOAD
from tests.fault.skipped import Skipped
from tests.fault.trial import Fault, Trial

DISK_BYTES = 64 << 20


def store_disk_full(trial: Trial) -> None:
    """Another's file takes all the space under load, is removed after a while, and the store goes on."""
    disk = _small_disk(trial)
    trial.own_store(disk / "store")
    trial.load(LOAD)
    child = trial.sink(instance="one")
    trial.wait_landed()
    ballast = disk / "ballast"
    _fill(ballast)
    trial.load(LOAD)
    trial.wait(lambda: "waits" in child.log_tail())
    if trial.rng.random() < 0.5:
        trial.kill(child)
        trial.sink(instance="one")
    time.sleep(2.0)
    ballast.unlink()
    trial.load(LOAD)
    trial.supervise(instance="one")


def _small_disk(trial: Trial) -> Path:
    """A file system of its own, until the trial's end. Raises Skipped."""
    disk = trial.lab.directory / f"{trial.group}-disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        raise Skipped("mounting a small file system needs root")
    trial.until_end.callback(subprocess.run, ["umount", "-l", str(disk)], check=True)
    return disk


def _fill(ballast: Path) -> None:
    """Write until there is no space left."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 16)):
                pass
        except OSError:
            return


FAULTS: dict[str, Fault] = {"store's disk full": store_disk_full}
