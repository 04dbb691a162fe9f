"""A dead letter: a record that was refused or set aside, with headers that say where it was, why, and whose it was.

Refused is what `decode` does not take. Set aside, *quarantined*, is what made the code raise that judged, merged or
landed it: a fault of Keeprate's, found by this record.

Key and value are the record's own bytes. The record's own headers come first, as they were, and the headers named in
`NAMES` come last, in that order. So nothing in a record can pass for ours, and a reader that takes a header's last
value is right.

The letter of any record fits into the dead letters' topic. What the source topics hold as it is goes in whole. What
they hold only because it was compressed may be of any size: of that the letter has the head, and says how large it
was, with its SHA-256.
"""

import hashlib
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from keeprate.schemas.decode import ContractError
from keeprate.schemas.kinds import AppName
from keeprate.schemas.topics import GENERATIONS

Headers = Sequence[tuple[str, bytes | None]]
Stage = Literal["join", "sink"]

QUARANTINED: Final = "quarantined"
"""The error type of a record that was set aside."""

_FIRST_NAMES: Final = (
    "keeprate-stage",
    "keeprate-error-type",
    "keeprate-field",
    "keeprate-reason",
    "keeprate-topic",
    "keeprate-partition",
    "keeprate-offset",
    "keeprate-timestamp-ms",
)
"""All that a letter had before it named its app. Such letters are read for as long as Kafka keeps them."""
NAMES: Final = (*_FIRST_NAMES, "keeprate-app", "keeprate-trace", "keeprate-cut")
MAX_TEXT_BYTES: Final = 2_000
"""Of a header of ours: a reason may quote what an app sent."""
MAX_RECORD_BYTES: Final = int(GENERATIONS.config["max.message.bytes"])
"""Of key, value and own headers together, for a letter that has them whole. The topic takes our headers on top."""
HEAD_BYTES: Final = 65_536
"""What is kept of a value, and of the headers, that are cut."""
KEY_HEAD_BYTES: Final = 1_024


@dataclass(frozen=True)
class DeadLetter:
    """One refused or quarantined record.

    stage: who refused it. A record may be refused by the join and by the sink: each says so once.
    error_type, field, reason: those of the ContractError; QUARANTINED, with the exception as the reason.
    topic, partition, offset, timestamp_ms: where the record was; the timestamp is -1 where Kafka has none.
    headers: the record's own.
    app: whose record it is, as far as it can be read; else ''.
    trace: of a quarantined one, a hash of the functions that the exception came through: equal for one fault.
    cut: what the letter does not have whole, with its size and SHA-256; '' when it has all.
    """

    stage: Stage
    error_type: str
    field: str
    reason: str
    topic: str
    partition: int
    offset: int
    timestamp_ms: int = -1
    headers: Headers = ()
    app: str = ""
    trace: str = ""
    cut: str = ""

    @property
    def text(self) -> str:
        """What was wrong, with the field at fault."""
        return f"{self.field}: {self.reason}" if self.field else self.reason


def dead_letter(
    error: ContractError,
    stage: Stage,
    topic: str,
    partition: int,
    offset: int,
    timestamp_ms: int = -1,
    headers: Headers = (),
    app: str = "",
) -> DeadLetter:
    """The dead letter of a record that was refused with this error."""
    why = error.error_type, error.field, error.reason
    return DeadLetter(stage, *why, topic, partition, offset, timestamp_ms, headers, app)


def quarantine(
    error: Exception,
    stage: Stage,
    topic: str,
    partition: int,
    offset: int,
    timestamp_ms: int = -1,
    headers: Headers = (),
    app: str = "",
) -> DeadLetter:
    """The dead letter of a record that is set aside because judging it raised this."""
    why = QUARANTINED, "", _words(error)
    return DeadLetter(stage, *why, topic, partition, offset, timestamp_ms, headers, app, trace_of(error))


def trace_of(error: BaseException) -> str:
    """A short hash of an exception's class and of the functions it came through: the same for the same fault."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    places = [f"{frame.f_globals.get('__name__')}.{frame.f_code.co_name}" for frame in frames]
    return hashlib.sha256("\n".join([type(error).__name__, *places]).encode()).hexdigest()[:16]


_APP: Final = TypeAdapter(AppName)


def app_of(value: bytes | None) -> str:
    """The app that a record names, though the record is no event; '' where it names none that can be one."""
    try:
        # Only the beginning, and it may end anywhere: a record that is refused may be of any size.
        body = from_json((value or b"")[:HEAD_BYTES].decode("utf-8", "ignore"), allow_partial=True)
        return _APP.validate_python(body.get("app") if isinstance(body, dict) else None, strict=True)
    except (ValueError, ValidationError):
        return ""


def header_name(name: bytes) -> str:
    """A header's name as text. Kafka takes any bytes; those that are no UTF-8 are written as \\xff."""
    return name.decode("utf-8", "backslashreplace")


def encode_letter(
    letter: DeadLetter, key: bytes | None, value: bytes | None
) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]:
    """Key, value and headers of the record in the dead letters' topic, which takes it whatever it is made of."""
    own = [(_takeable(name), content) for name, content in letter.headers]
    sizes = len(key or b""), len(value or b""), sum(_header_bytes(*header) for header in own)
    if sum(sizes) > MAX_RECORD_BYTES:
        cuts = [
            _cut("key", key, KEY_HEAD_BYTES),
            _cut("value", value, HEAD_BYTES),
            _cut("headers", _joined(own) if sizes[2] > HEAD_BYTES else None, HEAD_BYTES),
        ]
        letter = replace(letter, cut="; ".join(filter(None, cuts)))
        key, value, own = _head(key, KEY_HEAD_BYTES), _head(value, HEAD_BYTES), _first(own)
    return key, value, encode_headers(replace(letter, headers=own))


def encode_headers(letter: DeadLetter) -> list[tuple[str, bytes | None]]:
    """The headers of a letter: the record's own, and ours."""
    return [*letter.headers, *zip(NAMES, map(_clip, _ours(letter)), strict=True)]


def _ours(letter: DeadLetter) -> tuple[str, ...]:
    where = letter.topic, str(letter.partition), str(letter.offset), str(letter.timestamp_ms)
    return letter.stage, letter.error_type, letter.field, letter.reason, *where, letter.app, letter.trace, letter.cut


def decode_headers(headers: Headers | None) -> DeadLetter:
    """The inverse of `encode_headers`. Raises ContractError for a record that is no dead letter of ours."""
    names = tuple(name for name, _ in headers or ())
    count = next((len(form) for form in (NAMES, _FIRST_NAMES) if names[-len(form) :] == form), 0)
    if not headers or not count:
        raise ContractError("invalid", f"the last headers of a dead letter are {', '.join(NAMES)}", "headers")
    texts = [(value or b"").decode("utf-8", "replace") for _, value in headers[-count:]]
    stage, error_type, field, reason, topic, *numbers = texts[: len(_FIRST_NAMES)]
    if stage not in ("join", "sink"):
        raise ContractError("invalid", f"expected join or sink, got {stage}", "keeprate-stage")
    try:
        partition, offset, timestamp_ms = map(int, numbers)
    except ValueError as error:
        raise ContractError("invalid", str(error), "keeprate-offset") from None
    where = topic, partition, offset, timestamp_ms
    own, more = tuple(headers[:-count]), texts[len(_FIRST_NAMES) :]
    return DeadLetter(cast(Stage, stage), error_type, field, reason, *where, own, *more)


def _words(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # noqa: BLE001 - an exception that cannot say what it is must not end the process in its turn
        return type(error).__name__


def _takeable(name: str) -> str:
    """A header's name as librdkafka takes it. Of one with a NUL it takes a part, and of no UTF-8 the client dies."""
    return name.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _header_bytes(name: str, content: bytes | None) -> int:
    """What a header takes in a record, the lengths before its parts included."""
    sizes = len(name.encode()), len(content or b"")
    # A length is a zigzag varint: seven bits a byte.
    return sum(size + (size.bit_length() + 7) // 7 for size in sizes)


def _joined(headers: Headers) -> bytes:
    return b"\n".join(name.encode() + b"=" + (content or b"") for name, content in headers)


def _first(headers: Headers) -> list[tuple[str, bytes | None]]:
    """The first headers that fit into HEAD_BYTES."""
    kept, room = [], HEAD_BYTES
    for header in headers:
        room -= _header_bytes(*header)
        if room < 0:
            break
        kept.append(header)
    return kept


def _head(content: bytes | None, limit: int) -> bytes | None:
    return None if content is None else content[:limit]


def _cut(what: str, content: bytes | None, limit: int) -> str:
    if content is None or len(content) <= limit:
        return ""
    return f"{what}: {len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}"


def _clip(text: str) -> bytes:
    # A lone surrogate can come out of an app's JSON escapes and has no UTF-8.
    return text.encode("utf-8", "replace")[:MAX_TEXT_BYTES].decode("utf-8", "ignore").encode("utf-8")
