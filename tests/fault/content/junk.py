"""A seed to records of the topics that only Keeprate writes: none of them can be read as what the topic holds. Pure.

Whoever may write into these topics may also write what can be read, and is believed: that is for Kafka's ACLs.
"""

import json
import random
from collections.abc import Callable
from typing import Any, Final

from keeprate.schemas.decode import validate
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import encode_outcome, key_of
from keeprate.schemas.topics import DEAD_LETTERS, OUTCOMES
from tests.fault.content import values
from tests.fault.content.grammar import HOSTILE, Events, Hostile, with_headers
from tests.fault.content.values import Raw


def junk_records(seed: int, count: int, now_ms: int, others: tuple[str, ...]) -> list[Hostile]:
    """So many records. others: generations of the app that is innocent, as keys of what is none of its outcomes."""
    rng = random.Random(seed)
    kinds = (_outcome, _outcome, _dead_letter)
    return [rng.choice(kinds)(rng, now_ms, others) for _ in range(count)]


def _outcome(rng: random.Random, now_ms: int, others: tuple[str, ...]) -> Hostile:
    generation_id, app = rng.choice(((rng.choice(others), "innocent"), (rng.choice(others), HOSTILE)))
    key: bytes | None = key_of(app, generation_id, 0).encode()
    if rng.random() < 0.2:
        what, value = rng.choice(_SHAPELESS)
    else:
        events = Events(rng, now_ms, app)
        event = validate({**events.valid("action"), "generation_id": generation_id, "choice_index": 0})
        ((_, outcome),) = fold([event]).items()
        row = json.loads(encode_outcome(key_of(app, generation_id, 0), outcome))
        what, spoil = rng.choice(_SPOILT)
        spoil(row)
        value = values.encoded(row)
    if rng.random() < 0.2:
        key = rng.choice((None, b"", b"\xff", b"innocent", b"a/b/c/d", b"innocent//0", key))
    return Hostile(f"outcome: {what}", OUTCOMES.name, key, value)


def _set(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda row: row.update(fields)


_REGISTER: Final = [0, 1_764_000_000_000, "0198c0de-0000-7000-8000-000000000001"]
_SPOILT: Final[tuple[tuple[str, Callable[[dict[str, Any]], None]], ...]] = (
    *((f"no {name}", lambda row, name=name: row.pop(name)) for name in ("app", "generation_id", "choice_index")),
    ("the app is a number", _set(app=7)),
    ("no app", _set(app="")),
    ("an app with a slash", _set(app="a/b")),
    ("an id that is none", _set(generation_id="nobody")),
    ("an id that is a list", _set(generation_id=[1])),
    ("a choice below 0", _set(choice_index=-1)),
    ("a choice that is a text", _set(choice_index="first")),
    ("a choice beyond all", _set(choice_index=2**70)),
    ("a length that is a text", _set(shown_length="long")),
    ("a length that is a list", _set(shown_length=[1])),
    ("a length beyond 64 bits", _set(shown_length=2**64)),
    ("a length that is NaN", _set(dwell_ms=Raw("NaN"))),
    ("a length that is infinite", _set(dwell_ms=Raw("1e400"))),
    ("times that are a list", _set(first_at=[1])),
    ("a time that is a text", _set(first_at={"shown": "today"})),
    ("a time that is a map", _set(last_at={"shown": {}})),
    ("votes that are a number", _set(votes=7)),
    ("a vote that is a number", _set(votes={"u": 7})),
    ("a short vote", _set(votes={"u": [*_REGISTER, 1]})),
    ("a long vote", _set(votes={"u": [*_REGISTER, 1, 1.0, "more"]})),
    ("a vote that is NaN", _set(votes={"u": [*_REGISTER, 1, Raw("NaN")]})),
    ("a vote of texts", _set(votes={"u": ["x", "y", 3, "z", "w"]})),
    ("a flag of other types", _set(flags={"wrong": [None, None, None, None, None, None, None]})),
    ("a generation that is short", _set(generation=_REGISTER)),
    ("a generation that is a map", _set(generation={"model": "m"})),
    ("an accept that is null", _set(accept=[None] * 5)),
    ("an accept that is empty", _set(accept=[])),
    ("a check that is a text", _set(retention={"30": "unchanged"})),
)
_SHAPELESS: Final[tuple[tuple[str, bytes | None], ...]] = (
    *(("no JSON", b"no JSON"), ("null", b"null"), ("a list", b"[]"), ("a number", b"7"), ("a text", b'"text"')),
    *(("an empty object", b"{}"), ("junk", bytes(range(256))), ("deep", b"[" * 5000), ("deeper", b'{"a":' * 100_000)),
    *(("NaN", b"NaN"), ("cut off", b'{"app":"innocent","generation_id":"'), ("blanks", b"   ")),
    ("two megabytes", b'{"app":"' + b"x" * (2 << 20) + b'"}'),
    ("another's shape", b'{"app":"innocent","hour":0,"sums":[]}'),
)


def _dead_letter(rng: random.Random, now_ms: int, others: tuple[str, ...]) -> Hostile:
    what, value = rng.choice(_SHAPELESS)
    letter = Hostile(f"dead letter: {what}", DEAD_LETTERS.name, rng.choice((None, b"", b"\xff", b"k")), value)
    return with_headers(rng, letter, now_ms) if rng.random() < 0.8 else letter
