"""Kinds of values that fields of events have: what each may be, with its bounds, and in words.

Every number has a bound, at which the sums of an app's year fit the columns that hold them (64 bits), and beyond which
no call and no user goes. A kind's description and bounds are all that the published schema and the messages of refusals
say of it, so that there is one place to read and to change them.
"""

from collections.abc import Callable
from typing import Annotated, Any, Final

from pydantic import Field, GetCoreSchemaHandler, StringConstraints
from pydantic_core import CoreSchema, core_schema

DAY_MS: Final = 86_400_000
MAX_EVENT_BYTES: Final = 1 << 20
"""A larger record is refused: an event is one call's input and output, not a document store."""
MAX_NAME: Final = 200
"""Characters of a name."""
MAX_CHOICES: Final = 64
MAX_ENTRIES: Final = 4_096
"""Of a list or an object in an event."""
FIRST_MS: Final = 315_532_800_000
"""1980: a time before it is no time in milliseconds."""
LAST_MS: Final = 4_102_444_800_000
"""2100: every reader of times takes those before it."""
MAX_AHEAD_MS: Final = DAY_MS
"""An event may be dated so much later than it was recorded: a clock that is wrong by more is no clock."""
LONGEST_CALL_MS: Final = 30 * DAY_MS
MAX_COST_USD: Final = 1_000_000
MAX_HORIZON_S: Final = 10 * 366 * 86_400
"""Ten years: how long after an accept its text can be looked at."""


_HEX: Final = "[0-9a-fA-F]"
UUID_PATTERN: Final = rf"^{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}$"
# Some languages write them in upper case. What is compared, hashed and stored is in lower case.
Uuid = Annotated[
    str,
    StringConstraints(to_lower=True, pattern=UUID_PATTERN),
    Field(description="a UUID, such as 0198c0de-0000-7000-8000-000000000001"),
]
TraceId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$", description="32 hexadecimal digits in lower case")]
SpanId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$", description="16 hexadecimal digits in lower case")]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
AppName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="1 to 100 letters, digits, dots, underscores and hyphens, a letter or digit first",
    ),
]
Label = Annotated[
    str,
    Field(
        pattern=r"^[a-z][a-z0-9_.:-]{0,99}$",
        description="1 to 100 lower-case letters, digits, underscores, dots, colons and hyphens, a letter first",
    ),
]
TimeMs = Annotated[int, Field(ge=FIRST_MS, le=LAST_MS, description="milliseconds since the epoch, UTC")]
Serial = Annotated[int, Field(ge=0, le=2**53)]
Ordinal = Annotated[int, Field(ge=0, le=2**31 - 1)]
ChoiceIndex = Annotated[int, Field(ge=0, le=MAX_CHOICES - 1)]
ChoiceCount = Annotated[int, Field(ge=1, le=MAX_CHOICES)]
Verdict = Annotated[int, Field(ge=-1, le=1)]
Tokens = Annotated[int, Field(ge=0, le=10**9)]
Lines = Annotated[int, Field(ge=0, le=10**9)]
Units = Annotated[int, Field(ge=0, le=10**9, description="UTF-16 code units")]
Lexemes = Annotated[int, Field(ge=0, le=10**9)]
CallMs = Annotated[int, Field(ge=0, le=LONGEST_CALL_MS, description="milliseconds")]
DwellMs = Annotated[int, Field(ge=0, le=366 * DAY_MS, description="milliseconds")]
# Checks come late, so there is room behind the longest horizon.
ElapsedMs = Annotated[
    int, Field(ge=0, le=11 * 366 * DAY_MS, description="the client's monotonic time since the accept, milliseconds")
]
HorizonS = Annotated[int, Field(ge=1, le=MAX_HORIZON_S, description="seconds")]
CostUsd = Annotated[float, Field(ge=0, lt=MAX_COST_USD, allow_inf_nan=False, description="US dollars")]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Score = Annotated[float, Field(ge=-1e15, le=1e15, allow_inf_nan=False)]


class Spoken:
    """Marks a list of messages that may also be given as one message, or as text.

    A text becomes a message of the role, in the list and in place of it. A list has at most `limit` elements.
    """

    def __init__(self, role: str, limit: int, description: str) -> None:
        self._role = role
        self._limit = limit
        self._description = description

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        (message_type,) = source.__args__
        message, text = handler.generate_schema(message_type), core_schema.str_schema()
        either = _either((message, MESSAGE_BRANCH), (_then(self._said, text), TEXT_BRANCH))
        messages = core_schema.list_schema(either, fail_fast=True, max_length=self._limit)
        return _either(
            (messages, LIST_BRANCH),
            (_then(lambda said: [said], message), MESSAGE_BRANCH),
            (_then(lambda said: [self._said(said)], text), TEXT_BRANCH),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> Any:
        return {**handler(schema), "description": self._description}

    def _said(self, text: str) -> dict[str, Any]:
        return {"role": self._role, "content": text}


LIST_BRANCH, MESSAGE_BRANCH, TEXT_BRANCH = BRANCHES = ("(list)", "(message)", "(text)")
"""Where pydantic's location of a fault says which of the forms it tried; no field has such a name."""


def _either(*forms: tuple[CoreSchema, str]) -> CoreSchema:
    return core_schema.union_schema(list(forms), mode="left_to_right")


def _then(make: Callable[[Any], Any], schema: CoreSchema) -> CoreSchema:
    return core_schema.no_info_after_validator_function(make, schema)
