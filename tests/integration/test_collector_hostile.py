"""Clients that mean no good: the collector answers or hangs up, serves the others, and its memory is bounded."""

import gzip
import json
import os
import socket
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from keeprate.deploy.local.broker import KafkaBroker
from keeprate.schemas.ids import uuid7
from tests.collecting import NO_TLS, CollectorProcess, peak_mib
from tests.hostile_bodies import gzip_again
from tests.streaming import create_topics

BODY_TIMEOUT_S = 2
MAX_BODY_MIB = 16
# What it holds at rest, and what one body of 16 MiB may become while it is parsed.
MEMORY_MIB = 600


@pytest.fixture(scope="module")
def collector(kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    create_topics(kafka.bootstrap)
    options = ("--body-timeout", str(BODY_TIMEOUT_S), "--rate", "0", "--max-body-mib", str(MAX_BODY_MIB))
    with CollectorProcess(tmp_path_factory.mktemp("hostile"), kafka.bootstrap, "hostile", *options) as process:
        yield process
        assert peak_mib(process.pid) < MEMORY_MIB


def serves(process: CollectorProcess) -> bool:
    event = {"type": "vote", "value": 1, "generation_id": uuid7()}
    return (
        httpx.post(f"{process.url}/v1/events", json=[event], headers=process.headers(), verify=NO_TLS).status_code
        == 202
    )


def connect(process: CollectorProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", process.port), timeout=30)


def head(process: CollectorProcess, *lines: str) -> bytes:
    given = ("POST /v1/events HTTP/1.1", "Host: x", f"Authorization: Bearer {process.key}", *lines)
    return "\r\n".join((*given, "", "")).encode()


def until_closed(connection: socket.socket) -> bytes:
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def test_a_body_that_trickles_is_given_up(collector: CollectorProcess) -> None:
    """408, and the connection ends."""
    with connect(collector) as connection:
        connection.sendall(head(collector, "Content-Type: application/json", "Content-Length: 1000") + b"[")
        assert b" 408 " in until_closed(connection).split(b"\r\n")[0]
    assert serves(collector)


def test_many_slow_clients_do_not_keep_others_waiting(collector: CollectorProcess) -> None:
    """A hundred bodies that never end, and one that does."""
    slow = [connect(collector) for _ in range(100)]
    for connection in slow:
        connection.sendall(head(collector, "Content-Length: 1000000") + b"[" * 1000)
    assert serves(collector)
    for connection in slow:
        connection.close()


def test_a_head_without_end_is_cut_off(collector: CollectorProcess) -> None:
    """Neither one header of any length nor any number of headers is kept."""
    for endless in (b"X-Long: " + b"a" * (8 << 20), b"X-More: 1\r\n" * 500_000):
        with connect(collector) as connection:
            assert not received_whole(connection, head(collector)[:-2] + endless)
    assert serves(collector)


def received_whole(connection: socket.socket, data: bytes) -> bool:
    """Whether the other side takes all of the data and leaves the connection open."""
    try:
        for at in range(0, len(data), 65536):
            connection.sendall(data[at : at + 65536])
            time.sleep(0.001)
        connection.settimeout(1)
        return connection.recv(1) != b""
    except TimeoutError:
        return True
    except OSError:
        return False


def test_chunks_without_end_are_cut_off(collector: CollectorProcess) -> None:
    """A body that does not say its length is refused once it is too large."""
    chunk = b"100000\r\n" + b"[" * 0x100000 + b"\r\n"
    with connect(collector) as connection:
        connection.sendall(head(collector, "Transfer-Encoding: chunked"))
        try:
            for _ in range(200):
                connection.sendall(chunk)
        except OSError:
            pass
        received = until_closed(connection)
    assert received == b"" or b" 413 " in received
    assert serves(collector)


@pytest.mark.parametrize("compressed", ["gzip", "zstd", "nested"])
def test_a_bomb_costs_no_more_than_the_cap(collector: CollectorProcess, compressed: str) -> None:
    """A gigabyte of one character, in a body of a megabyte or less."""
    from backports import zstd

    if compressed == "zstd":
        packer, piece = zstd.ZstdCompressor(), b" " * (1 << 24)
        wire = b"".join((packer.compress(b"["), *(packer.compress(piece) for _ in range(64)), packer.flush()))
    else:
        wire = gzip_again(b"[" * (1 << 24), 64)
        if compressed == "nested":
            wire = gzip.compress(wire)
    headers = collector.headers(content_encoding="zstd" if compressed == "zstd" else "gzip")
    answer = httpx.post(f"{collector.url}/v1/events", content=wire, headers=headers, verify=NO_TLS)
    assert answer.status_code in (400, 413)
    assert serves(collector)


# Made when they are asked for: together they are as large as all else that a process with tests holds.
BODIES: dict[str, Callable[[], bytes]] = {
    "deep": lambda: b"[" * 900_000,
    "empty objects": lambda: b"[" + b"{}," * 5_000_000 + b"{}]",
    "empty lists in one event": lambda: b'[{"type":"generation","context_sources":[' + b"[]," * 400_000 + b"[]]}]",
    "a fault in every entry": lambda: (
        b"[" + b",".join([b'{"type":"generation","tools_offered":[' + b"1," * 4000 + b"1]}"] * 1500) + b"]"
    ),
    "many fields": lambda: b'[{"type":"vote",' + b",".join(b'"%d":1' % number for number in range(1_000_000)) + b"}]",
    "many attributes": lambda: (
        b'[{"type":"vote","attributes":{' + b",".join(b'"%d":1' % number for number in range(1_000_000)) + b"}}]"
    ),
    "a long number": lambda: b'[{"type":"vote","value":' + b"9" * 10_000_000 + b"}]",
    "many small texts": lambda: b'[{"type":"vote","comment":[' + b'"ab",' * 2_000_000 + b'""]}]',
    "all items at fault": lambda: b"[" + b'{"type":"vote","value":7},' * 9_999 + b"1]",
    "lines at fault": lambda: b"{oops\n" * 9_999,
}


@pytest.mark.parametrize("name", BODIES)
def test_a_body_made_to_be_costly_is_refused(collector: CollectorProcess, name: str) -> None:
    """Faults by the million, depth, and what takes far more memory than its bytes."""
    kind = "application/x-ndjson" if name == "lines at fault" else "application/json"
    headers = collector.headers(content_type=kind)
    answer = httpx.post(
        f"{collector.url}/v1/events", content=BODIES[name](), headers=headers, timeout=60, verify=NO_TLS
    )
    assert answer.status_code in (400, 413, 422)
    assert len(answer.content) < 1 << 20
    assert serves(collector)


@pytest.mark.parametrize(
    "made",
    [
        lambda: b"\x0a\x00" * 8_000_000,
        lambda: b"\x0a\x02\x12\x00" * 4_000_000,
        lambda: b"\x0a\x80\xc8\xd0\x07\x12\xfc\xc7\xd0\x07" + b"\x12\x00" * 7_995_902,
        lambda: b"\x0a\x02\x12\x00" * 250_000,
        lambda: os.urandom(1 << 20),
        lambda: b"\x0a\xff\xff\xff\xff\x07" + b"x" * (2 << 20),
    ],
    ids=["empty messages", "nested", "empty spans", "a small body", "noise", "a length beyond the end"],
)
def test_bad_protobuf_is_refused_or_empty(collector: CollectorProcess, made: Callable[[], bytes]) -> None:
    """Messages of two bytes each, noise, and lengths that lie."""
    headers = collector.headers(content_type="application/x-protobuf")
    answer = httpx.post(f"{collector.url}/v1/traces", content=made(), headers=headers, timeout=60, verify=NO_TLS)
    assert answer.status_code in (200, 400, 413)
    assert serves(collector)


def test_a_flood_of_wrong_keys_is_turned_away(collector: CollectorProcess) -> None:
    """401 each, before a byte of the body is read."""
    body = json.dumps([{"type": "vote"}] * 1000).encode()
    with httpx.Client(verify=NO_TLS) as client:
        for number in range(300):
            answer = client.post(
                f"{collector.url}/v1/events",
                content=body,
                headers=collector.headers(authorization=f"Bearer kr_{number}_x"),
            )
            assert answer.status_code == 401
    assert serves(collector)


def test_more_requests_than_the_rate_are_told_to_wait(
    kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """429 with Retry-After, for this key only."""
    create_topics(kafka.bootstrap)
    directory = tmp_path_factory.mktemp("rated")
    with (
        CollectorProcess(directory, kafka.bootstrap, "rated", "--rate", "1") as process,
        httpx.Client(verify=NO_TLS) as client,
    ):
        answers = [client.post(f"{process.url}/v1/events", json=[1], headers=process.headers()) for _ in range(10)]
        assert {answer.status_code for answer in answers} == {422, 429}
        assert answers[-1].headers["retry-after"] == "1"
        _, other = process.keys.create("other")
        time.sleep(1.1)
        sent = client.post(
            f"{process.url}/v1/events", json=[1], headers=process.headers(authorization=f"Bearer {other}")
        )
        assert sent.status_code == 422
