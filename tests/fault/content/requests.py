"""A seed to what a client sends the collector: events as JSON and as lines, and OpenTelemetry. Pure."""

import gzip
import random
from dataclasses import dataclass
from typing import Any, Final

from tests.fault.content import values
from tests.fault.content.grammar import Events
from tests.fault.content.values import Raw


@dataclass(frozen=True)
class Request:
    """One POST. items: how many it should be found to hold; None where the body as a whole is broken.

    spans: of a request of OpenTelemetry, trace and span id of each generation in it that nothing speaks against.
    """

    what: str
    path: str
    body: bytes
    headers: tuple[tuple[str, str], ...]
    items: int | None = None
    spans: tuple[tuple[str, str], ...] = ()


def requests(seed: int, count: int, now_ms: int, others: tuple[str, ...]) -> list[Request]:
    """So many requests of the hostile app."""
    rng = random.Random(seed)
    events = Events(rng, now_ms, others=others)
    kinds = (_batch, _batch, _lines, _lines, _broken, _traces, _logs)
    return [rng.choice(kinds)(rng, events) for _ in range(count)]


JSON: Final = (("content-type", "application/json"),)
_NDJSON: Final = (("content-type", "application/x-ndjson"),)


def _items(rng: random.Random, events: Events) -> list[tuple[str, dict[Any, Any]]]:
    items = [events.mutated() for _ in range(rng.choice((1, 2, 5, 12)))]
    for _, item in items:
        for name in ("app", "schema_version", "occurred_at", "event_id", "generation_id"):
            # What the collector fills in.
            if rng.random() < 0.15:
                item.pop(name, None)
        if rng.random() < 0.1:
            item["app"] = rng.choice(("innocent", "", None, 7, "hostile\n"))
        if rng.random() < 0.1:
            item |= {"trace_id": f"{rng.getrandbits(128):032x}", "span_id": f"{rng.getrandbits(64):016x}"}
    return items


def _batch(rng: random.Random, events: Events) -> Request:
    items = _items(rng, events)
    body = values.encoded([item for _, item in items] if len(items) > 1 else items[0][1])
    return _perhaps_packed(rng, Request("; ".join(what for what, _ in items), "/v1/events", body, JSON))


def _lines(rng: random.Random, events: Events) -> Request:
    items = _items(rng, events)
    lines = [values.encoded(item) for _, item in items]
    if rng.random() < 0.4:
        lines.insert(
            rng.randrange(len(lines) + 1), rng.choice((b"{oops", b"\xff\xfe", b"null", b"[]", b"[" * 5000, b"1e400"))
        )
    # A text may hold a newline of its own, which makes two lines of one, neither of them JSON.
    count = sum(1 for line in b"\n".join(lines).split(b"\n") if line and not line.isspace())
    what = "; ".join(what for what, _ in items)
    return _perhaps_packed(rng, Request(what, "/v1/events", b"\n".join(lines), _NDJSON, count))


def _broken(rng: random.Random, events: Events) -> Request:
    what, body = rng.choice(
        (
            *(("empty", b""), ("null", b"null"), ("blank", b"  \n "), ("an empty list", b"[]"), ("a number", b"7")),
            *(("deep", b"[" * 100_000), ("a list of lists", b"[[[]]]"), ("junk", bytes(range(256)))),
            *(("BOM", b"\xef\xbb\xbf[]"), ("a long number", b'[{"value":' + b"9" * 100_000 + b"}]")),
            ("bad lines", b"{\n" * 3_000),
        )
    )
    return _perhaps_packed(rng, Request(what, "/v1/events", body, rng.choice((JSON, _NDJSON, ()))))


def _perhaps_packed(rng: random.Random, request: Request) -> Request:
    if rng.random() < 0.7:
        return request
    body, encoding = gzip.compress(request.body, 1, mtime=0), "gzip"
    if rng.random() < 0.1:
        body = body[:-4]
        return Request(
            f"{request.what}, cut off", request.path, body, (*request.headers, ("content-encoding", encoding))
        )
    headers = (*request.headers, ("content-encoding", encoding))
    return Request(request.what, request.path, body, headers, request.items, request.spans)


def _traces(rng: random.Random, events: Events) -> Request:
    spans, intact = [], []
    trace_id = f"{rng.getrandbits(128) | 1:032x}"
    for _ in range(rng.choice((1, 3, 8))):
        span_id = f"{rng.getrandbits(64) | 1:016x}"
        attributes = [_attribute("gen_ai.operation.name", {"stringValue": "chat"})]
        odd = rng.random() < 0.7
        attributes += [_odd_attribute(rng) for _ in range(rng.randrange(1, 5))] if odd else []
        span: dict[str, Any] = {
            "traceId": trace_id,
            "spanId": span_id,
            "name": "chat",
            "startTimeUnixNano": str(events.now_ms * 1_000_000),
            "endTimeUnixNano": str(events.now_ms * 1_000_000 + 250_000_000),
            "attributes": attributes,
        }
        if rng.random() < 0.3:
            name = rng.choice(list(_ODD_SPANS))
            span[name] = rng.choice(_ODD_SPANS[name])
            odd = True
        if not odd:
            intact.append((trace_id, span_id))
        spans.append(span)
    body = {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"spans": spans}]}]}
    return _perhaps_packed(rng, Request("spans", "/v1/traces", values.encoded(body), JSON, None, tuple(intact)))


def _logs(rng: random.Random, events: Events) -> Request:
    records = []
    for _ in range(rng.choice((1, 4))):
        name = rng.choice(("user_vote", "user_flag", "user_correction", "Relevance", "", "é"))
        attributes = [_attribute("gen_ai.evaluation.name", {"stringValue": name}), _odd_attribute(rng)]
        attributes += [_attribute(f"gen_ai.evaluation.score.{part}", _odd_value(rng)) for part in ("value", "label")]
        record: dict[str, Any] = {"eventName": "gen_ai.evaluation.result", "attributes": attributes}
        record["timeUnixNano"] = rng.choice((str(events.now_ms * 1_000_000), "0", "18446744073709551615", "x", 7, None))
        record |= {
            "traceId": f"{rng.getrandbits(128):032x}",
            "spanId": rng.choice((f"{rng.getrandbits(64):016x}", "", "zz")),
        }
        records.append(record)
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]}
    return _perhaps_packed(rng, Request("log records", "/v1/logs", values.encoded(body), JSON))


def _attribute(name: object, value: object) -> dict[str, object]:
    return {"key": name, "value": value}


_ODD_SPANS: Final[dict[str, tuple[Any, ...]]] = {
    "startTimeUnixNano": ("0", "-1", "18446744073709551615", "now", None, 1.5),
    "endTimeUnixNano": ("0", "1", "18446744073709551615"),
    "traceId": ("", "0" * 32, "zz", "A" * 32, 7),
    "spanId": ("", "0" * 16, "zz"),
    "parentSpanId": ("", "0" * 16, "0123456789abcdef", 7),
    "attributes": (None, [], [None], [{}], {}, [{"key": "gen_ai.system"}]),
    "status": (None, 7, {"code": 2, "message": "\x00"}, {"code": "STATUS_CODE_ERROR"}),
    "events": (None, [None], [{"name": "gen_ai.choice", "timeUnixNano": "x"}]),
    "name": ("", None, "x" * 100_000, Raw('"\\ud800"')),
}
_ATTRIBUTES: Final = (
    *("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", "gen_ai.response.model", "gen_ai.conversation.id"),
    *("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions", "gen_ai.response.id", "user.id"),
    *("gen_ai.response.time_to_first_chunk", "gen_ai.response.finish_reasons", "gen_ai.prompt.0.content", "user.hash"),
    *("gen_ai.completion.999999999.content", "gen_ai.prompt.-1.role", "llm.input_messages.0.message.content"),
    *("keeprate.surface", "keeprate.cost_usd", "keeprate.revision", "keeprate.occurred_at", "keeprate.event_id"),
    *("keeprate.generation_id", "keeprate.choice_index", "keeprate.app", "keeprate.output", "keeprate.surprise"),
    *("gen_ai.operation.name", "error.type", "", "\x00", "é"),
)


def _odd_attribute(rng: random.Random) -> dict[str, object]:
    return _attribute(rng.choice(_ATTRIBUTES), _odd_value(rng))


def _odd_value(rng: random.Random) -> object:
    depth = rng.choice((3, 90, 99, 197, 200))
    nested = Raw('{"arrayValue":{"values":[' * depth + '{"stringValue":"x"}' + "]}}" * depth)
    messages = rng.choice(("[" * depth + "]" * depth, '[{"role":"user","content":1e400}]', "[NaN]", '"text"', "{", ""))
    return rng.choice(
        (
            *(
                {"intValue": value}
                for value in ("0", "-1", "9223372036854775807", "18446744073709551616", 7, 1.5, "x", "")
            ),
            *({"doubleValue": value} for value in (0.5, "NaN", "Infinity", "-Infinity", 1e308, -1, Raw("1e400"), "x")),
            *({"stringValue": value} for value in ("", "\x00", "7", "1e400", "x" * 100_000, Raw('"\\ud800"'), None, 7)),
            *(
                {"stringValue": messages},
                nested,
                {"kvlistValue": {"values": [_attribute("a", nested)]}},
                {"bytesValue": "AA=="},
            ),
            *(
                {"boolValue": True},
                {"boolValue": "true"},
                {},
                None,
                7,
                {"arrayValue": {}},
                {"arrayValue": {"values": [None]}},
            ),
            *({"intValue": "1", "stringValue": "two"}, {"surprise": 1}),
        )
    )
