"""The machine and the versions that a number belongs to."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final

from keeprate.deploy.local.broker import jars_path

PACKAGES: Final = (
    *("faust-streaming", "confluent-kafka", "pydantic", "msgspec", "rocksdict"),
    *("chdb-core", "clickhouse-connect"),
)


def describe() -> dict[str, str]:
    """What a reader must know of the machine, in the order in which it is shown."""
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "cpu": _cpu(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory_gb:.0f} GB",
        "system": platform.system(),
        "python": platform.python_version(),
        "java": _java(),
        "kafka": jars_path().name.split("-")[1],
        **{name: version(name) for name in PACKAGES},
    }


def busy() -> str | None:
    """A warning when others work on the machine too."""
    load = os.getloadavg()[0]
    if load < 0.3 * (os.cpu_count() or 1):
        return None
    return f"the load is {load:.1f} before anything is measured: these numbers say little"


_NEIGHBOUR: Final = """
import os, sys, time
while os.getppid() == int(sys.argv[1]):
    until = time.monotonic() + 0.005
    while time.monotonic() < until:
        pass
    time.sleep(0.005)
"""


@contextmanager
def neighbour() -> Iterator[None]:
    """A process that keeps half a core busy, a hundred times a second: a laptop is never idle, and a node rarely."""
    with subprocess.Popen([sys.executable, "-c", _NEIGHBOUR, str(os.getpid())]) as process:
        try:
            yield
        finally:
            process.terminate()


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _java() -> str:
    try:
        said = subprocess.run(["java", "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    except FileNotFoundError:
        return "none"
    return said.split('"')[1] if '"' in said else "unknown"
