"""The broker of the local stack and of the tests: one node of real Apache Kafka, or a stand-in to look around with.

Entry points: `resolve` turns the word a user gave into a choice; `KafkaBroker` runs Apache Kafka from the artifacts of
Maven Central with the machine's Java; the stand-in is `keeprate.deploy.local.memory_broker`.

**Invariant:** nothing here listens beyond loopback.
**Invariant:** nothing of Kafka is in the package: the jars are fetched once per machine and shared by all checkouts.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from platformdirs import user_cache_path

from keeprate.deploy.local.process import FRUGAL, ChildProcess, ProcessError, accepts, free_port, private_directory

_FILES = Path(__file__).resolve().parent / "kafka"
_POM = _FILES / "pom.xml"
_JAVA_AT_LEAST = 17
# Any valid id will do; one and the same lets a data directory be formatted again without harm.
_CLUSTER_ID = "keeprate-local-nodes-A"
_WRITTEN_LAST = "meta.properties"
"""What Kafka's tool writes last, when it formats a directory."""
_FETCH_TIMEOUT_S = 600.0
# Without a size to begin with, Java takes a part of the machine's memory and fills it before it looks for garbage.
_HEAP = ("-Xms64m", "-XX:NewSize=24m", "-Xmx512m", "-XX:+UseSerialGC")
QUICK_COMPILER = ("-XX:TieredStopAtLevel=1",)
"""For a broker with little to do: the better compiler works for longer than it saves, and keeps what it compiled."""
_QUIET = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true")


@dataclass(frozen=True, slots=True)
class LocalKafka:
    """Run Apache Kafka here."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Run the stand-in that keeps records in memory; `because` says why, where Kafka would have been better."""

    because: str | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """Run nothing: use the brokers at `bootstrap`."""

    bootstrap: str


Choice = LocalKafka | Memory | Address


def resolve(choice: str, kafka_missing: str | None) -> Choice:
    """What `auto`, `kafka`, `memory` or a list of `HOST:PORT` means where `kafka_missing` is `why_not_kafka()`.

    `auto` is Kafka where it can run and otherwise memory, with the reason. Raises ValueError for `kafka` where it
    cannot run and for a word that is none of these.
    """
    if choice == "memory":
        return Memory()
    if choice in ("auto", "kafka"):
        if kafka_missing is None:
            return LocalKafka()
        if choice == "auto":
            return Memory(because=kafka_missing)
        raise ValueError(kafka_missing)
    if all(re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:,\[\]]+):\d{1,5}", one) for one in choice.split(",")):
        return Address(choice)
    raise ValueError(f"a broker is auto, kafka, memory or HOST:PORT[,HOST:PORT…], not {choice!r}")


def why_not_kafka() -> str | None:
    """None where `KafkaBroker` can run, else the reason and the remedy in one sentence. Fetches nothing."""
    java = _java()
    if java is None:
        return f"Apache Kafka needs Java {_JAVA_AT_LEAST} or newer and there is none: install a headless Java runtime."
    version = _java_version(java)
    if version < _JAVA_AT_LEAST:
        return f"Apache Kafka needs Java {_JAVA_AT_LEAST} or newer and {java} is {version}: install a newer one."
    if not jars_path().is_dir() and shutil.which("mvn") is None:
        return "Apache Kafka is not downloaded yet and there is no mvn to fetch it with: install Maven."
    return None


def jars_path() -> Path:
    """Where the jars of exactly this pom.xml are, or will be once `fetch_jars` has run."""
    pom = _POM.read_bytes()
    version = re.search(rb"<artifactId>kafka_[\d.]+</artifactId>\s*<version>([^<]+)<", pom)
    assert version is not None
    name = f"kafka-{version[1].decode()}-{hashlib.sha256(pom).hexdigest()[:12]}"
    return user_cache_path("keeprate") / name


def fetch_jars() -> Path:
    """Have Kafka's jars in the cache and return their directory: at once, or after some seconds of Maven.

    Processes that race each fetch their own copy; the first to finish puts it in place whole. Raises ProcessError with
    what Maven said when it fails.
    """
    jars = jars_path()
    if jars.is_dir():
        return jars
    jars.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=jars.parent, prefix="fetching-") as scratch:
        # Maven may write beside the pom, and an installed package may be read-only.
        pom = shutil.copy(_POM, scratch)
        fetched = Path(scratch) / "jars"
        _maven(["-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={fetched}"])
        try:
            fetched.rename(jars)
        except OSError:
            if not jars.is_dir():
                raise
    return jars


class KafkaBroker:
    """One node of Apache Kafka, broker and controller, with its records under `data_dir`.

    Records survive `stop`, `kill` and a new object over the same directory. Its log is `<data_dir>/kafka.log`. As for
    every `ChildProcess`, the thread that calls `start` must live as long as the broker should.
    """

    def __init__(self, data_dir: Path, port: int | None = None, java: Sequence[str] = ()) -> None:
        """`port` stays the broker's through restarts; by default it is some free one. java: more of its options."""
        self.data_dir = data_dir
        self.port = port if port is not None else free_port()
        self._java = tuple(java)
        self._properties = data_dir / "server.properties"
        self._process: ChildProcess | None = None

    @property
    def bootstrap(self) -> str:
        """What clients take as bootstrap.servers, also while the broker is down."""
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return None if self._process is None else self._process.pid

    @property
    def log(self) -> Path:
        """Where it says what it does."""
        return self.data_dir / "kafka.log"

    def log_tail(self) -> str:
        """What it said last."""
        return "" if self._process is None else self._process.log_tail()

    def start(self, timeout_s: float = 60.0) -> None:
        """Return once clients can use the broker. Raises ProcessError, with the end of its log, when that fails."""
        if self.pid is not None:
            raise RuntimeError(f"the broker is running already, as process {self.pid}")
        if accepts(self.port):
            raise ProcessError(f"port {self.port} is taken by another process", "")
        java = [_java() or "java", *_HEAP, *_QUIET, "-cp", f"{fetch_jars()}/*"]
        self._configure()
        self._format(java, timeout_s)
        argv = [*java, *self._java, "kafka.Kafka", str(self._properties)]
        self._process = ChildProcess("Apache Kafka", argv, self.log, FRUGAL)
        self._process.start()
        self._process.wait_ready(lambda: accepts(self.port) and answers(self.bootstrap), timeout_s)

    def stop(self) -> None:
        """Shut down in order; does nothing when it is down."""
        if self._process is not None:
            self._process.terminate(deadline_s=20)

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        if self._process is not None:
            self._process.kill()

    def _format(self, java: list[str], timeout_s: float) -> None:
        """Have the directory of records as Kafka's own tool makes it, which takes a third of a start.

        An empty one is made once for a machine, and copied: nothing in it is one broker's alone.
        """
        data, kept = self.data_dir / "data", jars_path().with_name(f"{jars_path().name}-formatted")
        if (data / _WRITTEN_LAST).exists():
            return
        is_new = not data.exists()
        if is_new and kept.is_dir():
            _copy(kept, data)
            return
        tool = [*java, *QUICK_COMPILER, "kafka.tools.StorageTool", "format", "--ignore-formatted"]
        argv = [*tool, "-t", _CLUSTER_ID, "-c", str(self._properties)]
        formatting = ChildProcess("LocalKafka's StorageTool", argv, self.log)
        formatting.start()
        formatting.wait_ready(lambda: formatting.returncode == 0, timeout_s)
        if is_new:
            _keep(data, kept)

    def _configure(self) -> None:
        private_directory(self.data_dir)
        template = (_FILES / "server.properties").read_text()
        values = {"port": self.port, "controller_port": free_port(), "data_dir": self.data_dir.resolve() / "data"}
        for name, value in values.items():
            template = template.replace(f"{{{name}}}", str(value))
        self._properties.write_text(template)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def _copy(formatted: Path, data: Path) -> None:
    """Copy a formatted directory, so that one that was cut off is formatted the next time."""
    data.mkdir(mode=0o700)
    for file in sorted(formatted.iterdir(), key=lambda file: file.name == _WRITTEN_LAST):
        shutil.copy(file, data)


def _keep(data: Path, kept: Path) -> None:
    """Keep a copy of a directory that was formatted, unless another process was first."""
    # A cache that cannot be written costs the next start its time, and nothing else.
    with suppress(OSError), tempfile.TemporaryDirectory(dir=kept.parent, prefix="formatted-") as scratch:
        _copy(data, Path(scratch) / "data")
        (Path(scratch) / "data").rename(kept)


def answers(bootstrap: str, timeout_s: float = 5.0) -> bool:
    """Whether some broker at `bootstrap` answers with the cluster's metadata."""
    # Loaded here: whoever only may start a broker has no use for it.
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    try:
        metadata = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}).list_topics(timeout=timeout_s)
    except KafkaException:
        return False
    return bool(metadata.brokers)


def _maven(arguments: list[str]) -> None:
    command = ["mvn", "-q", "-B", *arguments]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=_FETCH_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise ProcessError(f"Maven did not fetch Apache Kafka within {_FETCH_TIMEOUT_S:g} s", "") from error
    if run.returncode != 0:
        raise ProcessError("Maven could not fetch Apache Kafka", (run.stdout + run.stderr)[-4000:])


def _java() -> str | None:
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=f"{home}/bin") if home else shutil.which("java")


@cache
def _java_version(java: str) -> int:
    said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    return int(version[1]) if version else 0
