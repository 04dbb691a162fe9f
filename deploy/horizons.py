"""Horizons, seconds after an accept: which one is meant where nobody chose one, and what one is called."""

from collections.abc import Sequence
from typing import Final

USUAL_S: Final = 600
"""The last of those at which every client looks again by itself. Page, command line and alerts tell of this one first,
so that numbers that stand beside each other are of one horizon."""
_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"))


def usual(horizons_s: Sequence[int]) -> int:
    """Of ascending horizons, the usual one; that in the middle where nobody looks then."""
    return USUAL_S if USUAL_S in horizons_s else horizons_s[len(horizons_s) // 2]


def horizon_name(horizon_s: int) -> str:
    """A horizon for people: the largest unit that divides it."""
    for size_s, unit in _UNITS:
        if horizon_s >= size_s and horizon_s % size_s == 0:
            return f"{horizon_s // size_s} {unit}"
    return f"{horizon_s} s"
