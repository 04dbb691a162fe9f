"""An app that OpenTelemetry instruments, with no code of ours in it: environment variables alone bring it here."""

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from keeprate.deploy.local.broker import KafkaBroker
from keeprate.producers.collector.otel.identity import span_generation_id
from keeprate.schemas import decode
from tests.collecting import CollectorProcess, landed
from tests.streaming import create_topics

ANSWER = {
    "object": "chat.completion",
    "created": 1764000000,
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Paris."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
}
APP = """
from openai import OpenAI
from opentelemetry import trace

with trace.get_tracer("shop").start_as_current_span("handle request") as span:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Capital of France?"}]
    answer = OpenAI().chat.completions.create(model="gpt-4o-mini", messages=messages, temperature=0.2)
    print(format(span.get_span_context().trace_id, "032x"), answer.id)
"""


class StandIn(http.server.BaseHTTPRequestHandler):
    """Answers as the provider's API does, with a response id of its own for each call."""

    calls = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        StandIn.calls += 1
        body = json.dumps({"id": f"chatcmpl-{os.getpid()}-{StandIn.calls}", **ANSWER}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Nothing: pytest shows what matters."""


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), StandIn) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def collector(kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    create_topics(kafka.bootstrap)
    with CollectorProcess(tmp_path_factory.mktemp("otel"), kafka.bootstrap, "shop") as process:
        yield process


def run_app(collector: CollectorProcess, provider: str, directory: Path, capture: str) -> tuple[str, str]:
    """Trace id and response id of one call, made and exported by a process of its own."""
    script = directory / "app.py"
    script.write_text(APP)
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{collector.key}",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_SERVICE_NAME": "shop-api",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=staging",
        "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": capture,
        "OPENAI_BASE_URL": provider,
        "OPENAI_API_KEY": "none",
    }
    instrument = shutil.which("opentelemetry-instrument", path=str(Path(sys.executable).parent))
    assert instrument is not None
    done = subprocess.run(
        [instrument, sys.executable, str(script)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Failed to export" not in done.stderr
    trace_id, response_id = done.stdout.split()
    return trace_id, response_id


def of_trace(kafka: KafkaBroker, app: str, trace_id: str, count: int) -> list[dict[str, Any]]:
    found = landed(kafka.bootstrap, app, lambda events: sum(e.get("trace_id") == trace_id for e in events) >= count)
    return [event for event in found if event.get("trace_id") == trace_id]


def test_a_call_and_its_feedback_by_trace_have_one_generation(
    collector: CollectorProcess, provider: str, kafka: KafkaBroker, tmp_path: Path
) -> None:
    """The app knows its trace and the provider's response id, and neither the span's id nor ours."""
    trace_id, response_id = run_app(collector, provider, tmp_path, "SPAN_ONLY")
    [generation] = of_trace(kafka, collector.app, trace_id, 1)
    feedback = [
        {"type": "action", "action": "accept", "length": 6, "trace_id": trace_id},
        {"type": "vote", "value": 1, "trace_id": trace_id, "span_id": generation["span_id"]},
        {"type": "flag", "label": "too_short", "status": "set", "trace_id": trace_id, "external_id": response_id},
    ]
    sent = httpx.post(f"{collector.url}/v1/events", json=feedback, headers=collector.headers())
    assert sent.status_code == 202, sent.text
    events = of_trace(kafka, collector.app, trace_id, 4)
    expected = span_generation_id(collector.app, trace_id, generation["span_id"])
    assert {event["generation_id"] for event in events} == {expected}
    assert sorted(event["type"] for event in events) == ["action", "flag", "generation", "vote"]
    assert {event["_topic"] for event in events} == {"keeprate.generations", "keeprate.feedback"}


def test_a_generation_says_what_the_instrumentation_saw(
    collector: CollectorProcess, provider: str, kafka: KafkaBroker, tmp_path: Path
) -> None:
    """Model, tokens, messages, parameters and where it ran."""
    trace_id, response_id = run_app(collector, provider, tmp_path, "SPAN_ONLY")
    [event] = of_trace(kafka, collector.app, trace_id, 1)
    said = {name: value for name, value in event.items() if not name.startswith("_")}
    decode.validate(said)
    expected = {
        "type": "generation",
        "app": "shop",
        "environment": "staging",
        "operation": "chat",
        "provider": "openai",
        "model": "gpt-4o-mini-2024-07-18",
        "external_id": response_id,
        "input_tokens": 12,
        "output_tokens": 3,
        "finish_reason": "stop",
        "parameters": {"temperature": 0.2},
        "input": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Capital of France?"}],
        "output": [{"role": "assistant", "content": "Paris."}],
        "outcome": "produced",
    }
    assert {name: said.get(name) for name in expected} == expected


def test_messages_in_an_event_join_the_span(
    collector: CollectorProcess, provider: str, kafka: KafkaBroker, tmp_path: Path
) -> None:
    """With content in log events, the call is told twice: of one generation, and the span's word holds."""
    trace_id, _ = run_app(collector, provider, tmp_path, "EVENT_ONLY")
    events = of_trace(kafka, collector.app, trace_id, 2)
    assert len({event["generation_id"] for event in events}) == 1
    by_revision = {event["revision"]: event for event in events}
    assert by_revision[0]["output"] == [{"role": "assistant", "content": "Paris."}]
    assert by_revision[1]["latency_ms"] >= 0
