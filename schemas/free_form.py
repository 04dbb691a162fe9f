"""Values of free form within an event (parameters, contents of messages): whether every reader of JSON takes them.

What one reader takes and another does not is refused by all, so that stream and facts agree. Parsers differ in the
numbers and in the depth that they take, and a Python object can hold what no JSON can.
"""

from math import isfinite
from typing import Any, Final

from pydantic_core import PydanticSerializationError, to_jsonable_python

from keeprate.schemas.explain import shown

MAX_DEPTH: Final = 100
"""Lists and objects within each other. The parsers on the way stop at 200 or later, the event around it included."""


def fault_in(value: Any, depth: int = 1) -> str:
    """Why a value cannot be in an event; empty when it can."""
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, str):
        return "" if value.isascii() or _is_unicode(value) else "holds half of a surrogate pair, which is no text"
    if isinstance(value, float):
        return "" if isfinite(value) else f"{value} is beyond 64 bits or no number, and not every reader takes it"
    if isinstance(value, int):
        within = -(2**63) <= value < 2**64
        return "" if within else f"{shown(value)} is beyond 64 bits, and not every reader takes it"
    if depth > MAX_DEPTH:
        return f"lists and objects are nested more than {MAX_DEPTH} deep: shorten it"
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return next(filter(None, (fault_in(each, depth + 1) for pair in value.items() for each in pair)), "")
    if isinstance(value, list | tuple):
        return next(filter(None, (fault_in(each, depth + 1) for each in value)), "")
    return _foreign(value, depth)


def _foreign(value: Any, depth: int) -> str:
    """Of an object that is written into JSON as another one: a date, an enumeration, a model of pydantic."""
    try:
        written = to_jsonable_python(value)
    except (PydanticSerializationError, UnicodeError, ValueError, RecursionError) as error:
        return f"{shown(value)} cannot be written as JSON: {type(error).__name__}"
    return fault_in(written, depth + 1)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
