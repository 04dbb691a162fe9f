"""The doctor: each fault is told with its remedy, and what is well as well."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from keeprate.deploy.doctor import kafka, store, surroundings
from keeprate.deploy.doctor.findings import Diagnosis
from keeprate.schemas.topics import ALL

NAMES = [topic.name for topic in ALL]


def _states(found: Iterable[Diagnosis]) -> list[str]:
    told = list(found)
    assert all(each.remedy for each in told if each.state != "ok")
    return [each.state for each in told]


def test_topics_are_all_there_with_one_count_of_partitions() -> None:
    """Else nothing is joined."""
    assert _states(kafka.existing(dict.fromkeys(NAMES, 12))) == ["ok"]
    assert _states(kafka.existing(dict.fromkeys(NAMES[1:], 12))) == ["fault"]
    assert _states(kafka.existing(dict.fromkeys(NAMES[1:], 12) | {NAMES[0]: 4})) == ["fault"]


@pytest.mark.parametrize(
    ("copies", "wanted", "brokers", "state"), [(3, 3, 3, "ok"), (1, 3, 3, "fault"), (1, 1, 3, "note"), (1, 1, 1, "ok")]
)
def test_copies_are_as_many_as_were_asked_for(copies: int, wanted: int, brokers: int, state: str) -> None:
    """And one copy on several brokers is worth a word."""
    assert _states(kafka.replicated(dict.fromkeys(NAMES, copies), wanted, brokers)) == [state]


def test_rights_are_those_of_the_documents_table() -> None:
    """docs/security.md and the doctor ask for the same."""
    text = (Path(__file__).parents[2] / "docs" / "security.md").read_text("utf-8")
    for process, rights in kafka.RIGHTS.items():
        row = next(line for line in text.splitlines() if re.match(rf"\| {process}s?\b", line))
        cells = [set(re.findall(r"`(keeprate[.-][a-z-]+)`", cell)) for cell in row.split("|")[2:6]]
        assert [set(rights.get(operation, ())) for operation in ("READ", "WRITE")] == cells[:2], process
        groups = kafka.GROUPS[process]
        assert [set(groups.get(operation, ())) for operation in ("READ", "DESCRIBE")] == cells[2:], process


def test_a_right_that_lacks_is_named() -> None:
    """ALL is every one of them."""
    everything = dict.fromkeys(NAMES, frozenset({"ALL"}))
    assert _states(kafka.lacking(everything, kafka.RIGHTS["worker"], "a worker", "topics")) == ["ok"]
    only_read = dict.fromkeys(NAMES, frozenset({"READ"}))
    (found,) = kafka.lacking(only_read, kafka.RIGHTS["sink"], "a sink", "topics")
    assert found.said == "a sink lacks WRITE on keeprate.dead-letters"
    (found,) = kafka.lacking({}, kafka.GROUPS["worker"], "a worker", "groups")
    assert found.said == "a worker lacks READ on keeprate-join"


@pytest.mark.parametrize(
    ("least", "copies", "state"),
    [(2, 3, "ok"), (1, 1, "ok"), (1, 2, "ok"), (2, 1, "fault"), (2, 2, "note"), (1, 3, "note")],
)
def test_acknowledgements_wait_for_as_many_copies_as_can_be_had(least: int, copies: int, state: str) -> None:
    """More than there are stop all writing, all of them stop it when one is away, one of several may lose a record."""
    assert _states(kafka.insync(dict.fromkeys(NAMES, least), dict.fromkeys(NAMES, copies))) == [state]


def test_clocks_versions_and_readers_are_judged() -> None:
    """What is apart, old or may write is told."""
    assert [store.clocks(each).state for each in (-9.0, 0.5)] == ["fault", "ok"]
    assert [store.version(each).state for each in ("24.3.1.2", "25.8.1", "26.9.2.1")] == ["note", "note", "ok"]
    assert _states(store.reader(True)) + _states(store.reader(False)) == ["ok", "note"]
    assert _states([store.answers("who reads", False), store.answers("who reads", True)]) == ["ok", "fault"]


def test_a_variable_that_nobody_reads_is_told() -> None:
    """A mistake in its name would else be a setting that somebody believes in."""
    environ = {"KEEPRATE_KAFKA_PASSWORT": "x", "KEEPRATE_KAFKA_PASSWORD_FILE": "/x", "PATH": "/"}
    (found,) = surroundings.check(environ)
    assert (found.state, found.said) == ("note", "KEEPRATE_KAFKA_PASSWORT is no setting")
    assert _states(surroundings.check({})) == ["ok"]
