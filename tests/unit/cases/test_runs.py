"""Runs: each case once and kept at once, taken up after a kill, compared with the last, and gated."""

import json
import threading
from pathlib import Path

import pytest

from keeprate.deploy.cases.comparing import GatePolicy, compare, decide
from keeprate.deploy.cases.running import run_all, run_one
from keeprate.deploy.cases.runs import (
    CaseResult,
    Green,
    RunError,
    SuiteRun,
    Verdict,
    ended,
    read_green,
    read_run,
    runs_in,
    to_take_up,
    write_green,
)
from keeprate.deploy.cases.sending import events_of
from keeprate.deploy.cases.subjects import SubjectError
from keeprate.deploy.cases.suite import Case
from keeprate.schemas.decode import validate
from keeprate.schemas.ids import uuid7

HEAD = {"suite": "refunds", "digest": "d", "subject": "command x", "version": "v5", "checks": []}
NOW_MS = 1_764_000_000_000


def result(case: str, verdict: Verdict = "passed") -> CaseResult:
    return CaseResult(case, verdict, NOW_MS, uuid7(), error="down" if verdict == "error" else "")


def begun(directory: Path, name: str = "1") -> SuiteRun:
    run = SuiteRun(directory / f"{name}.jsonl", {"run": name, **HEAD})
    run.begin()
    return run


def case(name: str = "a", **fields: object) -> Case:
    source = {"generation_id": "0197c0de-0000-7000-8000-000000000001"}
    return Case(name, "support", [], source, [{"check": "exact"}], **{"expected": "yes"} | fields)  # type: ignore[arg-type]


class Parrot:
    """Answers with the case's name, so many at a time as it finds itself asked."""

    name = "parrot"

    def __init__(self, waits_for: int = 1) -> None:
        self.gate = threading.Barrier(waits_for)

    def answer(self, case: Case) -> str:
        self.gate.wait(20)
        if case.identity == "down":
            raise SubjectError("no answer")
        return case.identity


def test_a_result_outlives_the_process_at_once(tmp_path: Path) -> None:
    """What is read back is what was added, before the run has an end; after it, that it was sent too."""
    run = begun(tmp_path)
    run.add(result("a"))
    run.add(result("b", "failed"))
    back = read_run(run.path)
    assert (back.verdicts, back.ended_at, back.head) == (run.verdicts, None, run.head)
    assert back.results["a"].event_id == run.results["a"].event_id
    run.end(5)
    run.mark_sent(2)
    back = read_run(run.path)
    assert (back.ended_at, back.sent) == (5, 2)


@pytest.mark.parametrize("torn", ["", '{"resu', '{"result": {"case": "c"'])
def test_a_run_that_was_killed_goes_on_where_it_was(tmp_path: Path, torn: str) -> None:
    """A line that was cut off is gone, and the next result does not stick to it."""
    run = begun(tmp_path)
    run.add(result("a"))
    with run.path.open("a") as file:
        file.write(torn)
    found = to_take_up(runs_in(tmp_path), HEAD)
    assert found is not None
    assert list(found.results) == ["a"]
    found.begin()
    found.add(result("b"))
    found.end(9)
    assert list(read_run(run.path).results) == ["a", "b"]
    assert all(json.loads(line) for line in run.path.read_text().splitlines())


@pytest.mark.parametrize("name", ["digest", "subject", "version", "checks"])
def test_another_question_is_another_run(tmp_path: Path, name: str) -> None:
    """And so is the same after it has ended."""
    run = begun(tmp_path)
    assert to_take_up(runs_in(tmp_path), HEAD | {name: "another"}) is None
    run.end(1)
    assert to_take_up(runs_in(tmp_path), HEAD) is None
    assert [each.run for each in ended(runs_in(tmp_path))] == ["1"]


def test_a_file_that_is_no_run_is_named(tmp_path: Path) -> None:
    """With what to do about it."""
    (tmp_path / "x.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(RunError, match=r"x\.jsonl is no run"):
        runs_in(tmp_path)
    (tmp_path / "x.jsonl").write_text('{"head": {}}\nnot json\n{}\n')
    with pytest.raises(RunError, match="move it away"):
        runs_in(tmp_path)


def test_so_many_cases_are_asked_at_a_time() -> None:
    """The four wait for each other, and all get through; one without an answer is an error of its own."""
    found: dict[str, CaseResult] = {}
    cases = [case("yes"), case("no"), case("down"), case("maybe")]
    run_all(cases, Parrot(waits_for=4), [], None, 4, lambda each: found.__setitem__(each.case, each))
    assert {name: each.verdict for name, each in found.items()} == {
        "yes": "passed",
        "no": "failed",
        "down": "error",
        "maybe": "failed",
    }
    assert found["down"].why == "no answer"
    assert found["no"].why == "exact: is not the expected output"


def test_checks_of_the_command_line_are_in_place_of_the_cases() -> None:
    """For every case."""
    assert run_one(case("no"), Parrot(), [{"check": "nonempty"}], None).verdict == "passed"


def test_what_broke_and_what_was_mended_is_named() -> None:
    """A new case that fails is neither, and no answer is no regression."""
    before: dict[str, Verdict] = {"a": "passed", "b": "failed", "c": "passed", "d": "error", "e": "passed"}
    now: dict[str, Verdict] = {"a": "failed", "b": "passed", "c": "error", "d": "passed", "n": "failed"}
    found = compare(before, now)
    assert (found.regressions, found.repairs, found.new_failures) == (["a"], ["b", "d"], ["n"])


def of(**verdicts: Verdict) -> SuiteRun:
    run = SuiteRun(Path("x"), {"run": "1", **HEAD})
    run.results = {name: result(name, verdict) for name, verdict in verdicts.items()}
    return run


UNHELD = {"check": "exact", "held": False, "why": "no"}
GREEN = Green("0", "v4", 1, ["a", "b"])


@pytest.mark.parametrize(
    ("run", "green", "policy", "says"),
    [
        (of(a="passed", b="passed"), None, GatePolicy(), []),
        (of(a="passed", b="failed"), None, GatePolicy(), ["1 of 2 cases passed; --min-pass-rate asks for 100%"]),
        (of(a="passed", b="failed"), None, GatePolicy(0.5), []),
        (
            of(a="passed", b="failed"),
            GREEN,
            GatePolicy(0.5),
            ["1 case fails that passed in the last green run (v4): b"],
        ),
        (of(a="passed", b="failed"), GREEN, GatePolicy(0.5, 1), []),
        (of(a="passed", b="error"), GREEN, GatePolicy(0.5), ["1 of 2 cases could not be asked or judged"]),
        (of(a="passed"), None, GatePolicy(0.5), ["1 of 2 cases have no result"]),
    ],
)
def test_the_gate_says_why(run: SuiteRun, green: Green | None, policy: GatePolicy, says: list[str]) -> None:
    """By rate, by what has no result, and by what passed in the last green run."""
    decision = decide(run, ["a", "b"], "d", green, policy)
    assert (decision.reasons, decision.is_open) == (says, not says)


def test_the_gate_asks_for_a_run_of_the_suite_as_it_is() -> None:
    """A suite that changed since has not been run."""
    (reason,) = decide(of(a="passed"), ["a"], "another", None, GatePolicy()).reasons
    assert "changed" in reason


def test_the_last_green_run_is_kept(tmp_path: Path) -> None:
    """None before the first; what is no such file is named."""
    assert read_green(tmp_path) is None
    write_green(tmp_path, GREEN)
    assert read_green(tmp_path) == GREEN
    (tmp_path / "green.json").write_text("{}")
    with pytest.raises(RunError, match="delete it to begin anew"):
        read_green(tmp_path)


def test_results_are_evaluations_that_any_gate_takes() -> None:
    """By code, with their case, suite, run and version; twice the same; none of a case without a suggestion."""
    run = of(a="passed", b="failed", c="error", hand="passed")
    run.results["b"] = CaseResult("b", "failed", NOW_MS, uuid7(), held=[UNHELD])
    cases = {name: case(name) for name in "abc"} | {"hand": Case("hand", "", [], {}, [])}
    events = list(events_of(run, cases))
    for event in events:
        validate({"schema_version": 1, **event})
    assert [(event["label"], event.get("value")) for event in events] == [("passed", 1), ("failed", 0), ("error", None)]
    assert {event["annotator_kind"] for event in events} == {"code"}
    assert events[1]["explanation"] == "exact: no"
    assert events[0]["attributes"] == {"case": "a", "suite": "refunds", "run": "1", "version": "v5"}
    assert list(events_of(run, cases)) == events
