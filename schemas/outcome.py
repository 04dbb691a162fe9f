"""The outcome of one suggestion: everything known of it, as a join-semilattice declared once.

An outcome is a dictionary of fields. A field that is absent holds nothing yet. Each field has a merge that commutes,
associates and is idempotent, so duplicates, reordering, late feedback and replays all end in the same outcome:

    max       of numbers (lengths, dwell) and of registers (`registers`). A register begins with what orders it
              (revision, occurred_at, event_id) and goes on with its value, so its maximum is its latest state.
    min_map   per key, the smallest
    max_map   per key, the largest: of times, or of registers (a vote per user, a check per horizon)

`FIELDS` yields the merge in Python, and the columns of ClickHouse's table `outcomes`, whose engine merges the same
way. An outcome is identified by (app, generation_id, choice_index). The app is part of the identity, so that no app
can write into another app's suggestions.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal

from pydantic_core import from_json

from keeprate.schemas.registers import (
    ACCEPT,
    CORRECTION,
    EVALUATION,
    FLAG,
    GENERATION,
    RETENTION,
    TOOLS,
    UNKNOWN,
    VOTE,
)

Outcome = dict[str, Any]
"""Field name to value: an int, a register (list), or a dict of those by key."""

SEPARATOR: Final = "\x1f"
"""Between the parts of a map's key. A label cannot hold it, so only the last part may be free text."""


@dataclass(frozen=True)
class Field:
    """One field of the outcome.

    type: ClickHouse's type of a single value.
    default: ClickHouse's value of an absent number; Python leaves it out.
    """

    name: str
    merge: Literal["max", "min_map", "max_map"]
    type: str
    default: int | None = None

    def column(self) -> str:
        """The column's definition in the table `outcomes`."""
        function = {"max": "max", "min_map": "minMap", "max_map": "maxMap"}[self.merge]
        value = self.type if self.merge == "max" else f"Map(String, {self.type})"
        default = "" if self.default is None else f" DEFAULT {self.default}"
        return f"{self.name} SimpleAggregateFunction({function}, {value}){default}"


FIELDS: Final[tuple[Field, ...]] = (
    Field("generation", "max", GENERATION.type),
    # By action; an accept with accept_mode=auto is `accept_auto`.
    Field("first_at", "min_map", "Int64"),
    Field("last_at", "max_map", "Int64"),
    Field("shown_length", "max", "Int64", UNKNOWN),
    Field("shown_lines", "max", "Int64", UNKNOWN),
    Field("dwell_ms", "max", "Int64", UNKNOWN),
    Field("accepted_length", "max", "Int64", UNKNOWN),
    Field("accepted_lines", "max", "Int64", UNKNOWN),
    # The last accept: retention is measured from it.
    Field("accept", "max", ACCEPT.type),
    # By user; by session where no user is known.
    Field("votes", "max_map", VOTE.type),
    # By label and user.
    Field("flags", "max_map", FLAG.type),
    Field("corrections", "max_map", CORRECTION.type),
    # By horizon in seconds, or by moment.
    Field("retention", "max_map", RETENTION.type),
    # By name, kind of annotator and annotator.
    Field("evaluations", "max_map", EVALUATION.type),
    # The set of functions that the model could call. It holds for the generation with its event's id.
    Field("tools", "max", TOOLS.type),
)
KEY_COLUMNS: Final = ("app String", "generation_id UUID", "choice_index UInt16")


def key_of(app: str, generation_id: str, choice_index: int) -> str:
    """The suggestion's identity as the key of a table or record. An app's name has no slash in it."""
    return f"{app}/{generation_id}/{choice_index}"


def parse_key(key: str) -> tuple[str, str, int]:
    """The inverse of `key_of`."""
    app, generation_id, choice_index = key.split("/")
    return app, generation_id, int(choice_index)


def merge(a: Mapping[str, Any], b: Mapping[str, Any]) -> Outcome:
    """The least outcome that holds both. Leaves its arguments as they are."""
    merged = {name: dict(value) if name in b and type(value) is dict else value for name, value in a.items()}
    absorb(merged, b)
    return merged


def absorb(outcome: Outcome, other: Mapping[str, Any]) -> None:
    """Merge `other` into `outcome`, in place: for whoever made the outcome and its maps and shares them with nobody.

    Maps of `other` may become the outcome's own, so it is not to be used any more when more is absorbed.
    """
    for name, value in other.items():
        mine = outcome.get(name)
        outcome[name] = value if mine is None else _MERGES[name](mine, value)


def _max(a: Any, b: Any) -> Any:
    return b if b > a else a


def _min_map(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    for key, value in b.items():
        if key not in a or value < a[key]:
            a[key] = value
    return a


def _max_map(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    for key, value in b.items():
        if key not in a or value > a[key]:
            a[key] = value
    return a


_FUNCTIONS: Final[dict[str, Callable[[Any, Any], Any]]] = {"max": _max, "min_map": _min_map, "max_map": _max_map}
_NAMES: Final = tuple(field.name for field in FIELDS)
_MERGES: Final = {field.name: _FUNCTIONS[field.merge] for field in FIELDS}


def merge_all(outcomes: Iterable[Mapping[str, Any]]) -> Outcome:
    """The least outcome that holds them all; the empty one of none."""
    merged: Outcome = {}
    for outcome in outcomes:
        merged = merge(merged, outcome)
    return merged


def canonical(outcome: Mapping[str, Any]) -> Outcome:
    """The same outcome with its fields and keys in one order, so that equal outcomes have equal bytes."""
    ordered: Outcome = {}
    for name in _NAMES:
        if (value := outcome.get(name)) is not None:
            # Most maps hold one key, and are in order as they are.
            ordered[name] = dict(sorted(value.items())) if type(value) is dict and len(value) > 1 else value
    return ordered


@cache
def _encoder() -> Callable[[Any], bytes]:
    # Who only emits events has it not installed.
    from msgspec.json import Encoder

    return Encoder(order="deterministic").encode


def encode_outcome(key: str, outcome: Mapping[str, Any]) -> bytes:
    """An outcome as the JSON of its Kafka record, which is also the row that ClickHouse's JSONEachRow parser takes.

    Equal outcomes have equal bytes. Needs the extra `worker` or `sink`.
    """
    app, generation_id, choice_index = parse_key(key)
    return _encoder()({**outcome, "app": app, "generation_id": generation_id, "choice_index": choice_index})


def decode_outcome(value: bytes) -> tuple[str, Outcome]:
    """Key and outcome of a record that `encode_outcome` wrote."""
    row: dict[str, Any] = from_json(value, cache_strings="keys")
    return key_of(row.pop("app"), row.pop("generation_id"), row.pop("choice_index")), row
