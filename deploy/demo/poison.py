"""Records that are no events, so that dead letters can be seen in the demo."""

from collections.abc import Callable

KINDS: tuple[Callable[[bytes], bytes], ...] = (
    lambda value: value[: len(value) // 2],
    lambda value: value.replace(b'"type":"', b'"type":"un'),
    lambda value: value.replace(b'"schema_version":1', b'"schema_version":9'),
    lambda value: value.replace(b'"app":"', b'"app":"\xff'),
    lambda value: value.replace(b'"occurred_at":', b'"occurred_at":-'),
)
"""Cut off; of an unknown type; of a version to come; not UTF-8; out of range."""
EVERY = 400
"""One bad record for so many good ones."""


def spoil(number: int, value: bytes) -> bytes | None:
    """What comes after the n-th good record: mostly nothing, now and then a copy of it that is broken in some way."""
    if number % EVERY:
        return None
    return KINDS[number // EVERY % len(KINDS)](value)
