"""Suggestions to test cases and back, over a real store: exported, run red and green, told on the page."""

import json
import logging
import shlex
import sys
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from keeprate.deploy.cases.making import REASONS
from keeprate.deploy.cases.suite import Suite, read_lines
from keeprate.deploy.commands.tree import app as commands
from keeprate.deploy.page.access.doors import PageAccess
from keeprate.deploy.page.access.viewer import Viewer
from keeprate.deploy.page.app import page
from keeprate.deploy.page.source import Source
from keeprate.deploy.store import StoreProcess
from keeprate.schemas.events import Event
from keeprate.sinks.closed import release_verdicts
from keeprate.sinks.closed.release_verdicts import KeptVerdict
from keeprate.sinks.facts.chain import MOST_STAGES, chain, chains
from keeprate.sinks.reading import queries
from keeprate.sinks.reading.scope import Scope
from keeprate.sinks.store.clickhouse import connect
from tests.desk import APP, happened, hidden, ran
from tests.facts import Facts
from tests.pages import NOW, land

SPAN = ("--since", "2026-01-01", "--until", "2027-01-01")


@pytest.fixture(scope="module")
def url(store: StoreProcess) -> str:
    """A database with the desk, and with an app that hides its content."""
    url = f"{store.url}/cases"
    land(url, [*happened(), *hidden()])
    return url


@pytest.fixture(scope="module")
def api(url: str) -> Iterator[TestClient]:
    """The page over it, at a fixed time."""
    with TestClient(page(Source(url), hosts=("testserver",), now=lambda: NOW)) as client:
        yield client


def export(url: str, out: Path, *arguments: str, code: int = 0) -> tuple[Suite | None, str]:
    """The suite that the command writes, and what it says."""
    asked = ["cases", "export", *arguments, "--store", url, "-o", str(out)]
    done = CliRunner().invoke(commands, asked)
    assert done.exit_code == code, done.output
    return (read_lines(out.read_text("utf-8").splitlines()) if out.exists() else None), done.output


def test_a_flagged_suggestion_becomes_a_case(url: str, tmp_path: Path) -> None:
    """With its chain, its correction, and where it came from; nothing of a user."""
    suite, said = export(url, tmp_path / "s.jsonl", "--app", APP, "--signal", "flagged", *SPAN)
    assert suite is not None
    (case,) = suite.cases
    assert (case.expected, case.expected_from) == ("Only within 14 days.", "correction")
    assert [stage["step"] for stage in case.stages] == ["plan", "answer"]
    assert case.stages[0]["output"][0]["content"] == "look it up"
    assert case.input[1]["content"] == "Refund after a month?"
    source = case.source
    assert (source["prompt_version"], source["model"], source["flag_labels"]) == ("v4", "small", ["wrong"])
    assert source["link"] == f"http://127.0.0.1:8770/suggestions/{APP}/{case.generation_id}"
    assert "u1" not in json.dumps(case.as_json())
    assert "cases: 1, of 1 suggestions" in said
    one, _ = export(url, tmp_path / "one.jsonl", case.generation_id)
    assert one is not None
    assert [each.as_json() for each in one.cases] == [case.as_json()]


def test_a_list_becomes_a_suite_of_distinct_cases(url: str, tmp_path: Path) -> None:
    """The same question under two versions is one case: of what was kept, where one of them was."""
    suite, said = export(url, tmp_path / "s.jsonl", "--app", APP, "--limit", "0", *SPAN)
    assert suite is not None
    questions = [case.input[-1]["content"] for case in suite.cases]
    assert len(questions) == len(set(questions)) == 12 + 2
    assert "cases: 14, of 26 suggestions; 12 ask the same as another" in said
    kept = [case for case in suite.cases if case.expected_from == "kept"]
    assert {case.source["prompt_version"] for case in kept} == {"v5"}
    assert len(kept) == 12


def test_hidden_content_is_said_with_its_remedy(url: str, api: TestClient, tmp_path: Path) -> None:
    """By the command, at the end of a suite that has other cases, and by the page."""
    why, remedy = REASONS["hashed"]
    nothing, said = export(url, tmp_path / "no.jsonl", "--app", "private", *SPAN, code=1)
    assert nothing is None
    assert why in said
    assert remedy in said
    suite, _ = export(url, tmp_path / "s.jsonl", "--signal", "flagged", *SPAN)
    assert suite is not None
    assert [(each["left_out"], each["app"]) for each in suite.left_out] == [("hashed", "private")]
    answer = api.get("/api/cases.jsonl", params={"app": "private", "period": "24h"})
    assert answer.status_code == 404
    assert remedy in answer.json()["error"]["message"]


def test_the_page_gives_the_same_suite_and_logs_who_reads(
    url: str, api: TestClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As a file; a list and one suggestion; in the form that is asked for."""
    suite, _ = export(
        url, tmp_path / "s.jsonl", "--app", APP, "--signal", "flagged", *SPAN, "--page", "http://testserver"
    )
    assert suite is not None
    (case,) = suite.cases
    chosen: dict[str, Any] = {"app": APP, "period": "24h", "signal": "flagged"}
    with caplog.at_level(logging.INFO, logger="keeprate.content"):
        answer = api.get("/api/cases.jsonl", params=chosen)
    assert answer.status_code == 200, answer.text
    assert [each.as_json() for each in read_lines(answer.text.splitlines()).cases] == [case.as_json()]
    assert answer.headers["content-disposition"] == 'attachment; filename="cases.jsonl"'
    assert [f"content of {APP} {case.generation_id}" in line for line in caplog.messages] == [True]
    assert api.get(f"/api/generations/{APP}/{case.generation_id}/cases.jsonl").text == answer.text
    assert "def test_case" in api.get("/api/cases.jsonl", params=chosen | {"format": "pytest"}).text
    wrong = api.get("/api/cases.jsonl", params=chosen | {"format": "csv"})
    assert (wrong.status_code, "choose from jsonl" in wrong.text) == (400, True)


def test_what_a_release_changed_in_its_prompt_is_read_from_its_calls(
    url: str, api: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    """Word by word where both versions send it; whose content was read is logged; who may not read it is told so."""
    at = NOW - timedelta(hours=4)
    said = ("retention", 300, "concurrent", 12, 12, 12, 2, 0.8, 0.5, 0.9, 50.0, 0.0, 0.001, "better", at, 0.0, NOW)
    desk = KeptVerdict(APP, "prompt_version", "", "v5", "v4", at, *said)
    with connect(url) as client:
        release_verdicts.keep(client, [desk])
    asked = {"app": APP, "release": f"{APP}/prompt_version//v5"}
    with caplog.at_level(logging.INFO, logger="keeprate.content"):
        found = api.get("/api/prompts", params=asked).json()
    assert found["old"] == {"version": "v4", "text": "Old prompt.", "same": 1, "calls": 14}
    assert found["new"] == {"version": "v5", "text": "New prompt.", "same": 12, "calls": 12}
    assert found["pieces"] == [["gone", "Old"], ["new", "New"], ["same", " prompt."]]
    assert len({line for line in caplog.messages if line.startswith(f"content of {APP} ")}) == 14 + 12
    assert api.get("/api/prompts", params=asked | {"release": "none"}).json()["old"] is None
    access = PageAccess(lambda connection: Viewer("vic", {APP: "viewer"}, texts_from="reviewer"))
    with TestClient(page(Source(url), ("testserver",), lambda: NOW, access)) as viewer:
        hidden_from = viewer.get("/api/prompts", params=asked).json()
    assert (hidden_from["withheld"], hidden_from["old"], hidden_from["pieces"]) == (True, None, None)


def test_chains_are_read_together_as_each_by_itself(store: StoreProcess) -> None:
    """Up to the root and down to every stage; a circle ends; one that is too long takes nothing from the others."""
    url = f"{store.url}/chains"
    made = Facts("chains")
    events: dict[str, Event] = {}

    def stage(name: str, parent: str = "", at: int = 0) -> None:
        called_by = {"parent_generation_id": str(uuid.uuid5(uuid.NAMESPACE_URL, parent))} if parent else {}
        events[name] = made.generation(name, at, step=name, **called_by)

    stage("root")
    stage("left", "root", 1)
    stage("right", "root", 2)
    stage("leaf", "right", 3)
    stage("circle", "circled")
    stage("circled", "circle", 1)
    stage("alone", "nothing that came")
    stage("long")
    for number in range(MOST_STAGES + 10):
        stage(f"long-{number}", "long", number + 1)
    land(url, events.values())
    ids = {name: event["generation_id"] for name, event in events.items()}
    absent = str(uuid.uuid4())
    last = f"long-{MOST_STAGES + 9}"
    asked = [ids[name] for name in ("leaf", "root", "circle", "alone", last)] + [absent]
    with connect(url) as client:
        together = chains(client, "chains", asked)
        apart = {each: chain(client, "chains", each) for each in asked}
        # Two that could take all room from a third, which is then asked for by itself.
        crowded = chains(client, "chains", [ids["leaf"], ids[last]])
    names = {key: [each["step"] for each in found] for key, found in together.items()}
    assert names[ids["leaf"]] == names[ids["root"]] == ["root", "left", "right", "leaf"]
    assert set(names[ids["circle"]]) == {"circle", "circled"}
    assert names[ids["alone"]] == ["alone"]
    assert names[absent] == []
    assert crowded[ids["leaf"]] == together[ids["leaf"]]
    long = [found.pop(ids[last]) for found in (together, apart, crowded)]
    assert together == apart
    assert {(len(found), found[0]["step"]) for found in long} == {(MOST_STAGES, "long")}
    assert all(ids[last] in {each["generation_id"] for each in found} for found in long)


def test_red_then_green_is_one_story(url: str, api: TestClient, tmp_path: Path) -> None:
    """What users said, the run that went red, the version that mended it, what users keep since; and no rate moves."""
    suite, _ = export(url, tmp_path / "s.jsonl", "--app", APP, "--limit", "0", *SPAN)
    assert suite is not None
    (flagged,) = [case for case in suite.cases if case.expected_from == "correction"]
    scope = Scope(NOW.replace(year=2025), NOW, NOW, ("app",))
    with connect(url) as client:
        before = queries.rates(client, scope), queries.feedback_rates(client, scope)
    assert api.get("/api/cases", params={"app": APP, "period": "1h"}).json() == {"stories": []}
    land(url, [*ran(suite.cases, "v4", 3, flagged.identity), *ran(suite.cases, "v5", 1)])
    with connect(url) as client:
        assert (queries.rates(client, scope), queries.feedback_rates(client, scope)) == before
    (story,) = api.get("/api/cases", params={"app": APP, "period": "24h", "horizon": 300}).json()["stories"]
    assert (story["suite"], story["state"], story["count"]) == ("refunds", "green", len(suite.cases))
    assert (story["red"]["version"], story["red"]["failed"]) == ("v4", 1)
    assert (story["fixed"]["version"], story["fixed"]["repairs"]) == ("v5", [flagged.identity])
    (case,) = story["cases"]
    assert (case["generation_id"], case["flag_labels"], case["why"]) == (
        flagged.generation_id,
        ["wrong"],
        "distance: 80% differs",
    )
    kept = story["retention"]
    assert [
        (kept[side]["version"], kept[side]["numerator"], kept[side]["denominator"]) for side in ("before", "after")
    ] == [
        ("v4", 2, 12),
        ("v5", 12, 12),
    ]
    assert kept["change"]["clear"]
    story_of_it = api.get(f"/api/generations/{APP}/{flagged.generation_id}").json()
    assert [each["label"] for each in story_of_it["events"] if each["type"] == "evaluation"] == ["failed", "passed"]


def test_an_exported_suite_runs_and_gates(url: str, tmp_path: Path) -> None:
    """Red with the old answer, green with the corrected one: by the commands, on what the store gave."""
    file = tmp_path / "refunds.jsonl"
    export(url, file, "--app", APP, "--signal", "flagged", *SPAN)
    runner = CliRunner()
    codes = []
    for answer in ("Yes, within 30 days, at our cost.", "Only within 14 days."):
        command = shlex.join([sys.executable, "-c", f"print({answer!r})"])
        assert runner.invoke(commands, ["cases", "run", str(file), "--command", command, "--no-send"]).exit_code == 0
        codes.append(runner.invoke(commands, ["cases", "gate", str(file)]).exit_code)
    assert codes == [1, 0]
