"""The store over TLS, and as a user who only reads: commands find both by their settings."""

import json
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from keeprate.deploy.commands.tree import app
from keeprate.deploy.local.process import ChildProcess, accepts, free_port
from keeprate.deploy.settings import from_environment
from keeprate.deploy.store import StoreProcess
from keeprate.sinks.store.clickhouse import StoreError, StoreUnavailableError, connect
from tests.certificates import Certificates, make
from tests.secured_store import access, secured


@pytest.fixture(scope="module")
def certificates(require: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make(tmp_path_factory.mktemp("certificates"), require("openssl"))


@pytest.fixture(scope="module")
def address(store: StoreProcess, certificates: Certificates) -> Iterator[str]:
    """The address of the store's TLS, without a user."""
    with secured(store, certificates) as front:
        yield f"{front}/secured"


@pytest.fixture
def told(
    address: str, store: StoreProcess, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """This process's settings, and those of its children."""
    for name, value in access(address, store, certificates, tmp_path).items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("told")
def test_commands_reach_the_store_by_their_settings() -> None:
    """What writes as the one user, what reads as the other, both over TLS."""
    planned = json.loads(CliRunner().invoke(app, ["migrate", "--plan", "--json"]).stdout)
    run = CliRunner().invoke(app, ["migrate"])
    assert run.exit_code == 0, run.output
    # What was planned is what was done, whichever test came first; and nothing is left.
    done = [line.removeprefix("applied migration ") for line in run.output.splitlines() if "applied" in line]
    assert list(planned["migrations"]) == done
    assert CliRunner().invoke(app, ["migrate", "--plan"]).output == "-- up to date\n"
    run = CliRunner().invoke(app, ["report", "--json"])
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    "statement", ["INSERT INTO forgotten (key) VALUES ('x')", "DROP TABLE forgotten", "SET readonly = 0"]
)
def test_who_only_reads_writes_nothing(statement: str) -> None:
    """Not a row, not a table, and no way out of it."""
    CliRunner().invoke(app, ["migrate"])
    with connect(from_environment().reader_url) as client:
        assert client.query("SELECT count() FROM forgotten") == [(0,)]
        with pytest.raises(StoreError):
            client.command(statement)
        with pytest.raises(StoreError):
            client.insert("forgotten", ("key",), [("x",)])
        assert client.query("SELECT count() FROM forgotten") == [(0,)]


@pytest.mark.usefixtures("told")
def test_the_page_shows_what_it_reads_so(tmp_path: Path) -> None:
    """Over TLS, as who only reads, and as nobody else: the password of who writes is wrong."""
    CliRunner().invoke(app, ["migrate"])
    port, wrong = free_port(), tmp_path / "wrong"
    wrong.write_text("nobody's")
    argv = (sys.executable, "-m", "keeprate.deploy.cli", "page", "--port", str(port))
    env = {"KEEPRATE_STORE_PASSWORD_FILE": str(wrong)}
    with ChildProcess("the page", argv, tmp_path / "log", env) as page:
        page.wait_ready(lambda: accepts(port), 60)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/screen", timeout=30) as answer:
            assert json.load(answer)


def test_a_server_that_nobody_vouches_for_is_not_believed(address: str) -> None:
    """Without its authority, its certificate is refused, and no password is sent."""
    with pytest.raises(StoreUnavailableError, match="certificate"):
        connect(address.replace("://", "://keeprate:secret@"))
