"""The OpenAPI 3.1 description of the collector: events from the contract's own JSON Schema, paths by hand."""

import json
from typing import Any, Final

from keeprate.producers.collector.batches import NDJSON_TYPES
from keeprate.producers.collector.gate.bodies import ENCODINGS
from keeprate.producers.collector.gate.weight import MAX_ITEMS
from keeprate.schemas.decode import EVENT_ADAPTER

VERSION: Final = "1.0.0"
_FILLED_IN: Final = ("app", "event_id", "schema_version", "occurred_at", "generation_id")
_REASONS: Final = {
    "400": "The body is not what its Content-Type or Content-Encoding says, or empty.",
    "401": "No key, an unknown key, or one that was revoked or expired.",
    "403": "The key is not for this: its scope, the page's origin, or every event is another app's.",
    "408": "The body did not arrive in time.",
    "413": "The body, or every event in it, is too large; or the body is more than a whole quota of the key.",
    "415": "Content-Type or Content-Encoding is not taken.",
    "422": "No event is valid: `errors` names the field of each.",
    "429": "Too many requests with this key, or more than one of its quotas.",
    "503": "Kafka did not acknowledge, or too much is waiting: send the same again.",
}
_RETRIED: Final = ("429", "503")


def document(max_body_bytes: int) -> bytes:
    """The description as JSON."""
    schemas = _event_schemas()
    description = {
        "openapi": "3.1.0",
        "info": {
            "title": "Keeprate collector",
            "version": VERSION,
            "description": "Events and OpenTelemetry over HTTP, acknowledged once Kafka has them.",
        },
        "security": [{"key": []}, {"apiKey": []}],
        "paths": _paths(max_body_bytes),
        "components": {
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
            "schemas": {**schemas, "Error": _ERROR, "BatchAnswer": _BATCH_ANSWER},
        },
    }
    return json.dumps(description, ensure_ascii=False).encode()


def _event_schemas() -> dict[str, Any]:
    """The schemas of the event types, with what the collector fills in no longer required."""
    generated = EVENT_ADAPTER.json_schema(ref_template="#/components/schemas/{model}")
    schemas: dict[str, Any] = generated.pop("$defs")
    for schema in schemas.values():
        if "required" in schema:
            schema["required"] = [name for name in schema["required"] if name not in _FILLED_IN]
        properties = schema.get("properties", {})
        if "occurred_at" in properties:
            iso = {"type": "string", "format": "date-time", "description": "with its offset"}
            properties["occurred_at"] = {"anyOf": [properties["occurred_at"], iso]}
    return {**schemas, "Event": generated}


_ERROR: Final = {
    "type": "object",
    "required": ["error_type", "field", "reason"],
    "properties": {
        "error_type": {"type": "string", "description": "from a closed set"},
        "field": {"type": "string", "description": "the field or header at fault, empty when the whole is"},
        "reason": {"type": "string"},
    },
}
_ITEM: Final = {
    "type": "object",
    "required": ["index", "status", "error_type", "field", "reason"],
    "properties": {
        "index": {"type": "integer", "minimum": 0, "description": "of the item in the request, from 0"},
        "status": {"type": "integer", "description": "the HTTP status that the item alone would have had"},
        **_ERROR["properties"],  # type: ignore[dict-item]
    },
}
_BATCH_ANSWER: Final = {
    "type": "object",
    "required": ["accepted", "refused", "errors"],
    "properties": {
        "accepted": {"type": "integer", "description": "events that Kafka acknowledged"},
        "refused": {"type": "integer"},
        "errors": {"type": "array", "items": _ITEM, "description": "one per refused item, the first 1000"},
    },
}


def _paths(max_body_bytes: int) -> dict[str, Any]:
    return {
        "/v1/events": {"post": _events(max_body_bytes)},
        "/v1/traces": {"post": _otlp("traces", "GenAI spans to generations")},
        "/v1/logs": {"post": _otlp("logs", "evaluations, votes, flags, corrections and Copilot's edits to feedback")},
        "/v1/metrics": {"post": _otlp("metrics", "taken and left aside")},
        "/healthz": {"get": _probe("The process is alive.", ())},
        "/readyz": {"get": _probe("A broker answers and takes records, and the process is not draining.", ("503",))},
        "/openapi.json": {"get": _document()},
    }


def _events(max_body_bytes: int) -> dict[str, Any]:
    reference = {"$ref": "#/components/schemas/Event"}
    lines = {"schema": {"type": "string", "description": "one JSON object per line"}}
    return {
        "operationId": "postEvents",
        "summary": "Send events of one app",
        "description": f"At most {MAX_ITEMS} events and {max_body_bytes} bytes once decompressed.",
        "parameters": [
            _header("Content-Encoding", f"{', '.join(ENCODINGS)}, or none"),
            _header("Idempotency-Key", "makes the ids of events without event_id repeatable"),
        ],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "anyOf": [
                            {"type": "array", "minItems": 1, "maxItems": MAX_ITEMS, "items": reference},
                            reference,
                        ]
                    }
                },
                **dict.fromkeys(NDJSON_TYPES, lines),
            },
        },
        "responses": {
            "202": _answer("Every event is in Kafka.", "BatchAnswer"),
            "207": _answer("Some events are in Kafka; `errors` has the others.", "BatchAnswer"),
            **{status: _refusal(status) for status in _REASONS},
        },
    }


def _otlp(signal: str, effect: str) -> dict[str, Any]:
    content: dict[str, Any] = {kind: {} for kind in ("application/x-protobuf", "application/json")}
    refusals = {status: _failure(status, content) for status in _REASONS if status != "422"}
    # An OTLP request that cannot be told to be protobuf or JSON gets its refusal as plain JSON.
    refusals["415"] = _refusal("415")
    return {
        "operationId": f"post{signal.title()}",
        "summary": f"OTLP/HTTP {signal}: {effect}",
        "requestBody": {
            "required": True,
            "content": {
                "application/x-protobuf": {"schema": {"type": "string", "format": "binary"}},
                "application/json": {"schema": {"type": "object"}},
            },
        },
        "responses": {
            "200": {"description": "Taken, with partial_success where something was refused.", "content": content},
            **refusals,
        },
    }


def _failure(status: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"description": _REASONS[status], "content": content, **_retry(status)}


def _refusal(status: str) -> dict[str, Any]:
    schema = {"anyOf": [{"$ref": "#/components/schemas/Error"}, {"$ref": "#/components/schemas/BatchAnswer"}]}
    content = {"application/json": {"schema": schema}}
    return {"description": _REASONS[status], "content": content, **_retry(status)}


def _retry(status: str) -> dict[str, Any]:
    if status not in _RETRIED:
        return {}
    return {"headers": {"Retry-After": {"schema": {"type": "integer"}, "description": "seconds"}}}


def _answer(description: str, schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content}


def _header(name: str, description: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": description, "schema": {"type": "string"}}


def _probe(description: str, failures: tuple[str, ...]) -> dict[str, Any]:
    text = {"text/plain": {"schema": {"type": "string"}}}
    responses = {status: {"description": description, "content": text} for status in ("200", *failures)}
    return {"summary": description, "security": [], "responses": responses}


def _document() -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "object"}}}
    return {
        "summary": "This document.",
        "responses": {
            "200": {"description": "OpenAPI 3.1", "content": content},
            **{status: _refusal(status) for status in ("401", "403", "429")},
        },
    }
