"""The registers of an outcome: what each holds, by name, declared once. Pure.

A register is a list, because it is one in Kafka's records and a tuple in ClickHouse, and because lists compare: it
begins with what orders the facts about one thing. Its declaration yields the order of its values, their types in
ClickHouse, how an event fills it, and what of it is kept of a person who is forgotten. All others know a place in a
register by its column's name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

UNKNOWN: Final = -1
"""Stands in a register for a number that was not sent. ClickHouse's `max` over tuples wants no NULL in them."""

Forget = Literal["keep", "user", "session", "erase"]
"""Of a person who is forgotten: as it is; the user's or the session's pseudonym in its place; nothing."""

_UNSAID: Final[Mapping[str, str | int | float]] = {
    "String": "",
    "Int64": UNKNOWN,
    "Float64": float(UNKNOWN),
    **dict.fromkeys(("UInt32", "UInt8", "Int8"), 0),
}


@dataclass(frozen=True)
class Column:
    """One value of a register.

    type: ClickHouse's. unsaid: what stands there where an event does not say it; by the type when None.
    given: it is no field of the event as it stands, so whoever lifts the event gives it.
    """

    name: str
    type: Literal["String", "Int64", "Float64", "UInt32", "UInt8", "Int8"]
    forget: Forget = "keep"
    unsaid: str | float | None = None
    given: bool = False

    @property
    def default(self) -> str | float:
        """What stands there where an event does not say it."""
        return _UNSAID[self.type] if self.unsaid is None else self.unsaid


def _reader(columns: Sequence[Column]) -> Callable[..., list[Any]]:
    """What makes a register of an event and the values that are given: as fast as a list that is written out by hand.

    Compiled from the declaration, as dataclasses compile their methods: a loop over columns would take half as long
    again, for each event that is joined.
    """
    given = "".join(f", {column.name}" for column in columns if column.given)
    values = ", ".join(column.name if column.given else _source(column) for column in columns)
    make: Callable[..., list[Any]] = eval(f"lambda event{given}: [{values}]")
    return make


def _source(column: Column) -> str:
    if not column.default:
        return f"(event.{column.name} or {column.default!r})"
    return f"({column.default!r} if (_said := event.{column.name}) is None else _said)"


class Register:
    """The columns of a register, in their order.

    of: makes one of an event as a struct, and of the values of the columns that are given.
    """

    def __init__(self, *columns: Column) -> None:
        self.columns = columns
        self.type = f"Tuple({', '.join(f'{column.name} {column.type}' for column in columns)})"
        self.of: Callable[..., list[Any]] = _reader(columns)
        self._places = {column.name: place for place, column in enumerate(columns)}

    def places(self, *names: str) -> tuple[int, ...]:
        """Where the columns of these names are, for what reads many registers."""
        return tuple(self._places[name] for name in names)

    def forgotten(self, register: list[Any], user: str, session: str = "", erases: bool = True) -> list[Any]:
        """The register with the pseudonyms of user and session in their places. erases: without what is to go."""
        after: dict[str, str] = {"user": user, "session": session}
        return [
            after.get(column.forget, column.default if erases and column.forget == "erase" else value)
            for column, value in zip(self.columns, register, strict=True)
        ]


_LATEST: Final = (Column("revision", "UInt32"), Column("occurred_at", "Int64"), Column("event_id", "String"))
"""What orders the facts about one thing: the reviser's word first, then the client's clock, then a tie-break."""
_SEQUENCE: Final = Column("accept_seq", "UInt32")


def _texts(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "String") for name in names)


def _numbers(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name, "Int64") for name in names)


GENERATION: Final = Register(
    *_LATEST,
    Column("environment", "String"),
    Column("user", "String", forget="user"),
    Column("session", "String", forget="session"),
    *_texts("operation", "surface", "language", "trigger", "provider", "model", "prompt_name", "prompt_version"),
    *_texts("context_strategy", "step", "parent_generation_id", "experiment", "variant", "outcome", "finish_reason"),
    *_texts("error_type"),
    *_numbers("input_tokens", "output_tokens"),
    Column("cost_usd", "Float64"),
    *_numbers("latency_ms", "time_to_first_token_ms"),
    Column("tools_offered", "Int64", given=True),
    Column("tools_called", "Int64", given=True),
    Column("trace_id", "String", forget="erase"),
)
TOOLS: Final = Register(*_LATEST, Column("toolset", "String", given=True))
RETENTION: Final = Register(
    _SEQUENCE,
    *_LATEST,
    *_texts("status", "reason"),
    *_numbers("elapsed_ms", "original_length"),
    Column("current_length", "Int64", given=True),
    *_numbers("distance", "original_lexemes", "lexeme_distance"),
    Column("four_gram", "Float64"),
    Column("no_revert", "Float64"),
    *_numbers("retained_length", "total_length"),
    Column("branch_changed", "UInt8", given=True),
    Column("range_clipped", "UInt8", given=True),
)
ACCEPT: Final = Register(_SEQUENCE, *_LATEST[1:], Column("mode", "String", given=True), Column("length", "Int64"))
VOTE: Final = Register(*_LATEST, Column("value", "Int8", given=True), Column("score", "Float64", given=True))
FLAG: Final = Register(
    *_LATEST,
    Column("label", "String"),
    Column("active", "UInt8", given=True),
    Column("severity", "String"),
    Column("valence", "String", unsaid="negative"),
)
CORRECTION: Final = Register(
    *_LATEST, *_numbers("distance", "original_length", "corrected_length"), Column("origin", "String")
)
EVALUATION: Final = Register(
    *_LATEST,
    *_texts("name", "annotator_kind"),
    Column("annotator", "String", forget="user"),
    Column("has_value", "UInt8", given=True),
    Column("value", "Float64", unsaid=0.0),
    Column("label", "String"),
)
