"""What people get wrong at first is told in a sentence that names it and what would do, never by a traceback."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from keeprate.deploy import cli
from keeprate.deploy.commands.run.listening import check_free
from keeprate.deploy.commands.run.up import owned
from keeprate.deploy.local.process import free_port
from keeprate.sinks.store.clickhouse import StoreUnavailableError, connect


def test_a_data_directory_is_of_one_stack(tmp_path: Path) -> None:
    """A second one over the same broker's log, at other ports, ended the first one's broker and could spoil its log."""
    directory = tmp_path / "data"
    with owned(directory), pytest.raises(ValueError, match=f"runs over {re.escape(str(directory))}: stop that one, or"):
        owned(directory).__enter__()
    with owned(directory):
        assert list(directory.iterdir()) == [directory / "up.lock"]


def test_a_directory_that_is_none_is_told_by_name(tmp_path: Path) -> None:
    """With the setting that names another."""
    (tmp_path / "file").touch()
    away = tmp_path / "file" / "data"
    argv = [sys.executable, "-m", "keeprate.deploy.cli", "keys", "create", "shop"]
    environment = os.environ | {"KEEPRATE_DATA_DIR": str(away)}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert (
        f"keeprate: {away}: Not a directory; name a directory that you may write to: KEEPRATE_DATA_DIR" in done.stderr
    )


def test_ctrl_c_while_a_command_loads_ends_it_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading takes a second, in which people see that they meant something else."""

    class Loading:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "keeprate.deploy.commands.tree":
                raise KeyboardInterrupt

    monkeypatch.setattr(sys, "meta_path", [Loading(), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "keeprate.deploy.commands.tree", raising=False)
    before = os.umask(0o077)
    try:
        with pytest.raises(SystemExit) as caught:
            cli.main()
    finally:
        os.umask(before)
    assert caught.value.code == 130


def test_a_port_that_is_taken_is_told_before_a_server_says_where_it_is() -> None:
    """And how to choose another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit, match=rf"keeprate page: 127.0.0.1:{port} cannot be .* another with --port"):
            check_free("page", "127.0.0.1", port)
    check_free("page", "127.0.0.1", port)


def test_a_store_that_is_not_there_is_told_by_its_address() -> None:
    """Without the classes, pools and query ids of the driver that tried."""
    port = free_port()
    with pytest.raises(StoreUnavailableError) as caught:
        connect(f"http://127.0.0.1:{port}/x")
    assert str(caught.value) == f"nothing answers at 127.0.0.1:{port}: Connection refused"
    with pytest.raises(StoreUnavailableError, match=r"nothing answers at nowhere\.invalid:8123: "):
        connect("http://nowhere.invalid/x")
