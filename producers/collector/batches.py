"""A body of `POST /v1/events` to records for Kafka, and a refusal for each item that is none.

Pure. A body of whole events, such as the SDK's would be, is read as worker and sink read records: by structs, in a
quarter of the time. Any other body, all of it, is parsed into dictionaries that the request's gaps are filled in, and
goes through the gate in one call per thousand items.

Each event is written out again, not cut from the body: that is a fifth of what a whole event takes, and what reaches
Kafka then has one form (no repeated names, no blanks, the fields filled in, ids in lower case).
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from pydantic_core import from_json

from keeprate.producers.collector.errors import Refusal, RequestError, item_refusal, refusal
from keeprate.producers.collector.gate.scopes import beyond_feedback
from keeprate.producers.collector.gate.weight import MAX_ITEMS, check_items, check_lines, check_weight
from keeprate.producers.collector.otel.identity import Aliases, named_event_id, resolve
from keeprate.schemas import decode
from keeprate.schemas.events import EVENT_TYPES, MAX_EVENT_BYTES, SCHEMA_VERSION
from keeprate.schemas.ids import uuid7
from keeprate.schemas.kinds import MAX_ENTRIES
from keeprate.schemas.structs.forms import encode_struct
from keeprate.schemas.structs.reading import read_all, read_each

JSON_TYPES: Final = ("application/json",)
NDJSON_TYPES: Final = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines")
# A browser sends these without asking the server first, so the content says what it is.
SNIFFED_TYPES: Final = ("", "text/plain", "application/octet-stream")


class AcceptedEvent(Struct, frozen=True, gc=False):
    """An accepted event on its way to Kafka: `index` in its request, `key` and `value` of the record."""

    index: int
    type: str
    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that is not JSON, in the place of the item it should have been."""

    reason: str


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of a request besides its body, and fills the gaps of its items.

    app: the app that the key is bound to; None when the collector runs without keys, and items name their own.
    idempotency_key: makes the ids of items without one repeatable, so that the request may be sent again.
    feedback_only: the key sends what users do with an output, and nothing else (`scopes`).
    """

    app: str | None
    received_ms: int
    aliases: Aliases
    idempotency_key: str = ""
    feedback_only: bool = False


def read_batch(body: bytes, media_type: str, origin: Origin) -> tuple[list[AcceptedEvent], list[Refusal], Set[str]]:
    """Records, refusals, and the users that the records speak for. Raises RequestError for what is no batch."""
    _check_body(body, media_type)
    if whole := _read_whole(body, media_type, origin):
        return whole[0], [], whole[1]
    items = _items(body, media_type)
    records, refusals = accept(items, origin)
    return records, refusals, frozenset(user for record in records if (user := items[record.index].get("user")))


def _read_whole(body: bytes, media_type: str, origin: Origin) -> tuple[list[AcceptedEvent], Set[str]] | None:
    """Records and users of a body that is nothing but whole events of the origin's app; None of any other body."""
    # Of what a page sends, each item is looked at for what it may not say.
    if origin.feedback_only:
        return None
    at_ms = origin.received_ms
    events = read_each(_lines(body), at_ms) if media_type in NDJSON_TYPES else read_all(body, at_ms)
    if not events or len(events) > MAX_ITEMS:
        return None
    records = []
    for index, event in enumerate(events):
        value = encode_struct(event)
        if len(value) > MAX_EVENT_BYTES or (origin.app is not None and event.app != origin.app):
            return None
        records.append(AcceptedEvent(index, event.type, event.generation_id, value))
    return records, {event.user for event in events if event.user is not None}


def read_items(body: bytes, media_type: str) -> list[Any]:
    """The items of a body: a JSON array, one JSON object, or a JSON object per line. Raises RequestError.

    media_type: of the Content-Type, in lower case. Nothing is assumed of the items; a bad line is an Unreadable.
    """
    _check_body(body, media_type)
    return _items(body, media_type)


def _check_body(body: bytes, media_type: str) -> None:
    """Refuse what is of a type that is not taken here, or would cost too much."""
    if media_type not in (*JSON_TYPES, *NDJSON_TYPES, *SNIFFED_TYPES):
        reason = f"{media_type} is not taken here; send {JSON_TYPES[0]} or {NDJSON_TYPES[0]}"
        raise RequestError(415, "unsupported_type", reason, field="Content-Type")
    check_weight(body)


def _items(body: bytes, media_type: str) -> list[Any]:
    items = _read_lines(body) if media_type in NDJSON_TYPES else _read_document(body, media_type in JSON_TYPES)
    if not items:
        raise RequestError(400, "empty", "the body has no events; send a JSON array or one JSON object per line")
    check_items(len(items), "events")
    return items


def _read_document(body: bytes, is_json: bool) -> list[Any]:
    try:
        document = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        if not is_json and body.lstrip()[:1] == b"{" and b"\n" in body.strip():
            return _read_lines(body)
        raise RequestError(400, "not_json", f"the body is not JSON: {error}") from None
    return document if isinstance(document, list) else [document]


def _lines(body: bytes) -> list[bytes]:
    check_lines(body)
    return [line for line in body.split(b"\n") if line and not line.isspace()]


def _read_lines(body: bytes) -> list[Any]:
    # Not as one array: of lines that are none, one may begin what the next one ends.
    return [_read_line(line) for line in _lines(body)]


def _read_line(line: bytes) -> Any:
    try:
        return from_json(line, allow_inf_nan=False)
    except ValueError as error:
        return Unreadable(str(error))


def accept(items: Sequence[Any], origin: Origin) -> tuple[list[AcceptedEvent], list[Refusal]]:
    """Records of the items that are events of the origin's app, and refusals of the rest, both in their order."""
    refusals: list[Refusal] = []
    indexes: list[int] = []
    events: list[Any] = []
    for index, item in enumerate(items):
        problem = _complete(index, item, origin)
        if problem is None:
            indexes.append(index)
            events.append(item)
        else:
            refusals.append(problem)
    records = []
    for index, verdict in zip(indexes, decode.validate_all(events, origin.received_ms), strict=True):
        try:
            if isinstance(verdict, decode.ContractError):
                raise verdict
            value = decode.encode_record(verdict)
        except decode.ContractError as error:
            refusals.append(refusal(index, error))
        else:
            records.append(AcceptedEvent(index, verdict["type"], verdict["generation_id"], value))
    return records, sorted(refusals, key=lambda item: item.index)


def _complete(index: int, item: Any, origin: Origin) -> Refusal | None:
    """Fill in what the request says of every item. Returns why the item cannot be an event of this app."""
    if not isinstance(item, dict):
        reason = item.reason if isinstance(item, Unreadable) else "an item is a JSON object: one event"
        return item_refusal(index, "not_json" if isinstance(item, Unreadable) else "invalid", reason)
    if len(item) > decode.MAX_FIELDS or any(
        len(entry) > MAX_ENTRIES for entry in item.values() if type(entry) in (list, dict)
    ):
        # The gate refuses these too, but looks at each of them first.
        reason = f"more than {decode.MAX_FIELDS} fields, or more than {MAX_ENTRIES} entries in one of them"
        return item_refusal(index, "too_large", reason)
    if item.get("type") not in EVENT_TYPES:
        # Said before what else is missing: of another type other fields are required.
        return refusal(index, decode.unknown_type(item.get("type")))
    # What is null is absent: a client that writes all of its fields leaves these out like that.
    app = item.get("app")
    if app is None:
        app = item["app"] = origin.app
    if origin.app is not None and app != origin.app:
        return item_refusal(
            index, "forbidden", f"the key is that of {origin.app!r}, and the event another app's", "app"
        )
    if origin.feedback_only and (beyond := beyond_feedback(item)):
        return item_refusal(index, "forbidden", beyond[1], beyond[0])
    if item.get("schema_version") is None:
        item["schema_version"] = SCHEMA_VERSION
    occurred_at = item.get("occurred_at")
    if occurred_at is None:
        item["occurred_at"] = origin.received_ms
    elif type(occurred_at) is str:
        try:
            item["occurred_at"] = _milliseconds(occurred_at)
        except ValueError as error:
            return item_refusal(index, "invalid", str(error), "occurred_at")
    if item.get("event_id") is None:
        item["event_id"] = _event_id(index, str(app), origin)
    if item.get("generation_id") is None:
        return _name_generation(index, item, str(app), origin)
    return None


def _name_generation(index: int, item: dict[str, Any], app: str, origin: Origin) -> Refusal | None:
    generation_id = resolve(app, item, origin.aliases, str(item.get("external_id") or ""))
    if generation_id is None:
        reason = "required; or in its place trace_id with span_id, or the response id as external_id"
        return item_refusal(index, "invalid", reason, "generation_id")
    item["generation_id"] = generation_id
    return None


def _event_id(index: int, app: str, origin: Origin) -> str:
    if origin.idempotency_key:
        # Whoever has a page's key may guess what a server calls its requests: it must not be able to take their ids.
        whose = ("feedback",) if origin.feedback_only else ()
        return named_event_id(app, *whose, origin.idempotency_key, str(index))
    return uuid7()


def _milliseconds(text: str) -> int:
    """Milliseconds since the epoch of an ISO 8601 time with its offset."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("neither milliseconds since the epoch nor an ISO 8601 time") from None
    if at.tzinfo is None:
        raise ValueError("a time as text needs its offset, such as Z or +02:00")
    return round(at.timestamp() * 1000)
