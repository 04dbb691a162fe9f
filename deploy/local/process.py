"""Children of this process: start one with a log, wait until it is ready, end it in time.

**Invariant:** a child never outlives its parent by much. On Linux the kernel sends it SIGTERM when the thread that
started it ends, however that comes about; elsewhere only an orderly end of the parent stops it.
**Invariant:** what a child writes is this user's alone, unless the child says otherwise: its umask is 077.
**Invariant:** a child sits in a session of its own: a Ctrl-C in the terminal reaches the parent alone, which can then
stop its children in the order that loses nothing.
"""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

# Run by a bare interpreter that then becomes the command, so that no code runs between fork and exec in a parent that
# may have threads. The second look at the parent closes the gap before prctl (1 is PR_SET_PDEATHSIG, 15 is SIGTERM).
_DIE_WITH_PARENT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 15)
if os.getppid() != int(sys.argv[1]):
    sys.exit(0)
os.execvp(sys.argv[2], sys.argv[2:])
"""

PRIVATE_UMASK = 0o077
# GNU's C library has memory for each thread, eight times as many parts as there are cores, and keeps for good what was
# large once. Many processes with a dozen threads each, most of the time idle, are better off without that.
FRUGAL = {"MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "131072"}
_POLL_S = 0.03
_SERVER_PORTS = range(12_000, 32_000)
_given: set[int] = set()
"""Ports that this process was told are free: whoever has one may not have bound it yet."""


class ProcessError(RuntimeError):
    """A child did not become ready: it ended, or its time ran out. Carries the bare `reason` and its `log_tail`."""

    def __init__(self, reason: str, log_tail: str) -> None:
        super().__init__(f"{reason}; the end of its log:\n{log_tail}" if log_tail else f"{reason}; its log is empty")
        self.reason = reason
        self.log_tail = log_tail


class ChildProcess:
    """One command run as a child, its output appended to `log`, or shown where this process's is when that is None.

    Start it from a thread that lives as long as the child should, as a rule the main one: on Linux the child gets
    SIGTERM when that very thread ends. An object can be started again after it has ended.
    """

    def __init__(self, name: str, argv: Sequence[str], log: Path | None, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.argv = tuple(argv)
        self.log = log
        self._env = dict(env or {})
        self._popen: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def start(self) -> None:
        """Start the command, with `env` added to this process's environment. Does not wait for it to be ready."""
        if self.running:
            raise RuntimeError(f"{self.name} is running already, as process {self.pid}")
        with ExitStack() as opened:
            output = None if self.log is None else opened.enter_context(self._open(self.log))
            self._popen = subprocess.Popen(
                _with_parent_death_signal(self.argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output and subprocess.STDOUT,
                env=os.environ | self._env,
                start_new_session=True,
                umask=PRIVATE_UMASK,
            )

    def _open(self, log: Path) -> BinaryIO:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        output = open(log, "ab", opener=partial(os.open, mode=0o600))  # noqa: SIM115
        self._log_start = output.tell()
        return output

    @property
    def pid(self) -> int | None:
        """The process id while it runs, None before and after."""
        return self._popen.pid if self._popen is not None and self.running else None

    @property
    def running(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    @property
    def returncode(self) -> int | None:
        """The exit code of the last run, negative for a signal; None while it runs or before it was started."""
        return None if self._popen is None else self._popen.poll()

    def wait_ready(self, ready: Callable[[], bool], timeout_s: float) -> None:
        """Return once `ready()` is true. Raises ProcessError, with the child ended, when it ends first or is late."""
        deadline = time.monotonic() + timeout_s
        while not ready():
            if not self.running:
                raise ProcessError(f"{self.name} ended with code {self.returncode} while starting", self.log_tail())
            if time.monotonic() > deadline:
                self.kill()
                raise ProcessError(f"{self.name} was not ready after {timeout_s:g} s", self.log_tail())
            time.sleep(_POLL_S)

    def terminate(self, deadline_s: float = 15.0) -> int | None:
        """Ask it to end (SIGTERM), kill it when it is still there after `deadline_s`, and return the exit code."""
        if self._popen is not None and self.running:
            self._popen.terminate()
            try:
                self._popen.wait(deadline_s)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.returncode

    def kill(self) -> None:
        """End it and its own children at once (SIGKILL), as a crash would, and wait until it is gone."""
        if self._popen is not None and self.running:
            os.killpg(self._popen.pid, signal.SIGKILL)
            self._popen.wait()

    def log_tail(self, lines: int = 20) -> str:
        """The last lines that the current or last run wrote."""
        if self.log is None or not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, size - 64 * 1024))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.terminate()


def private_directory(path: Path) -> None:
    """Make a directory of this program's own that no other user can enter; one that is there already is closed."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)


def free_port() -> int:
    """A TCP port on loopback that nothing listened on just now, given once. Another process may take it before you do.

    It lies below those that kernels give to connections, where one is free there: a server that is down for a moment
    would else find its port taken, even by a client that tried to reach it.
    """
    # Not by the shared generator: processes with the same seed would all choose the same ports.
    for port in (*random.SystemRandom().sample(_SERVER_PORTS, 20), 0):
        if port in _given:
            continue
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            chosen: int = probe.getsockname()[1]
            _given.add(chosen)
            return chosen
    raise OSError("no TCP port is free on loopback")


def accepts(port: int) -> bool:
    """Whether something on this machine accepts connections at a port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _with_parent_death_signal(argv: Sequence[str]) -> list[str]:
    if sys.platform != "linux":
        return list(argv)
    return [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *argv]
