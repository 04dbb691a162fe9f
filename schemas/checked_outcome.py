"""Reading an outcome that somebody wrote: the state and its changelog are data from outside too.

What passes here has the types that `outcome.FIELDS` declares, so it merges with every other outcome of its suggestion.
Anything else raises ValueError, whatever the bytes are, and costs the reader that one outcome.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Annotated, Any, Final, NotRequired, TypedDict

from keeprate.schemas.outcome import FIELDS, Field, Outcome, key_of

_KEY: Final = re.compile(
    rb"[!-.0-~]{1,100}/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/(?:0|[1-9][0-9]{0,4})"
)
_MAPS_OF_REGISTERS: Final = frozenset(
    field.name for field in FIELDS if field.merge != "max" and field.type.startswith("Tuple(")
)


def is_key(key: bytes) -> bool:
    """Whether these bytes can be what `key_of` makes."""
    return _KEY.fullmatch(key) is not None


def are_keys(keys: Iterable[bytes]) -> bool:
    """Whether each of these can be what `key_of` makes."""
    return all(map(_KEY.fullmatch, keys))


def read_outcome(key: str, value: bytes) -> Outcome:
    """The outcome in the record of this key that `encode_outcome` wrote. Raises ValueError for everything else.

    A field that is not known is left out. Needs the extra `worker`.
    """
    try:
        found, outcome = read_row(value)
    except ValueError as error:
        raise ValueError(f"{key}: no outcome: {error}") from None
    if key != found:
        raise ValueError(f"{key}: the outcome of another suggestion")
    return outcome


def read_row(value: bytes) -> tuple[str, Outcome]:
    """Key and outcome in a record, whatever its own key is. Raises ValueError. Needs the extra `worker` or `sink`."""
    try:
        row: Outcome = _decoder()(value)
    except RecursionError:
        raise ValueError("lists and objects are nested too deep") from None
    key = key_of(row.pop("app"), row.pop("generation_id"), row.pop("choice_index"))
    if not is_key(key.encode()):
        raise ValueError(f"{key} is no suggestion's key")
    for name, content in row.items():
        if name in _MAPS_OF_REGISTERS:
            row[name] = {part: list(register) for part, register in content.items()}
        elif type(content) is tuple:
            row[name] = list(content)
    return key, row


@cache
def _decoder() -> Callable[[bytes], Any]:
    # Who only emits events has it not installed. With the types it is as fast as a reader that takes any JSON.
    from msgspec import Meta
    from msgspec.json import Decoder

    kinds: dict[str, Any] = {"String": str, "Float64": float} | {
        # ClickHouse's parser lets a number that is too large begin again from the other end.
        f"{sign}{bits}": Annotated[int, Meta(ge=low, le=low + 2**bits - 1)]
        for bits in (8, 16, 32, 64)
        for sign, low in (("Int", -(2 ** (bits - 1))), ("UInt", 0))
        if (sign, bits) != ("UInt", 64)
    }
    fields = {field.name: NotRequired[_type(field, kinds)] for field in FIELDS}
    key = {"app": str, "generation_id": str, "choice_index": kinds["UInt16"]}
    form: Any = TypedDict("form", {**key, **fields})  # type: ignore[misc]
    return Decoder(form).decode


def _type(field: Field, kinds: Mapping[str, Any]) -> Any:
    names = [column.rpartition(" ")[2] for column in field.type.removeprefix("Tuple(").removesuffix(")").split(", ")]
    types = tuple(kinds[name] for name in names)
    one: Any = tuple[types] if field.type.startswith("Tuple(") else types[0]  # type: ignore[valid-type]
    return one if field.merge == "max" else dict[str, one]
