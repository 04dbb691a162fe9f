"""What an app's own tests see of its events, without a word in the app."""

import subprocess
import sys
from pathlib import Path

from keeprate.producers import Keeprate
from keeprate.producers.testing import recording

APP = """
from keeprate.producers import Keeprate

client = Keeprate("docs", brokers="127.0.0.1:1", spool_bytes=0)

def answer():
    return client.generation(output="return a + b")
"""
TESTS = """
import app
from keeprate.producers import Keeprate

def test_what_is_emitted_is_seen(keeprate):
    app.answer().accept()
    Keeprate("other").generation(output="x")
    assert [event["type"] for event in keeprate.events] == ["generation", "action", "generation"]
    assert keeprate.of_type("action")[0]["length"] == 12

def test_each_test_begins_with_nothing(keeprate):
    assert keeprate.events == []

def test_a_wrong_event_fails_the_test(keeprate):
    app.answer().vote(7)
"""


def test_the_fixture_has_what_an_app_emits(tmp_path: Path) -> None:
    """By clients that were open before and those that are opened in the test; one that is refused is an error."""
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["keeprate.producers.pytest_plugin"]\n')
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "test_app.py").write_text(TESTS)
    plugins = [
        option for name in ("randomly", "xdist", "langsmith_plugin", "schemathesis") for option in ("-p", f"no:{name}")
    ]
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *plugins]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "3 passed, 1 error" in ran.stdout, ran.stdout + ran.stderr
    assert "value: expected" in ran.stdout


def test_afterwards_clients_are_what_they_were(spool_dir: Path) -> None:
    """What was recorded is not sent, and what comes later is."""
    with Keeprate("docs", kafka={"test.mock.num.brokers": 1}) as client:
        with recording() as recorded:
            client.generation(output="x")
        client.generation(output="y")
        assert client.flush(20) == 0
        assert (len(recorded.events), client.stats().delivered) == (1, 1)
