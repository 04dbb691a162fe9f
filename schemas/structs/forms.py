"""Structs made from the declaration of the events: their types, bounds and patterns, and the rules between fields.

Made from what pydantic itself runs, its core schema. A part of it that is not known here raises TypeError when this
module is imported, so that a bound of a new kind is never left out in silence.

A form here may be narrower than there, never wider: of several forms of a value (a text in place of messages) it has
the first, ids are in lower case, messages have no fields of their own. What does not fit is pydantic's to judge.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache, reduce
from operator import or_
from typing import Annotated, Any, Final, Literal, cast

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from keeprate.schemas.decode import EVENT_ADAPTER, NIL_ID, is_too_far_ahead
from keeprate.schemas.events import Between
from keeprate.schemas.free_form import fault_in
from keeprate.schemas.kinds import MAX_NAME, UUID_PATTERN

Schema = Mapping[str, Any]
Check = Callable[..., Any]
"""What a struct of an event has to pass besides its types and bounds: check(event, key, recorded_ms=None).

True, or else false or ValueError. The key, if there is one, has to be the generation's id; recorded_ms as of `decode`.
"""

_CONSTRAINTS: Final[Mapping[str, frozenset[str]]] = {
    "str": frozenset(("min_length", "max_length", "pattern", "to_lower")),
    "int": frozenset(("ge", "le")),
    "float": frozenset(("ge", "le", "lt", "allow_inf_nan")),
    "bool": frozenset(),
    "any": frozenset(),
    "literal": frozenset(("expected",)),
    "nullable": frozenset(("schema",)),
    "list": frozenset(("items_schema", "max_length", "fail_fast")),
    "dict": frozenset(("keys_schema", "values_schema", "max_length")),
    "union": frozenset(("choices", "mode")),
    "definition-ref": frozenset(("schema_ref",)),
    "typed-dict": frozenset(("fields", "cls", "config", "extra_behavior", "computed_fields", "ref")),
}
"""What is known of each kind of schema."""
_KEPT_TEXTS: Final = 4_096
"""Of each pattern: apps, labels and actions are few, and it is quicker to know a text than to match it."""


def _read(schema: Schema, kind: str | None = None) -> Schema:
    """A schema all of which is known. Raises TypeError."""
    known = _CONSTRAINTS.get(schema["type"])
    unknown = schema.keys() - (known or ()) - {"type", "metadata", "serialization"}
    if known is None or unknown or (kind and schema["type"] != kind):
        raise TypeError(f"no struct can be made of the kind {schema['type']} with {sorted(unknown)}")
    return schema


class _Forms:
    """Makes structs of the typed dictionaries of a schema."""

    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions
        self._made: dict[str, type[Struct]] = {}

    def type_of(self, schema: Schema) -> Any:
        """The type whose values are those of a schema, or some of them."""
        kind = _read(schema)["type"]
        if kind == "definition-ref":
            return self._message(schema["schema_ref"])
        if kind == "union" and schema["mode"] == "left_to_right":
            # What fits the first form is no other.
            return self.type_of(schema["choices"][0][0])
        if kind == "nullable":
            return self.type_of(schema["schema"]) | None
        if kind == "literal":
            return Literal[tuple(schema["expected"])]
        if kind == "list":
            return Annotated[list[self.type_of(schema["items_schema"])], _meta(schema)]  # type: ignore[misc]
        if kind == "dict":
            names, values = self.type_of(schema["keys_schema"]), self.type_of(schema["values_schema"])
            return Annotated[dict[names, values], _meta(schema)]  # type: ignore[valid-type]
        plain: dict[str, Any] = {"str": str, "int": int, "float": float, "bool": bool, "any": Any}
        return Annotated[plain[kind], _meta(schema)] if _meta(schema) is not None else plain[kind]

    def event(self, tag: str, schema: Schema) -> type[Struct]:
        """The struct of a type of events. A field that is absent, or null, is None."""
        fields: list[Any] = [
            (name, self.type_of(field["schema"]), *(() if field["required"] else (None,)))
            for name, field in _read(schema, "typed-dict")["fields"].items()
            if name != "type"
        ]
        options: dict[str, Any] = {"tag_field": "type", "tag": tag, "omit_defaults": True, "namespace": {"type": tag}}
        return _struct(schema["cls"].__name__, fields, **options)

    def _message(self, ref: str) -> type[Struct]:
        """The struct of what is within events. Here a field that is absent is told from one that is null."""
        if ref not in self._made:
            schema = _read(self._definitions[ref], "typed-dict")
            fields: list[Any] = [
                (name, self.type_of(field["schema"]))
                if field["required"]
                else (name, self.type_of(field["schema"]) | UnsetType, UNSET)
                for name, field in schema["fields"].items()
            ]
            self._made[ref] = _struct(schema["cls"].__name__, fields)
        return self._made[ref]


def _struct(name: str, fields: list[Any], **options: Any) -> type[Struct]:
    # Nothing in an event refers back to it, so that no collection of garbage has to look.
    return msgspec.defstruct(name, fields, forbid_unknown_fields=True, kw_only=True, gc=False, **options)


def _meta(schema: Schema) -> Meta | None:
    bounds = {name: schema[name] for name in ("ge", "le", "lt", "min_length", "max_length") if name in schema}
    if "pattern" in schema:
        # A text of any length is not matched, and kept, here: no pattern has a longer one.
        bounds.setdefault("max_length", MAX_NAME)
    return Meta(**bounds) if bounds else None


def _checks(schema: Schema, rule: Between | None) -> Check:
    """Compiled, as the registers are: a loop over the fields would take longer than the checks."""
    ids, checks, names = [], [], dict[str, Any]()
    for name, field in schema["fields"].items():
        form = field["schema"]["schema"] if field["schema"]["type"] == "nullable" else field["schema"]
        if form.get("pattern") == UUID_PATTERN and field["required"]:
            ids.append(f"{{event.{name}}}")
        elif (check := _check_of(form)) is not None:
            names[f"_{name}"] = check
            absent = "" if field["required"] else f"event.{name} is None or "
            checks.append(f"({absent}_{name}(event.{name}))")
    names.update(_to_form=_TO_FORM, _forms=b"\0".join([_FORM] * len(ids)), _nil=NIL_ID, _is_ahead=is_too_far_ahead)
    if rule is not None:
        names["_rule"] = rule.rule
        checks.append(f"_rule({', '.join(f'event.{name}' for name in rule.fields)}) is None")
    if ids[-1] != "{event.generation_id}":
        raise TypeError("nothing is known here of an event whose last id is not its generation's, the record's key")
    # What stands between them is in no id, so that none takes a digit from the next one.
    are_ids = f"(ids := f'{'/'.join(ids)}'.encode()).translate(_to_form) == _forms"
    is_keyed = f"(key is None or key == ids[{(len(ids) - 1) * (len(_FORM) + 1)}:])"
    is_dated = "(recorded_ms is None or not _is_ahead(event.occurred_at, recorded_ms))"
    whole = " and ".join((are_ids, is_keyed, "event.event_id != _nil != event.generation_id", *checks, is_dated))
    return cast(Check, eval(f"lambda event, key, recorded_ms=None: {whole}", names))


def _check_of(form: Schema) -> Callable[[Any], Any] | None:
    if form["type"] == "str" and "pattern" in form:
        return _is_id if form["pattern"] == UUID_PATTERN else _pattern(form)
    if form["type"] == "dict" and form["values_schema"]["type"] == "any":
        return lambda values: not fault_in(values)
    if form["type"] == "union":
        return _are_spoken
    if form["type"] == "any" or "any" in (form.get("items_schema") or {}).values():
        raise TypeError("nothing is known here of values of free form but as messages, or as a whole object")
    return None


def _pattern(form: Schema) -> Callable[[str], bool]:
    begin, pattern, end = form["pattern"][0], form["pattern"][1:-1], form["pattern"][-1]
    if begin != "^" or end != "$" or "to_lower" in form:
        raise TypeError(f"{form['pattern']} does not match whole texts as they are")
    # Python's $ would let a line's end pass, and Rust's does not.
    matches = re.compile(pattern, re.ASCII).fullmatch
    return lru_cache(_KEPT_TEXTS)(lambda text: matches(text) is not None)


_FORM: Final = b"00000000-0000-0000-0000-000000000000"
_TO_FORM: Final = bytes(
    ord("0") if chr(byte) in "0123456789abcdef" else byte if byte == ord("-") else 0 for byte in range(256)
)


def _is_id(text: str) -> bool:
    """Whether a text is a UUID in lower case: several times as fast as a pattern."""
    return text.encode().translate(_TO_FORM) == _FORM


def _are_spoken(messages: list[Any]) -> bool:
    for message in messages:
        is_text = type(message.content) is str and message.tool_calls is UNSET
        if not is_text and fault_in(msgspec.to_builtins(message)):
            return False
    return True


def _compile() -> tuple[dict[str, type[Struct]], dict[str, Check]]:
    schema: Any = EVENT_ADAPTER.core_schema
    forms = _Forms({each["ref"]: each for each in schema["definitions"]})
    structs, checks = {}, {}
    for tag, choice in schema["schema"]["choices"].items():
        rule = None
        if choice["type"] == "function-after":
            rule, choice = choice["function"]["function"], choice["schema"]
            if not isinstance(rule, Between):
                raise TypeError(f"{rule} is no rule between fields")
        structs[tag], checks[tag] = forms.event(tag, choice), _checks(choice, rule)
    return structs, checks


STRUCTS, CHECKS = _compile()
"""By type of event, its struct, and the check of one."""

_EVENT: Final = reduce(or_, STRUCTS.values())
decode_struct: Final[Callable[[bytes], Any]] = msgspec.json.Decoder(_EVENT).decode
decode_structs: Final[Callable[[bytes], Any]] = msgspec.json.Decoder(list[_EVENT] | _EVENT).decode  # type: ignore[valid-type]
"""Of a JSON array of events a list; of an event, a struct."""
encode_struct: Final[Callable[[Any], bytes]] = msgspec.json.Encoder().encode
"""Compact JSON, without the fields that are None."""
