"""Gates that are taken out of a process, to see that the account notices."""

from collections.abc import Callable
from typing import Final

SABOTAGE: Final[dict[str, Callable[[], None]]] = {}
