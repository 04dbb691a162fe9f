"""From the bytes of a Kafka record to an event as a struct: the verdict of `decode`, in a third of its time.

What the struct's decoder takes is an event. Whatever it does not take goes to `decode`, which takes it after all or
says why not. So a refusal has the same words everywhere, and an event that is written unusually is read as usual.
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

from msgspec import to_builtins

from keeprate.schemas.decode import decode
from keeprate.schemas.events import MAX_EVENT_BYTES, Event
from keeprate.schemas.structs.forms import CHECKS, STRUCTS, decode_struct, decode_structs


def read(value: bytes | None, recorded_ms: int | None = None, key: bytes | None = None) -> Any:
    """The struct of the event that `decode` finds in a record. Raises ContractError, as that does."""
    if value and len(value) <= MAX_EVENT_BYTES:
        try:
            event = decode_struct(value)
            # An odd key is the business of `decode`.
            if CHECKS[event.type](event, key, recorded_ms):
                return event
        except (ValueError, RecursionError):
            # The reason is not as good as pydantic's, which may also know better.
            pass
    return struct_of(decode(value, recorded_ms, key))


def read_all(value: bytes, recorded_ms: int | None = None) -> list[Any] | None:
    """The structs of a JSON array of events, or of one; None where one of them is not read the fast way, or is none."""
    try:
        found = decode_structs(value)
    except (ValueError, RecursionError):
        return None
    return _checked(found if type(found) is list else [found], recorded_ms)


def read_each(values: Iterable[bytes], recorded_ms: int | None = None) -> list[Any] | None:
    """The same of values that are an event each."""
    try:
        events = [decode_struct(value) for value in values]
    except (ValueError, RecursionError):
        return None
    return _checked(events, recorded_ms)


def _checked(events: list[Any], recorded_ms: int | None) -> list[Any] | None:
    try:
        return events if all(CHECKS[event.type](event, None, recorded_ms) for event in events) else None
    except (ValueError, RecursionError):
        return None


def struct_of(event: Mapping[str, Any]) -> Any:
    """The struct of an event that is known to be one."""
    fields = dict(event)
    return STRUCTS[fields.pop("type")](**fields)


def mapping_of(event: Any) -> Event:
    """The event of a struct as a dictionary, without the fields that are None."""
    return cast(Event, to_builtins(event))
