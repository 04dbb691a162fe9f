"""A store over TLS: what a server's own does, before the store of this machine, which has none."""

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from keeprate.deploy.store import StoreProcess
from keeprate.deploy.store.token import url_with_token
from keeprate.sinks.store.local_store import READER_TOKEN_FILE
from tests.certificates import Certificates


class _Front(socketserver.BaseRequestHandler):
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


@contextlib.contextmanager
def secured(store: StoreProcess, certificates: Certificates) -> Iterator[str]:
    """Its address over TLS, without a database and a user."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server)
    with _Server(("127.0.0.1", 0), _Front) as server:
        server.behind = context, store.port  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def access(url: str, store: StoreProcess, certificates: Certificates, directory: Path) -> dict[str, str]:
    """The environment of a process that reaches it so: who writes and who reads, their passwords in files."""
    told = {"KEEPRATE_STORE_URL": url, "KEEPRATE_STORE_CA_FILE": str(certificates.ca)}
    for name, address in (("", store.url), ("READER_", url_with_token(store.path, store.port, "", READER_TOKEN_FILE))):
        secret = directory / f"STORE_{name}secret"
        secret.write_text(unquote(urlsplit(address).password or ""))
        told |= {f"KEEPRATE_STORE_{name}USER": "keeprate", f"KEEPRATE_STORE_{name}PASSWORD_FILE": str(secret)}
    return told
