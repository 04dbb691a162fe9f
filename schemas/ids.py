"""Identities: UUIDv7 for what Keeprate allocates, UUIDv5 for an id that somebody else allocated."""

import os
import threading
import time
import uuid

FOREIGN_NAMESPACE = uuid.UUID("6f1f2f5e-3a0c-5d0b-9a52-7b1d0c6c1a10")
"""The UUIDv5 namespace of foreign ids. Changing it would give every foreign id a second identity."""

MAX_AHEAD_MS = 10_000
"""How far ids may stay ahead of a clock that was set back; beyond it they follow the clock."""

# Reentrant, for a signal handler that emits; new in a forked child, where a thread that held it does not exist.
_lock = threading.RLock()
_last: tuple[int, int] = (0, 0)


def _renew_lock() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def uuid7(at_ms: int | None = None) -> str:
    """A new UUIDv7 (RFC 9562 §5.7) in lower case.

    at_ms: milliseconds since the epoch, for history that is being imported; the clock when None.
    Ids of one process ascend: within a millisecond the 12 bits after the version count (RFC 9562 §6.2, method 1), and
    while a clock that was set back by up to MAX_AHEAD_MS catches up, they count on. They begin anew at a clock that
    was set back by more, once: ids that said tomorrow until tomorrow would put what they name in the wrong day.
    """
    random_bits = int.from_bytes(os.urandom(8), "big") >> 2
    if at_ms is None:
        at_ms, counter = _tick()
    else:
        counter = int.from_bytes(os.urandom(2), "big") >> 4
    value = (at_ms & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | random_bits
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _tick() -> tuple[int, int]:
    global _last
    with _lock:
        now_ms = time.time_ns() // 1_000_000
        last_ms, counter = _last
        if now_ms > last_ms or last_ms - now_ms > MAX_AHEAD_MS:
            # Half of the counter's range stays free, so that a burst within the millisecond does not overflow it.
            _last = now_ms, int.from_bytes(os.urandom(2), "big") >> 5
        elif counter < 0xFFF:
            _last = last_ms, counter + 1
        else:
            _last = last_ms + 1, 0
        return _last


def foreign_id(app: str, external_id: str) -> str:
    """The identity of something named by somebody else, for example a provider's response id: the same each time."""
    return str(uuid.uuid5(FOREIGN_NAMESPACE, f"{app}\x1f{external_id}"))
