"""Over HTTPS: what each answer of a collector does to the events it is an answer to, and what the accounts say."""

import gzip
import json
import logging
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from keeprate.producers import Keeprate, SettingsError
from keeprate.producers.sending.verdicts import LONGEST_WAIT_S, Refused, Settled, Smaller, Wait, judge
from keeprate.schemas.ids import uuid7

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def said(accepted: int, *errors: dict[str, Any]) -> bytes:
    """An answer that accounts for each event."""
    return json.dumps({"accepted": accepted, "refused": len(errors), "errors": list(errors)}).encode()


def error(index: int, **more: Any) -> dict[str, Any]:
    """An entry of the answer."""
    return {"index": index, "status": 422, "error_type": "invalid", "field": "value", "reason": "too high", **more}


@pytest.mark.parametrize(
    ("status", "body", "refused"),
    [
        (202, said(3), {}),
        (207, said(2, error(1)), {1: Refused("invalid value", "too high")}),
        (422, said(0, error(0), error(1), error(2)), dict.fromkeys(range(3), Refused("invalid value", "too high"))),
        (403, said(0, *(error(index, error_type="forbidden", field="app") for index in range(3))), {}),
    ],
)
def test_an_answer_that_accounts_for_each_event_settles_them(
    status: int, body: bytes, refused: dict[int, Refused]
) -> None:
    """What is not listed is in Kafka, and what is listed is refused for good, whatever the status."""
    verdict = judge(status, None, body, 3, NOW)
    assert isinstance(verdict, Settled)
    assert verdict.refused == refused or status == 403
    assert len(verdict.refused) == json.loads(body)["refused"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"<html>Sign in to the network</html>"),
        (202, b"{}"),
        (202, said(2)),
        (207, said(1, error(1), error(1))),
        (207, said(2, error(3))),
        (207, said(2, error(True))),
        (202, b'{"accepted": 3, "errors": [1]}'),
        (301, b""),
        (401, b'{"error_type": "unauthorized", "reason": "send a key"}'),
        (403, b'{"error_type": "forbidden_origin", "reason": "not for pages"}'),
        (500, said(3)),
        (503, b"[" * 100_000),
    ],
)
def test_any_other_answer_ends_no_event(status: int, body: bytes) -> None:
    """A portal, a proxy, a key that is wrong today, an answer that does not add up: the events wait."""
    assert isinstance(judge(status, None, body, 3, NOW), Wait)


def test_what_is_too_large_is_cut() -> None:
    """By the collector's own limit, and by that of a proxy before it, which has no JSON."""
    assert isinstance(judge(413, None, b'{"error_type": "too_large", "reason": "16 MiB"}', 3, NOW), Smaller)
    assert isinstance(judge(413, None, b"<html>", 3, NOW), Smaller)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        (" 0 ", 0.0),
        ("Sat, 28 Nov 2026 00:00:09 GMT", 9.0),
        ("Fri, 27 Nov 2026 00:00:00 GMT", 0.0),
        ("9999999999999", LONGEST_WAIT_S),
        ("soon", None),
        ("-3", None),
        ("²", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    """As RFC 9110 has it; what is neither asks for nothing."""
    verdict = judge(429, header, b"", 3, NOW)
    assert isinstance(verdict, Wait)
    assert verdict.after_s == seconds


class Desk:
    """A server that answers as it is told, and keeps what it was sent. answers: status, headers, body of the next."""

    def __init__(self) -> None:
        self.answers: deque[tuple[int, dict[str, str], bytes | None]] = deque()
        self.batches: list[list[Any]] = []
        self.headers: list[dict[str, str]] = []
        desk = self

        class Answering(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                batch = [json.loads(line) for line in body.splitlines()]
                desk.batches.append(batch)
                desk.headers.append({**self.headers, "path": self.path})
                status, headers, answer = desk.answers.popleft() if desk.answers else (202, {}, None)
                answer = said(len(batch)) if answer is None else answer
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class names it
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def numbers(self) -> list[int]:
        """The producer_seq of what was sent, in its order."""
        return [event["producer_seq"] for batch in self.batches for event in batch]


@pytest.fixture
def desk() -> Iterator[Desk]:
    opened = Desk()
    yield opened
    opened.close()


@pytest.fixture
def client(desk: Desk) -> Iterator[Keeprate]:
    with Keeprate("docs", url=f"{desk.url}/below/", key="kr_test") as opened:
        yield opened


def emit(client: Keeprate, count: int, pad: str = "") -> None:
    """Events of one generation."""
    key = uuid7()
    for _ in range(count):
        client.emit({"type": "action", "action": "shown", "generation_id": key, "attributes": {"pad": pad}})


def test_events_arrive_as_lines_with_the_key_and_leave_no_file(client: Keeprate, desk: Desk, spool_dir: Path) -> None:
    """One path, below that of the URL; compressed where it pays; the spool is empty at the end."""
    emit(client, 1_200)
    assert client.flush(10) == 0
    client.close()
    assert desk.numbers == list(range(1, 1_201))
    assert {(each["path"], each["Authorization"]) for each in desk.headers} == {("/below/v1/events", "Bearer kr_test")}
    stats = client.stats()
    assert (stats.accepted, stats.delivered, stats.lost) == (1_200, 1_200, 0)
    assert [path for path in spool_dir.rglob("*") if path.is_file()] == []


def test_a_batch_waits_as_long_as_the_collector_asks_and_goes_again_as_it_was(client: Keeprate, desk: Desk) -> None:
    """Nothing behind it overtakes it, and nothing of it counts until the collector has said so."""
    desk.answers += [(429, {"Retry-After": "1"}, b""), (503, {}, b"")]
    emit(client, 3)
    assert client.flush(0.5) == 3
    assert client.stats().delivered == 0
    assert client.stats().last_error == "HTTP 429"
    assert client.flush(10) == 0
    assert desk.batches[0] == desk.batches[1] == desk.batches[2]
    assert list(dict.fromkeys(desk.numbers)) == [1, 2, 3]


def test_what_the_collector_refuses_is_counted_with_its_reason(
    client: Keeprate, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    """The others of the batch are delivered; the log has one line for each kind."""
    desk.answers.append((422, {}, said(0, error(0, field="app"))))
    emit(client, 1)
    assert client.flush(10) == 0
    emit(client, 1)
    assert client.flush(10) == 0
    stats = client.stats()
    assert (stats.delivered, stats.dropped) == (1, {"refused": 1})
    assert stats.refusals == {"refused invalid app": 1}
    assert "refused (invalid app)" in caplog.text
    assert "too high" in caplog.text


def test_a_batch_that_is_too_large_is_cut_until_it_goes(client: Keeprate, desk: Desk) -> None:
    """The one event that does not go alone is refused, the others arrive in order."""
    desk.answers += [(503, {"Retry-After": "1"}, b""), (413, {}, b""), (413, {}, b"")]
    emit(client, 1)
    assert client.flush(0.3) == 1
    emit(client, 4)
    assert client.flush(10) == 0
    # The first event goes alone, is too large, and is refused; of the others the batch is cut once.
    assert client.stats().dropped == {"refused": 1}
    assert client.stats().delivered == 4
    assert desk.numbers == [1, 1, 2, 3, 4, 5, 2, 3, 4, 5]


def test_no_answer_costs_nothing(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody listens: the events wait, the log says so once, and the next start of the app delivers them."""
    url = "http://127.0.0.1:1"
    with Keeprate("docs", url=url) as away:
        emit(away, 5)
        away.flush(1.0)
        assert "ConnectionRefusedError" in away.stats().last_error
        away.close(0)
    assert (away.stats().spooled, away.stats().lost) == (5, 0)
    assert caplog.text.count("nobody takes events") == 1


def test_a_script_that_emits_and_ends_delivers(desk: Desk) -> None:
    """The interpreter takes no new threads by then, and the event goes all the same."""
    code = f'from keeprate.producers import Keeprate; Keeprate("docs", url="{desk.url}").generation(output="x").shown()'
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
    assert desk.numbers == [1, 2]


FORKING = """
import os, sys
from keeprate.producers import Keeprate
client = Keeprate("docs", url=sys.argv[1])
handle = client.generation(output="x")
assert client.flush(10) == 0
child = os.fork()
handle.shown()
assert client.flush(10) == 0
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


def test_a_child_of_a_fork_talks_by_a_connection_of_its_own(desk: Desk) -> None:
    """The parent's goes on as it was."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKING, desk.url]
    subprocess.run(command, check=True, timeout=30)
    assert sorted(desk.numbers) == [1, 1, 2]
    assert len({event["producer_id"] for batch in desk.batches for event in batch}) == 2


def test_the_environment_says_where_the_collector_is(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """KEEPRATE_URL and KEEPRATE_KEY do what the parameters do, before KEEPRATE_BROKERS."""
    monkeypatch.setenv("KEEPRATE_URL", desk.url)
    monkeypatch.setenv("KEEPRATE_KEY", "kr_env")
    monkeypatch.setenv("KEEPRATE_BROKERS", "127.0.0.1:1")
    with Keeprate("docs") as client:
        emit(client, 1)
        assert client.flush(10) == 0
    assert [each["Authorization"] for each in desk.headers] == ["Bearer kr_env"]


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"url": "collector.example.org", "key": "kr_x"}, "url"),
        ({"url": "ftp://collector.example.org", "key": "kr_x"}, "url"),
        ({"url": "https://host:port", "key": "kr_x"}, "url"),
        ({"url": "https://collector.example.org"}, "key"),
        ({"url": "https://collector.example.org", "key": "kr_x\n"}, "key"),
        ({"url": "https://collector.example.org", "key": "kr_x", "ca": "/nowhere.pem"}, "ca"),
        ({"url": "http://127.0.0.1:4318", "ca": "/nowhere.pem"}, "ca"),
        ({"url": "https://collector.example.org", "key": "kr_x", "brokers": "127.0.0.1:9092"}, "url"),
        ({"key": "kr_x"}, "key"),
    ],
)
def test_a_wrong_way_is_refused_at_the_start(settings: dict[str, Any], field: str) -> None:
    """By the parameter's name."""
    with pytest.raises(SettingsError) as refused:
        Keeprate("docs", **settings)
    assert refused.value.field == field


def test_a_key_that_goes_unencrypted_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """To another machine without TLS: allowed, for a mesh that encrypts, and not silent."""
    with caplog.at_level(logging.WARNING):
        Keeprate("docs", url="http://collector.example.org", key="kr_x").close()
    assert "unencrypted" in caplog.text
