"""No request below the limits of size costs the collector more than 2 s of CPU or 256 MiB, and the others are served.

CPU and memory are the process's own, as the kernel counts them: a busy machine makes neither larger.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from keeprate.deploy.local.broker import KafkaBroker
from keeprate.schemas.ids import uuid7
from tests.collecting import NO_TLS, CollectorProcess, peak_mib, resident_mib
from tests.hostile_bodies import HOSTILE, MAX_BYTES, Hostile
from tests.streaming import create_topics

CPU_S = 2.0
MEMORY_MIB = 256
TICKS_S = os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def collector(kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    create_topics(kafka.bootstrap)
    options = ("--rate", "0", "--follow-hours", "0")
    with CollectorProcess(tmp_path_factory.mktemp("costs"), kafka.bootstrap, "costs", *options) as process:
        assert send_vote(process) == 202
        yield process


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_S


def forget_peak(pid: int) -> None:
    """Let the kernel count the peak of memory from now on."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def post(process: CollectorProcess, hostile: Hostile, wire: bytes, key: str | None = None) -> httpx.Response:
    headers = {"content-type": hostile.media_type, "authorization": f"Bearer {key or process.key}"}
    if hostile.encoding:
        headers["content-encoding"] = hostile.encoding
    return httpx.post(f"{process.url}{hostile.path}", content=wire, headers=headers, timeout=100, verify=NO_TLS)


def send_vote(process: CollectorProcess, key: str | None = None) -> int:
    event = {"type": "vote", "value": 1, "generation_id": uuid7()}
    headers = process.headers(authorization=f"Bearer {key or process.key}")
    return httpx.post(f"{process.url}/v1/events", json=[event], headers=headers, timeout=100, verify=NO_TLS).status_code


@pytest.mark.parametrize("name", HOSTILE)
def test_a_request_costs_no_more_than_it_may(collector: CollectorProcess, name: str) -> None:
    """Whatever is in it, and however it is answered."""
    hostile = HOSTILE[name]
    wire = hostile.wire()
    assert len(wire) <= MAX_BYTES
    forget_peak(collector.pid)
    before_s, before_mib = cpu_s(collector.pid), resident_mib(collector.pid)
    answer = post(collector, hostile, wire)
    cost_s, cost_mib = cpu_s(collector.pid) - before_s, peak_mib(collector.pid) - before_mib
    assert answer.status_code in (200, 202, 207, 400, 413, 422)
    assert len(answer.content) < 1 << 20
    assert cost_s <= CPU_S, f"{cost_s:.2f} s of CPU"
    assert cost_mib <= MEMORY_MIB, f"{cost_mib:.0f} MiB"


def test_another_tenant_takes_its_turn(collector: CollectorProcess) -> None:
    """Five clients of one app send costly bodies without end; a large body of another app waits for two of them."""
    _, other = collector.keys.create("other")
    # A collector looks at the file of keys once a second.
    while send_vote(collector, other) != 202:
        time.sleep(0.1)
    costly, large = HOSTILE["names"], HOSTILE["rings"]
    wire, large_wire = costly.wire(), large.wire()
    answered: list[int] = []
    enough = threading.Event()

    def crowd() -> None:
        while not enough.is_set():
            answered.append(post(collector, costly, wire).status_code)

    threads = [threading.Thread(target=crowd) for _ in range(5)]
    for thread in threads:
        thread.start()
    try:
        while len(answered) < 5:
            time.sleep(0.01)
        assert send_vote(collector, other) == 202
        waits = []
        for _ in range(3):
            before = len(answered)
            assert post(collector, large, large_wire, other).status_code == 200
            waits.append(len(answered) - before)
    finally:
        enough.set()
        for thread in threads:
            thread.join()
    assert min(waits) <= 2
    assert set(answered) <= {413, 503}


def _request(process: CollectorProcess, *lines: str) -> bytes:
    given = ("POST /v1/events HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {process.key}", *lines)
    return "\r\n".join((*given, "", "")).encode()


def _read_all(connection: socket.socket) -> bytes:
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except OSError:
        pass
    return received


def test_a_body_of_tiny_chunks_costs_no_more(collector: CollectorProcess) -> None:
    """A million chunks of one byte each."""
    before_s = cpu_s(collector.pid)
    with socket.create_connection(("127.0.0.1", collector.port), timeout=60) as connection:
        connection.sendall(_request(collector, "Content-Type: application/json", "Transfer-Encoding: chunked"))
        try:
            for _ in range(1_000):
                connection.sendall(b"1\r\n[\r\n" * 1_000)
        except OSError:
            pass
        _read_all(connection)
    assert cpu_s(collector.pid) - before_s <= CPU_S
    assert send_vote(collector) == 202


def test_a_body_byte_by_byte_is_given_up(collector: CollectorProcess) -> None:
    """Each byte in a packet of its own wakes the process up."""
    before_s = cpu_s(collector.pid)
    with socket.create_connection(("127.0.0.1", collector.port), timeout=60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(_request(collector, "Content-Type: application/json", "Content-Length: 1000000"))
        try:
            for _ in range(20_000):
                connection.sendall(b"[")
                time.sleep(0.0002)
        except OSError:
            pass
        assert b" 408 " in _read_all(connection).partition(b"\r\n")[0]
    assert cpu_s(collector.pid) - before_s <= CPU_S


def test_requests_without_a_key_one_after_another_cost_no_more(collector: CollectorProcess) -> None:
    """The first answer ends the connection, so what was sent behind it is not read."""
    before_s = cpu_s(collector.pid)
    head = _request(collector, "Content-Length: 0").replace(collector.key.encode(), b"no")
    with socket.create_connection(("127.0.0.1", collector.port), timeout=60) as connection:
        try:
            for _ in range(100):
                connection.sendall(head * 1_000)
        except OSError:
            pass
        assert _read_all(connection).count(b" 401 ") <= 1
    assert cpu_s(collector.pid) - before_s <= CPU_S


def test_idle_connections_keep_nobody_out(collector: CollectorProcess) -> None:
    """2,050 of one address that send nothing: whoever has a key is served at once, and goes on being served."""
    # Each needs a file of this process too.
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4_096), hard), hard))
    idle: list[socket.socket] = []
    try:
        with httpx.Client(verify=NO_TLS) as client:
            event = {"type": "vote", "value": 1, "generation_id": uuid7()}
            for number in range(2_050):
                idle.append(socket.create_connection(("127.0.0.1", collector.port), timeout=30))
                if number % 500 == 0:
                    kept = client.post(f"{collector.url}/v1/events", json=[event], headers=collector.headers())
                    assert kept.status_code == 202
            assert send_vote(collector) == 202
            assert client.post(f"{collector.url}/v1/events", json=[event], headers=collector.headers()).is_success
        assert len(os.listdir(f"/proc/{collector.pid}/fd")) < 800
    finally:
        for connection in idle:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
