"""What tests of a running collector share: a process of its own, and what it wrote to Kafka."""

import json
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from keeprate.deploy.local.process import ChildProcess, free_port
from keeprate.producers.collector.gate.keys import FILE_NAME, Keys
from keeprate.schemas.topics import SOURCES

_READY_S = 30.0
NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""What httpx is to verify with where there is no TLS. By itself it reads all authorities that it knows, for each client
and for each request without one: 33 ms of CPU time."""


def certificate_in(directory: Path) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 that vouches for itself, and its key."""
    directory.mkdir(parents=True, exist_ok=True)
    certificate, key = directory / "cert.pem", directory / "key.pem"
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1")
    kind = ("-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    files = ("-keyout", str(key), "-out", str(certificate))
    subprocess.run(["openssl", "req", *kind, *subject, *files], check=True, capture_output=True)
    return certificate, key


class CollectorProcess:
    """`keeprate collector` as a child, with one key for one app; over TLS where it is given a certificate's files."""

    def __init__(
        self, directory: Path, brokers: str, app: str, *options: str, tls: tuple[Path, Path] | None = None
    ) -> None:
        self.app = app
        self._tls = tls
        self.port = free_port()
        self.metrics_port = free_port()
        self._log = directory / "log"
        self.keys = Keys(directory / FILE_NAME)
        self.key = self.keys.create(app)[1]
        argv = [sys.executable, "-m", "keeprate.deploy.cli", "collector", "--port", str(self.port)]
        argv += ["--metrics-port", str(self.metrics_port)]
        if tls is not None:
            argv += ["--tls-certificate", str(tls[0]), "--tls-key", str(tls[1])]
        self.process = ChildProcess(
            "collector", [*argv, "--data-dir", str(directory), "--brokers", brokers, *options], self._log
        )

    @property
    def url(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}"

    @property
    def trusted(self) -> ssl.SSLContext | None:
        """How clients know that it is this collector; None without TLS."""
        return None if self._tls is None else ssl.create_default_context(cafile=self._tls[0])

    @property
    def metrics_url(self) -> str:
        return f"http://127.0.0.1:{self.metrics_port}/metrics"

    @property
    def log(self) -> str:
        """What it said so far."""
        return self._log.read_text("utf-8")

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def start(self, until: str = "/readyz") -> None:
        self.process.start()
        try:
            self.process.wait_ready(lambda: self.answers(until), _READY_S)
        except BaseException:
            self.process.kill()
            raise

    def answers(self, path: str) -> bool:
        # Without a look at the environment for proxies: pytest changes it, and trials ask in threads.
        direct = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.trusted)
        try:
            with urllib.request.build_opener(*direct).open(f"{self.url}{path}", timeout=5) as response:
                return bool(response.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def headers(self, **more: str) -> dict[str, str]:
        named = {name.replace("_", "-"): value for name, value in more.items()}
        return {"authorization": f"Bearer {self.key}", "content-type": "application/json", **named}

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.process.terminate()


def landed(bootstrap: str, app: str, enough: Callable[[list[dict[str, Any]]], bool], within_s: float = 20.0) -> Any:
    """The events of one app in the source topics, once there are enough or the time is over."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "unused", "enable.auto.commit": False})
    try:
        partitions = [
            TopicPartition(topic.name, partition, OFFSET_BEGINNING)
            for topic in SOURCES
            for partition in consumer.list_topics(topic.name, 10).topics[topic.name].partitions
        ]
        consumer.assign(partitions)
        events: list[dict[str, Any]] = []
        deadline_s = time.monotonic() + within_s
        while not enough(events) and time.monotonic() < deadline_s:
            for message in consumer.consume(500, 0.2):
                # Others write to these topics what is no JSON at all.
                if message.error() or app.encode() not in (message.value() or b""):
                    continue
                event = json.loads(message.value() or b"")
                if event.get("app") == app:
                    events.append(event | {"_key": (message.key() or b"").decode(), "_topic": message.topic()})
        return events
    finally:
        consumer.close()


def resident_mib(pid: int) -> float:
    """The memory that a process holds now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise LookupError(pid)


def peak_mib(pid: int) -> float:
    """The most memory that a process ever held."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise LookupError(pid)
