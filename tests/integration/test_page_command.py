"""`keeprate page` as a process: it answers before its store does, and says where."""

import socket
import sys
import urllib.request
from contextlib import suppress
from pathlib import Path

from keeprate.deploy.commands.run.page import MOST_OF_ADDRESS
from keeprate.deploy.local.process import ChildProcess, accepts, free_port


def test_the_command_serves_before_there_is_a_store(tmp_path: Path) -> None:
    """Its order of start does not matter, it ends when told, and who holds connections open keeps nobody out."""
    port = free_port()
    argv = (sys.executable, "-m", "keeprate.deploy.cli", "page", "--port", str(port))
    log = tmp_path / "page.log"
    environment = {"KEEPRATE_STORE_URL": f"http://127.0.0.1:{free_port()}/keeprate"}
    with ChildProcess("the page", argv, log, environment) as process:
        process.wait_ready(lambda: accepts(port), 60)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            assert answer.read() == b"ok\n"
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(MOST_OF_ADDRESS + 20)]
        for each in held:
            each.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        # They send half of a head and nothing more: the longest idle ones made room, and others are answered.
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            assert answer.status == 200
        with suppress(ConnectionResetError):
            assert held[0].recv(1) == b""
        for each in held:
            each.close()
        assert f"the page is at http://127.0.0.1:{port}" in log.read_text()
        # uvicorn shuts down in order, and then dies of the signal that it was told to end by.
        assert process.terminate() in (0, -15)
