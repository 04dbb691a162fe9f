"""How many fields an OTLP request in protobuf has, counted before anything is made of them.

A message of two bytes takes up to 165 bytes once it is parsed, so a body of 16 MiB could take more than a gigabyte. A
small body cannot, and is not counted.
"""

from typing import Final

from keeprate.producers.collector.errors import TOO_LARGE, RequestError

UNCOUNTED_BYTES: Final = 1 << 20
MAX_FIELDS: Final = 500_000

_LENGTH_DELIMITED: Final = 2
_FIXED_BYTES: Final = {1: 8, 5: 4}

# Field numbers that hold messages, and which: of opentelemetry.proto.{trace,logs,resource,common}.v1.
_MESSAGES: Final[dict[str, dict[int, str]]] = {
    "traces": {1: "resource_spans"},
    "resource_spans": {1: "resource", 2: "scope_spans"},
    "scope_spans": {1: "scope", 2: "span"},
    "span": {9: "pair", 11: "event", 13: "link", 15: "status"},
    "event": {3: "pair"},
    "link": {4: "pair"},
    "status": {},
    "logs": {1: "resource_logs"},
    "resource_logs": {1: "resource", 2: "scope_logs"},
    "scope_logs": {1: "scope", 2: "record"},
    "record": {5: "value", 6: "pair"},
    "resource": {1: "pair"},
    "scope": {3: "pair"},
    "pair": {2: "value"},
    "value": {5: "values", 6: "pairs"},
    "values": {1: "value"},
    "pairs": {1: "pair"},
}


def check_fields(body: bytes, root: str) -> None:
    """Refuse a large body of very many fields. root: `traces` or `logs`. What is malformed is left to the parser."""
    if len(body) <= UNCOUNTED_BYTES:
        return
    left = MAX_FIELDS
    pending = [(0, len(body), _MESSAGES[root])]
    try:
        while pending:
            at, end, messages = pending.pop()
            while at < end:
                left -= 1
                if left < 0:
                    reason = f"more than {MAX_FIELDS} fields: send smaller batches"
                    raise RequestError(TOO_LARGE, "too_many", reason)
                tag, at = _varint(body, at)
                kind = tag & 7
                if kind == _LENGTH_DELIMITED:
                    size, at = _varint(body, at)
                    if inner := messages.get(tag >> 3):
                        pending.append((at, min(at + size, end), _MESSAGES[inner]))
                    at += size
                elif kind in _FIXED_BYTES:
                    at += _FIXED_BYTES[kind]
                else:
                    _, at = _varint(body, at)
    except IndexError:
        return


def _varint(body: bytes, at: int) -> tuple[int, int]:
    """A number and where it ends. Raises IndexError at the end of the body."""
    number = shift = 0
    while True:
        byte = body[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            return number, at
        shift += 7
        if shift > 63:
            raise IndexError("a number of more than ten bytes")
