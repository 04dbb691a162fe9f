"""Whether the store died of what it was sent: its answer did not come, and the store that answers now is a younger one.

A connection that breaks says nothing: networks break them too. A store that is away from the start died of nothing that
was sent. So only the two together count against a range (`intent`).
"""

from collections.abc import Mapping
from typing import Final

from keeprate.sinks.landing.landed import Asks
from keeprate.sinks.store.clickhouse import StoreUnavailableError

_BORN: Final = "SELECT hostName(), toInt64(toUnixTimestamp(now())) - toInt64(uptime())"
# Both times are whole seconds, so their difference comes out one more or less.
_BLUR_S: Final = 1


class StoreDiedError(StoreUnavailableError):
    """The store was sent something, did not answer, and was started again since."""


class Births:
    """When each host of the store was started, as it was last seen. Threads share it."""

    def __init__(self) -> None:
        self._known: Mapping[str, int] = {}

    @property
    def known(self) -> Mapping[str, int]:
        """By host, in seconds since the epoch; not to be changed."""
        return self._known

    def look(self, store: Asks, before: Mapping[str, int] | None = None) -> bool:
        """Ask the host that answers, and say whether it is younger than `before` has it. Raises StoreError."""
        ((host, born_s),) = store.query(_BORN)
        self._known = {**self._known, host: born_s}
        return before is not None and born_s > before.get(host, born_s) + _BLUR_S
