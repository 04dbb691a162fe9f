"""The simulator: one world gives one history, and the history tells the story."""

from collections import Counter
from itertools import takewhile
from typing import Any

import pytest

from keeprate.deploy.demo.simulate import EVENTS_PER_SESSION, HOUR_MS, Departure, rhythm, simulate
from keeprate.deploy.demo.story import APPS, DAY_MS, World
from keeprate.deploy.demo.texts import COMPLETIONS, EXTENSIONS, QUESTIONS, Enquiry
from keeprate.producers.text import length, levenshtein
from keeprate.schemas.decode import validate
from keeprate.schemas.events import Event

START = 20_000 * DAY_MS
WORLD = World.over(7, START, 21)


@pytest.fixture(scope="module")
def month() -> list[Departure]:
    """Four weeks at two hundredths of an event a second."""
    return list(simulate(WORLD, START, START + 28 * DAY_MS, 0.02))


@pytest.fixture(scope="module")
def versions(month: list[Departure]) -> dict[str, str]:
    """The prompt's version of every generation."""
    return {
        sent.event["generation_id"]: sent.event.get("prompt_version") or ""
        for sent in month
        if sent.event["type"] == "generation"
    }


def _events(month: list[Departure], versions: dict[str, str], version: str) -> list[dict[str, Any]]:
    distinct = {sent.event["event_id"]: sent.event for sent in month}
    return [dict(event) for event in distinct.values() if versions.get(event["generation_id"]) == version]


def _acceptance(events: list[dict[str, Any]]) -> float:
    shown = {event["generation_id"] for event in events if event.get("action") == "shown"}
    taken = {event["generation_id"] for event in events if event.get("action") in ("accept", "accept_partial")}
    return len(taken & shown) / len(shown)


def _mostly_kept(events: list[dict[str, Any]], horizon_s: int) -> float:
    seen = [event for event in events if event.get("horizon_s") == horizon_s and event["status"] != "unobserved"]
    kept = [
        e for e in seen if e["current_length"] and e["distance"] < 0.33 * max(e["original_length"], e["current_length"])
    ]
    return len(kept) / len(seen)


def test_every_event_is_valid(month: list[Departure]) -> None:
    """The contract takes all of it."""
    for sent in month:
        validate(sent.event)


def test_a_prompt_and_its_answer_are_of_one_kind(month: list[Departure]) -> None:
    """A file's code goes on in its own language, and all steps of an agent's run are of one task."""
    tasks: dict[str, set[str]] = {}
    events: list[dict[str, Any]] = [dict(sent.event) for sent in month if sent.event["type"] == "generation"]
    for event in events:
        asked = event["input"][-1]["content"]
        if event["app"] == "editor":
            text = event["output"][0]["content"] if event.get("output") else ""
            file, _, before = asked.partition("\n\n")
            assert file.endswith(f".{EXTENSIONS[event['language']]}")
            assert not text or (before, text) in COMPLETIONS[event["language"]]
        elif event["app"] == "repo-agent":
            tasks.setdefault(event.get("parent_generation_id") or event["generation_id"], set()).add(asked)
    assert tasks
    assert all(len(each) == 1 for each in tasks.values())


@pytest.mark.parametrize("exchange", QUESTIONS, ids=lambda each: each.question)
def test_a_correction_is_light_or_heavy_as_the_story_has_it(exchange: Enquiry) -> None:
    """By the bound below which a text is mostly kept."""
    for texts, is_heavy in ((exchange.lightly, False), (exchange.heavily, True)):
        for text in texts:
            share = levenshtein(exchange.answer, text) / max(map(length, (exchange.answer, text)))
            assert (share >= 0.33) == is_heavy, (text, share)


def test_one_world_gives_one_history(month: list[Departure]) -> None:
    """The same arguments give the same events with the same ids, in the same order."""
    assert list(simulate(WORLD, START, START + 28 * DAY_MS, 0.02)) == month


def test_another_seed_shares_no_identity(month: list[Departure]) -> None:
    """Two demos side by side do not meet."""
    other = simulate(World.over(8, START, 21), START, START + 2 * DAY_MS, 0.02)
    assert not {sent.event["event_id"] for sent in other} & {sent.event["event_id"] for sent in month}


def test_events_come_in_the_order_of_their_sending(month: list[Departure]) -> None:
    """So the sender only waits for the next one."""
    times = [sent.at for sent in month]
    assert times == sorted(times)


def test_no_event_is_sent_before_it_happens(month: list[Departure]) -> None:
    """Delays only ever add."""
    assert all(sent.at >= sent.event["occurred_at"] for sent in month)


def test_a_span_is_the_sum_of_its_parts(month: list[Departure]) -> None:
    """What begins before a moment and what begins after it are together what begins at any time."""
    middle = START + 9 * DAY_MS + 12_345_678
    parts = [*simulate(WORLD, START, middle, 0.02), *simulate(WORLD, middle, START + 28 * DAY_MS, 0.02)]
    assert sorted(parts, key=_identity) == sorted(month, key=_identity)


def _identity(sent: Departure) -> tuple[int, str]:
    return sent.at, sent.event["event_id"]


def test_a_higher_rate_only_adds(month: list[Departure]) -> None:
    """The history at a low rate is part of the history at a high one, so both may be sent."""
    more = {_identity(sent) for sent in simulate(WORLD, START, START + 3 * DAY_MS, 0.1)}
    fewer = {_identity(sent) for sent in simulate(WORLD, START, START + 3 * DAY_MS, 0.02)}
    assert fewer < more


def test_without_an_end_it_goes_on(month: list[Departure]) -> None:
    """Live, the span is open, and begins with the same events."""
    endless = takewhile(lambda sent: sent.at < START + DAY_MS, simulate(WORLD, START, None, 0.02))
    assert list(endless) == [sent for sent in month if sent.at < START + DAY_MS]


def test_the_rate_is_what_was_asked_for(month: list[Departure]) -> None:
    """Within a tenth, over four weeks."""
    assert len(month) == pytest.approx(0.02 * 28 * 86_400, rel=0.1)
    assert 10 < EVENTS_PER_SESSION < 30


def test_the_rhythm_averages_to_one() -> None:
    """A week's traffic is the rate's, whatever its shape; nights and Sundays are quieter."""
    week = [rhythm(hour * HOUR_MS) for hour in range(168)]
    assert sum(week) / 168 == pytest.approx(1, abs=0.01)
    assert min(week) < 0.3 < 1.5 < max(week)


def test_the_new_completion_prompt_is_accepted_more_and_kept_less(
    month: list[Departure], versions: dict[str, str]
) -> None:
    """The story of the editor."""
    old, new = _events(month, versions, "v3"), _events(month, versions, "v4")
    assert _acceptance(new) > _acceptance(old) + 0.05
    assert _mostly_kept(new, 600) < _mostly_kept(old, 600) - 0.15
    assert _mostly_kept(new, 30) > 0.9


def test_the_new_agent_is_kept_longer_and_fails_less(month: list[Departure], versions: dict[str, str]) -> None:
    """The story of the agent."""
    old, new = _events(month, versions, "2.0"), _events(month, versions, "2.1")
    assert _mostly_kept(new, 86_400) > _mostly_kept(old, 86_400) + 0.1
    assert _failed(new) < _failed(old)


def _failed(events: list[dict[str, Any]]) -> float:
    calls = [event for event in events if event["type"] == "generation"]
    return len([event for event in calls if event["outcome"] == "failed"]) / len(calls)


@pytest.mark.parametrize("model", sorted({model.name for app in APPS for model in app.models}))
def test_no_model_is_slower_than_the_shipped_objective(month: list[Departure], model: str) -> None:
    """Of KeeprateLatencyBudgetBurn, 30 % above 5 s: so no alert stands above the one that the demo is about."""
    calls: list[dict[str, Any]] = [dict(sent.event) for sent in month if sent.event.get("model") == model]
    took = [call["latency_ms"] for call in calls]
    assert len(took) > 100
    assert sum(each > 5000 for each in took) < 0.25 * len(took)


def test_feedback_misbehaves_as_in_life(month: list[Departure], versions: dict[str, str]) -> None:
    """There are duplicates, orphans, feedback ahead of its generation, long delays, revotes and undone flags."""
    seen: Counter[str] = Counter()
    told: set[str] = set()
    for event, at in ((sent.event, sent.at) for sent in month):
        seen["duplicate"] += event["event_id"] in told
        told.add(event["event_id"])
        orphan = event["generation_id"] not in versions
        seen["orphan"] += orphan
        seen["early"] += event["type"] != "generation" and not orphan and event["generation_id"] not in told
        seen["delayed"] += at - event["occurred_at"] > 300_000
        seen["unset"] += event["type"] == "flag" and event["status"] == "unset"
        if event["type"] == "generation":
            told.add(event["generation_id"])
    assert all(seen[name] for name in ("duplicate", "orphan", "early", "delayed", "unset")), seen
    assert seen["orphan"] < len(month) / 50


def test_an_agents_steps_hang_below_its_plan(month: list[Departure]) -> None:
    """Each step but the plan names its parent."""
    steps = [event for event in map(_generation, month) if event and event["app"] == "repo-agent"]
    assert {event.get("step") for event in steps} == {"plan", "search", "edit", "summary"}
    assert all((event.get("step") == "plan") == (event.get("parent_generation_id") is None) for event in steps)


def _generation(sent: Departure) -> Any:
    event: Event = sent.event
    return event if event["type"] == "generation" else None
