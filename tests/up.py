"""`keeprate up` as a user runs it, on ports of its own."""

import random
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from keeprate.deploy.demo import play
from keeprate.deploy.local.process import accepts, free_port
from keeprate.deploy.local.stack import keeprate
from keeprate.deploy.store.token import own_token

NAMES = ("broker", "store", "page", "prometheus", "alertmanager", "alerts")


def short_history(directory: Path, days: int = 3, events: int = 5_000) -> Path:
    """A data directory whose demo has begun as `keeprate demo --days … --events …` would have begun it."""
    run = play.begin(1, days, events, 4.0, "127.0.0.1:1", time.time_ns() // 1_000_000)
    play.store(run, directory / "demo" / f"{run.world.seed}.json")
    return directory


class Up:
    """A running `keeprate up`."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.ports = {name: free_port() for name in NAMES}
        # The monitor's port is the first of three in a row, above those of `free_port`. At random, because another test
        # may look at the same time, and not by the shared generator, whose seed they share.
        rows = random.SystemRandom().sample(range(32_010, 32_750, 10), 70)
        self.ports["monitor"] = next(port for port in rows if not any(map(accepts, range(port, port + 3))))
        options = [f"--{name}-port={port}" for name, port in self.ports.items()]
        self.directory = directory
        self.said = directory.with_suffix(".out")
        with self.said.open("ab") as said:
            self.process = subprocess.Popen(
                keeprate("up", f"--data-dir={directory}", *options, *arguments), stdout=said, stderr=said
            )

    def get(self, name: str, path: str, body: str | None = None) -> str:
        """What the part at a port answers."""
        data = body.encode() if body else None
        token = {"X-ClickHouse-Key": own_token(self.directory / "store")} if name == "store" else {}
        request = urllib.request.Request(f"http://127.0.0.1:{self.ports[name]}{path}", data, token)
        with urllib.request.urlopen(request, timeout=30) as response:
            return str(response.read().decode())

    def count(self, table: str) -> int:
        return int(self.get("store", "/?database=keeprate", f"SELECT count() FROM {table}"))

    def wait(self, condition: Callable[[], bool], what: str, timeout_s: float = 120) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            assert self.process.poll() is None, self.said.read_text()
            try:
                if condition():
                    return
            except OSError:
                # Not listening yet.
                time.sleep(0.1)
            assert time.monotonic() < deadline, f"{what}: not in time\n{self.said.read_text()}"
            time.sleep(0.3)

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(90)

    def pid_of(self, command: str) -> int | None:
        """The process of the stack whose command line has these words."""
        listed = subprocess.run(
            ["ps", "--ppid", str(self.process.pid), "-ww", "-o", "pid=", "-o", "args="],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        return next((int(line.split()[0]) for line in listed.splitlines() if command in line), None)

    def left_running(self) -> list[str]:
        """The command lines that still mention the data directory."""
        listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        return [line for line in listed.splitlines() if str(self.directory) in line]
