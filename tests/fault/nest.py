"""Children that start in no time: forked from one process that has imported what they need.

A trial starts some dozens of processes, and importing cost most of their CPU time. `Nest` is the parent's side and
`python -m tests.fault.nest SOCKET MODULE…` the process. A child is a process like any other: it has a session and a log
of its own, ends by SystemExit or by signals, and is gone when the nest is.
"""

import contextlib
import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from keeprate.deploy.local.process import ChildProcess

_PR_SET_PDEATHSIG: Final = 1
_START_TIMEOUT_S: Final = 60.0


class Nest:
    """A process that forks children. Enter it in a thread that lives as long as they should."""

    def __init__(self, directory: Path, modules: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """modules: what is imported beforehand, in this order; those to be started have a function `main(options)`.

        env: on top of this process's own, for the nest and its children.
        """
        # Addresses of sockets are short, and directories of tests are not.
        self._home = tempfile.TemporaryDirectory(prefix="keeprate-nest-")
        self.address = Path(self._home.name) / "socket"
        argv = [sys.executable, "-m", "tests.fault.nest", str(self.address), *modules]
        self._process = ChildProcess("the nest", argv, directory / "nest.log", env)

    def child(self, name: str, module: str, options: dict[str, Any], log: Path) -> "Hatched":
        """`module.main(options)` as a process, not started."""
        return Hatched(self.address, name, {"module": module, "options": options, "log": str(log)}, log)

    def __enter__(self) -> Self:
        self._process.start()
        self._process.wait_ready(self.address.exists, _START_TIMEOUT_S)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        self._home.cleanup()


class Hatched(ChildProcess):
    """A child of the nest, used as any `ChildProcess`; any thread may start it."""

    def __init__(self, nest: Path, name: str, request: dict[str, Any], log: Path) -> None:
        super().__init__(name, (), log)
        self._nest = nest
        self._request = request
        self._pid = 0
        self._told: socket.socket | None = None
        self._returncode: int | None = None

    def start(self) -> None:
        """Have it forked."""
        if self.running:
            raise RuntimeError(f"{self.name} is running already, as process {self.pid}")
        assert self.log is not None
        self._open(self.log).close()
        self._told = socket.socket(socket.AF_UNIX)
        self._told.settimeout(_START_TIMEOUT_S)
        self._told.connect(str(self._nest))
        self._told.sendall(json.dumps(self._request).encode() + b"\n")
        self._returncode = None
        self._pid = int(self._line())

    def _line(self) -> bytes:
        assert self._told is not None
        line = b""
        while not line.endswith(b"\n"):
            piece = self._told.recv(1)
            assert piece, "the nest ended"
            line += piece
        return line

    @property
    def pid(self) -> int | None:
        return self._pid if self.running else None

    @property
    def running(self) -> bool:
        return self._told is not None and self.returncode is None

    @property
    def returncode(self) -> int | None:
        if self._told is not None and self._returncode is None:
            self._look(0.0)
        return self._returncode

    def _look(self, timeout_s: float) -> None:
        """Learn whether it has ended, waiting for it so long."""
        assert self._told is not None
        self._told.settimeout(timeout_s)
        try:
            self._told.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, TimeoutError):
            return
        self._told.settimeout(_START_TIMEOUT_S)
        self._returncode = int(self._line())
        self._told.close()

    def terminate(self, deadline_s: float = 15.0) -> int | None:
        if self.running:
            os.kill(self._pid, signal.SIGTERM)
            self._look(deadline_s)
            self.kill()
        return self.returncode

    def kill(self) -> None:
        if self.running:
            os.killpg(self._pid, signal.SIGKILL)
            self._look(_START_TIMEOUT_S)


class _Serving:
    """The nest's own side: forks what it is asked for, and tells each child's end."""

    def __init__(self, address: Path) -> None:
        self._asked = selectors.DefaultSelector()
        self._by_pid: dict[int, socket.socket] = {}
        self._ended, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self._door = socket.socket(socket.AF_UNIX)
        # Whoever sees the address can connect.
        unready = address.with_suffix(".unready")
        self._door.bind(str(unready))
        self._door.listen(64)
        unready.rename(address)
        self._asked.register(self._door, selectors.EVENT_READ)
        self._asked.register(self._ended, selectors.EVENT_READ)

    def next_request(self) -> dict[str, Any]:
        """Serve. Returns in a child only, with what it is to do."""
        while True:
            for key, _ in self._asked.select():
                if key.fd == self._ended:
                    os.read(self._ended, 4096)
                    self._tell_ends()
                elif (request := self._fork()) is not None:
                    return request

    def _fork(self) -> dict[str, Any] | None:
        asker, _ = self._door.accept()
        with asker.makefile("rb") as lines:
            request: dict[str, Any] = json.loads(lines.readline())
        nest = os.getpid()
        if (pid := os.fork()) == 0:
            self._become_a_child(nest, asker, request["log"])
            return request
        self._by_pid[pid] = asker
        return None

    def _become_a_child(self, nest: int, asker: socket.socket, log: str) -> None:
        """Have nothing of the nest's: not its sockets, which would look open when it is gone, nor its signals."""
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != nest:
            os._exit(0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)
        os.setsid()
        asker.sendall(b"%d\n" % os.getpid())
        self._asked.close()
        for each in (self._door, asker, *self._by_pid.values()):
            each.close()
        os.close(self._ended)

    def _tell_ends(self) -> None:
        while self._by_pid:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            # Who asked may be gone, and then nobody wants to know.
            with self._by_pid.pop(pid) as asker, contextlib.suppress(OSError):
                asker.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def main(address: Path, modules: Sequence[str]) -> None:
    """Import, serve, and in each child run what was asked for."""
    for module in modules:
        importlib.import_module(module)
    # What is shared stays shared: a collection in a child would copy it.
    gc.freeze()
    request = _Serving(address).next_request()
    importlib.import_module(request["module"]).main(request["options"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
