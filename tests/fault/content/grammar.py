"""A seed to records of the source topics: events of the contract, mutated, and what else may stand there. Pure.

A third of the events is valid, however odd, a third has one field at or beyond its bounds, and the rest has more.
Ids come from a small pool, so that facts meet, contradict each other and claim to be one another.
"""

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from keeprate.schemas.dead_letters import NAMES
from keeprate.schemas.events import ACTIONS
from keeprate.schemas.topics import FEEDBACK, GENERATIONS, SOURCES, topic_of
from tests.fault.content import values
from tests.fault.content.values import Raw

HOSTILE: Final = "hostile"
"""The app whose events they are, where they are of one."""
Headers = tuple[tuple[bytes, bytes | None], ...]


@dataclass(frozen=True)
class Hostile:
    """A record as it is to stand in Kafka. topic: the registry's name of it.

    what: how it was made, for whoever has to look into it. timestamp_ms: of its own; None for now.
    compressed: the batch is. elsewhere: not in the partition that its key says.
    """

    what: str
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp_ms: int | None = None
    compressed: bool = False
    elsewhere: bool = False


class Events:
    """Events of one app, from one source of chance. others: generations of another app, to be claimed."""

    def __init__(self, rng: random.Random, now_ms: int, app: str = HOSTILE, others: tuple[str, ...] = ()) -> None:
        self.rng, self.now_ms, self.app = rng, now_ms, app
        self._generations = [_identity(rng) for _ in range(12)]
        self._others = others
        self._earlier: list[dict[Any, Any]] = []

    def valid(self, kind: str = "") -> dict[Any, Any]:
        """An event that the contract takes, with values at its bounds."""
        rng = self.rng
        kind = kind or rng.choice(list(_BODIES))
        ids = self._generations
        if self._others and rng.random() < 0.1:
            ids = list(self._others)
        envelope = {
            "type": kind,
            "event_id": _identity(rng),
            "schema_version": 1,
            "occurred_at": self.now_ms - rng.randrange(600_000),
            "app": self.app,
            "generation_id": rng.choice(ids),
        }
        extra = {"user": f"u{rng.randrange(3)}", "choice_index": rng.randrange(3), "revision": rng.randrange(2)}
        return envelope | {name: extra[name] for name in extra if rng.random() < 0.5} | _BODIES[kind](rng)

    def mutated(self) -> tuple[str, dict[Any, Any]]:
        """An event with fields at or beyond their bounds, and what was done to it."""
        event = self.valid()
        done = [event["type"]]
        for _ in range(self.rng.choice((0, 0, 1, 1, 1, 2))):
            mutations = (self._field, self._without, self._claim, self._unknown, self._twice, self._scale)
            (mutate,) = self.rng.choices(mutations, _WEIGHTS)
            done.append(mutate(event))
        self._earlier.append(dict(event))
        return ", ".join(done), event

    def _field(self, event: dict[Any, Any]) -> str:
        fields = values.schemas().get(str(event.get("type")), values.schemas()["vote"])
        name = self.rng.choice(sorted(fields))
        event[name] = values.odd(self.rng, name, fields[name], self.now_ms)
        return f"{name}={_short(event[name])}"

    def _without(self, event: dict[Any, Any]) -> str:
        name = self.rng.choice(list(event))
        del event[name]
        return f"no {name}"

    def _claim(self, event: dict[Any, Any]) -> str:
        """Be an event that was there before: the same id with other content, or all of it in another type."""
        if not self._earlier:
            return "as it is"
        earlier = self.rng.choice(self._earlier)
        names = self.rng.choice((("event_id",), ("event_id", "generation_id"), ("event_id", "occurred_at", "type")))
        event.update({name: earlier[name] for name in names if name in earlier})
        return f"another's {', '.join(names)}"

    def _unknown(self, event: dict[Any, Any]) -> str:
        name = self.rng.choice(("surprise", "", "TYPE", "__proto__", "é", Raw('"\\ud800"'), "x" * 300))
        event[name] = values.structure(self.rng)
        return f"unknown {name[:20]!r}"

    def _twice(self, event: dict[Any, Any]) -> str:
        name = self.rng.choice([name for name in event if type(name) is str])
        event[Raw(f' "{name}"')] = values.odd(self.rng, name, {}, self.now_ms)
        return f"{name} twice"

    def _scale(self, event: dict[Any, Any]) -> str:
        low, score, high = self.rng.choice(_NO_SCALES)
        event.pop("value", None)
        event |= {"score": score, "scale_min": low, "scale_max": high}
        return f"a score of {score} from {low} to {high}"


def _short(value: object) -> str:
    if isinstance(value, list | dict):
        return f"{len(value)} entries"
    return (str(value) if isinstance(value, str) else values.text(value))[:40]


_WEIGHTS: Final = (12, 1, 2, 1, 1, 1)


def _identity(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def _vote(rng: random.Random) -> dict[Any, Any]:
    if rng.random() < 0.5:
        return {"value": rng.choice((-1, 0, 1))}
    low, score, high = rng.choice(_SCALES)
    return {"score": score, "scale_min": low, "scale_max": high}


_SCALES: Final[tuple[tuple[Any, Any, Any], ...]] = (
    *((1, 1, 5), (1, 3, 5), (1, 5, 5), (0, 0.5, 1), (-1e15, 1e15, 1e15), (-1e15, 0, 1e15), (0, 5e-324, 5e-324)),
    *((0, 0, 5e-324), (1, 1, 1.0000000000000002), (Raw("-0.0"), 0, 1), (-(10**15), 0, 10**15)),
)
_NO_SCALES: Final[tuple[tuple[Any, Any, Any], ...]] = (
    *((-1e308, 1e308, 1e308), (-1e308, 0, 1e308), (-1.7e308, 1.7e308, 1.7e308), (0, 1e308, 1.7e308)),
    *((1, 6, 5), (5, 5, 5), (5, 1, 1), (Raw("-1e400"), 0, 1), (0, 0, Raw("1e400")), (2**63, 2**63, 2**64)),
    *((2**53, 2**53 + 1, 2**53 + 2), (-(10**300), 0, 10**300), (0, 1, None), (None, 1, 5)),
)
_MOST: Final = 10**9
"""Of lengths, lines and tokens."""


def _check(rng: random.Random) -> dict[Any, Any]:
    horizon_s = rng.choice((1, 30, 600, 316_224_000))
    length = rng.choice((0, 1, 14, _MOST))
    status = rng.choice(("present", "removed", "unobserved"))
    when = {"horizon_s": horizon_s} if rng.random() < 0.8 else {"moment": rng.choice(("commit", "close"))}
    state: dict[str, Any] = {"original_length": length}
    if status == "present":
        state |= {"current_length": max(length, 1), "distance": max(length, 1), "four_gram": rng.choice((0, 1, 0.5))}
    elif status == "unobserved":
        state = {"reason": "exit"}
    return {**when, "elapsed_ms": horizon_s * 1000 + rng.randrange(3), "status": status, **state}


def _generation(rng: random.Random) -> dict[Any, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": rng.choice(("x", [{"type": "text", "text": "y"}], None, 1, {})),
    }
    fields = {
        "model": rng.choice(("m1", "M1", "🤖", "a/b")),
        "cost_usd": rng.choice((0, 0.01, 999_999.999, 1e-300)),
        "output": [message] * rng.choice((0, 1, 3, 64)),
        "choice_count": rng.choice((1, 64)),
        "latency_ms": rng.choice((0, 250, 86_400_000)),
        "parameters": {"temperature": rng.choice((0, 1.0, 2**63, -(2**63)))},
        "input_tokens": rng.choice((0, 10_000_000)),
    }
    return {name: value for name, value in fields.items() if rng.random() < 0.5}


_CORRECTED: Final = {"corrected_length": _MOST}
_BODIES: Final[dict[str, Callable[[random.Random], dict[Any, Any]]]] = {
    "generation": _generation,
    "action": lambda rng: {
        "action": rng.choice((*ACTIONS, "x_pin")),
        "length": rng.choice((0, 14, _MOST)),
        "dwell_ms": rng.choice((0, 749, 750)),
    },
    "vote": _vote,
    "flag": lambda rng: {"label": rng.choice(("wrong", "a.b:c-d_e")), "status": rng.choice(("set", "unset"))},
    "edit": lambda rng: rng.choice(
        ({"corrected_text": ""}, {"corrected_text": "\x00"}, {"distance": _MOST, "original_length": 0} | _CORRECTED)
    ),
    "retention_check": _check,
    "evaluation": lambda rng: {
        "name": "helpful",
        "annotator_kind": rng.choice(("human", "llm", "code")),
        "value": rng.choice((0, -1e15, 1e15, 10**15, 5e-324)),
        "annotator": rng.choice(("judge", "j\x1fudge")),
    },
}


def source_records(seed: int, count: int, now_ms: int, others: tuple[str, ...]) -> list[Hostile]:
    """So many records of the source topics."""
    rng = random.Random(seed)
    events = Events(rng, now_ms, others=others)
    return [_record(rng, events) for _ in range(count)]


def _record(rng: random.Random, events: Events) -> Hostile:
    if rng.random() < 0.15:
        what, value = rng.choice(_NO_EVENTS)
        record = Hostile(what, rng.choice(SOURCES).name, _identity(rng).encode(), value)
    else:
        what, event = events.mutated()
        value = values.encoded(event)
        if rng.random() < 0.1:
            done, change = rng.choice(_BYTES)
            what, value = f"{what}; {done}", change(value)
        topic = topic_of(str(event.get("type"))).name
        record = Hostile(what, topic, str(event.get("generation_id")).encode("utf-8", "replace"), value)
    if rng.random() < 0.3:
        record = rng.choice(_ENVELOPES)(rng, record, events.now_ms)
    return record


_NO_EVENTS: Final[tuple[tuple[str, bytes | None], ...]] = (
    *(("tombstone", None), ("empty", b""), ("null", b"null"), ("true", b"true"), ("a text", b'"text"'), ("7", b"7")),
    *(("an array", b"[1, 2]"), ("an empty object", b"{}"), ("junk", bytes(range(256))), ("zeros", bytes(1000))),
    *(("5000 deep", b"[" * 5000), ("a megabyte deep", b"[" * (1 << 20)), ("NDJSON", b'{"type":"vote"}\n{}')),
    *(("gzip", b"\x1f\x8b\x08\x00" + bytes(20)), ("protobuf", b"\x0a\x05\x08\x96\x01\x12\x00"), ("blanks", b" \n\t ")),
    *(("a newer version", b'{"type":"vote","schema_version":99}'), ("a riddle", b'{"type":"riddle"}')),
    ("a type that is none", b'{"type":["vote"],"schema_version":1}'),
    ("a version beyond all", b'{"type":"vote","schema_version":1e999}'),
    ("a long number", b'{"type":"vote","schema_version":' + b"9" * 5000 + b"}"),
    ("100,000 attributes", b'{"attributes":{' + b",".join(b'"%d":"v"' % n for n in range(100_000)) + b"}}"),
    ("two megabytes", b'{"pad":"' + b"x" * (2 << 20) + b'"}'),
)
_BYTES: Final[tuple[tuple[str, Callable[[bytes], bytes]], ...]] = (
    ("cut off", lambda value: value[:-5]),
    ("with more behind it", lambda value: value + b"}"),
    ("twice", lambda value: value + value),
    ("with a BOM", lambda value: b"\xef\xbb\xbf" + value),
    ("in UTF-16", lambda value: value.decode("utf-8", "replace").encode("utf-16")),
    ("not UTF-8", lambda value: value.replace(b'"app"', b'"a\xff"')),
    ("a byte that is no UTF-8 in a value", lambda value: value[:-1] + b',"user":"\xc3"}'),
    ("padded", lambda value: b" " * 2000 + value + b"\n" * 2000),
    ("in a list", lambda value: b"[" + value + b"]"),
    ("as a text", lambda value: values.encoded(value.decode("utf-8", "replace"))),
)


def with_headers(rng: random.Random, record: Hostile, now_ms: int) -> Hostile:
    ours = tuple((name.encode(), rng.choice((None, b"", b"join", b"-1", b"\xff", b"9" * 30))) for name in NAMES)
    headers: Headers = rng.choice(
        (
            ((b"\xff\xfe", b"not UTF-8"),),
            ((b"", b""), (b"", None)),
            ((b"\xc3", None), (b"a", b"\xff")),
            ours,
            ours[:-1],
            (*ours, *ours),
            ((b"keeprate-replay-of", b"keeprate.feedback/0/0"),),
            tuple((b"h%d" % n, b"v") for n in range(1_000)),
            ((b"n" * 32_000, b"v" * 32_000),),
        )
    )
    return replace(record, headers=headers)


_ENVELOPES: Final[tuple[Callable[[random.Random, Hostile, int], Hostile], ...]] = (
    with_headers,
    lambda rng, record, now_ms: replace(record, key=rng.choice((None, b"", b"\xff\xfe", b"k" * 10_000, b"\x00"))),
    lambda rng, record, now_ms: replace(record, key=_identity(rng).encode()),
    lambda rng, record, now_ms: replace(record, elsewhere=True),
    lambda rng, record, now_ms: replace(record, topic=rng.choice((GENERATIONS, FEEDBACK)).name),
    lambda rng, record, now_ms: replace(record, compressed=True),
    lambda rng, record, now_ms: replace(
        record, timestamp_ms=rng.choice((0, 1, now_ms + 30 * values.DAY_MS, 253_402_300_800_000, 2**62))
    ),
)
