"""The events' contract: the committed JSON Schema, the golden examples of every version, and what is refused."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from keeprate.schemas import json_schema
from keeprate.schemas.decode import NIL_ID, ContractError, decode, encode
from keeprate.schemas.events import EVENT_TYPES, MAX_EVENT_BYTES, SCHEMA_VERSION, is_late_check

EXAMPLES = Path(json_schema.__file__).parent / "examples"
FILES = sorted(EXAMPLES.glob("v*/*.json"))
GENERATION: dict[str, Any] = json.loads((EXAMPLES / "v1/generation.json").read_text())[0]
ACTION: dict[str, Any] = json.loads((EXAMPLES / "v1/action.json").read_text())[0]
CHECK: dict[str, Any] = json.loads((EXAMPLES / "v1/retention_check.json").read_text())[0]
VOTE: dict[str, Any] = json.loads((EXAMPLES / "v1/vote.json").read_text())[0]
EDIT: dict[str, Any] = json.loads((EXAMPLES / "v1/edit.json").read_text())[0]


def _bytes(event: object) -> bytes:
    return json.dumps(event).encode()


def test_the_committed_schema_is_the_codes_schema() -> None:
    """A change of the events without `python -m keeprate.schemas.json_schema --write` is found."""
    assert json_schema.PATH.read_text(encoding="utf-8") == json_schema.rendered()


def test_every_type_has_golden_examples_in_the_current_version() -> None:
    """No type of event is without an example."""
    assert {path.stem for path in FILES if path.parent.name == f"v{SCHEMA_VERSION}"} == set(EVENT_TYPES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_golden_examples_decode_and_agree_with_the_schema(path: Path) -> None:
    """Examples of every version are accepted by the reader and by the published schema, and survive a round trip."""
    validator = jsonschema.Draft202012Validator(json_schema.event_schema())
    examples = json.loads(path.read_text())
    assert examples
    for example in examples:
        assert example["type"] == path.stem
        validator.validate(example)
        event = decode(_bytes(example))
        assert decode(encode(event)) == {name: value for name, value in example.items() if value is not None}


@pytest.mark.parametrize(
    ("value", "error_type", "field", "words"),
    [
        (None, "empty", "", "no value"),
        (b"", "empty", "", "no value"),
        (b"{", "not_json", "", "one JSON object"),
        (b"\xff\xfe", "not_utf8", "", "UTF-8"),
        (b'"text"', "invalid", "", "not a JSON object"),
        (b"[]", "invalid", "", "not a JSON object"),
        (b"[" * 100_000, "not_json", "", "one JSON object"),
        (b" " * (MAX_EVENT_BYTES + 1), "too_large", "", "limit"),
        (_bytes(ACTION | {"schema_version": 2, "novelty": 1}), "unknown_version", "schema_version", "upgrade"),
        (_bytes(ACTION | {"schema_version": "1"}), "invalid", "schema_version", "integer"),
        (_bytes(ACTION | {"schema_version": True}), "invalid", "schema_version", "integer"),
        (_bytes(VOTE | {"value": True}), "invalid", "value", "integer"),
        (_bytes(ACTION | {"type": "applause"}), "unknown_type", "type", "generation"),
        (_bytes(ACTION | {"type": []}), "unknown_type", "type", "generation"),
        (_bytes(ACTION | {"lenght": 3}), "invalid", "lenght", "attributes"),
        (_bytes(ACTION | {"length": "3"}), "invalid", "length", "integer"),
        (_bytes(ACTION | {"length": -1}), "invalid", "length", "greater"),
        (_bytes(ACTION | {"action": "aceept"}), "invalid", "action", "x_"),
        (_bytes(ACTION | {"app": "a/b"}), "invalid", "app", "pattern"),
        (_bytes(ACTION | {"generation_id": "1"}), "invalid", "generation_id", "pattern"),
        (_bytes(ACTION | {"generation_id": NIL_ID}), "invalid", "generation_id", "nil UUID"),
        (_bytes(ACTION | {"event_id": NIL_ID}), "invalid", "event_id", "nil UUID"),
        (_bytes(ACTION | {"occurred_at": 1764000000.5}), "invalid", "occurred_at", "integer"),
        (_bytes(ACTION | {"occurred_at": 0}), "invalid", "occurred_at", "greater"),
        (_bytes({key: value for key, value in ACTION.items() if key != "app"}), "invalid", "app", "required"),
        (_bytes(VOTE | {"score": 1}), "invalid", "value, score", "exactly one"),
        (_bytes({**VOTE, "value": None, "score": 1}), "invalid", "scale_min, scale_max", "needs both"),
        (_bytes({**VOTE, "value": None, "score": 9, "scale_min": 1, "scale_max": 5}), "invalid", "score", "outside"),
        (_bytes(CHECK | {"elapsed_ms": 29_999}), "invalid", "elapsed_ms", "before the horizon"),
        (_bytes(CHECK | {"moment": "commit"}), "invalid", "horizon_s, moment", "exactly one"),
        (_bytes(CHECK | {"status": "removed"}), "invalid", "current_length", "nothing is left"),
        (_bytes(CHECK | {"current_length": 0}), "invalid", "current_length", "above 0"),
        (_bytes(CHECK | {"distance": 17}), "invalid", "distance", "impossible"),
        (_bytes(CHECK | {"distance": None}), "invalid", "distance", "needs the distance"),
        (_bytes(CHECK | {"status": "unobserved"}), "invalid", "reason", "says why"),
        (_bytes({**EDIT, "distance": None, "corrected_text": None}), "invalid", "corrected_text, distance", "give"),
        (_bytes(EDIT | {"original_length": None}), "invalid", "original_length, corrected_length", "needs both"),
    ],
)
def test_a_refusal_names_the_field_and_the_remedy(value: bytes | None, error_type: str, field: str, words: str) -> None:
    """Bad input gives a ContractError of a closed type that says where and why."""
    with pytest.raises(ContractError) as refused:
        decode(value)
    assert (refused.value.error_type, refused.value.field) == (error_type, field)
    assert words in refused.value.reason


def test_not_a_number_is_refused() -> None:
    """JSON has no NaN, and a mean over one would be lost."""
    with pytest.raises(ContractError, match="score"):
        decode(_bytes({**VOTE, "value": None, "score": float("nan"), "scale_min": 0, "scale_max": 1}))


@pytest.mark.parametrize(
    "number", ["NaN", "-Infinity", "1e999", '[0, {"deep": -1e0400}]', "1" * 400 + ".0", str(2**64), str(-(2**63) - 1)]
)
def test_no_number_of_free_form_is_too_large_for_a_reader(number: str) -> None:
    """What one reader takes and another does not is refused by all, so that stream and facts agree."""
    value = _bytes(GENERATION | {"parameters": {"x": 0}}).replace(b'{"x": 0}', f'{{"x": {number}}}'.encode())
    with pytest.raises(ContractError, match="beyond 64 bits"):
        decode(value)


@pytest.mark.parametrize("number", ["1e300", "0.5", "1e-999", str(2**64 - 1), str(-(2**63))])
def test_other_numbers_of_free_form_are_kept(number: str) -> None:
    """What only looks like one is no reason to refuse."""
    value = _bytes(GENERATION | {"parameters": {"x": 0}}).replace(b'{"x": 0}', f'{{"x": {number}}}'.encode())
    assert decode(value)["type"] == "generation"
    assert decode(_bytes(GENERATION | {"error_message": "got NaN, Infinity and 1e999"}))["type"] == "generation"


@pytest.mark.parametrize(
    ("horizon_s", "elapsed_ms", "late"),
    [(30, 45_000, False), (30, 45_001, True), (600, 660_000, False), (600, 660_001, True)],
)
def test_a_check_is_late_beyond_fifteen_seconds_or_a_tenth(horizon_s: int, elapsed_ms: int, late: bool) -> None:
    """The larger of 15 s and 10 % of the horizon is the slack."""
    assert is_late_check(horizon_s, elapsed_ms) is late
