"""A broker for a look around: librdkafka's mock cluster, in a process of its own, holding everything in memory.

It speaks enough Kafka for librdkafka, aiokafka and Faust to produce, consume and commit. It forgets all when it ends,
drops the oldest records of a partition beyond 5 MB, and creates no topics on request: an admin's call times out, a
Faust app must set `topic_allow_declare=False`, and an unknown topic comes into being with four partitions. Topics with
their partitions are therefore named here, before the first client. Never measure or promise anything on top of it.

`python -m keeprate.deploy.local.memory_broker [TOPIC=PARTITIONS …]` prints its address and stays until SIGTERM.
"""

import ctypes
import re
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from keeprate.deploy.local.process import ChildProcess

WARNING = (
    "This broker keeps everything in memory, forgets it at the end and drops what is older than a few megabytes: "
    "it is for a look around, not for data you mean to keep."
)
_RD_KAFKA_PRODUCER = 0
_ADDRESS = re.compile(r"^(127\.0\.0\.1:\d+)$", re.MULTILINE)


class MemoryBroker:
    """The mock cluster as a child process, shared by all processes that get its `bootstrap`. A new start is empty."""

    def __init__(self, log: Path, topics: Mapping[str, int] | None = None) -> None:
        """`topics` maps the names that must exist to their number of partitions."""
        named = [f"{topic}={partitions}" for topic, partitions in (topics or {}).items()]
        argv = [sys.executable, "-m", "keeprate.deploy.local.memory_broker", *named]
        self._process = ChildProcess("the in-memory broker", argv, log)

    @property
    def bootstrap(self) -> str:
        """What clients take as bootstrap.servers; another address after every start."""
        said = _ADDRESS.search(self._process.log_tail())
        if said is None:
            raise RuntimeError("the in-memory broker has not been started")
        return said[1]

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid

    def log_tail(self) -> str:
        """What it said last."""
        return self._process.log_tail()

    def start(self, timeout_s: float = 20.0) -> None:
        """Return once clients can use it. Raises ProcessError when that fails."""
        self._process.start()
        self._process.wait_ready(lambda: _ADDRESS.search(self._process.log_tail()) is not None, timeout_s)

    def stop(self) -> None:
        """End it, and with it every record; does nothing when it is down."""
        self._process.terminate()

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        self._process.kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def hold(topics: Mapping[str, int], announce: Callable[[str], None]) -> None:
    """Run the mock cluster in this process, `announce` its bootstrap address, and return on SIGTERM or SIGINT."""
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    announce(_start_mock_cluster(topics))
    signal.sigwait(signals)


def _start_mock_cluster(topics: Mapping[str, int]) -> str:
    from confluent_kafka import KafkaError

    # The Python client can start a mock cluster but not create topics in it, the C library can do both.
    rdkafka = _librdkafka()
    error = ctypes.create_string_buffer(512)
    client = rdkafka.rd_kafka_new(_RD_KAFKA_PRODUCER, None, error, len(error))
    if client is None:
        raise RuntimeError(f"librdkafka did not start: {error.value.decode()}")
    cluster = rdkafka.rd_kafka_mock_cluster_new(client, 1)
    for topic, partitions in topics.items():
        code = rdkafka.rd_kafka_mock_topic_create(cluster, topic.encode(), partitions, 1)
        if code != 0:
            raise RuntimeError(f"the mock cluster did not create {topic}: {KafkaError(code).str()}")
    bootstrap: bytes = rdkafka.rd_kafka_mock_cluster_bootstraps(cluster)
    return bootstrap.decode()


def _librdkafka() -> ctypes.CDLL:
    import confluent_kafka

    beside = Path(confluent_kafka.__file__).parent
    bundled = [*beside.parent.glob("confluent_kafka.libs/librdkafka*"), *beside.glob(".dylibs/librdkafka*")]
    library = ctypes.CDLL(str(bundled[0]) if bundled else "librdkafka.so.1")
    library.rd_kafka_new.restype = ctypes.c_void_p
    library.rd_kafka_new.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    library.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_new.argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.rd_kafka_mock_topic_create.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    library.rd_kafka_mock_cluster_bootstraps.argtypes = [ctypes.c_void_p]
    return library


def main(arguments: list[str]) -> None:
    topics = {topic: int(partitions) for topic, _, partitions in (one.partition("=") for one in arguments)}
    sys.stderr.write(WARNING + "\n")
    hold(topics, lambda bootstrap: print(bootstrap, flush=True))  # noqa: T201 - the address is this command's answer


if __name__ == "__main__":
    main(sys.argv[1:])
