"""A certificate authority of a test's own, with a certificate for servers on loopback and one for a client."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

CLIENT = "keeprate"


@dataclass(frozen=True)
class Certificates:
    """PEM files: of the authority, of a server at 127.0.0.1, of a client named CLIENT, with their keys beside them."""

    directory: Path

    @property
    def ca(self) -> Path:
        return self.directory / "ca.pem"

    @property
    def server(self) -> Path:
        """Key and certificate in one file, as Kafka takes them."""
        return self.directory / "server-both.pem"

    @property
    def client(self) -> Path:
        return self.directory / "client.pem"

    @property
    def client_key(self) -> Path:
        return self.directory / "client.key"


def make(directory: Path, openssl: str) -> Certificates:
    """Make them anew. openssl: the program's path."""
    _issue(directory, openssl, "ca", "an authority", ["-addext", "keyUsage=critical,keyCertSign"])
    signed = ["-CA", str(directory / "ca.pem"), "-CAkey", str(directory / "ca.key")]
    here = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-addext", "extendedKeyUsage=serverAuth"]
    _issue(directory, openssl, "server", "a server", [*signed, *here])
    _issue(directory, openssl, "client", CLIENT, [*signed, "-addext", "extendedKeyUsage=clientAuth"])
    made = Certificates(directory)
    made.server.write_text((directory / "server.key").read_text() + (directory / "server.pem").read_text())
    return made


def _issue(directory: Path, openssl: str, name: str, subject: str, more: list[str]) -> None:
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{directory / name}.key"]
    argv = [openssl, "req", "-x509", *key, "-subj", f"/CN={subject}", "-days", "2", *more, "-out"]
    subprocess.run([*argv, f"{directory / name}.pem"], check=True, capture_output=True)
