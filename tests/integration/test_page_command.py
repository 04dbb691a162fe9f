"""`keeprate page` as a process: it answers before its store does, and says where."""

import sys
import urllib.request
from pathlib import Path

from keeprate.deploy.local.process import ChildProcess, accepts, free_port


def test_the_command_serves_before_there_is_a_store(tmp_path: Path) -> None:
    """Its order of start does not matter, and it ends when told."""
    port = free_port()
    argv = (sys.executable, "-m", "keeprate.deploy.cli", "page", "--port", str(port))
    log = tmp_path / "page.log"
    environment = {"KEEPRATE_STORE_URL": f"http://127.0.0.1:{free_port()}/keeprate"}
    with ChildProcess("the page", argv, log, environment) as process:
        process.wait_ready(lambda: accepts(port), 60)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            assert answer.read() == b"ok\n"
        assert f"the page is at http://127.0.0.1:{port}" in log.read_text()
        # uvicorn shuts down in order, and then dies of the signal that it was told to end by.
        assert process.terminate() in (0, -15)
