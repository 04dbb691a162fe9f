"""docs/extending.md holds: what an addition leaves out is named."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest
import typer

from keeprate.deploy.commands.tree import app
from keeprate.deploy.page.definitions import DEFINITIONS, METRICS
from keeprate.producers.collector.gate.scopes import FEEDBACK_TYPES
from keeprate.schemas.events import Action, Edit, Evaluation, Event, Flag, Generation, RetentionCheck, Vote
from keeprate.schemas.lift import lift
from keeprate.schemas.outcome import FIELDS
from keeprate.sinks.reading.derive import definition

ROOT = Path(__file__).parents[2]
TYPES = ("generation", "action", "flag", "vote", "edit", "retention_check", "evaluation")
NOT_FROM_BROWSERS = {
    "generation": "it would make what others are to judge",
    "evaluation": "a judge's word is no user's",
}
"""Types that a key of scope feedback must not send."""


def _examples(kind: str) -> list[Any]:
    found = json.loads((ROOT / "schemas" / "examples" / "v1" / f"{kind}.json").read_text("utf-8"))
    return found if isinstance(found, list) else [found]


def _commands(command: Any, *names: str) -> list[tuple[str, Any]]:
    groups = getattr(command, "commands", None)
    if groups is None:
        return [(" ".join(names), command)]
    return [found for name, each in groups.items() for found in _commands(each, *names, name)]


COMMANDS = _commands(typer.main.get_command(app))


def test_the_types_here_are_all_there_are() -> None:
    """A type that is added to the union is asked for in all places below."""
    classes = (Generation, Action, Flag, Vote, Edit, RetentionCheck, Evaluation)
    assert len(get_args(Event)) == len(classes) == len(TYPES)


def test_a_type_of_events_touches_a_dozen_places_at_most_and_each_is_there() -> None:
    """docs/extending.md: what a new type needs is a list that one can go through."""
    table = (ROOT / "docs" / "extending.md").read_text("utf-8").split("## A type of events")[1].split("## ")[0]
    places = re.findall(r"^\| \d+ \| ([^|]+) \|", table, re.MULTILINE)
    assert 10 < len(places) <= 12
    named = [name for place in places for name in re.findall(r"`([^`]+)`", place)]
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("kind", TYPES)
def test_a_type_says_something_of_its_suggestion(kind: str) -> None:
    """schemas/lift.py: else its events would be stored and never count."""
    assert all(fact for event in _examples(kind) for _, fact in lift(event))


def test_every_field_of_an_outcome_is_said_by_some_event() -> None:
    """A field that no event fills is dead, or its example is missing."""
    said = {name for kind in TYPES for event in _examples(kind) for _, fact in lift(event) for name in fact}
    assert {field.name for field in FIELDS} - said == set()


def test_every_field_of_an_outcome_is_read_by_the_definition() -> None:
    """sinks/reading/definition.sql: what an outcome keeps is part of what a suggestion comes to."""
    text = definition()
    assert [field.name for field in FIELDS if not re.search(rf"\bo\.{field.name}\b", text)] == []


@pytest.mark.parametrize("kind", TYPES)
def test_a_type_has_a_verb_in_the_sdk(kind: str) -> None:
    """producers/sdk/: an app says it without writing an event by hand."""
    sources = [path.read_text("utf-8") for path in (ROOT / "producers" / "sdk").glob("*.py")]
    assert any(re.search(rf'(_feedback|_say|emit)\w*\(\s*"{kind}"|"type": "{kind}"', text) for text in sources)


@pytest.mark.parametrize("kind", TYPES)
def test_a_type_is_known_to_browsers_or_kept_from_them(kind: str) -> None:
    """producers/collector/gate/scopes.py decides, or a reason stands here."""
    assert (kind in FEEDBACK_TYPES) != (kind in NOT_FROM_BROWSERS)


@pytest.mark.parametrize("kind", TYPES)
def test_a_type_has_its_line_in_a_generations_story(kind: str) -> None:
    """deploy/page/static/drawer.js: else the page shows a bare name."""
    assert f'case "{kind}": return' in (ROOT / "deploy" / "page" / "static" / "drawer.js").read_text("utf-8")


@pytest.mark.parametrize("kind", TYPES)
def test_a_type_is_described(kind: str) -> None:
    """docs/events.md says what it is for."""
    assert f"| `{kind}` |" in (ROOT / "docs" / "events.md").read_text("utf-8")


def test_a_metric_of_the_page_is_defined_in_plain_words() -> None:
    """deploy/page/definitions.py: each rate that is shown can be asked what it means."""
    assert set(METRICS) - set(DEFINITIONS) == set()


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_a_command_teaches_and_is_documented(name: str, command: Any) -> None:
    """Its help says what it does, each option too, and a page of the docs shows it."""
    assert command.help
    assert [each.name for each in command.params if each.param_type_name == "option" and not each.help] == []
    assert len(COMMANDS) > 20
    pages = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    assert any(f"keeprate {name}" in page.read_text("utf-8") for page in pages)
