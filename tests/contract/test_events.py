"""The events' contract: the committed JSON Schema, the golden examples of every version, and what is refused."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from keeprate.schemas import json_schema
from keeprate.schemas.decode import NIL_ID, ContractError, decode, decode_stored, encode, validate, validate_all
from keeprate.schemas.events import EVENT_TYPES, MAX_EVENT_BYTES, SCHEMA_VERSION, is_late_check
from keeprate.schemas.lift import fold
from keeprate.schemas.outcome import decode_outcome, encode_outcome

DOCS = Path(__file__).parents[2] / "docs/events.md"
EXAMPLES = Path(json_schema.__file__).parent / "examples"
FILES = sorted(EXAMPLES.glob("v*/*.json"))
GENERATION: dict[str, Any] = json.loads((EXAMPLES / "v1/generation.json").read_text())[0]
ACTION: dict[str, Any] = json.loads((EXAMPLES / "v1/action.json").read_text())[0]
CHECK: dict[str, Any] = json.loads((EXAMPLES / "v1/retention_check.json").read_text())[0]
VOTE: dict[str, Any] = json.loads((EXAMPLES / "v1/vote.json").read_text())[0]
EDIT: dict[str, Any] = json.loads((EXAMPLES / "v1/edit.json").read_text())[0]


def _bytes(event: object) -> bytes:
    return json.dumps(event).encode()


def without(event: dict[str, Any], name: str) -> dict[str, Any]:
    """An event that does not say one thing."""
    return {field: value for field, value in event.items() if field != name}


def deep(levels: int) -> dict[str, Any]:
    """Objects within each other, so many."""
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"in": value}
    return value


def test_the_committed_schema_is_the_codes_schema() -> None:
    """A change of the events without `python -m keeprate.schemas.json_schema --write` is found."""
    assert json_schema.PATH.read_text(encoding="utf-8") == json_schema.rendered()


def test_every_type_has_golden_examples_in_the_current_version() -> None:
    """No type of event is without an example."""
    assert {path.stem for path in FILES if path.parent.name == f"v{SCHEMA_VERSION}"} == set(EVENT_TYPES)


def _vectors(name: str) -> list[dict[str, Any]]:
    return list(json.loads((EXAMPLES / f"{name}.v{SCHEMA_VERSION}.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize("vector", _vectors("odd"), ids=lambda vector: str(sorted(vector["given"].keys())[-1]))
def test_odd_examples_are_taken_and_have_one_form(vector: dict[str, Any]) -> None:
    """For clients in other languages: what they may send, and what it becomes. The published schema takes it too."""
    jsonschema.Draft202012Validator(json_schema.event_schema()).validate(vector["given"])
    assert json.loads(encode(decode(_bytes(vector["given"])))) == vector["event"]


@pytest.mark.parametrize("vector", _vectors("refused"), ids=lambda vector: str(vector["field"]))
def test_refused_examples_are_refused_for_their_reason(vector: dict[str, Any]) -> None:
    """For clients in other languages: what they must not send, and what they are told."""
    with pytest.raises(ContractError) as refused:
        decode(_bytes(vector["given"]))
    found = refused.value
    assert {
        "given": vector["given"],
        "error_type": found.error_type,
        "field": found.field,
        "reason": found.reason,
    } == vector


def test_the_docs_have_every_bound() -> None:
    """A number's bounds in docs/events.md are those of the schema, and no field with bounds is left out."""
    bounds = DOCS.read_text(encoding="utf-8").partition("## Bounds")[2].partition("\n<!--")[0]
    rows = [line.split("|") for line in bounds.splitlines() if line.startswith("| `")]
    documented = {name: row for row in rows for name in re.findall(r"`([a-z_]+)`", row[1])}
    for form in json_schema.event_schema()["$defs"].values():
        for name, field in form["properties"].items():
            number = field.get("anyOf", [field])[0]
            most = number.get("maximum", number.get("exclusiveMaximum"))
            if most is not None and (name, form["title"]) not in {("value", "Vote"), ("schema_version", form["title"])}:
                assert str(int(most)) in re.split(r"\W+", documented[name][3]), name
                assert name == "elapsed_ms" or str(int(number["minimum"])) in documented[name][2], name


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
        (_bytes(ACTION | {"schema_version": "1"}), "invalid", "schema_version", "an integer from 1 to 1, got '1'"),
        (_bytes(ACTION | {"schema_version": True}), "invalid", "schema_version", "integer"),
        (_bytes(VOTE | {"value": True}), "invalid", "value", "integer"),
        (_bytes(ACTION | {"type": "applause"}), "unknown_type", "type", "generation"),
        (_bytes(ACTION | {"type": []}), "unknown_type", "type", "generation"),
        (_bytes(ACTION | {"lenght": 3}), "invalid", "lenght", "attributes"),
        (_bytes(ACTION | {"length": "3"}), "invalid", "length", "integer"),
        (
            _bytes(ACTION | {"length": -1}),
            "invalid",
            "length",
            "from 0 to 1000000000 (UTF-16 code units), or nothing, got -1",
        ),
        (_bytes(ACTION | {"action": "aceept"}), "invalid", "action", "x_"),
        (_bytes(ACTION | {"app": "a/b"}), "invalid", "app", "a letter or digit first, got 'a/b'"),
        (_bytes(ACTION | {"generation_id": "1"}), "invalid", "generation_id", "expected a UUID, such as"),
        (_bytes(ACTION | {"generation_id": NIL_ID}), "invalid", "generation_id", "nil UUID"),
        (_bytes(ACTION | {"event_id": NIL_ID}), "invalid", "event_id", "nil UUID"),
        (_bytes(ACTION | {"occurred_at": 1764000000.5}), "invalid", "occurred_at", "looks like seconds"),
        (_bytes(ACTION | {"occurred_at": 1764000000}), "invalid", "occurred_at", "expected: 1764000000000"),
        (_bytes(ACTION | {"occurred_at": 1764000000000000}), "invalid", "occurred_at", "looks like microseconds"),
        (_bytes(ACTION | {"occurred_at": 1764 * 10**15}), "invalid", "occurred_at", "looks like nanoseconds"),
        (_bytes(ACTION | {"occurred_at": 5 * 10**12}), "invalid", "occurred_at", "to 4102444800000"),
        (_bytes(ACTION | {"occurred_at": 315_532_799_999}), "invalid", "occurred_at", "from 315532800000"),
        (_bytes(ACTION | {"occurred_at": "noon"}), "invalid", "occurred_at", "got 'noon'"),
        (_bytes(ACTION | {"type": None}), "unknown_type", "type", "got null"),
        (_bytes(ACTION | {"type": "x" * 1000}), "unknown_type", "type", "xxx…'"),
        (_bytes(ACTION | {"schema_version": 10**40}), "unknown_version", "schema_version", "an integer of 133 bits"),
        (_bytes(ACTION | {"event_id": None}), "invalid", "event_id", "got null"),
        (_bytes(ACTION | {"x" * 1000: 1}), "invalid", "x" * 99 + "…", "no such field"),
        (_bytes(ACTION | {f"f{n}": 1 for n in range(200)}), "too_large", "", "the limit is 100"),
        (_bytes(ACTION | {"choice_index": 64}), "invalid", "choice_index", "from 0 to 63"),
        (_bytes(ACTION | {"revision": 2**31}), "invalid", "revision", "to 2147483647"),
        (_bytes(ACTION | {"dwell_ms": 366 * 86_400_000 + 1}), "invalid", "dwell_ms", "to 31622400000 (milliseconds)"),
        (_bytes(ACTION | {"lines": 10**9 + 1}), "invalid", "lines", "to 1000000000"),
        (_bytes(ACTION | {"formatted": 1}), "invalid", "formatted", "expected true or false, or nothing, got 1"),
        (_bytes(ACTION | {"accept_mode": "robot"}), "invalid", "accept_mode", "one of user, auto, or nothing, got 'ro"),
        (_bytes(ACTION | {"trace_id": "AB"}), "invalid", "trace_id", "32 hexadecimal digits in lower case"),
        (_bytes(ACTION | {"user": ""}), "invalid", "user", "a text of 1 to 200 characters (a salted hash"),
        (_bytes(ACTION | {"user": "\n" * 201}), "invalid", "user", "\\n…'"),
        (
            _bytes(ACTION | {"attributes": ["a"]}),
            "invalid",
            "attributes",
            "expected an object, or nothing, got a list of 1",
        ),
        (_bytes(ACTION | {"attributes": {"a": 1}}), "invalid", "attributes.a", "a text of at most 1048576"),
        (_bytes(ACTION | {"attributes": {"": "a"}}), "invalid", "attributes", "a text of 1 to 200 characters, got ''"),
        (_bytes(ACTION | {"attributes": {str(n): "" for n in range(51)}}), "invalid", "attributes", "more than 50"),
        (
            _bytes(GENERATION | {"cost_usd": 1e300}),
            "invalid",
            "cost_usd",
            "to below 1000000 (US dollars), or nothing, got 1",
        ),
        (_bytes(GENERATION | {"cost_usd": 1_000_000}), "invalid", "cost_usd", "got 1000000"),
        (_bytes(GENERATION | {"cost_usd": -0.5}), "invalid", "cost_usd", "from 0"),
        (_bytes(GENERATION | {"input_tokens": 10**9 + 1}), "invalid", "input_tokens", "to 1000000000"),
        (_bytes(GENERATION | {"output_tokens": 2**70}), "invalid", "output_tokens", "to 1000000000"),
        (_bytes(GENERATION | {"latency_ms": 31 * 86_400_000}), "invalid", "latency_ms", "to 2592000000 (milliseconds)"),
        (_bytes(GENERATION | {"time_to_first_token_ms": 2**40}), "invalid", "time_to_first_token_ms", "to 2592000000"),
        (_bytes(GENERATION | {"choice_count": 65}), "invalid", "choice_count", "from 1 to 64"),
        (_bytes(GENERATION | {"output": ["a"] * 65}), "invalid", "output", "more than 64 entries"),
        (_bytes(GENERATION | {"output": 7}), "invalid", "output", "a list or an object or a text, or nothing, got 7"),
        (
            _bytes(GENERATION | {"output": [{"role": 1, "content": ""}]}),
            "invalid",
            "output.0.role",
            "a text of 1 to 200",
        ),
        (_bytes(GENERATION | {"input": [{"role": "user"}]}), "invalid", "input.0.content", "required, and absent"),
        (_bytes(GENERATION | {"input": ["a", 7]}), "invalid", "input.1", "expected an object or a text, got 7"),
        (_bytes(GENERATION | {"tools_called": ["a"] * 4097}), "invalid", "tools_called", "more than 4096 entries"),
        (_bytes(GENERATION | {"tools_called": ["a", ""]}), "invalid", "tools_called.1", "a text of 1 to 200"),
        (
            _bytes(GENERATION | {"parameters": {str(n): 0 for n in range(4097)}}),
            "invalid",
            "parameters",
            "more than 4096",
        ),
        (_bytes(GENERATION | {"parameters": deep(101)}), "invalid", "parameters", "more than 100 deep"),
        (_bytes(GENERATION | {"output": [{"role": "a", "content": deep(150)}]}), "invalid", "output.0", "100 deep"),
        (_bytes(ACTION | {"occurred_at": 0}), "invalid", "occurred_at", "from 315532800000 to 4102444800000"),
        (_bytes(without(ACTION, "app")), "invalid", "app", "required"),
        (_bytes(VOTE | {"score": 1}), "invalid", "value, score", "exactly one"),
        (_bytes({**VOTE, "value": None, "score": 1}), "invalid", "scale_min, scale_max", "needs both"),
        (
            _bytes({**VOTE, "value": None, "score": 1e300, "scale_max": 1e308}),
            "invalid",
            "score",
            "to 1000000000000000",
        ),
        (_bytes({**VOTE, "value": None, "score": 9, "scale_min": 1, "scale_max": 5}), "invalid", "score", "outside"),
        (_bytes(CHECK | {"elapsed_ms": 29_999}), "invalid", "elapsed_ms", "before the horizon"),
        (_bytes(CHECK | {"moment": "commit"}), "invalid", "horizon_s, moment", "exactly one"),
        (_bytes(CHECK | {"status": "removed"}), "invalid", "current_length", "nothing is left"),
        (_bytes(CHECK | {"current_length": 0}), "invalid", "current_length", "above 0"),
        (_bytes(CHECK | {"distance": 17}), "invalid", "distance", "impossible"),
        (_bytes(CHECK | {"distance": None}), "invalid", "distance", "needs the distance"),
        (_bytes(CHECK | {"status": "unobserved"}), "invalid", "reason", "says why"),
        (_bytes(CHECK | {"horizon_s": 0}), "invalid", "horizon_s", "from 1 to 316224000 (seconds)"),
        (_bytes(CHECK | {"elapsed_ms": 2**53}), "invalid", "elapsed_ms", "to 347846400000"),
        (_bytes(CHECK | {"four_gram": 1.5}), "invalid", "four_gram", "a number from 0 to 1, or nothing, got 1.5"),
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


def test_an_event_dated_a_day_after_its_record_is_refused() -> None:
    """The record's own time decides, so a replay decides the same; where there is none, nothing is asked."""
    value, at_ms = _bytes(ACTION), int(ACTION["occurred_at"])
    for recorded_ms in (at_ms - 86_400_000, at_ms, at_ms + 10**12, 0, -1, None):
        assert decode(value, recorded_ms) == validate(ACTION, recorded_ms) == validate_all([ACTION], recorded_ms)[0]
    with pytest.raises(ContractError, match="more than 24 hours after the event was recorded") as refused:
        decode(value, at_ms - 86_400_001)
    assert refused.value.field == "occurred_at"
    assert str(at_ms - 86_400_001) in refused.value.reason
    with pytest.raises(ContractError, match="more than 24 hours"):
        validate(ACTION, at_ms - 86_400_001)
    assert str(validate_all([ACTION], at_ms - 86_400_001)[0]) == str(refused.value)


@pytest.mark.parametrize("name", ["event_id", "generation_id", "parent_generation_id"])
def test_an_id_in_upper_case_is_the_same_id(name: str) -> None:
    """Swift writes them so; what is compared, hashed and stored is in lower case."""
    given = GENERATION | {"parent_generation_id": GENERATION["event_id"]}
    assert decode(_bytes(given | {name: given[name].upper()})) == decode(_bytes(given))


def test_a_key_in_upper_case_is_refused() -> None:
    """It decides the partition, and another than that of the generation's other events; any other key is a client's."""
    value, identity = _bytes(ACTION | {"generation_id": ACTION["generation_id"].upper()}), ACTION["generation_id"]
    for key in (None, b"", b"\xff", b"my-session", identity.encode()):
        assert decode(value, None, key)["generation_id"] == identity
    with pytest.raises(ContractError, match="write the key in lower case"):
        decode(value, None, identity.upper().encode())


@pytest.mark.parametrize("name", ["input", "output"])
@pytest.mark.parametrize("form", ["text", ["text"], {"role": "{}", "content": "text"}])
def test_a_text_stands_for_a_message(name: str, form: Any) -> None:
    """What the SDK takes is taken everywhere, and is one thing afterwards."""
    role = {"input": "user", "output": "assistant"}[name]
    form = form | {"role": role} if isinstance(form, dict) else form
    assert decode(_bytes(GENERATION | {name: form})).get(name) == [{"role": role, "content": "text"}]


def test_what_else_a_message_holds_is_kept() -> None:
    """Providers add fields; they are content, and judged as content is."""
    message = {"role": "tool", "content": "text", "tool_call_id": "call_1"}
    assert decode(_bytes(GENERATION | {"input": [message]})).get("input") == [message]
    with pytest.raises(ContractError, match=r"^input\.0: "):
        decode(_bytes(GENERATION | {"input": [message | {"seed": 2**64}]}))


def test_of_a_name_given_twice_the_last_is_the_events() -> None:
    """And nothing is left of the first, which other readers would have taken."""
    value = _bytes(ACTION).replace(b"{", b'{"app": "other", ', 1)
    assert value.count(b'"app"') == 2
    assert encode(decode(value)).count(b'"app"') == 1
    assert decode(value) == decode(_bytes(ACTION))


@pytest.mark.parametrize(
    "event",
    [
        GENERATION | {"cost_usd": 1e300, "latency_ms": 2**53, "input_tokens": 2**53},
        GENERATION | {"output": [{"role": "assistant", "content": ""}] * 70, "tools_called": ["a"] * 5000},
        GENERATION | {"parameters": deep(150)},
        ACTION | {"occurred_at": 1, "length": 2**32, "dwell_ms": 2**53},
        without(VOTE, "value") | {"score": 1e308, "scale_min": -1e308, "scale_max": 1e308},
    ],
)
def test_what_an_older_gate_let_in_stays_readable(event: dict[str, Any]) -> None:
    """The bounds are asked of what comes in, and of nothing that is stored; it folds as it did."""
    with pytest.raises(ContractError):
        decode(_bytes(event))
    stored = decode_stored(_bytes(event))
    assert json.loads(encode(stored)) == event
    for key, outcome in fold([stored]).items():
        assert decode_outcome(encode_outcome(key, outcome)) == (key, outcome)


def test_what_is_no_event_at_all_is_no_stored_fact_either() -> None:
    """Reading back is not blind."""
    for value in (b"", b"{", _bytes(ACTION | {"length": "3"}), _bytes({**VOTE, "value": None})):
        with pytest.raises(ContractError):
            decode_stored(value)


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
