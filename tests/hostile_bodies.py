"""Bodies that are made to be costly: each below the limits of size, and each once took seconds or gigabytes."""

import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from backports import zstd

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
PROTOBUF: Final = "application/x-protobuf"
MAX_BYTES: Final = 16 << 20
TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
_LAST_BLOCK: Final = b"\x03\x00"


@dataclass(frozen=True)
class Hostile:
    """One request. `wire` is made when it is asked for, since some are large."""

    path: str
    media_type: str
    wire: Callable[[], bytes]
    encoding: str = ""


def zstd_lines() -> bytes:
    """1,420 bytes that are eight million lines, none of which is JSON."""
    return bytes(zstd.compress(b"x\n" * 8_000_000, level=19))


def gzip_again(content: bytes, times: int) -> bytes:
    """One gzip member of the content so many times. To compress a gigabyte takes five seconds, to repeat what a part of
    it was compressed to nothing: behind a full flush no byte refers to one before it.
    """
    check = 0
    for _ in range(times):
        check = zlib.crc32(content, check)
    end = struct.pack("<II", check, len(content) * times % (1 << 32))
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + _deflated(content) * times + _LAST_BLOCK + end


def zlib_again(content: bytes, times: int) -> bytes:
    """The same in zlib's form."""
    check = 1
    for _ in range(times):
        check = zlib.adler32(content, check)
    return b"\x78\xda" + _deflated(content) * times + _LAST_BLOCK + struct.pack(">I", check)


def _deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=-15)
    return packer.compress(content) + packer.flush(zlib.Z_FULL_FLUSH)


def filled(unit: bytes, before: bytes = b"[", after: bytes = b"]", size: int = MAX_BYTES) -> bytes:
    """As often as it fits into a body, separated by commas."""
    count = (size - len(before) - len(after)) // (len(unit) + 1)
    return before + b",".join([unit] * count) + after


def numbered(form: bytes, before: bytes, after: bytes, count: int) -> bytes:
    """So many different names or texts, or as many as fit into a body."""
    room = (MAX_BYTES - len(before) - len(after)) // (len(form % (count,)) + 1)
    return before + b",".join(form % (number,) for number in range(min(count, room))) + after


def attribute(key: str, value: Any) -> dict[str, Any]:
    """One attribute in OTLP's JSON."""
    kind = "stringValue" if isinstance(value, str) else "intValue"
    return {"key": key, "value": {kind: value}}


def span(number: int, parent: int | None = None, *attributes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """One span in OTLP's JSON."""
    above = {} if parent is None else {"parentSpanId": f"{parent + 1:016x}"}
    given = {"traceId": TRACE, "spanId": f"{number + 1:016x}", "startTimeUnixNano": "1764000000000000000"}
    return {**given, **above, "attributes": list(attributes), **fields}


def traces(spans: list[dict[str, Any]], *resource: dict[str, Any]) -> bytes:
    """A request of spans of one process."""
    document = {"resourceSpans": [{"resource": {"attributes": list(resource)}, "scopeSpans": [{"spans": spans}]}]}
    return json.dumps(document, separators=(",", ":")).encode()


def chain(length: int, leaves: int) -> bytes:
    """Spans in one line of parents, and generations at its end."""
    call = attribute("gen_ai.system", "openai")
    line = [span(number, number - 1 if number else None) for number in range(length)]
    return traces(line + [span(length + number, length - 1, call) for number in range(leaves)])


def logs(records: list[dict[str, Any]], *resource: dict[str, Any]) -> bytes:
    """A request of log records of one process."""
    document = {"resourceLogs": [{"resource": {"attributes": list(resource)}, "scopeLogs": [{"logRecords": records}]}]}
    return json.dumps(document, separators=(",", ":")).encode()


def evaluation(number: int) -> dict[str, Any]:
    """A log record that becomes an event."""
    return {
        "traceId": TRACE,
        "spanId": f"{number + 1:016x}",
        "eventName": "gen_ai.evaluation.result",
        "attributes": [attribute("gen_ai.evaluation.name", "x"), attribute("gen_ai.evaluation.score.value", "1")],
    }


def field(number: int, content: bytes) -> bytes:
    """A length-delimited field of protobuf."""
    size, length = len(content), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def protobuf_span(content: bytes) -> bytes:
    """A request of one span with ids and this content, and a mark that it is a generation."""
    ids = field(1, bytes(range(16))) + field(2, bytes(range(8))) + b"\x39" + (10**18).to_bytes(8, "little")
    call = field(9, field(1, b"gen_ai.system") + field(2, field(1, b"openai")))
    return field(1, field(2, field(2, ids + call + content)))


def _generations(content: bytes, count: int) -> bytes:
    """So many events of the same content."""
    one = b'{"type":"generation","generation_id":"0198c0de-0000-7000-8000-000000000001",' + content + b"}"
    return b"[" + b",".join([one] * count) + b"]"


_CALL: Final = attribute("gen_ai.system", "openai")
_BIG: Final = "x" * 500_000
_NESTED: Final = '{"type":"generation","parameters":' + '{"a":' * 190 + "1" + "}" * 191
_VOTE: Final = b'{"type":"vote","value":1,"trace_id":"0af7651916cd43dd8448eb211c80319c"}'

HOSTILE: Final[dict[str, Hostile]] = {
    "zstd of bad lines": Hostile("/v1/events", NDJSON, zstd_lines, "zstd"),
    "zstd of blank lines": Hostile("/v1/events", NDJSON, lambda: zstd.compress(b"\n" * MAX_BYTES), "zstd"),
    "zstd of lines that are numbers": Hostile("/v1/events", NDJSON, lambda: zstd.compress(b"1\n" * 8_000_000), "zstd"),
    "lines without a type": Hostile("/v1/events", "text/plain", lambda: b"{}\n" * 5_000_000),
    "gzip bomb": Hostile("/v1/events", JSON, lambda: gzip_again(b"[" * (16 << 20), 16), "gzip"),
    "deflate bomb": Hostile("/v1/events", JSON, lambda: zlib_again(b"[1," * (4 << 20), 16), "deflate"),
    "zstd bomb": Hostile("/v1/events", JSON, lambda: zstd.compress(b" " * (1 << 28)), "zstd"),
    "depth": Hostile("/v1/events", JSON, lambda: b"[" * 16_000_000),
    "depth within events": Hostile("/v1/events", JSON, lambda: filled(_NESTED.encode())),
    "empty objects": Hostile("/v1/events", JSON, lambda: filled(b"{}")),
    "objects below the count": Hostile("/v1/events", JSON, lambda: b"[" + b"{}," * 499_000 + b"{}]"),
    "small numbers": Hostile("/v1/events", JSON, lambda: filled(b"1")),
    "fractions": Hostile("/v1/events", JSON, lambda: filled(b"1.5")),
    "fractions below the count": Hostile("/v1/events", JSON, lambda: filled(b"1.25", size=9_900_000)),
    "texts": Hostile("/v1/events", JSON, lambda: numbered(b'"%x"', b"[", b"]", 1_990_000)),
    "names": Hostile("/v1/events", JSON, lambda: numbered(b'"%x":1', b'[{"type":"vote",', b"}]", 999_000)),
    "attributes": Hostile(
        "/v1/events", JSON, lambda: numbered(b'"%x":"1"', b'[{"type":"vote","attributes":{', b"}}]", 999_000)
    ),
    "a long number": Hostile("/v1/events", JSON, lambda: b'[{"type":"vote","value":' + b"9" * 16_000_000 + b"}]"),
    "a long fraction": Hostile("/v1/events", JSON, lambda: b'[{"type":"vote","score":1.' + b"9" * 16_000_000 + b"}]"),
    "escapes": Hostile(
        "/v1/events", JSON, lambda: b'[{"type":"vote","value":1,"comment":"' + b"\\u00e9" * 2_700_000 + b'"}]'
    ),
    "all at fault": Hostile("/v1/events", JSON, lambda: b"[" + b'{"type":"vote","value":7},' * 9_999 + b"1]"),
    "all at fault, with ids": Hostile("/v1/events", JSON, lambda: b"[" + (_VOTE[:-1] + b',"x":1},') * 9_999 + b"1]"),
    "all of an unknown type": Hostile(
        "/v1/events", JSON, lambda: b"[" + (_VOTE.replace(b'"vote"', b'"nope"') + b",") * 9_999 + b"1]"
    ),
    "valid events": Hostile("/v1/events", JSON, lambda: b"[" + b",".join([_VOTE] * 10_000) + b"]"),
    "many fields": Hostile(
        "/v1/events",
        JSON,
        lambda: b"[" + b",".join([numbered(b'"a%d":1', b'{"type":"vote",', b"}", 99)] * 9_000) + b"]",
    ),
    "numbers in content": Hostile(
        "/v1/events",
        JSON,
        lambda: _generations(b'"input":[{"role":"user","content":[' + b"1," * 130_000 + b"1]}]", 15),
    ),
    "objects in content": Hostile(
        "/v1/events",
        JSON,
        lambda: _generations(b'"output":[{"role":"user","content":[' + b'{"a":1},' * 30_000 + b"1]}]", 15),
    ),
    "faults in lists": Hostile(
        "/v1/events",
        JSON,
        lambda: filled(b'{"type":"generation","tools_offered":[' + b"1," * 4000 + b"1]}", size=3_900_000),
    ),
    "a field's name of a megabyte": Hostile(
        "/v1/events", JSON, lambda: filled(_VOTE[:-1] + b',"' + b"x" * 1_000_000 + b'":1}')
    ),
    "a time as text": Hostile(
        "/v1/events", JSON, lambda: filled(b'{"type":"vote","occurred_at":"' + b"9" * 5_000 + b'"}')
    ),
    "a chain of parents": Hostile("/v1/traces", JSON, lambda: chain(60_000, 200)),
    "a chain below the count": Hostile("/v1/traces", JSON, lambda: chain(5_000, 4_900)),
    "rings": Hostile(
        "/v1/traces", JSON, lambda: traces([span(number, (number + 1) % 9_000) for number in range(9_000)])
    ),
    "generations": Hostile("/v1/traces", JSON, lambda: traces([span(number, None, _CALL) for number in range(10_000)])),
    "a large resource": Hostile(
        "/v1/traces",
        JSON,
        lambda: traces(
            [span(number, None, _CALL) for number in range(9_000)],
            *(attribute(f"a{number}", "") for number in range(100_000)),
        ),
    ),
    "large texts of a resource": Hostile(
        "/v1/traces",
        JSON,
        lambda: traces(
            [span(number, None, _CALL) for number in range(9_000)],
            *(attribute(name, _BIG) for name in ("service.name", "service.version", "user.id", "session.id")),
        ),
    ),
    "attributes of a span": Hostile(
        "/v1/traces",
        JSON,
        lambda: traces([span(0, None, _CALL, *(attribute(f"gen_ai.prompt.{n}.content", "") for n in range(200_000)))]),
    ),
    "events of a span": Hostile(
        "/v1/traces",
        JSON,
        lambda: traces([span(0, None, _CALL, events=[{"name": "gen_ai.choice"}] * 99_000)]),
    ),
    "more events of a span": Hostile(
        "/v1/traces", JSON, lambda: traces([span(0, None, _CALL, events=[{"name": "gen_ai.choice"}] * 300_000)])
    ),
    "evaluations of a span": Hostile(
        "/v1/traces",
        JSON,
        lambda: traces([span(0, None, _CALL, events=[{"name": evaluation(0)["eventName"], **evaluation(0)}] * 10_000)]),
    ),
    "JSON in an attribute": Hostile(
        "/v1/traces",
        JSON,
        lambda: traces(
            [
                span(
                    0,
                    None,
                    _CALL,
                    *(
                        attribute(name, "[" + "[]," * 100_000 + "[]]")
                        for name in (
                            "gen_ai.input.messages",
                            "gen_ai.output.messages",
                            "gen_ai.tool.definitions",
                            "llm.tools",
                        )
                    ),
                )
            ]
        ),
    ),
    "evaluations": Hostile("/v1/logs", JSON, lambda: logs([evaluation(number) for number in range(10_000)])),
    "a large outcome": Hostile(
        "/v1/logs",
        JSON,
        lambda: logs(
            [
                {
                    **evaluation(number),
                    "eventName": "copilot_chat.edit.feedback",
                    "attributes": [attribute("outcome", "y" * 1500)],
                }
                for number in range(9_000)
            ]
        ),
    ),
    "protobuf: empty resources": Hostile("/v1/traces", PROTOBUF, lambda: b"\x0a\x00" * 8_000_000),
    "protobuf: a small body of empty resources": Hostile("/v1/traces", PROTOBUF, lambda: b"\x0a\x00" * 100_000),
    "protobuf: resources below the count": Hostile("/v1/traces", PROTOBUF, lambda: b"\x0a\x00" * 499_000),
    "protobuf: empty spans": Hostile("/v1/traces", PROTOBUF, lambda: field(1, field(2, b"\x12\x00" * 490_000))),
    "protobuf: empty attributes": Hostile("/v1/traces", PROTOBUF, lambda: protobuf_span(b"\x4a\x00" * 490_000)),
    "protobuf: empty events": Hostile("/v1/traces", PROTOBUF, lambda: protobuf_span(b"\x5a\x00" * 490_000)),
    "protobuf: events below the count": Hostile("/v1/traces", PROTOBUF, lambda: protobuf_span(b"\x5a\x00" * 99_000)),
    "protobuf: an array": Hostile(
        "/v1/traces",
        PROTOBUF,
        lambda: protobuf_span(
            field(9, field(1, b"gen_ai.input.messages") + field(2, field(5, field(1, b"\x10\x01") * 240_000)))
        ),
    ),
    "protobuf: attributes": Hostile(
        "/v1/traces",
        PROTOBUF,
        lambda: protobuf_span(
            b"".join(field(9, field(1, b"%x" % number) + field(2, field(1, b"x" * 90))) for number in range(120_000))
        ),
    ),
    "protobuf: JSON in attributes": Hostile(
        "/v1/traces",
        PROTOBUF,
        lambda: protobuf_span(
            field(9, field(1, b"gen_ai.input.messages") + field(2, field(1, filled(b"[]", size=15 << 20))))
        ),
    ),
    "protobuf: empty log records": Hostile("/v1/logs", PROTOBUF, lambda: field(1, field(2, b"\x12\x00" * 490_000))),
}
