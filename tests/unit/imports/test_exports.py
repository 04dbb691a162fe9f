"""Exports of other tools as events."""

import csv
import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from keeprate.deploy.commands.tree import app as commands
from keeprate.producers.collector.otel.generations import hashed_user
from keeprate.producers.collector.otel.identity import span_generation_id
from keeprate.producers.imports import langfuse, otel
from keeprate.producers.imports.rows import Found, read_documents, read_rows
from keeprate.schemas.ids import foreign_id

TRACE, SPAN, CHILD = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
TRACE_JSON = {
    "id": TRACE,
    "timestamp": "2026-03-01T09:00:00.000Z",
    "name": "support-answer",
    "userId": "ada@example.com",
    "sessionId": "s-1",
    "environment": "production",
    "observations": [
        {
            "id": SPAN,
            "traceId": TRACE,
            "type": "AGENT",
            "name": "planner",
            "startTime": "2026-03-01T09:00:00.100Z",
            "endTime": "2026-03-01T09:00:04.100Z",
        },
        {
            "id": "c3c3c3c3c3c3c3c3",
            "traceId": TRACE,
            "type": "SPAN",
            "name": "http",
            "startTime": "2026-03-01T09:00:00.200Z",
            "parentObservationId": SPAN,
        },
        {
            "id": CHILD,
            "traceId": TRACE,
            "type": "GENERATION",
            "name": "answer",
            "startTime": "2026-03-01T09:00:01.000Z",
            "completionStartTime": "2026-03-01T09:00:01.250Z",
            "endTime": "2026-03-01T09:00:03.000Z",
            "parentObservationId": "c3c3c3c3c3c3c3c3",
            "model": "gpt-4o",
            "modelParameters": {"temperature": 0.2},
            "input": [{"role": "user", "content": "Capital of France?"}],
            "output": {"role": "assistant", "content": "Paris."},
            "usageDetails": {"input": 12, "output": 3, "total": 15},
            "calculatedTotalCost": 0.0002,
            "promptName": "capitals",
            "promptVersion": 7,
            "level": "DEFAULT",
        },
    ],
    "scores": [
        {
            "id": "sc1",
            "traceId": TRACE,
            "name": "user-feedback",
            "source": "API",
            "dataType": "NUMERIC",
            "value": 0,
            "comment": "wrong city",
            "timestamp": "2026-03-01T09:01:00Z",
        },
        {
            "id": "sc2",
            "traceId": TRACE,
            "observationId": CHILD,
            "name": "Correctness",
            "source": "EVAL",
            "dataType": "CATEGORICAL",
            "stringValue": "incorrect",
            "timestamp": "2026-03-01T09:02:00Z",
        },
        {
            "id": "sc3",
            "traceId": TRACE,
            "observationId": CHILD,
            "name": "output",
            "source": "ANNOTATION",
            "dataType": "CORRECTION",
            "stringValue": "Paris, France.",
            "authorUserId": "rev-1",
            "timestamp": "2026-03-01T09:03:00Z",
        },
    ],
}


def read(rows: Sequence[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    """Events, fields at fault, and reasons why rows were left aside."""
    found = [Found(f"row {number}", row) for number, row in enumerate(rows, 1)]
    said = list(langfuse.outcomes(lambda: found, "shop", b"salt"))
    return (
        [dict(outcome.event) for outcome in said if outcome.event],
        [outcome.error.field for outcome in said if outcome.error],
        [outcome.ignored for outcome in said if outcome.ignored],
    )


def rows_of(tmp_path: Path, name: str, content: str) -> list[Mapping[str, Any]]:
    path = tmp_path / name
    path.write_text(content)
    return [found.value for found in read_rows(str(path))]


def test_a_trace_of_the_api_is_read_with_all_that_is_in_it(tmp_path: Path) -> None:
    """Generations with their parents and their trace's user, and each score as what it is."""
    events, faults, aside = read(rows_of(tmp_path, "trace.json", json.dumps(TRACE_JSON, indent=1)))
    assert (faults, aside) == ([], ["trace", "observation"])
    agent, call, vote, evaluation, correction = events
    generation_id = span_generation_id("shop", TRACE, CHILD)
    expected = {
        "type": "generation",
        "generation_id": generation_id,
        "parent_generation_id": span_generation_id("shop", TRACE, SPAN),
        "trace_id": TRACE,
        "span_id": CHILD,
        "environment": "production",
        "session": "s-1",
        "user": hashed_user("ada@example.com", b"salt"),
        "operation": "chat",
        "step": "answer",
        "model": "gpt-4o",
        "prompt_name": "capitals",
        "prompt_version": "7",
        "parameters": {"temperature": 0.2},
        "input": [{"role": "user", "content": "Capital of France?"}],
        "output": [{"role": "assistant", "content": "Paris."}],
        "input_tokens": 12,
        "output_tokens": 3,
        "cost_usd": 0.0002,
        "latency_ms": 2000,
        "time_to_first_token_ms": 250,
        "outcome": "produced",
    }
    assert {name: call.get(name) for name in expected} == expected
    assert (agent["operation"], agent["step"], agent.get("parent_generation_id")) == ("invoke_agent", "planner", None)
    assert (vote["type"], vote["value"], vote["comment"]) == ("vote", -1, "wrong city")
    assert vote["generation_id"] == agent["generation_id"]
    assert (evaluation["type"], evaluation["name"], evaluation["annotator_kind"]) == (
        "evaluation",
        "correctness",
        "llm",
    )
    assert (correction["type"], correction["corrected_text"], correction["origin"]) == (
        "edit",
        "Paris, France.",
        "expert",
    )
    assert evaluation["generation_id"] == correction["generation_id"] == generation_id


BLOB_OBSERVATION = {
    "id": CHILD,
    "trace_id": TRACE,
    "type": "GENERATION",
    "parent_observation_id": "",
    "start_time": "2026-03-01 09:00:01.000000",
    "end_time": "2026-03-01 09:00:03.000000",
    "environment": "production",
    "provided_model_name": "gpt-4o",
    "model_parameters": '{"temperature":0.2}',
    "input": '[{"role":"user","content":"Capital of France?"}]',
    "output": "Paris.",
    "usage_details": {"input": 12, "output": 3},
    "total_cost": 0.0002,
    "time_to_first_token": 0.25,
    "latency": 2,
    "prompt_name": "capitals",
    "prompt_version": 7,
    "tool_call_names": ["get_weather"],
    "tool_definitions": {"get_weather": "{}"},
    "user_id": "ada@example.com",
}
BLOB_SCORE = {
    "id": "sc1",
    "trace_id": TRACE,
    "observation_id": CHILD,
    "timestamp": "2026-03-01 09:01:00.000000",
    "name": "user-feedback",
    "source": "API",
    "data_type": "BOOLEAN",
    "value": 1,
    "string_value": "True",
}


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "jsonl.gz"])
def test_every_format_says_the_same(tmp_path: Path, kind: str) -> None:
    """Blob storage writes JSON, JSON lines and CSV; times without an offset are UTC."""
    files = []
    for name, row in (("scores", BLOB_SCORE), ("observations_v2", BLOB_OBSERVATION)):
        path = tmp_path / f"{name}.{kind}"
        if kind == "csv":
            with path.open("w", newline="") as file:
                writer = csv.DictWriter(file, row)
                writer.writeheader()
                writer.writerow({k: json.dumps(v) if isinstance(v, dict | list) else v for k, v in row.items()})
        else:
            text = json.dumps([row]) if kind == "json" else json.dumps(row) + "\n"
            path.write_bytes(gzip.compress(text.encode()) if kind.endswith(".gz") else text.encode())
        files.append(path)
    events, faults, _ = read([row.value for path in files for row in read_rows(str(path))])
    assert faults == []
    vote, call = events
    assert (vote["value"], vote["generation_id"]) == (1, call["generation_id"])
    assert (call["occurred_at"], call["latency_ms"], call["time_to_first_token_ms"]) == (1772355601000, 2000, 250)
    assert (call["input_tokens"], call["cost_usd"], call["prompt_version"]) == (12, 0.0002, "7")
    assert (call["tools_called"], call["tools_offered"]) == (["get_weather"], ["get_weather"])
    assert call["output"] == [{"role": "assistant", "content": "Paris."}]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0, 1], [{"value": -1}, {"value": 1}]),
        ([-1, 0, 1], [{"value": -1}, {"value": 0}, {"value": 1}]),
        ([0.25, 1], [{"score": 0.25, "scale_min": 0.0, "scale_max": 1.0}, {"value": 1}]),
        (
            [1, 5],
            [{"score": 1.0, "scale_min": 1.0, "scale_max": 5.0}, {"score": 5.0, "scale_min": 1.0, "scale_max": 5.0}],
        ),
    ],
)
def test_a_vote_is_read_on_the_scale_of_all_its_values(values: list[float], said: list[dict[str, Any]]) -> None:
    """Whether 0 is a thumb down or a withdrawn vote shows in the other values of the score."""
    scores = [
        {**BLOB_SCORE, "id": str(value), "data_type": "NUMERIC", "value": value, "string_value": None}
        for value in values
    ]
    events, faults, _ = read(scores)
    assert faults == []
    fields = ("value", "score", "scale_min", "scale_max")
    assert [{name: event[name] for name in fields if name in event} for event in events] == said


def test_a_trace_without_generations_is_one_itself() -> None:
    """Some apps log a trace with input and output and no more."""
    trace = {"id": "my-trace", "timestamp": "2026-03-01T09:00:00Z", "input": "Hi", "output": "Hello"}
    score = {**BLOB_SCORE, "trace_id": "my-trace", "observation_id": None}
    events, faults, _ = read([score, trace])
    assert faults == []
    assert {event["generation_id"] for event in events} == {foreign_id("shop", "my-trace")}
    assert [event["type"] for event in events] == ["vote", "generation"]


def test_reading_twice_gives_the_same_events() -> None:
    """So that importing twice adds nothing."""
    assert read([BLOB_OBSERVATION, BLOB_SCORE]) == read([BLOB_OBSERVATION, BLOB_SCORE])


def test_rows_that_cannot_be_events_are_refused_or_left_aside() -> None:
    """Each is accounted for."""
    _, faults, aside = read(
        [
            {**BLOB_OBSERVATION, "start_time": None},
            {**BLOB_SCORE, "trace_id": None},
            {**BLOB_SCORE, "name": "relevance", "value": None, "string_value": None},
            {"unrelated": 1},
        ]
    )
    assert len(faults) == 2
    assert aside == ["score", "unknown_row"]


@pytest.mark.parametrize(
    ("name", "content", "places"),
    [
        ("a.jsonl", '{"a":1}\n{cut\n\n[{"a":2},7]\n{"a":3}', ["2", "4, entry 2"]),
        ("a.jsonl", '{cut\n{"a":1}\n{"a":2}\n[{"a":3}]', ["1"]),
        ("a.jsonl", '{"a":1}\n{"a":2}\n{"a":3}\n' + '{"a":' * 5_000 + "1" + "}" * 5_000, ["4"]),
        ("a.csv", "id,a\n1,x\n2,y,z\n3,\x00\n4,b\n5,c", ["2"]),
        ("a.csv", "id,a\n1,x\n2,\udcff\n3,y\n4,z", ["2"]),
        ("a.json", '{"id":"t","timestamp":"x","observations":[{"a":1},7]}\n[{"a":1}, 1]', ["2, entry 2"]),
    ],
)
def test_a_row_that_cannot_be_read_is_found_with_its_place(
    tmp_path: Path, name: str, content: str, places: list[str]
) -> None:
    """File and line, row or entry; the rows around it are read."""
    path = tmp_path / name
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    found = list(read_rows(str(path)))
    word = "row" if name.endswith(".csv") else "line"
    assert [each.place for each in found if each.error] == [f"{path}, {word} {place}" for place in places]
    assert len([each for each in found if not each.error]) >= 3


@pytest.mark.parametrize("content", ["not json", "1,2", '{"a":\n', "7\n8"])
def test_a_file_of_no_known_format_is_named(tmp_path: Path, content: str) -> None:
    """Once, or line by line where its lines are JSON and no rows."""
    path = tmp_path / "export.jsonl"
    path.write_text(content)
    found = list(read_rows(str(path)))
    assert found
    assert all(each.error and str(path) in each.place for each in found)


@pytest.mark.parametrize(
    "wrong",
    [
        {**BLOB_OBSERVATION, "type": ["GENERATION"]},
        {**BLOB_OBSERVATION, "start_time": "9999-12-31T23:59:59.999999-23:59"},
        {**BLOB_OBSERVATION, "start_time": "0001-01-01T00:00:00+23:59"},
        {**BLOB_OBSERVATION, "start_time": None},
        {**BLOB_OBSERVATION, "usage_details": {"input": 10**400}},
        {**BLOB_SCORE, "name": {"a": 1}, "value": "x" * 10, "timestamp": {"x": 1}},
        {**BLOB_SCORE, "user_id": "\ud800", "trace_id": "\ud800"},
        7,
        None,
    ],
)
def test_no_row_ends_an_import(wrong: Any) -> None:
    """It is refused or left aside at its place, and the rows around it are events."""
    rows = [BLOB_SCORE, wrong, BLOB_OBSERVATION]
    found = [Found(f"row {number}", row) for number, row in enumerate(rows, 1)]
    said = list(langfuse.outcomes(lambda: found, "shop", b"salt"))
    assert [outcome.place for outcome in said] == ["row 1", "row 2", "row 3"]
    assert said[0].event
    assert said[2].event


SPAN_JSON = {
    "traceId": TRACE,
    "spanId": SPAN,
    "startTimeUnixNano": "1772355600000000000",
    "attributes": [
        {"key": "gen_ai.system", "value": {"stringValue": "openai"}},
        {"key": "gen_ai.response.id", "value": {"stringValue": "r1"}},
    ],
}
LOG_JSON = {
    "eventName": "gen_ai.evaluation.result",
    "timeUnixNano": "1772355660000000000",
    "attributes": [
        {"key": "gen_ai.evaluation.name", "value": {"stringValue": "relevance"}},
        {"key": "gen_ai.evaluation.score.value", "value": {"doubleValue": 0.5}},
        {"key": "gen_ai.response.id", "value": {"stringValue": "r1"}},
    ],
}
RESOURCE = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
OTLP_LINES = [
    {"resourceLogs": [{"resource": RESOURCE, "scopeLogs": [{"logRecords": [LOG_JSON]}]}]},
    {
        "resourceSpans": [
            {"resource": RESOURCE, "scopeSpans": [{"spans": [SPAN_JSON, {**SPAN_JSON, "attributes": []}]}]}
        ]
    },
]


def test_a_file_of_otlp_is_read_as_the_collector_would(tmp_path: Path) -> None:
    """An evaluation that stands before its span, and names only the response, finds it."""
    path = tmp_path / "traces.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in OTLP_LINES))

    def documents() -> Iterator[Any]:
        with path.open("rb") as stream:
            yield from read_documents(stream, str(path))

    said = list(otel.outcomes(documents, "", b""))
    events = [outcome.event for outcome in said if outcome.event]
    assert [event["type"] for event in events] == ["evaluation", "generation"]
    assert {event["generation_id"] for event in events} == {span_generation_id("shop", TRACE, SPAN)}
    assert [outcome.ignored for outcome in said if outcome.ignored] == ["not_a_generation"]


def test_the_commands_write_what_they_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`keeprate import langfuse` and `otel`, into a file, with counts for machines."""
    monkeypatch.setenv("KEEPRATE_DATA_DIR", str(tmp_path / "data"))
    exported, otlp, out = tmp_path / "trace.json", tmp_path / "otlp.jsonl", tmp_path / "events"
    exported.write_text(json.dumps(TRACE_JSON))
    otlp.write_text("\n".join(json.dumps(line) for line in OTLP_LINES))
    run = CliRunner().invoke
    first = run(commands, ["import", "langfuse", str(exported), "--app", "shop", "--out", str(out), "--json"])
    assert first.exit_code == 0, first.output
    assert json.loads(first.stdout) == {
        "events": 5,
        "rejected": 0,
        "rejected_by_field": {},
        "ignored": {"trace": 1, "observation": 1},
    }
    assert len(out.read_text().splitlines()) == 5
    second = run(commands, ["import", "otel", str(otlp), "--dry-run"])
    assert second.exit_code == 0, second.output
    assert "2 events checked" in second.stdout
    third = run(commands, ["import", "langfuse", str(tmp_path / "none"), "--app", "shop"])
    assert third.exit_code == 2
    assert "not a file" in third.stderr


def test_the_commands_name_file_row_field_and_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And go on with the rest; the file of rejects has them all."""
    monkeypatch.setenv("KEEPRATE_DATA_DIR", str(tmp_path / "data"))
    rows, otlp, rejects = tmp_path / "rows.jsonl", tmp_path / "otlp.jsonl", tmp_path / "rejects"
    late = {**BLOB_SCORE, "timestamp": "2199-01-01T00:00:00Z"}
    rows.write_text("\n".join(map(json.dumps, [BLOB_OBSERVATION, late, BLOB_SCORE])) + "\n{cut")
    run = CliRunner().invoke
    first = run(commands, ["import", "langfuse", str(rows), "--app", "shop", "--dry-run", "--rejects", str(rejects)])
    assert first.exit_code == 1
    second_row, fourth_row = first.stderr.splitlines()
    assert second_row.startswith(f"{rows}, line 2: occurred_at: ")
    assert str(langfuse.milliseconds(late["timestamp"])) in second_row
    assert fourth_row.startswith(f"{rows}, line 4: ")
    assert "2 events checked, 2 rejected (1 occurred_at, 1 not_json)" in first.stdout
    assert [json.loads(line)["field"] for line in rejects.read_text().splitlines()] == ["occurred_at", ""]
    nameless = {**SPAN_JSON, "startTimeUnixNano": "1"}
    request = {"resourceSpans": [{"resource": RESOURCE, "scopeSpans": [{"spans": [SPAN_JSON, nameless]}]}]}
    otlp.write_text(json.dumps(request) + "\n7\n" + '{"resourceSpans": 7}\n' + json.dumps(OTLP_LINES[1]))
    second = run(commands, ["import", "otel", str(otlp), "--dry-run", "--json"])
    assert second.exit_code == 1
    assert f"{otlp}, line 1, span 2: occurred_at: " in second.stderr
    assert f"{otlp}, line 2: " in second.stderr
    assert f"{otlp}, line 3: " in second.stderr
    assert json.loads(second.stdout)["rejected"] == 3
