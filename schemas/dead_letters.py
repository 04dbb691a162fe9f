"""A dead letter: a refused record, whole, with headers that say where it was and why it was refused.

Key and value are the refused record's own bytes. The record's own headers come first, as they were, and the headers
named in `NAMES` come last, in that order. So nothing in a record can pass for ours, a reader that takes a header's
last value is right, and a record that the source topic could hold always fits into the dead letters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, cast

from keeprate.schemas.decode import ContractError

Headers = Sequence[tuple[str, bytes | None]]
Stage = Literal["join", "sink"]

NAMES: Final = (
    "keeprate-stage",
    "keeprate-error-type",
    "keeprate-field",
    "keeprate-reason",
    "keeprate-topic",
    "keeprate-partition",
    "keeprate-offset",
    "keeprate-timestamp-ms",
)
MAX_TEXT_BYTES: Final = 2_000
"""Of a header of ours: a reason may quote what an app sent."""


@dataclass(frozen=True)
class DeadLetter:
    """One refused record.

    stage: who refused it. A record may be refused by the join and by the sink: each says so once.
    error_type, field, reason: those of the ContractError.
    topic, partition, offset, timestamp_ms: where the record was; the timestamp is -1 where Kafka has none.
    headers: the record's own.
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
) -> DeadLetter:
    """The dead letter of a record that was refused with this error."""
    return DeadLetter(
        stage, error.error_type, error.field, error.reason, topic, partition, offset, timestamp_ms, headers
    )


def encode_headers(letter: DeadLetter) -> list[tuple[str, bytes | None]]:
    """The headers of the record in the dead letters' topic."""
    ours = (
        letter.stage,
        letter.error_type,
        letter.field,
        letter.reason,
        letter.topic,
        str(letter.partition),
        str(letter.offset),
        str(letter.timestamp_ms),
    )
    return [*letter.headers, *zip(NAMES, map(_clip, ours), strict=True)]


def decode_headers(headers: Headers | None) -> DeadLetter:
    """The inverse of `encode_headers`. Raises ContractError for a record that is no dead letter of ours."""
    ours = list(headers or ())[-len(NAMES) :]
    if tuple(name for name, _ in ours) != NAMES:
        raise ContractError("invalid", f"the last headers of a dead letter are {', '.join(NAMES)}", "headers")
    stage, error_type, field, reason, topic, *numbers = ((value or b"").decode("utf-8", "replace") for _, value in ours)
    if stage not in ("join", "sink"):
        raise ContractError("invalid", f"expected join or sink, got {stage}", "keeprate-stage")
    try:
        partition, offset, timestamp_ms = map(int, numbers)
    except ValueError as error:
        raise ContractError("invalid", str(error), "keeprate-offset") from None
    own = tuple((headers or ())[: -len(NAMES)])
    return DeadLetter(cast(Stage, stage), error_type, field, reason, topic, partition, offset, timestamp_ms, own)


def _clip(text: str) -> bytes:
    # A lone surrogate can come out of an app's JSON escapes and has no UTF-8.
    return text.encode("utf-8", "replace")[:MAX_TEXT_BYTES].decode("utf-8", "ignore").encode("utf-8")
