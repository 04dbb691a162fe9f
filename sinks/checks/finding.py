"""What the checks of `verify` report."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

Check = Literal["I1", "I2", "I4", "I6", "I7"]
CHECKS: Final[tuple[Check, ...]] = get_args(Check)


@dataclass(frozen=True)
class Finding:
    """One violation. where: the partition and offsets, or the outcome's key."""

    check: Check
    where: str
    detail: str
