"""Values at and beyond the bounds of the contract, and JSON as no library would write it. Pure.

What a field may hold is read out of the contract's own JSON Schema: a new field is mutated without being named here.
"""

import json
import random
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from keeprate.schemas.decode import NIL_ID
from keeprate.schemas.json_schema import event_schema

DAY_MS: Final = 86_400_000


class Raw(str):
    """A piece of JSON that goes into the text as it is."""

    __slots__ = ()


def text(value: object) -> str:
    """JSON of a value in which Raw pieces stand for themselves, also as names: so a name may be there twice."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{text(name)}:{text(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(text, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def encoded(value: object) -> bytes:
    """The bytes of `text`, lone surrogates and all."""
    return text(value).encode("utf-8", "surrogatepass")


@cache
def schemas() -> dict[str, Mapping[str, Any]]:
    """By type of event, the schema of each of its fields, with null left out."""
    definitions = event_schema()["$defs"]
    by_type: dict[str, Mapping[str, Any]] = {}
    for definition in definitions.values():
        fields = {name: _without_null(field) for name, field in definition["properties"].items()}
        if (kind := fields.get("type", {}).get("const")) is not None:
            by_type[kind] = fields
    return by_type


def _without_null(field: Mapping[str, Any]) -> Mapping[str, Any]:
    for option in field.get("anyOf", ()):
        if option.get("type") != "null":
            return dict(option)
    return field


def odd(rng: random.Random, name: str, field: Mapping[str, Any], now_ms: int) -> object:
    """A value for a field that is at its bounds, beyond them, or of no kind that the field knows."""
    kind = "wrong" if rng.random() < 0.1 else field.get("type", "any")
    if name.endswith("_at") and kind != "wrong":
        return rng.choice(_times(now_ms))
    if name.endswith("_id") and kind != "wrong" and rng.random() < 0.7:
        return identity(rng)
    match kind:
        case "integer" | "number":
            return number(rng, field)
        case "string":
            return words(rng, field)
        case "array" | "object" | "any":
            return structure(rng)
    return rng.choice([number(rng, {}), words(rng, {}), structure(rng), None, True, False, [], {}])


_NUMBERS: Final = (
    *(0, 1, -1, 2**31 - 1, 2**31, 2**32, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**30),
    *(0.5, 1e-7, 1e15, 1e18, 1e300, 1.7976931348623157e308, -1.7976931348623157e308),
    *map(Raw, ("-0", "-0.0", "1.0", "1e3", "1E+2", "1e400", "-1e400", "5e-324", "1e-400", "NaN", "Infinity")),
    *map(Raw, ("-Infinity", "9" * 400, "0." + "3" * 400, "01", "+1", ".5", "1.", "0x10", "1e", "--1", "\u0661")),
    *("1", "", "1e400", True, False, None),
)


def number(rng: random.Random, field: Mapping[str, Any]) -> object:
    """A number: at the field's own bounds and one beyond in half of the cases."""
    bounds = [field[name] for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum") if name in field]
    if bounds and rng.random() < 0.5:
        bound = rng.choice(bounds)
        return rng.choice([bound, bound - 1, bound + 1, float(bound), Raw(f"{float(bound)!r}"), -bound])
    return rng.choice(_NUMBERS)


def _times(now_ms: int) -> list[object]:
    return [
        *(now_ms // 1000, now_ms * 1000, now_ms * 1_000_000, 0, 1, -1, 315_532_799_999, 315_532_800_000),
        *(2_082_758_400_000, 5_000_000_000_000, 253_402_300_799_999, 253_402_300_800_000),
        *(now_ms + DAY_MS - 60_000, now_ms + DAY_MS + 60_000, now_ms + 400 * DAY_MS, now_ms - 400 * DAY_MS),
        *("2026-01-01T00:00:00Z", "2026-01-01", "yesterday", "9999-12-31T23:59:59.999999+00:00", "-1", ""),
        *map(Raw, (f"{now_ms}.0", f"{now_ms}.5", f"{now_ms / 1e12!r}e12", "1e400", "NaN")),
    ]


def identity(rng: random.Random) -> object:
    """An id: of any kind, spelled as some language does, or none."""
    plain = f"{rng.getrandbits(32):08x}-0000-7000-8000-{rng.getrandbits(48):012x}"
    return rng.choice(
        [
            *(
                plain,
                plain.upper(),
                f"{{{plain}}}",
                f"urn:uuid:{plain}",
                plain.replace("-", ""),
                plain[:-1],
                plain + "0",
            ),
            *(
                NIL_ID,
                "ffffffff-ffff-ffff-ffff-ffffffffffff",
                plain.replace("0", "\uff10"),
                f" {plain}",
                f"{plain}\n",
                "",
            ),
            *(Raw(f'"{plain[:-1]}\\u0000"'), Raw(f'"\\u0030{plain[1:]}"'), 7, None, [plain]),
        ]
    )


_WORDS: Final = (
    *("", " ", "a", "NaN", "null", "\\N", "{}", "../..", "a/b/0", "'; DROP TABLE outcomes; --", "x_", "x_y", "X"),
    *(
        "\x1f",
        "a\x1fb",
        "\ufeffbom",
        "\u202eright to left",
        "\u0627\u0644",
        "e\u0301" * 40,
        "👩‍👩‍👧‍👦",
        "\U0010ffff",
        "\n\t\r",
    ),
    *map(Raw, ('"\\ud800"', '"\\udfff\\ud800"', '"\\u0000"', '"a\\u0000b"', '"\\ud83d\\ude00"', '"\\x"', '"open')),
    *map(Raw, ('"tab\tin it"', "'single'", "unquoted", '"\ud800"')),
)


def words(rng: random.Random, field: Mapping[str, Any]) -> object:
    """A text: as long as the field allows and one longer, or made of what breaks texts."""
    longest = min(field.get("maxLength", 200), 1 << 20)
    if options := field.get("enum"):
        return rng.choice([*options, options[0].upper(), f"{options[0]} ", ""])
    if rng.random() < 0.2:
        return rng.choice(["x" * longest, "x" * (longest + 1), "é" * longest, "\U0001f600" * (longest // 2)])
    return rng.choice(_WORDS)


def structure(rng: random.Random) -> object:
    """Something nested, long, repeated, or of a shape that nobody expects."""
    depth = rng.choice([10, 125, 126, 127, 128, 196, 197, 199, 200, 201, 254, 255, 256, 5000])
    message = {"role": "assistant", "content": "x"}
    return rng.choice(
        [
            *(Raw("[" * depth + "]" * depth), Raw('{"a":' * depth + "1" + "}" * depth), Raw("[" * depth)),
            *([message] * rng.choice([1, 63, 64, 65, 1_000, 10_000]), [{**message, "content": Raw("1e400")}]),
            *([{**message, "content": [{"n": 2**70}]}], [{**message, "tool_calls": [Raw("NaN")]}], [message, 1], [{}]),
            *([{**message, "surprise": 1}], [{"role": "", "content": None}], [None], [[]], [""], {}, {"": ""}, "text"),
            *(
                ["t"] * rng.choice([1, 100, 10_000]),
                {"a": "b"},
                {f"k{n}": "v" for n in range(rng.choice([50, 51, 2000]))},
            ),
            *({"n": Raw("1e400")}, {"n": 2**64}, {"n": -(2**63) - 1}, {"n": Raw("-0.0")}, {Raw('"\\ud800"'): 1}),
            *({Raw('"a"'): 1, Raw('"\\u0061"'): 2}, {"k" * 201: "v"}, {"a": 1}, {"text": "x" * 900_000}),
        ]
    )
