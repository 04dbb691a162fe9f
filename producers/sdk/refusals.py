"""Refusals: what an app gave and could not be taken is counted and told once, and raised only to a strict client.

An app may give anything: an object whose `__str__` raises, half of a surrogate pair, a list within itself. Whatever it
does to us ends here. Nothing in this module calls a method of the app's objects without a net.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Final

from keeprate.producers.errors import ContractError, ProducerError
from keeprate.producers.sending.stats import DropReason

log = logging.getLogger("keeprate.producers")

MAX_KINDS: Final = 100
"""How many kinds of refusals are told apart: a field's name may be the app's, and there is no end of those."""
OTHER_KINDS: Final = "other"
_SHOWN_CHARS: Final = 500


def message_of(error: BaseException) -> str:
    """An exception's text as Unicode, whatever its `__str__` does."""
    try:
        return str(error).encode("utf-8", "backslashreplace").decode()
    except Exception as worse:  # noqa: BLE001  the app's own exception
        return f"its __str__ raises {type(worse).__name__}"


class RefusalLog:
    """One client's refusals. count_drop: accounts for an event that was not taken."""

    def __init__(self, count_drop: Callable[[DropReason], None], *, is_strict: bool) -> None:
        self._count_drop = count_drop
        self._is_strict = is_strict
        # Reentrant: a signal handler of the app may emit while we count.
        self._lock = threading.RLock()
        self._kinds: Counter[str] = Counter()
        self._raised: Exception | None = None

    @property
    def kinds(self) -> dict[str, int]:
        """Their number by kind, as "type field"."""
        with self._lock:
            return dict(self._kinds)

    def refuse(self, error: Exception) -> bool:
        """An event, or a call that should have made one, is dropped. Always False; a strict client raises the error."""
        if error is self._raised or isinstance(error, ProducerError):
            # Only a strict client's, on its way to the app: it was counted where it was raised.
            raise error
        contract = error if isinstance(error, ContractError) else None
        self._count_drop("too_large" if contract and contract.error_type == "too_large" else "invalid")
        kind = f"{contract.error_type} {contract.field}".strip() if contract else "invalid"
        is_first = self._is_first(kind)
        if self._is_strict:
            self._raised = error
            raise error
        if is_first:
            text = message_of(error) if contract else f"{type(error).__name__}: {message_of(error)}"
            log.error("an event was dropped, and those like it will be without another word: %s", text[:_SHOWN_CHARS])
        return False

    def withhold(self) -> bool:
        """An event was not sent, because the app's redaction hook failed on it. Always False."""
        self._count_drop("redaction")
        if self._is_first("redaction"):
            log.exception("events are withheld, because the redaction hook failed")
        return False

    def remark(self, what: str, error: Exception) -> None:
        """An event goes out without a part of what the app gave."""
        if self._is_first(f"unread {what}"):
            text = f"{type(error).__name__}: {message_of(error)}"
            log.error("a %s could not be read, and its event goes without it: %s", what, text[:_SHOWN_CHARS])

    def report(self, error: str, reason: str) -> None:
        """A broker or the collector refused a record; whoever held it has accounted for it."""
        if self._is_first(f"refused {error}"):
            log.error("an event was refused (%s), and those like it will be without another word: %s", error, reason)

    def _is_first(self, kind: str) -> bool:
        kind = kind.encode("utf-8", "backslashreplace").decode()[:_SHOWN_CHARS]
        with self._lock:
            if kind not in self._kinds and len(self._kinds) >= MAX_KINDS:
                kind = OTHER_KINDS
            self._kinds[kind] += 1
            return self._kinds[kind] == 1
