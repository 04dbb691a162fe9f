"""The store over TLS, and as a user who only reads: commands find both by their settings."""

import contextlib
import json
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from typer.testing import CliRunner

from keeprate.deploy.commands.tree import app
from keeprate.deploy.settings import from_environment
from keeprate.deploy.store import StoreProcess
from keeprate.deploy.store.token import url_with_token
from keeprate.sinks.store.clickhouse import StoreError, StoreUnavailableError, connect
from keeprate.sinks.store.local_store import READER_TOKEN_FILE
from tests.certificates import Certificates, make


class _Front(socketserver.BaseRequestHandler):
    """What a server's own TLS does, before the store of this machine, which has none."""

    def handle(self) -> None:
        """Bytes both ways, until either side ends."""
        context, port = self.server.behind  # type: ignore[attr-defined]
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", port)) as store,
            context.wrap_socket(self.request, server_side=True) as client,
        ):
            back = threading.Thread(target=_pump, args=(store, client), daemon=True)
            back.start()
            _pump(client, store)
            store.shutdown(socket.SHUT_RDWR)
            back.join()


def _pump(source: socket.socket, to: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(1 << 16):
            to.sendall(piece)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


@pytest.fixture(scope="module")
def certificates(require: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make(tmp_path_factory.mktemp("certificates"), require("openssl"))


@pytest.fixture(scope="module")
def secured(store: StoreProcess, certificates: Certificates) -> Iterator[str]:
    """The address of the store's TLS, without a user."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server)
    with _Server(("127.0.0.1", 0), _Front) as server:
        server.behind = context, store.port  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}/secured"
        server.shutdown()
        thread.join()


@pytest.fixture
def told(
    secured: str, store: StoreProcess, certificates: Certificates, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """This process's settings: address, authority, who writes and who reads, their passwords in files."""
    monkeypatch.setenv("KEEPRATE_STORE_URL", secured)
    monkeypatch.setenv("KEEPRATE_STORE_CA_FILE", str(certificates.ca))
    for name, address in (("", store.url), ("READER_", url_with_token(store.path, store.port, "", READER_TOKEN_FILE))):
        secret = tmp_path / f"{name}secret"
        secret.write_text(unquote(urlsplit(address).password or ""))
        monkeypatch.setenv(f"KEEPRATE_STORE_{name}USER", "keeprate")
        monkeypatch.setenv(f"KEEPRATE_STORE_{name}PASSWORD_FILE", str(secret))


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


def test_a_server_that_nobody_vouches_for_is_not_believed(secured: str, store: StoreProcess) -> None:
    """Without its authority, its certificate is refused, and no password is sent."""
    with pytest.raises(StoreUnavailableError, match="certificate"):
        connect(secured.replace("://", "://keeprate:secret@"))
