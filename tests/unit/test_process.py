"""Children start, become ready, end in time, and do not outlive their parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keeprate.deploy.local.process import ChildProcess, ProcessError, accepts, free_port

_LOCAL_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")


def _python(code: str, log: Path, **env: str) -> ChildProcess:
    return ChildProcess("the child", [sys.executable, "-c", code], log, env)


def _gone(pid: int, within_s: float = 5.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            with open(f"/proc/{pid}/stat") as stat:
                if stat.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False


def test_a_child_is_ready_when_its_check_says_so(tmp_path: Path) -> None:
    """`wait_ready` returns once the check holds, and the child has the environment it was given."""
    child = _python("import os, time; print(os.environ['WORD'], flush=True); time.sleep(60)", tmp_path / "l", WORD="up")
    with child:
        child.wait_ready(lambda: "up" in child.log_tail(), timeout_s=20)
        assert child.running
    assert child.returncode == -signal.SIGTERM


def test_a_child_that_ends_early_is_reported_with_its_log(tmp_path: Path) -> None:
    """The error carries what the child said last in this run, not in the one before."""
    log = tmp_path / "log"
    log.write_text("from an earlier run\n")
    child = _python("import sys; sys.exit('the port is taken')", log)
    child.start()
    with pytest.raises(ProcessError, match="ended with code 1") as caught:
        child.wait_ready(lambda: False, timeout_s=20)
    assert caught.value.log_tail == "the port is taken"


def test_a_child_that_is_late_is_ended(tmp_path: Path) -> None:
    """Time out means that nothing is left behind."""
    child = _python("import time; time.sleep(60)", tmp_path / "log")
    child.start()
    with pytest.raises(ProcessError, match=r"not ready after 0\.2 s"):
        child.wait_ready(lambda: False, timeout_s=0.2)
    assert not child.running


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    """The deadline holds whatever the child does."""
    child = _python(
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)",
        tmp_path / "log",
    )
    child.start()
    child.wait_ready(lambda: child.log_tail() == "deaf", timeout_s=20)
    assert child.terminate(deadline_s=0.2) == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the command is started directly")
def test_a_command_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    """A missing program is an early end like any other, and the log names it."""
    child = ChildProcess("nothing", ["/nonexistent/program"], tmp_path / "log")
    child.start()
    with pytest.raises(ProcessError, match="No such file or directory"):
        child.wait_ready(lambda: False, timeout_s=20)


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """SIGKILL leaves a parent no time to clean up; its children end all the same."""
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path; from keeprate.deploy.local.process import ChildProcess\n"
            f"c = ChildProcess('c', [sys.executable, '-c', 'import time; print(1, flush=True); time.sleep(60)'],"
            f" Path({str(tmp_path / 'log')!r}))\n"
            "c.start(); c.wait_ready(lambda: c.log_tail() == '1', 20); print(c.pid, flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    assert _gone(pid)


def test_a_free_port_accepts_nothing() -> None:
    """What `free_port` returns is free."""
    assert not accepts(free_port())


def test_a_free_port_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who was told of it may not listen yet. When all were given the kernel chooses."""
    ports = range(12_345, 12_365)
    monkeypatch.setattr("keeprate.deploy.local.process._SERVER_PORTS", ports)
    given = set(ports[:-2])
    monkeypatch.setattr("keeprate.deploy.local.process._given", set(given))
    found = [free_port() for _ in range(3)]
    assert len(given.union(found)) == len(given) + len(found)


@pytest.mark.skipif(not _LOCAL_PORTS.exists(), reason="only Linux says which ports it gives to connections")
def test_no_connection_is_given_a_free_port() -> None:
    """A server that is down for a moment finds its port free when it comes back."""
    first_given = int(_LOCAL_PORTS.read_text().split()[0])
    if first_given < 32_768:
        pytest.skip("this machine's kernel gives almost all ports to connections")
    assert max(free_port() for _ in range(100)) < first_given
