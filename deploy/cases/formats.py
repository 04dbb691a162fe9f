"""Suites in the forms that other tools take. Pure.

OpenAI's evals take lines of `{"item": …}`, promptfoo's `tests: file://…jsonl` takes test cases, LangSmith's
`create_examples` and Braintrust's `bt datasets create --file` take records of input and expected output. promptfoo
renders texts as templates and loads what begins like a file: `inert` sees to that.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Final

from keeprate.deploy.cases.checks import applicable
from keeprate.deploy.cases.inert import LOADED, json_line, python_literal, template_json, template_text
from keeprate.deploy.cases.suite import Case, Json, write_lines
from keeprate.producers.text import MOSTLY_BELOW, length


@dataclass(frozen=True)
class Form:
    """A form of a suite. write: makes its text, of cases and of what is left out. ending: of a file's name."""

    write: Callable[[Iterable[Case], Iterable[Json]], Iterable[str]]
    ending: str
    media_type: str
    meaning: str


def _lines(line: Callable[[Case], Json]) -> Callable[[Iterable[Case], Iterable[Json]], Iterable[str]]:
    return lambda cases, left_out: (json_line(line(case)) + "\n" for case in cases)


def _openai(case: Case) -> Json:
    return {"item": {"case": case.identity, "input": case.input, "expected": case.expected, "source": case.source}}


def _langsmith(case: Case) -> Json:
    inputs = {"messages": case.input} | ({"prompt_variables": case.prompt_variables} if case.prompt_variables else {})
    outputs = None if case.expected is None else {"expected": case.expected}
    return {"inputs": inputs, "outputs": outputs, "metadata": {"case": case.identity, **case.source}}


def _braintrust(case: Case) -> Json:
    given = {"messages": case.input} | ({"prompt_variables": case.prompt_variables} if case.prompt_variables else {})
    tags = sorted({*case.source.get("flag_labels", ()), case.app, *([case.step] if case.step else [])})
    return {"id": case.identity, "input": given, "expected": case.expected, "metadata": case.source, "tags": tags}


def _promptfoo(case: Case) -> Json:
    """A test whose variable `messages` is the whole chat: its prompt is `{{messages}}`."""
    named = {name: str(case.source.get(name, "")) for name in ("prompt_name", "prompt_version", "model")}
    metadata = {"case": case.identity, "link": case.source.get("link", "")}
    metadata |= {name: value for name, value in named.items() if value and not value.startswith(LOADED)}
    asserts = [_assertion(check, case) for check in applicable(case.checks, case)]
    return {"vars": {"messages": template_json(case.input)}, "assert": asserts, "metadata": metadata}


def _assertion(check: Json, case: Case) -> Json:
    name, text = check["check"], case.output if check["check"] == "unlike" else case.expected
    if name in ("distance", "unlike") and text:
        # It takes a number of edits, and up to it is alike, where a suite has a share, and below it is.
        kind, share = ("levenshtein", "below") if name == "distance" else ("not-levenshtein", "from")
        edits = ceil(check.get(share, MOSTLY_BELOW) * length(text)) - 1
        return {"type": kind, "value": template_text(text), "threshold": max(edits, 0)}
    if name in ("exact", "distance"):
        return {"type": "equals", "value": template_text(text or "")}
    if name == "contains":
        return {"type": "contains", "value": template_text(check.get("text", text or ""))}
    # Without any, all answers would pass, and none.
    return {"type": "regex", "value": "\\S"}


_TEST: Final = '''"""Regression tests, made of suggestions by `keeprate cases export --format pytest`.

Say in `answer` how your app answers; or set KEEPRATE_CASES_COMMAND to a program that reads a case as JSON from its
standard input and prints its answer. Needs keeprate and pytest.
"""

import json
import os

import pytest

from keeprate.deploy.cases.checks import failures_of
from keeprate.deploy.cases.subjects import CommandSubject
from keeprate.deploy.cases.suite import Case, read_lines

CASES = read_lines(
    [
{cases}    ]
).cases


def answer(case: Case) -> str:
    """What your app answers: case.input has the messages, case.stages the whole chain."""
    command = os.environ.get("KEEPRATE_CASES_COMMAND")
    if not command:
        pytest.fail("say in answer() how your app answers, or set KEEPRATE_CASES_COMMAND", pytrace=False)
    return CommandSubject(command).answer(case)


@pytest.mark.parametrize("case", CASES, ids=[case.identity for case in CASES])
def test_case(case: Case) -> None:
    failures = failures_of(case, answer(case))
    if failures:
        why = "; ".join(f"{{each.check}}: {{each.why}}" for each in failures)
        pytest.fail(f"{{case.identity}}: {{why}} ({{case.source.get('link', '')}})", pytrace=False)
'''


def _pytest(cases: Iterable[Case], left_out: Iterable[Json]) -> Iterable[str]:
    # A line of JSON in a literal of ASCII, so that nothing that was captured is code.
    lines = "".join(f"        {python_literal(case.as_json())},\n" for case in cases)
    yield _TEST.format(cases=lines)


_NDJSON: Final = "application/x-ndjson"
FORMS: Final[Mapping[str, Form]] = {
    "jsonl": Form(write_lines, "jsonl", _NDJSON, "a suite for keeprate cases run"),
    "pytest": Form(_pytest, "py", "text/x-python", "a file of tests, test_….py"),
    "openai": Form(_lines(_openai), "jsonl", _NDJSON, "items of an OpenAI eval, for a custom data source"),
    "promptfoo": Form(_lines(_promptfoo), "jsonl", _NDJSON, "tests: file://….jsonl, with the prompt {{messages}}"),
    "langsmith": Form(_lines(_langsmith), "jsonl", _NDJSON, "examples for create_examples"),
    "braintrust": Form(_lines(_braintrust), "jsonl", _NDJSON, "records for bt datasets create --file"),
}
"""By name, as `--format` has them."""
