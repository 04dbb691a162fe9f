"""How long to wait before the store is asked again, by what it said. Pure."""

from typing import Final

# Too many parts, memory, disk: more load makes them worse, and they heal by merges or by somebody's hand.
_SLOW_CODES: Final = frozenset((241, 243, 252))
_FIRST_S: Final = 0.2
_SLOW_FIRST_S: Final = 2.0
_LONGEST_S: Final = 15.0


def delay_s(code: int | None, attempt: int) -> float:
    """Seconds before attempt number `attempt` + 1, the first attempt being 1.

    code: ClickHouse's error code, None when it did not answer.
    """
    first = _SLOW_FIRST_S if code in _SLOW_CODES else _FIRST_S
    return float(min(_LONGEST_S, first * 2 ** min(attempt - 1, 10)))
