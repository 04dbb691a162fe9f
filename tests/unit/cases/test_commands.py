"""docs/cases.md does what it says; a run that is killed goes on; options and files that are wrong are named."""

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from keeprate.deploy.cases.runs import runs_in
from keeprate.deploy.commands.tree import app
from keeprate.deploy.local import stack

PAGE = (Path(__file__).parents[3] / "docs" / "cases.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def keeprate(*arguments: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["cases", *arguments])
    assert done.exit_code == code, done.output
    return done.output


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of the worked example, in the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("refunds.jsonl").write_text(blocks("jsonl")[0], "utf-8")
    Path("answer.py").write_text(blocks("py")[0], "utf-8")
    return tmp_path


def test_the_worked_example_does_what_it_shows(here: Path) -> None:
    """Every command in its order, and all that it prints."""
    shown = [part for block in blocks("console") for part in block.split("$ ")[1:]]
    assert len(shown) == 6
    for part in shown:
        line, _, expected = part.partition("\n")
        arguments = [each.replace("python ", f"{sys.executable} ") for each in shlex.split(line)[2:]]
        assert keeprate(*arguments, code=int(expected.startswith("red"))) == expected


def test_every_option_on_the_page_is_one_of_the_commands() -> None:
    """An option that was renamed must not stay in the docs."""
    tree = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    commands = [*tree["cases"].commands.values(), tree["suggestions"]]
    options = {name for command in commands for each in command.params for name in (*each.opts, *each.secondary_opts)}
    # bt's own.
    assert set(re.findall(r"--[a-z][a-z-]+", PAGE)) - {"--file"} <= options


def test_a_run_is_json_for_machines(here: Path) -> None:
    """What failed, why, by how much, and what changed; the gate as well."""
    command = f"{sys.executable} answer.py"
    keeprate("run", "refunds.jsonl", "--command", f"{command} v5", "--no-send")
    told = json.loads(keeprate("run", "refunds.jsonl", "--command", f"{command} v4", "--no-send", "--json"))
    assert (told["cases"], told["passed"], told["failed"], told["error"], told["sent"]) == (2, 1, 1, 0, None)
    assert (told["regressions"], told["repairs"]) == (["refund"], [])
    (failure,) = told["failures"]
    assert (failure["case"], failure["verdict"], round(failure["score"], 2)) == ("refund", "failed", 0.48)
    gate = json.loads(keeprate("gate", "refunds.jsonl", "--json", code=1))
    assert (gate["state"], gate["run"], len(gate["reasons"])) == ("red", told["run"], 1)


def test_what_could_not_be_asked_ends_with_1(here: Path) -> None:
    """It is no failure of a version, and the gate does not let it through."""
    text = keeprate(
        "run", "refunds.jsonl", "--command", f"{sys.executable} -c 'import nothing_there'", "--no-send", code=1
    )
    assert "0 failed, 2 without an answer" in text
    assert "ModuleNotFoundError" in text
    assert "2 of 2 cases could not be asked" in keeprate("gate", "refunds.jsonl", code=1)


def test_a_run_that_is_killed_goes_on_where_it_was(here: Path) -> None:
    """Each case is asked once: kill -9 in the middle loses nothing that was there."""
    lines = [json.dumps({"case": f"c{number}", "app": "a", "checks": [{"check": "nonempty"}]}) for number in range(30)]
    Path("many.jsonl").write_text("\n".join(lines))
    Path("slow.py").write_text(
        "import json, sys, time\ncase = json.load(sys.stdin)['case']\n"
        "open('asked', 'a').write(case + ' ')\ntime.sleep(0.1)\nprint('ok')\n"
    )
    arguments = ["run", "many.jsonl", "--command", f"{sys.executable} slow.py", "--no-send", "--parallel", "2"]
    child = subprocess.Popen(stack.keeprate("cases", *arguments), stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not any(len(run.results) >= 4 for run in runs_in(Path("many.runs"))):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    (killed,) = runs_in(Path("many.runs"))
    assert killed.ended_at is None
    told = json.loads(keeprate(*arguments, "--json"))
    assert told["passed"] == 30
    assert told["taken_up"] >= len(killed.results) >= 4
    asked = Path("asked").read_text().split()
    assert set(asked) == {f"c{number}" for number in range(30)}
    # Those that were under way when it died are asked again, and no other.
    assert len(asked) <= 30 + 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "nothing.jsonl", "--command", "x"], "keeprate cases export -o nothing.jsonl"),
        (["run", "refunds.jsonl"], "--command, or --url with --model"),
        (["run", "refunds.jsonl", "--command", "x", "--url", "http://x"], "--command, or --url"),
        (["run", "refunds.jsonl", "--url", "http://x"], "--model"),
        (["run", "refunds.jsonl", "--command", "x", "--check", "fuzzy"], "choose from exact"),
        (["run", "refunds.jsonl", "--command", "x", "--check", "judge"], "--judge-command"),
        (["run", "refunds.jsonl", "--command", "x", "--schema", "answer.py"], "--schema answer.py: not JSON"),
        (["run", "refunds.jsonl", "--send-only"], "nothing to send"),
        (["gate", "refunds.jsonl"], "keeprate cases run refunds.jsonl"),
        (["gate", "answer.py"], "answer.py: line 1: not JSON"),
        (["export", "not-an-id"], "is no UUID"),
    ],
)
def test_what_is_wrong_is_named_with_the_remedy(here: Path, arguments: list[str], says: str) -> None:
    """And nothing is asked: exit code 2."""
    assert says in " ".join(keeprate(*arguments, code=2).split())
