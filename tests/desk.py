"""A help desk whose version 4 promises too much and whose version 5 does not, as events; and its suite's runs."""

from collections.abc import Iterable
from typing import Any, Final

from keeprate.deploy.cases.runs import CaseResult, SuiteRun
from keeprate.deploy.cases.sending import events_of
from keeprate.deploy.cases.suite import Case
from keeprate.schemas.decode import validate
from keeprate.schemas.events import Event
from keeprate.schemas.ids import uuid7
from tests.facts import START_MS, Facts
from tests.pages import NOW_MS

APP: Final = "desk"
HOUR_MS: Final = 3_600_000
HORIZON_S: Final = 300
_OF: Final = {"v4": ("removed", 6), "v5": ("present", 4)}
"""By version: what becomes of most answers after five minutes, and how many hours ago it was asked."""


def happened() -> list[Event]:
    """Twelve answers of each version; one of version 4 is the last stage of a chain, flagged and corrected."""
    desk = Facts(APP)
    events = [event for version in _OF for number in range(12) for event in _answer(desk, version, number)]
    asked = _at("v4")
    events.append(
        desk.generation("plan", asked - 100, step="plan", input="Refund?", output="look it up", prompt_version="v4")
    )
    said = [{"role": "system", "content": "Old prompt."}, {"role": "user", "content": "Refund after a month?"}]
    events += [
        desk.generation(
            "refund", asked, step="answer", parent_generation_id=events[-1]["generation_id"], prompt_version="v4",
            model="small", input=said, output="Yes, within 30 days, at our cost.", content_mode="full",
        ),
        desk.action("refund", "shown", asked + 10),
        desk.flag("refund", "wrong", at=asked + 20),
        desk.edit("refund", asked + 30, corrected_text="Only within 14 days.", origin="expert"),
    ]  # fmt: skip
    return events


def _at(version: str) -> int:
    return NOW_MS - START_MS - _OF[version][1] * HOUR_MS


def _answer(desk: Facts, version: str, number: int) -> Iterable[Event]:
    name, at = f"{version}-{number}", _at(version) + 1000 * number
    asked = [{"role": "user", "content": f"Question {number}?"}]
    if version == "v5":
        asked.insert(0, {"role": "system", "content": "New prompt."})
    yield desk.generation(name, at, prompt_version=version, input=asked, output="abcd", user=f"u{number}")
    yield desk.action(name, "shown", at + 10)
    yield desk.action(name, "accept", at + 20, accept_seq=1, length=4)
    lost = _OF[version][0] == "removed" and number > 1
    fields = {"occurred_at": START_MS + at + 20 + HORIZON_S * 1000, "accept_seq": 1}
    yield desk.check(name, HORIZON_S, "" if lost else "abcd", **fields)


def hidden(app: str = "private") -> list[Event]:
    """One answer of an app that sends hashes in place of content, flagged."""
    desk = Facts(app)
    at = _at("v4")
    hashed = {"content_mode": "hashed", "input": "3a7bd3e2360a3d29", "output": "eea436fb7c4e1f2d"}
    return [
        desk.generation("secret", at, **hashed),
        desk.action("secret", "shown", at + 10),
        desk.flag("secret", "wrong", at=at + 20),
    ]


def ran(cases: Iterable[Case], version: str, hours_ago: float, *failing: str) -> list[Event]:
    """The evaluations of a run in which some cases fail, dated so long before `NOW`."""
    by_name = {case.identity: case for case in cases}
    run = SuiteRun(_nowhere, {"run": uuid7(), "suite": "refunds", "version": version})
    for name in by_name:
        at = int(NOW_MS - hours_ago * HOUR_MS)
        why = [{"check": "distance", "held": False, "why": "80% differs"}] if name in failing else []
        run.results[name] = CaseResult(name, "failed" if why else "passed", at, uuid7(at), held=why)
    return [validate({"schema_version": 1, **event}) for event in events_of(run, by_name)]


_nowhere: Any = None
