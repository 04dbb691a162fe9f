"""The environments of the peers: made when they are needed, in the user's cache, from pinned versions.

A directory is named after a hash of what it is made of, so a change makes a new one, and processes that race each make
their own; the first to finish puts it in place whole.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from keeprate.deploy.settings import from_environment

PEERS: Final = Path(__file__).parent / "peers"


class PeerMissingError(RuntimeError):
    """A contender could not be built; the message names what is missing, or says what the build said."""


def faust_plain() -> tuple[list[str], dict[str, str]]:
    """Command and environment of the plain Faust agent, which runs where Keeprate's worker runs."""
    return [sys.executable, str(PEERS / "faust_plain" / "join.py")], {"PYTHONPATH": str(PEERS)}


def quix() -> tuple[list[str], dict[str, str]]:
    """Command and environment of Quix Streams, in a Python of its own."""
    lock = PEERS / "quix" / "requirements.lock"
    home = _made("quix", [lock], lambda directory: _virtual_environment(directory, lock))
    return [str(home / "bin" / "python"), str(PEERS / "quix" / "join.py")], {"PYTHONPATH": str(PEERS)}


def kafka_streams() -> tuple[list[str], dict[str, str]]:
    """Command and environment of Kafka Streams."""
    project = PEERS / "kafka_streams"
    sources = sorted(path for path in project.rglob("*") if path.suffix in (".java", ".xml"))
    home = _made("kafka-streams", sources, lambda directory: _maven(directory, project))
    classes = f"{home / 'target' / 'classes'}:{home / 'target' / 'jars'}/*"
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
    return ["java", quiet, "-cp", classes, "keeprate.peer.FeedbackJoin"], {}


def _made(name: str, sources: list[Path], make: Callable[[Path], None]) -> Path:
    hashed = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:12]
    home = from_environment().cache_dir / "peers" / f"{name}-{hashed}"
    if home.exists():
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=f"making-{name}-") as scratch:
        fresh = Path(scratch) / "fresh"
        make(fresh)
        try:
            fresh.rename(home)
        except OSError:
            if not home.exists():
                raise
    return home


def _virtual_environment(directory: Path, lock: Path) -> None:
    python = str(directory / "bin" / "python")
    locked = ["--no-deps", "--require-hashes", "-r", str(lock)]
    if uv := shutil.which("uv"):
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(directory)])
        _run([uv, "pip", "install", "--quiet", "--python", python, *locked])
    else:
        _run([sys.executable, "-m", "venv", str(directory)])
        _run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *locked])


def _maven(directory: Path, project: Path) -> None:
    for command, package in (("javac", "a JDK (default-jdk-headless)"), ("mvn", "Maven (maven)")):
        if shutil.which(command) is None:
            raise PeerMissingError(f"Kafka Streams needs {package} to be built: {command} is not installed")
    shutil.copytree(project, directory)
    jars = ["-DincludeScope=runtime", f"-DoutputDirectory={directory / 'target' / 'jars'}"]
    _run(["mvn", "-q", "-B", "-f", str(directory / "pom.xml"), "compile", "dependency:copy-dependencies", *jars])


def _run(command: list[str]) -> None:
    run = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if run.returncode != 0:
        raise PeerMissingError(f"{' '.join(command[:4])} … failed:\n{(run.stdout + run.stderr)[-4000:]}")
