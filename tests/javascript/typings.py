"""The events' TypeScript types, made from the published schema: `python -m tests.javascript.typings` writes them."""

import json
import re
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
PATH: Final = ROOT / "producers" / "js" / "src" / "events.ts"
_FILLED_IN: Final = ("event_id", "schema_version", "occurred_at", "app")
_HEAD: Final = """\
/** The events of the contract. Made from schemas/event.v1.schema.json by `python -m tests.javascript.typings`. */
"""


def typings() -> str:
    """The module, whole."""
    schema = json.loads((ROOT / "schemas" / "event.v1.schema.json").read_text("utf-8"))
    kinds: dict[str, Any] = schema["$defs"]
    events = [name for name, kind in kinds.items() if "type" in kind["properties"]]
    shared = [name for name in kinds["Vote"]["properties"] if all(name in kinds[each]["properties"] for each in events)]
    parts = [_HEAD, _interface("Message", kinds["Message"], (), "extends Record<string, unknown> ")]
    envelope = {**kinds["Vote"], "description": "What every event carries. What is optional here the client fills in."}
    left_out = [name for name in envelope["properties"] if name not in shared or name == "type"]
    parts.append(_interface("Envelope", envelope, left_out, ""))
    hidden = [name for name in shared if name != "type"]
    parts += [_interface(name, kinds[name], hidden, "extends Envelope ") for name in events]
    parts.append("/** Any event. */\nexport type Event = " + " | ".join(events) + ";\n")
    return "\n".join(parts)


def _interface(name: str, kind: dict[str, Any], left_out: list[str] | tuple[str, ...], base: str) -> str:
    lines = [f"/** {kind['description'].splitlines()[0]} */", f"export interface {name} {base}{{"]
    for field, shape in kind["properties"].items():
        if field in left_out:
            continue
        if said := _description(shape):
            lines.append(f"  /** {said} */")
        optional = field not in kind["required"] or field in _FILLED_IN
        lines.append(f"  {field}{'?' if optional else ''}: {_type(shape)};")
    return "\n".join([*lines, "}", ""])


def _description(shape: dict[str, Any]) -> str:
    said = [each.get("description", "") for each in (shape, *shape.get("anyOf", ()))]
    return next(filter(None, said), "")


def _type(shape: dict[str, Any]) -> str:
    if "$ref" in shape:
        return str(shape["$ref"]).rpartition("/")[2]
    if "anyOf" in shape:
        return " | ".join(dict.fromkeys(_type(each) for each in shape["anyOf"]))
    if "const" in shape:
        return json.dumps(shape["const"])
    if "enum" in shape:
        return " | ".join(map(json.dumps, shape["enum"]))
    match shape.get("type"):
        case "integer" | "number":
            return "number"
        case "array":
            inner = _type(shape["items"])
            return f"({inner})[]" if re.search(r"\W", inner) else f"{inner}[]"
        case "object":
            inside = shape.get("additionalProperties")
            return f"Record<string, {_type(inside) if isinstance(inside, dict) else 'unknown'}>"
        case str(plain):
            return plain
    return "unknown"


if __name__ == "__main__":
    PATH.write_text(typings(), "utf-8")
