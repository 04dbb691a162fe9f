"""The collector as a process, with a real Kafka behind it."""

import gzip
import json
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from typer.testing import CliRunner

from keeprate.deploy.commands.tree import app as commands
from keeprate.deploy.local.broker import KafkaBroker
from keeprate.producers.collector.gate.keys import Quotas
from keeprate.producers.collector.otel.identity import span_generation_id
from keeprate.schemas import decode
from keeprate.schemas.ids import uuid7
from tests.collecting import NO_TLS, CollectorProcess, certificate_in, landed
from tests.streaming import create_topics

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PROTOBUF = "application/x-protobuf"


@pytest.fixture(scope="module")
def collector(kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    create_topics(kafka.bootstrap)
    with CollectorProcess(tmp_path_factory.mktemp("collector"), kafka.bootstrap, "collector-test") as process:
        yield process


def post(process: CollectorProcess, path: str, content: Any, **headers: str) -> httpx.Response:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return httpx.post(
        f"{process.url}{path}", content=body, headers=process.headers(**headers), timeout=30, verify=NO_TLS
    )


def vote(generation_id: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"type": "vote", "value": 1, "generation_id": generation_id or uuid7(), **fields}


def trace_request(*spans: tuple[bytes, bytes]) -> bytes:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for trace_id, span_id in spans:
        span = scope.spans.add(trace_id=trace_id, span_id=span_id, start_time_unix_nano=1_764_000_000_000_000_000)
        span.attributes.add(key="gen_ai.system").value.string_value = "openai"
    return request.SerializeToString()


def test_accepted_events_are_in_kafka_when_the_answer_comes(collector: CollectorProcess, kafka: KafkaBroker) -> None:
    """Each on the topic of its type, keyed by its generation, as a valid event."""
    generation_id = uuid7()
    batch = [vote(generation_id), {"type": "generation", "generation_id": generation_id, "model": "m"}]
    answer = post(collector, "/v1/events", batch)
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2, "refused": 0, "errors": []})
    found = landed(kafka.bootstrap, collector.app, lambda events: sum(e["_key"] == generation_id for e in events) >= 2)
    mine = {event["type"]: event for event in found if event["_key"] == generation_id}
    assert {kind: event["_topic"] for kind, event in mine.items()} == {
        "vote": "keeprate.feedback",
        "generation": "keeprate.generations",
    }
    for event in mine.values():
        decode.validate({name: value for name, value in event.items() if not name.startswith("_")})


def test_results_of_cases_come_by_https(
    collector: CollectorProcess, kafka: KafkaBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where KEEPRATE_URL names a collector, `keeprate cases run` needs no broker."""
    generation_id = uuid7()
    case = {"case": "c1", "app": collector.app, "source": {"generation_id": generation_id}, "checks": []}
    suite = tmp_path / "s.jsonl"
    suite.write_text(json.dumps(case))
    monkeypatch.setenv("KEEPRATE_URL", collector.url)
    monkeypatch.setenv("KEEPRATE_KEY", collector.key)
    monkeypatch.setenv("KEEPRATE_BROKERS", "127.0.0.1:1")
    command = f"{sys.executable} -c print(30)"
    done = CliRunner().invoke(commands, ["cases", "run", str(suite), "--command", command, "--json"])
    assert (done.exit_code, json.loads(done.stdout)["sent"]) == (0, 1), done.output
    found = landed(kafka.bootstrap, collector.app, lambda events: any(e["_key"] == generation_id for e in events))
    (event,) = [event for event in found if event["_key"] == generation_id]
    assert (event["type"], event["label"], event["attributes"]["suite"]) == ("evaluation", "passed", "s")


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_compressed_lines_are_taken(collector: CollectorProcess, encoding: str) -> None:
    """What a log shipper sends."""
    from backports import zstd

    lines = "\n".join(json.dumps(vote()) for _ in range(50)).encode()
    wire = gzip.compress(lines) if encoding == "gzip" else zstd.compress(lines)
    answer = post(collector, "/v1/events", wire, content_type="application/x-ndjson", content_encoding=encoding)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 50)


def test_a_batch_is_taken_in_part(collector: CollectorProcess) -> None:
    """207 says that some items are in Kafka and which are not."""
    answer = post(collector, "/v1/events", [vote(), vote(value=9), vote(app="other"), vote()])
    content = answer.json()
    assert (answer.status_code, content["accepted"], content["refused"]) == (207, 2, 2)
    assert [(error["index"], error["status"], error["field"]) for error in content["errors"]] == [
        (1, 422, "value"),
        (2, 403, "app"),
    ]


@pytest.mark.parametrize(
    ("content", "headers", "status", "error_type"),
    [
        ([vote(value=9)], {}, 422, None),
        ([vote(app="other")], {}, 403, None),
        (b"[", {}, 400, "not_json"),
        ([vote()], {"authorization": "Bearer kr_0_wrong"}, 401, "unauthorized"),
        ([vote()], {"authorization": ""}, 401, "unauthorized"),
        ([vote()], {"content_type": "text/csv"}, 415, "unsupported_type"),
        ([vote()], {"content_encoding": "br"}, 415, "unsupported_encoding"),
        (lambda: b"x" * (17 << 20), {}, 413, "too_large"),
        (lambda: gzip.compress(bytes(64 << 20), mtime=0), {"content_encoding": "gzip"}, 413, "too_large"),
    ],
)
def test_a_refused_request_says_why(
    collector: CollectorProcess, content: Any, headers: dict[str, str], status: int, error_type: str | None
) -> None:
    """By status, and in the body by type, field and reason."""
    # What is large is made here, not in every process that collects.
    answer = post(collector, "/v1/events", content() if callable(content) else content, **headers)
    assert answer.status_code == status
    said = answer.json()
    if error_type is None:
        [said] = said["errors"]
    else:
        assert said["error_type"] == error_type
    assert said["reason"]


PAGE = "https://shop.example"


def published(process: CollectorProcess, **settings: Any) -> dict[str, str]:
    """Headers with a new key for pages, once the collector knows it."""
    _, text = process.keys.create(process.app, scope="feedback", origins=(PAGE,), **settings)
    headers = {"authorization": f"Bearer {text}", "origin": PAGE}
    deadline_s = time.monotonic() + 10
    while post(process, "/v1/events", [], **headers).status_code == 401:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    return headers


def test_a_page_may_send_when_a_key_is_for_it(collector: CollectorProcess) -> None:
    """Browsers ask first, and then read the answer; a page that no key is for is told so both times."""
    headers = published(collector)
    for origin, asked_status, sent_status in ((PAGE, 204, 202), ("https://evil.example", 403, 403)):
        asked = httpx.options(
            f"{collector.url}/v1/events",
            headers={
                "origin": origin,
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization,content-type",
            },
        )
        allowed = origin if origin == PAGE else None
        assert (asked.status_code, asked.headers.get("access-control-allow-origin")) == (asked_status, allowed)
        sent = post(collector, "/v1/events", [vote()], **{**headers, "origin": origin})
        assert (sent.status_code, sent.headers.get("access-control-allow-origin")) == (sent_status, allowed)
        assert sent.headers["vary"] == "Origin"
    assert "--origin https://evil.example" in sent.json()["reason"]
    without = {name: value for name, value in headers.items() if name != "origin"}
    assert post(collector, "/v1/events", [vote()], **without).status_code == 403
    assert post(collector, "/v1/events", [vote()], origin=PAGE).status_code == 403


def test_a_published_key_cannot_replace_what_others_said(collector: CollectorProcess, kafka: KafkaBroker) -> None:
    """No generation, revision, evaluation, expert's correction or producer's account; a user's vote is taken."""
    headers = published(collector)
    generation_id = uuid7()
    edit = {"type": "edit", "generation_id": generation_id, "corrected_text": "x"}
    batch = [
        {"type": "generation", "generation_id": generation_id, "revision": 2**31 - 1},
        vote(generation_id, revision=2**31 - 1),
        {"type": "evaluation", "generation_id": generation_id, "name": "good", "annotator_kind": "human", "value": 1},
        {**edit, "origin": "expert"},
        vote(generation_id, producer_id="somebody", producer_seq=1),
        vote(generation_id),
        {**edit, "origin": "user"},
    ]
    answer = post(collector, "/v1/events", batch, **headers)
    content = answer.json()
    assert (answer.status_code, content["accepted"]) == (207, 2)
    assert [(error["index"], error["status"], error["field"]) for error in content["errors"]] == [
        (0, 403, "type"),
        (1, 403, "revision"),
        (2, 403, "type"),
        (3, 403, "origin"),
        (4, 403, "producer_id"),
    ]
    assert all("scope all" in error["reason"] or "say user" in error["reason"] for error in content["errors"])
    spans = post(collector, "/v1/traces", trace_request((b"\1" * 16, b"\2" * 8)), content_type=PROTOBUF, **headers)
    assert spans.status_code == 403


def test_a_published_key_does_not_speak_for_a_thousand_users(collector: CollectorProcess) -> None:
    """Of one address it takes the votes of so many users an hour; the answer says what to wait for or to ask for."""
    quotas = Quotas(users_per_address=3, events_per_address=100)
    headers = published(collector, quotas=quotas)
    crowd = post(collector, "/v1/events", [vote(user=f"u{number}") for number in range(1_000)], **headers)
    assert (crowd.status_code, crowd.json()["error_type"]) == (413, "users_per_address")
    few = [post(collector, "/v1/events", [vote(user=f"u{number}")], **headers) for number in range(4)]
    assert [answer.status_code for answer in few] == [202, 202, 202, 429]
    assert few[3].json()["error_type"] == "users_per_address"
    assert "--users-per-address" in few[3].json()["reason"]
    assert 3_000 < int(few[3].headers["retry-after"]) <= 3_600
    assert post(collector, "/v1/events", [vote(user="u1")], **headers).status_code == 202
    assert (
        'keeprate_collector_limited_total{limit="users_per_address"}'
        in httpx.get(collector.metrics_url, verify=NO_TLS).text
    )


def test_a_key_that_expired_is_refused_with_the_remedy(collector: CollectorProcess) -> None:
    """401 says since when, and how to make another."""
    headers = published(collector, expires_at=datetime.now(UTC) + timedelta(seconds=3))
    deadline_s = time.monotonic() + 20
    while (answer := post(collector, "/v1/events", [vote()], **headers)).status_code == 202:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    assert answer.status_code == 401
    assert "expired at" in answer.json()["reason"]
    assert f"keeprate keys create {collector.app}" in answer.json()["reason"]


def test_without_a_key_nothing_is_described_or_measured(collector: CollectorProcess) -> None:
    """The numbers are on a port of their own, and the description is for who has a key."""
    assert httpx.get(f"{collector.url}/metrics", verify=NO_TLS).status_code == 404
    assert httpx.get(f"{collector.url}/openapi.json", verify=NO_TLS).status_code == 401
    described = httpx.get(f"{collector.url}/openapi.json", headers=collector.headers(), verify=NO_TLS)
    assert described.json()["openapi"] == "3.1.0"


def test_it_says_where_it_listens_and_how_to_send(collector: CollectorProcess) -> None:
    """The line for a first event works as it is printed."""
    [line] = [line for line in collector.log.splitlines() if "curl" in line]
    command = line.partition(": ")[2].replace("KEY", collector.key)
    answer = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True).stdout
    assert json.loads(answer) == {"accepted": 1, "refused": 0, "errors": []}
    assert f"{collector.url}, 1 key, to Kafka at" in collector.log
    assert collector.metrics_url in collector.log


def test_users_that_are_named_are_told_once(collector: CollectorProcess) -> None:
    """What is sent as a user is kept as it is; the log says what to send, and once."""
    for name in ("ada", "bob"):
        assert post(collector, "/v1/events", [vote(user=f"{name}@example.org")]).status_code == 202
    assert collector.log.count("sends addresses as users") == 1
    assert "ada@" not in collector.log


def test_a_proxy_that_is_not_trusted_is_told_once(collector: CollectorProcess) -> None:
    """Its clients share the limits of one address, so the log names the option."""
    for _ in range(2):
        assert post(collector, "/v1/events", [vote()], x_forwarded_for="198.51.100.7").status_code == 202
    assert collector.log.count("--trusted-proxy 127.0.0.1") == 1


def test_behind_a_trusted_proxy_every_client_has_its_address(kafka: KafkaBroker, tmp_path: Path) -> None:
    """The users of one are not counted against another's."""
    create_topics(kafka.bootstrap)
    with CollectorProcess(tmp_path, kafka.bootstrap, "proxied", "--trusted-proxy", "127.0.0.0/8") as process:
        headers = published(process, quotas=Quotas(users_per_address=1))
        for address, user, status in (("1", "a", 202), ("1", "b", 429), ("2", "b", 202), ("2", "a", 429)):
            sent = post(
                process, "/v1/events", [vote(user=user)], x_forwarded_for=f"9.9.9.9, 192.0.2.{address}", **headers
            )
            assert sent.status_code == status
        assert "--trusted-proxy" not in process.log


def test_without_keys_only_this_machine_is_served(kafka: KafkaBroker, tmp_path: Path) -> None:
    """No page of another site, and no name that somebody points at this machine; curl and local pages are."""
    create_topics(kafka.bootstrap)
    with CollectorProcess(tmp_path, kafka.bootstrap, "keyless", "--no-keys") as process:
        url, plain = f"{process.url}/v1/events", {"content-type": "text/plain"}
        body = json.dumps(vote(app="keyless"))
        for headers, status in (
            ({}, 202),
            ({"origin": "http://localhost:3000", "sec-fetch-site": "cross-site"}, 202),
            ({"sec-fetch-site": "none"}, 202),
            ({"origin": "https://evil.example"}, 403),
            ({"origin": "null"}, 403),
            ({"origin": "https://localhost.evil.example"}, 403),
            ({"sec-fetch-site": "cross-site"}, 403),
            ({"host": f"evil.example:{process.port}"}, 403),
        ):
            answer = httpx.post(url, content=body, headers={**plain, **headers}, verify=NO_TLS)
            assert (headers, answer.status_code) == (headers, status)
        assert (
            "--no-keys"
            in httpx.post(url, content=body, headers={**plain, "origin": "null"}, verify=NO_TLS).json()["reason"]
        )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--tls-client-ca", "ca.pem"), "--tls-client-ca"),
        (("--tls-certificate", "cert.pem"), "--tls-certificate"),
        (("--no-keys", "--host", "0.0.0.0"), "--host"),
        (("--trusted-proxy", "nonsense"), "--trusted-proxy"),
    ],
)
def test_settings_that_promise_more_than_they_keep_are_refused(options: tuple[str, ...], said: str) -> None:
    """It does not start, and the sentence names the option."""
    command = [sys.executable, "-m", "keeprate.deploy.cli", "collector", "--port", "0", *options]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert f"keeprate collector: {said}: " in ended.stderr


@pytest.mark.parametrize("kind", ["protobuf", "json"])
def test_spans_are_answered_as_otlp_specifies(collector: CollectorProcess, kind: str) -> None:
    """Full success is an empty message; a span that nothing can join is rejected, and the others are taken."""
    if kind == "protobuf":
        full = post(collector, "/v1/traces", trace_request((b"\1" * 16, b"\2" * 8)), content_type=PROTOBUF)
        part = post(
            collector,
            "/v1/traces",
            trace_request((b"\1" * 16, b"\3" * 8), (bytes(16), b"\4" * 8)),
            content_type=PROTOBUF,
        )
        assert (full.status_code, full.content, full.headers["content-type"]) == (200, b"", PROTOBUF)
        partial = ExportTraceServiceResponse.FromString(part.content).partial_success
        assert (part.status_code, partial.rejected_spans) == (200, 1)
        assert "trace_id" in partial.error_message
        return
    span = {
        "traceId": TRACE,
        "spanId": SPAN,
        "startTimeUnixNano": "1764000000000000000",
        "attributes": [{"key": "gen_ai.system", "value": {"stringValue": "openai"}}],
    }
    for spans, expected in (([span], None), ([span, {**span, "traceId": ""}], "1")):
        answer = post(collector, "/v1/traces", {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
        assert answer.status_code == 200
        assert answer.json().get("partialSuccess", {}).get("rejectedSpans") == expected


def test_feedback_by_trace_joins_the_span_whichever_comes_first(
    collector: CollectorProcess, kafka: KafkaBroker
) -> None:
    """An event with the two ids, an evaluation in the span, and the span itself have one generation."""
    trace_id, span_id = b"\7" * 16, b"\x08" * 8
    generation_id = span_generation_id(collector.app, trace_id.hex(), span_id.hex())
    first = post(
        collector,
        "/v1/events",
        [{"type": "vote", "value": -1, "trace_id": trace_id.hex(), "span_id": span_id.hex()}],
    )
    logs = ExportLogsServiceRequest()
    record = (
        logs.resource_logs.add()
        .scope_logs.add()
        .log_records.add(
            trace_id=trace_id, span_id=span_id, event_name="gen_ai.evaluation.result", time_unix_nano=10**18
        )
    )
    record.attributes.add(key="gen_ai.evaluation.name").value.string_value = "Relevance"
    record.attributes.add(key="gen_ai.evaluation.score.value").value.double_value = 0.5
    second = post(collector, "/v1/logs", logs.SerializeToString(), content_type=PROTOBUF)
    third = post(collector, "/v1/traces", trace_request((trace_id, span_id)), content_type=PROTOBUF)
    fourth = post(
        collector, "/v1/events", [{"type": "flag", "label": "wrong", "status": "set", "trace_id": trace_id.hex()}]
    )
    assert [answer.status_code for answer in (first, second, third, fourth)] == [202, 200, 200, 202]
    assert ExportLogsServiceResponse.FromString(second.content).partial_success.rejected_log_records == 0
    found = landed(kafka.bootstrap, collector.app, lambda events: sum(e["_key"] == generation_id for e in events) >= 4)
    kinds = sorted(event["type"] for event in found if event["_key"] == generation_id)
    assert kinds == ["evaluation", "flag", "generation", "vote"]


def test_another_collector_knows_the_trace_too(collector: CollectorProcess, kafka: KafkaBroker, tmp_path: Path) -> None:
    """Feedback that names a trace alone joins, though another process took the span, or this one before a restart."""
    trace_id, span_id = b"\x0b" * 16, b"\x0c" * 8
    generation_id = span_generation_id(collector.app, trace_id.hex(), span_id.hex())
    assert post(collector, "/v1/traces", trace_request((trace_id, span_id)), content_type=PROTOBUF).status_code == 200
    with CollectorProcess(tmp_path, kafka.bootstrap, collector.app) as other:
        event = {"type": "flag", "label": "seen_elsewhere", "status": "set", "trace_id": trace_id.hex()}
        assert post(other, "/v1/events", [event]).status_code == 202
    found = landed(
        kafka.bootstrap, collector.app, lambda events: any(e.get("label") == "seen_elsewhere" for e in events)
    )
    assert [e["generation_id"] for e in found if e.get("label") == "seen_elsewhere"] == [generation_id]


def test_otlp_errors_are_a_status_message(collector: CollectorProcess) -> None:
    """An exporter logs what the google.rpc.Status says."""
    bad = post(collector, "/v1/traces", b"\xff\xff\xff", content_type=PROTOBUF)
    wrong = post(collector, "/v1/traces", {}, authorization="Bearer no")
    assert (bad.status_code, bad.headers["content-type"]) == (400, PROTOBUF)
    assert b"ExportTraceServiceRequest" in bad.content
    assert (wrong.status_code, wrong.json()["code"]) == (401, 16)


def test_metrics_are_taken_and_left_aside(collector: CollectorProcess) -> None:
    """An SDK sends every signal to one address, and would log an error for each that is refused."""
    assert post(collector, "/v1/metrics", {"resourceMetrics": []}).status_code == 200


def test_a_revoked_key_is_refused_without_a_restart(collector: CollectorProcess) -> None:
    """Within about a second."""
    key, text = collector.keys.create(collector.app)
    send = {"authorization": f"Bearer {text}"}
    deadline_s = time.monotonic() + 10
    while post(collector, "/v1/events", [vote()], **send).status_code != 202:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    collector.keys.revoke(key.id)
    while post(collector, "/v1/events", [vote()], **send).status_code != 401:
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def test_its_own_metrics_account_for_what_it_took(collector: CollectorProcess) -> None:
    """Accepted by type, refused by reason."""
    post(collector, "/v1/events", [vote(), vote(value=9)])
    text = httpx.get(collector.metrics_url, verify=NO_TLS).text
    assert 'keeprate_collector_events_total{type="vote"}' in text
    assert 'keeprate_collector_refused_total{error_type="invalid"}' in text
    assert 'keeprate_collector_requests_total{path="/v1/events",status="207"}' in text


def test_without_a_broker_it_says_so_and_later_delivers(kafka: KafkaBroker, tmp_path: Path) -> None:
    """It is alive and not ready without topics; 503 with Retry-After without Kafka, and later the same succeeds."""
    broker = KafkaBroker(tmp_path / "kafka")
    broker.start()
    collector = CollectorProcess(tmp_path / "collector", broker.bootstrap, "outage", "--ack-timeout", "1")
    collector.start(until="/healthz")
    try:
        waiting = httpx.get(f"{collector.url}/readyz", verify=NO_TLS)
        assert (waiting.status_code, "keeprate topics create" in waiting.text) == (503, True)
        create_topics(broker.bootstrap)
        collector.process.wait_ready(lambda: collector.answers("/readyz"), 30)
        assert post(collector, "/v1/events", [vote()]).status_code == 202
        broker.kill()
        batch = [vote(event_id=uuid7()) for _ in range(10)]
        refused = post(collector, "/v1/events", batch)
        assert (refused.status_code, refused.json()["error_type"]) == (503, "unavailable")
        assert int(refused.headers["retry-after"]) > 0
        spans = post(collector, "/v1/traces", trace_request((b"\1" * 16, b"\2" * 8)), content_type=PROTOBUF)
        assert (spans.status_code, "retry-after" in spans.headers) == (503, True)
        assert collector.answers("/healthz")
        assert not collector.answers("/readyz")
        broker.start()
        deadline_s = time.monotonic() + 60
        while post(collector, "/v1/events", batch).status_code != 202:
            assert time.monotonic() < deadline_s
            time.sleep(0.5)
        wanted = {event["event_id"] for event in batch}
        found = landed(broker.bootstrap, "outage", lambda events: wanted <= {e["event_id"] for e in events})
        assert wanted <= {event["event_id"] for event in found}
    finally:
        collector.process.terminate()
        broker.stop()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_what_was_accepted_is_in_kafka_however_it_ends(kafka: KafkaBroker, tmp_path: Path, end: signal.Signals) -> None:
    """Every event whose client saw 202, though the process was told to end, or killed, in the middle."""
    create_topics(kafka.bootstrap)
    app = f"ended-by-{end.name}"
    collector = CollectorProcess(tmp_path, kafka.bootstrap, app, "--rate", "0")
    collector.start()
    accepted: list[str] = []

    def send(_: int) -> None:
        batch = [vote(event_id=uuid7()) for _ in range(20)]
        try:
            if post(collector, "/v1/events", batch).status_code == 202:
                accepted.extend(event["event_id"] for event in batch)
        except httpx.TransportError:
            # The listening socket is closed by then: this client knows that it was not served.
            pass

    with ThreadPoolExecutor(8) as threads:
        work = [threads.submit(send, number) for number in range(200)]
        while sum(done.done() for done in work) < 50:
            time.sleep(0.005)
        assert collector.process._popen is not None
        collector.process._popen.send_signal(end)
    assert collector.process._popen.wait(30) == (0 if end is signal.SIGTERM else -signal.SIGKILL)
    assert len(accepted) >= 500
    found = landed(kafka.bootstrap, app, lambda events: set(accepted) <= {e["event_id"] for e in events})
    assert set(accepted) <= {event["event_id"] for event in found}


def test_it_serves_tls(kafka: KafkaBroker, tmp_path: Path) -> None:
    """With a certificate and key in PEM files."""
    create_topics(kafka.bootstrap)
    with CollectorProcess(tmp_path, kafka.bootstrap, "tls", tls=certificate_in(tmp_path)) as collector:
        context = collector.trusted
        assert context is not None
        answer = httpx.post(f"{collector.url}/v1/events", json=[vote()], headers=collector.headers(), verify=context)
        assert answer.status_code == 202
