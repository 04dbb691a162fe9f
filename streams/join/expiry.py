"""When an outcome may leave the state: by event time, so that a replay of a year keeps no year in the state. Pure.

A value of the state begins with its stamp: the event time of the latest fact in it, never later than the clock when it
was written, because a client whose clock is ten years ahead must not stay for ten years. A recovery knows only when the
record was written and stamps it with that: it expires later then, and never earlier.

What expires is removed by a tombstone in the changelog, which the sinks leave out: the store keeps the outcome. A fact
that comes after all starts a partial outcome, which merges with the rest there.
"""

import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from keeprate.schemas.outcome import Outcome
from keeprate.schemas.topics import DAY_MS

KEEP_MS: Final = 8 * DAY_MS
"""After its latest fact; a day more than feedback is accepted for by default."""
SKEW_MS: Final = 300_000
"""How far a client's clock may be ahead before its times are cut."""
IDLE_MS: Final = 3_600_000
"""A partition in which nothing arrived for so long moves on with the clock, so that its state ends too."""

_STAMP: Final = struct.Struct(">Q")


def stamp(value: bytes, at_ms: int) -> bytes:
    """A value as it is kept in the state."""
    return _STAMP.pack(at_ms) + value


def stamp_all(values: Mapping[bytes, bytes | None], stamps_ms: Iterable[int]) -> dict[bytes, bytes | None]:
    """Values as they are kept in the state, with a stamp each; None, which removes, stays."""
    pack = _STAMP.pack
    pairs = zip(values.items(), stamps_ms, strict=True)
    return {key: None if value is None else pack(at_ms) + value for (key, value), at_ms in pairs}


def stamps_of_records(timestamps_ms: Sequence[int | None], now_ms: int) -> list[int]:
    """The stamps of what a recovery reads. A record's time is whatever its producer said; now where it said none."""
    limit_ms = now_ms + SKEW_MS
    if None not in timestamps_ms:
        known = cast(Sequence[int], timestamps_ms)
        if min(known, default=0) > 0 and max(known) <= limit_ms:
            return list(known)
    return [now_ms if at_ms is None or at_ms <= 0 else min(at_ms, limit_ms) for at_ms in timestamps_ms]


def value_of(stamped: bytes) -> bytes:
    """The value without its stamp."""
    return stamped[_STAMP.size :]


def stamped_at_ms(stamped: bytes) -> int:
    """The stamp."""
    at_ms: int = _STAMP.unpack_from(stamped)[0]
    return at_ms


@dataclass
class Watermark:
    """How far event time has come in one partition. It never goes back."""

    at_ms: int = 0
    _heard_at_ms: int = 0

    def hear(self, times_ms: Iterable[int], now_ms: int) -> None:
        """Take in the event times of what a batch changed."""
        self.at_ms = max(self.at_ms, min(max(times_ms, default=0), now_ms + SKEW_MS))
        self._heard_at_ms = now_ms

    def expired_before_ms(self, now_ms: int) -> int:
        """The outcomes with an older stamp may go."""
        if self._heard_at_ms and now_ms - self._heard_at_ms > IDLE_MS:
            self.at_ms = max(self.at_ms, now_ms - IDLE_MS)
        return self.at_ms - KEEP_MS


def late(times_ms: Mapping[str, int], held: Mapping[str, Outcome], expired_before_ms: int) -> int:
    """How many outcomes, by their event times, began with facts so old that what was known before has expired."""
    if min(times_ms.values(), default=expired_before_ms) >= expired_before_ms:
        return 0
    return sum(at_ms < expired_before_ms and key not in held for key, at_ms in times_ms.items())


def ahead(times_ms: Collection[int], now_ms: int) -> int:
    """How many event times are farther ahead of the clock than clients' clocks may be. The watermark cuts them."""
    limit_ms = now_ms + SKEW_MS
    if max(times_ms, default=limit_ms) <= limit_ms:
        return 0
    return sum(at_ms > limit_ms for at_ms in times_ms)
