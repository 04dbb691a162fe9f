"""What things are called, for people."""

from typing import Final

_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"))


def horizon_name(horizon_s: int) -> str:
    """A horizon for people: the largest unit that divides it."""
    for size_s, unit in _UNITS:
        if horizon_s >= size_s and horizon_s % size_s == 0:
            return f"{horizon_s // size_s} {unit}"
    return f"{horizon_s} s"
