"""`keeprate up --demo` as a user runs it: everything starts, numbers move, Ctrl-C leaves nothing running."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from keeprate.deploy.local.process import accepts
from tests.up import Up, short_history

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Up]]:
    started: list[Up] = []

    def begin(*arguments: str) -> Up:
        directory = tmp_path / "data"
        started.append(Up(short_history(directory) if "--demo" in arguments else directory, *arguments))
        return started[-1]

    yield begin
    for one in started:
        if one.process.poll() is None:
            one.interrupt()


def test_numbers_move_and_nothing_is_left_behind(
    start: Callable[..., Up], kafka_runs: None, require: Callable[[str], str]
) -> None:
    """History, then live, on real Kafka; the page, /metrics and Prometheus answer; a second start keeps the data.

    Of three days, as that of three weeks takes ten times the time: `make bench ONLY=idle` tells all of it.
    """
    require("prometheus")
    up = start("--demo", "--broker=kafka")
    up.wait(lambda: "goes on live" in up.said.read_text(), "the history")
    up.wait(lambda: up.count("feedback") > 1000, "the history in the store")
    history = up.count("feedback")
    up.wait(lambda: up.count("feedback") > history, "live events")
    up.wait(lambda: "keeprate_suggestions_total" in up.get("monitor", "/metrics"), "metrics")
    assert "<title>" in up.get("page", "/")

    def healthy() -> bool:
        targets = json.loads(up.get("prometheus", "/api/v1/targets"))["data"]["activeTargets"]
        # A collector is looked for, and none is started.
        parts = [target for target in targets if target["labels"]["job"] != "keeprate-collector"]
        return len(parts) == 3 and {target["health"] for target in parts} == {"up"}

    up.wait(healthy, "Prometheus' targets")
    rules = json.loads(up.get("prometheus", "/api/v1/rules"))["data"]["groups"]
    assert any(rule["name"] == "Watchdog" for group in rules for rule in group["rules"])
    assert up.interrupt() == 0, up.said.read_text()
    assert up.left_running() == []
    landed = history
    again = start("--broker=kafka")
    again.wait(lambda: again.count("feedback") >= landed, "the data of the first run")
    assert again.interrupt() == 0
    assert again.left_running() == []


def test_what_is_killed_starts_again_and_the_others_go_on(start: Callable[..., Up], kafka_runs: None) -> None:
    """A part, the store and the broker are told of and come back; all that lies in the data directory is private."""
    up = start("--broker=kafka")
    up.wait(lambda: "Ctrl-C stops everything" in up.said.read_text(), "the start")
    for name, command, back in (
        ("page", "cli page", lambda: up.get("page", "/healthz") == "ok\n"),
        ("sink", "cli sink", lambda: up.pid_of("cli sink") is not None),
        ("store", "cli store", lambda: up.count("outcomes") == 0),
        ("the broker", "kafka.Kafka", lambda: accepts(up.ports["broker"])),
    ):
        killed = up.pid_of(command)
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        up.wait(lambda name=name: f"{name} ended by itself" in up.said.read_text(), f"a word about {name}")  # type: ignore[misc]
        up.wait(lambda command=command, killed=killed: up.pid_of(command) not in (None, killed), name)  # type: ignore[misc]
        up.wait(back, name)
    assert [path for path in up.directory.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o077] == []
    assert up.interrupt() == 0, up.said.read_text()
    assert up.left_running() == []


def test_a_taken_port_is_named_with_its_remedy(start: Callable[..., Up], kafka_runs: None) -> None:
    """Nothing is started when a port is taken."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        up = start("--broker=kafka", f"--page-port={port}")
        assert up.process.wait(60) == 1
    said = " ".join(up.said.read_text().split())
    assert f"page {port}" in said
    assert "--page-port" in said
    assert up.left_running() == []


def test_memory_is_said_loudly(start: Callable[..., Up]) -> None:
    """The stand-in for Kafka carries the demo, and says what it is."""
    up = start("--demo", "--broker=memory")
    up.wait(lambda: up.count("outcomes") > 0, "outcomes")
    assert "not for data you mean to keep" in " ".join(up.said.read_text().split())
    assert up.interrupt() == 0


def test_help_is_quick_and_needs_nothing_running() -> None:
    """`keeprate --help` names every command."""
    done = subprocess.run(
        [sys.executable, "-m", "keeprate.deploy.cli", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    for command in ("up", "worker", "sink", "store", "monitor", "page", "report", "import", "demo", "dead-letters"):
        assert command in done.stdout
