"""Several workers as one: what they measure, how they end."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from keeprate.streams.processes import merged, share_of
from keeprate.streams.worker import WorkerSettings

PROGRAM = """
import os, signal, sys, time
from prometheus_client import CollectorRegistry, Gauge
from keeprate.streams.processes import Merged, Processes, answer

def child(number, pipe):
    registry = CollectorRegistry()
    Gauge("pid", "Of the process.", registry=registry).set(os.getpid())
    answer(pipe, registry)
    while True:
        time.sleep(0.05)
        if os.path.exists(sys.argv[1] + str(number)):
            os._exit(7)

if __name__ == "__main__":
    processes = Processes(2, lambda number: (child, number))
    signal.signal(signal.SIGTERM, lambda *_: processes.terminate())
    pids = []
    while len(pids) < 2:
        pids = [int(sample.value) for metric in Merged(processes.pipes).collect() for sample in metric.samples]
    print(*pids, flush=True)
    sys.exit(processes.wait())
"""


@contextmanager
def started(directory: Path) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """Two processes and their parent, once both have said who they are; killed at the end."""
    (directory / "program.py").write_text(PROGRAM)
    argv = [sys.executable, str(directory / "program.py"), str(directory / "fail")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        try:
            yield parent, [int(pid) for pid in parent.stdout.readline().split()]
        finally:
            parent.kill()


def gone(pids: list[int]) -> bool:
    """Whether none of them is there any more, a moment from now at the latest."""
    deadline_s = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_one_that_fails_ends_all_with_its_code(tmp_path: Path) -> None:
    """A supervisor starts all of them again, as it would one."""
    with started(tmp_path) as (parent, pids):
        assert len(pids) == 2
        (tmp_path / "fail1").touch()
        assert parent.wait(60) == 7
        assert gone(pids)


def test_none_goes_on_when_their_parent_was_killed(tmp_path: Path) -> None:
    """Nobody would stop it or read what it measures."""
    with started(tmp_path) as (parent, pids):
        assert len(pids) == 2
        parent.kill()
        assert gone(pids)


def test_metrics_of_all_are_told_apart_by_process() -> None:
    """Counters, histograms and their own labels are as each process has them."""
    texts = []
    for number in range(2):
        registry = CollectorRegistry()
        Counter("done", "Done.", ("topic",), registry=registry).labels("t").inc(number + 1)
        Histogram("took_seconds", "Took.", buckets=(1,), registry=registry).observe(2)
        texts.append((number, generate_latest(registry).decode()))

    class Both:
        def collect(self) -> object:
            return merged(texts)

    registry = CollectorRegistry()
    registry.register(Both())  # type: ignore[arg-type]
    lines = generate_latest(registry).decode().splitlines()
    assert [line for line in lines if line.startswith(("done_total", "# TYPE done_total"))] == [
        "# TYPE done_total counter",
        'done_total{process="0",topic="t"} 1.0',
        'done_total{process="1",topic="t"} 2.0',
    ]
    assert 'took_seconds_bucket{le="1.0",process="1"} 0.0' in lines


def test_each_has_a_directory_and_a_name_of_its_own(tmp_path: Path) -> None:
    """No two processes may have one state open, or be one member of the group."""
    settings = WorkerSettings("b:1", data_dir=tmp_path, instance="pod-1", metrics_port=9470)
    assert [share_of(settings, number).data_dir for number in (0, 1)] == [tmp_path / "0", tmp_path / "1"]
    assert [share_of(settings, number).instance for number in (0, 1)] == ["pod-1-0", "pod-1-1"]
    assert share_of(settings, 0).metrics_port is None
    assert share_of(WorkerSettings("b:1"), 0).data_dir is None
