"""Plain values: what an app gave, as JSON knows it. Nothing the app goes on using is consumed or kept."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, time
from decimal import Decimal
from enum import Enum
from itertools import islice
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

from keeprate.producers.errors import ContractError

MAX_DEPTH: Final = 64
MAX_VALUES: Final = 200_000
_EXACT: Final = frozenset((str, int, float, bool, type(None)))
_LISTS: Final = (list, tuple, set, frozenset)


def plain(value: Any) -> Any:
    """The value as JSON: models and dataclasses as objects, times in ISO 8601, what is foreign by its `repr`.

    A generator is foreign: it is not read. Raises ContractError for what is nested too deep or within itself, and
    whatever the methods of the app's own objects raise.
    """
    return value if type(value) in _EXACT or _is_flat(value) else _Walk().plain(value, 0)


def _is_flat(value: Any) -> bool:
    """Whether it is a list of messages of texts, as it nearly always is: then it is JSON as it stands."""
    if type(value) is not list or len(value) > MAX_VALUES:
        return False
    for message in value:
        if type(message) is not dict:
            return False
        for name, content in message.items():
            if type(name) is not str or type(content) not in _EXACT:
                return False
    return True


class _Walk:
    """Counts what it sees: two names for one list, 64 levels deep, would be more values than there are atoms."""

    def __init__(self) -> None:
        self._left = MAX_VALUES

    def plain(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind in _EXACT:
            return value
        if depth > MAX_DEPTH:
            raise ContractError("invalid", f"a value is nested deeper than {MAX_DEPTH}, or within itself")
        # The exact types first: to ask for the abstract one takes longer than all the rest.
        if kind is dict or (kind is not list and isinstance(value, Mapping)):
            return {_name(name): self.plain(each, depth + 1) for name, each in self._taken(value, value.items())}
        if isinstance(value, _LISTS):
            return [self.plain(each, depth + 1) for each in self._taken(value, value)]
        if hasattr(value, "model_dump"):
            return self.plain(value.model_dump(mode="json", exclude_none=True), depth + 1)
        if is_dataclass(value) and not isinstance(value, type):
            return {each.name: self.plain(getattr(value, each.name), depth + 1) for each in fields(value)}
        if isinstance(value, Enum):
            return self.plain(value.value, depth + 1)
        return _scalar(value)

    def _taken(self, container: Any, values: Iterable[Any]) -> Iterator[Any]:
        # Counted before they are taken, and no more than that: an app's own container may go on for ever.
        count = len(container)
        self._left -= count
        if self._left < 0:
            raise ContractError("too_large", f"more than {MAX_VALUES} values; shorten the captured content")
        return islice(values, count)


def _name(name: Any) -> str:
    return name if type(name) is str else str(name)


def _scalar(value: Any) -> Any:
    # By the base class: a subclass may have its own idea of what it is.
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if isinstance(value, float):
        return float.__float__(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "replace")
    return str(value) if isinstance(value, Decimal | UUID | PurePath) else repr(value)
