"""Every form of a suite is what its tool reads, and holds hostile text as data."""

import json
import re
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
from pydantic import TypeAdapter

from keeprate.deploy.cases.formats import FORMS
from keeprate.deploy.cases.inert import json_line, template_json, template_text
from keeprate.deploy.cases.suite import Case, SuiteError, read_lines
from keeprate.deploy.commands.cases.export import Form
from tests.unit.cases.serving import serving

HOSTILE = (
    "file:///etc/passwd {{ ''.constructor.constructor('x')() }} {% raw %} {# c #} </script><script>alert(1)</script> "
    '""" \'\'\' \\ \\" \u0000 \u001b[2J \u202e\u2066\u200b\ufeff \u2028 \U000e0041 \U0001f600 \uf8ff\uf8fe{ =1+1'
)
"""A template, a path, a script, the ends of literals, what is not seen, and a formula."""
PLAIN = "Refund within 14 days?"


def cases(text: str) -> list[Case]:
    """A case that holds the text wherever somebody else may write."""
    return [
        Case(
            "c1",
            "support",
            [{"role": "user", "content": text}, {"role": "user", "content": [{"type": "text", "text": text}], text: 1}],
            {"link": "http://page/1", "prompt_version": text, "flag_labels": ["wrong"], "generation_id": "g"},
            [{"check": "distance", "below": 0.33}],
            expected=text,
            output=text,
            prompt_variables={"q": text},
            stages=[{"generation_id": "g", "output": text}, {"generation_id": "h", "output": text}],
        ),
        Case("c2", "support", [{"role": "user", "content": text}], {}, [{"check": "unlike"}], output=text),
    ]


def lines(form: str, text: str) -> list[Any]:
    return [json.loads(line) for line in "".join(FORMS[form].write(cases(text), [])).splitlines()]


def test_the_command_offers_every_form() -> None:
    """And no other; the docs have each."""
    assert set(get_args(Form)) == set(FORMS)
    text = (Path(__file__).parents[3] / "docs" / "cases.md").read_text("utf-8")
    assert all(f"| `{name}` |" in text for name in FORMS)


@pytest.mark.parametrize("text", [PLAIN, HOSTILE])
def test_a_suite_comes_back_as_it_was(text: str) -> None:
    """Character for character, with what is left out."""
    left = [{"left_out": "hashed", "app": "a", "generation_id": "g", "why": "w", "remedy": "r"}]
    written = list(FORMS["jsonl"].write(cases(text), left))
    assert len(written) == 3
    found = read_lines(written)
    assert [each.as_json() for each in found.cases] == [each.as_json() for each in cases(text)]
    assert list(found.left_out) == left


@pytest.mark.parametrize("form", FORMS)
def test_no_form_has_a_character_that_is_not_seen(form: str) -> None:
    """Nor one that a terminal obeys; letters and emoji stay readable in lines of JSON."""
    text = "".join(FORMS[form].write(cases(HOSTILE + "é"), []))
    assert not re.search(
        "[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\U000e0041]", text
    )
    if form == "pytest":
        assert text.isascii()
    else:
        assert "é" in text
        assert "\U0001f600" in text


def test_openai_takes_the_items() -> None:
    """By the types of its own client, which sends them as they are, and by the schema of items in the docs."""
    # Loaded here: the package is large, and all processes that test collect every file.
    from openai import OpenAI
    from openai.types.evals.create_eval_jsonl_run_data_source_param import SourceFileContentContent

    text = (Path(__file__).parents[3] / "docs" / "cases.md").read_text("utf-8")
    schema = json.loads(re.search(r"item_schema.*?```json\n(.*?)```", text, re.DOTALL)[1])  # type: ignore[index]
    for content in (PLAIN, HOSTILE):
        items = lines("openai", content)
        TypeAdapter(list[SourceFileContentContent]).validate_python(items)
        for each in items:
            jsonschema.validate(each["item"], schema, jsonschema.Draft202012Validator)
        with serving({"POST /evals/e/runs": {"id": "r"}}) as (url, sent):
            source: Any = {"type": "file_content", "content": items}
            OpenAI(base_url=url, api_key="none").evals.runs.create("e", data_source={"type": "jsonl", "source": source})
        assert json.loads(sent[0][2])["data_source"]["source"]["content"] == items
    assert lines("openai", PLAIN)[0]["item"]["input"][0] == {"role": "user", "content": PLAIN}


def test_langsmith_takes_the_examples() -> None:
    """By the types of its own client, under the name that older ones and the upload of files know."""
    # It takes a second and a half to load, in each process that collects tests.
    from langsmith.schemas import ExampleCreate

    with pytest.warns(DeprecationWarning, match="reference_outputs"):
        found = [ExampleCreate.model_validate(each) for each in lines("langsmith", HOSTILE)]
    assert found[0].reference_outputs == {"expected": HOSTILE}
    assert found[1].reference_outputs is None


@pytest.mark.parametrize("text", [PLAIN, HOSTILE])
@pytest.mark.filterwarnings("ignore")
def test_langsmith_makes_a_dataset_and_evaluates_it(text: str) -> None:
    """By its own client, towards an API on this machine: it sends what a line says, and gives it to a task."""
    from langsmith import Client, evaluate
    from langsmith.schemas import Example

    examples, server = lines("langsmith", text), str(uuid.uuid4())
    flags = {"dataset_examples_multipart_enabled": True}
    said = {
        "GET /info": {"version": "0.10", "instance_flags": flags},
        f"POST /v1/platform/datasets/{server}/examples": {"example_ids": []},
    }
    with serving(said) as (url, sent):
        client = Client(api_url=url, api_key="none")
        client.create_examples(dataset_id=server, examples=examples)
        (posted,) = [each for each in sent if each[0].endswith("/examples")]
        parts = message_from_bytes(b"content-type: " + posted[1].encode() + b"\n\n" + posted[2]).get_payload()
        found: dict[str, dict[str, Any]] = {}
        for part in parts:
            identity, _, name = str(part.get_param("name", header="content-disposition")).partition(".")  # type: ignore[union-attr]
            found.setdefault(identity, {})[name] = json.loads(part.get_payload(decode=True))  # type: ignore[union-attr, arg-type]
        assert [(each[""]["metadata"], each["inputs"], each.get("outputs")) for each in found.values()] == [
            (example["metadata"], example["inputs"], example["outputs"]) for example in examples
        ]
        own: dict[str, Any] = {"id": uuid.uuid4(), "dataset_id": uuid.uuid4(), "created_at": datetime.now(UTC)}
        results = evaluate(
            lambda inputs: {"output": inputs["messages"][0]["content"]},
            data=[Example(**own, **example) for example in examples],
            evaluators=[
                lambda outputs, reference_outputs: outputs["output"] == (reference_outputs or {}).get("expected")
            ],
            upload_results=False,
            client=client,
        )
        scores = [each["evaluation_results"]["results"][0].score for each in results]
    assert scores == [True, False]


def test_braintrust_has_the_fields_of_a_record() -> None:
    """id, input, expected, metadata and tags: no other."""
    for record in lines("braintrust", HOSTILE):
        assert set(record) == {"id", "input", "expected", "metadata", "tags"}
        assert all(isinstance(tag, str) for tag in record["tags"])


def rendered(text: str) -> str:
    """What Nunjucks makes of a text: only the two expressions that are written here, else it fails the test."""
    plain = re.sub(r'\{\{ "([{#]?)" \}\}', lambda match: {"{": "\0o", "#": "\0h"}.get(match[1], ""), text)
    assert not re.search("[{#]", plain)
    return plain.replace("\0o", "{").replace("\0h", "#")


def test_promptfoo_finds_no_template_and_no_path() -> None:
    """Its variable is one JSON text, which holds when it is rendered twice; values of asserts render to themselves."""
    first, second = lines("promptfoo", HOSTILE.replace("\0", ""))
    text = HOSTILE.replace("\0", "")
    for test, case in zip((first, second), cases(text), strict=True):
        messages = test["vars"]["messages"]
        assert not re.search(r"\{[{%#]|#", messages)
        assert messages.startswith("[")
        assert json.loads(messages) == case.input
        for each in test["assert"]:
            assert not each["value"].startswith("file://")
            assert rendered(each["value"]) == text
        assert not any(str(value).startswith("file://") for value in test["metadata"].values())
    assert [each["type"] for each in first["assert"]] == ["levenshtein"]
    assert [each["type"] for each in second["assert"]] == ["not-levenshtein"]


@pytest.mark.parametrize("text", ["{{a}}", "a{", "{%", "file://x", "package:x", "{{{", "#}", "plain"])
def test_a_template_text_renders_to_itself(text: str) -> None:
    """Whatever stands in it."""
    assert rendered(template_text(text)) == text
    assert json.loads(template_json({text: text})) == {text: text}


def test_unseen_characters_are_escapes_of_json() -> None:
    """Half a pair too, which no file could hold."""
    assert json_line("a\u202eb\U000e0041\ud800") == '"a\\u202eb\\udb40\\udc41\\ud800"'
    assert json.loads(json_line("a\u202eb\U000e0041")) == "a\u202eb\U000e0041"


def test_a_generated_file_of_tests_runs(tmp_path: Path) -> None:
    """Red against what users did not want, green against what they did; hostile text is no code in it."""
    file = tmp_path / "test_cases.py"
    file.write_text("".join(FORMS["pytest"].write(cases(HOSTILE), [])), "utf-8")
    (tmp_path / "answer.py").write_text("import json, sys\nprint(json.load(sys.stdin)['input'][0]['content'])\n")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:langsmith_plugin", str(file)]
    env = {"KEEPRATE_CASES_COMMAND": f"{sys.executable} {tmp_path / 'answer.py'}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "unlike: only 0% differs" in done.stdout
    assert "not possible" not in done.stdout


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "line 1: not JSON"),
        ("[]", "a case is an object"),
        ("{}", "case: None is no name"),
        ('{"case": "a", "input": "x"}', "input: 'x' is not a list"),
        ('{"case": "a", "input": [{}]}', "a role"),
        ('{"case": "a", "expected": 5}', "expected: 5 is not a text"),
        ('{"case": "a"}\n{"case": "a"}', "'a' is there twice"),
        ("", "holds no case"),
    ],
)
def test_what_is_no_suite_is_refused(line: str, says: str) -> None:
    """By line and field, with what would do."""
    with pytest.raises(SuiteError, match=re.escape(says)):
        read_lines(line.splitlines())
