"""Checks: each holds of what it should, and says in words why not; what is no check is refused before anything runs."""

from typing import Any

import pytest

from keeprate.deploy.cases.checks import CheckError, Judgement, applicable, apply, checked, failures_of, read_option
from keeprate.deploy.cases.suite import Case


def case(**fields: Any) -> Case:
    return Case(
        "c", "app", [], {}, **{"checks": [], "expected": "Within 14 days.", "output": "Within 30 days."} | fields
    )


@pytest.mark.parametrize(
    ("check", "answer", "held"),
    [
        ({"check": "exact"}, "Within 14 days.\r\n", True),
        ({"check": "exact"}, "Within 14 days", False),
        ({"check": "distance"}, "Within 14 day", True),
        ({"check": "distance", "below": 0.05}, "Within 14 day", False),
        ({"check": "distance", "below": 0}, "Within 14 days.", True),
        ({"check": "contains"}, "Well: Within 14 days. Yes.", True),
        ({"check": "contains", "text": "refund"}, "Within 14 days.", False),
        ({"check": "unlike"}, "Within 30 days!", False),
        ({"check": "unlike"}, "No, that is not possible any more.", True),
        ({"check": "nonempty"}, " \n", False),
        ({"check": "schema", "schema": {"type": "object", "required": ["a"]}}, '{"a": 1}', True),
        ({"check": "schema", "schema": {"type": "object", "required": ["a"]}}, "{}", False),
        ({"check": "schema", "schema": {"properties": {"a": {"type": "string"}}}}, '{"a": 1}', False),
        ({"check": "schema", "schema": {}}, "no JSON", False),
        ({"check": "schema", "schema": {}}, "[" * 200_000, False),
    ],
)
def test_a_check_holds_or_says_why_not(check: dict[str, Any], answer: str, held: bool) -> None:
    """The project's own distance; line ends at the end do not matter."""
    found = apply(checked(check), case(), answer)
    assert found.held is held
    assert bool(found.why) is not held


def test_a_judge_decides_by_its_score() -> None:
    """At least so much; its reason is the reason."""

    def judge(case: Case, answer: str) -> Judgement:
        return Judgement(0.6, "half of it")

    assert apply({"check": "judge", "least": 0.6}, case(), "x", judge).held
    found = apply({"check": "judge", "least": 0.7}, case(), "x", judge)
    assert (found.held, found.score, found.why) == (False, 0.6, "half of it")
    with pytest.raises(CheckError, match="--judge-command"):
        apply({"check": "judge"}, case(), "x")


@pytest.mark.parametrize(
    ("check", "says"),
    [
        ("exact", "choose from exact"),
        ({"check": "fuzzy"}, "fuzzy"),
        ({"check": "distance", "below": 2}, "below: 2 is no share"),
        ({"check": "distance", "below": True}, "below"),
        ({"check": "contains", "text": 5}, "text"),
        ({"check": "exact", "below": 0.3}, "takes no 'below'"),
        ({"check": "schema"}, "no JSON schema"),
        ({"check": "schema", "schema": {"type": "nothing"}}, "schema"),
    ],
)
def test_what_is_no_check_is_refused(check: Any, says: str) -> None:
    """By its name and field."""
    with pytest.raises(CheckError, match=says):
        checked(check)


def test_a_schema_fetches_nothing() -> None:
    """What it refers to by address is a fault of the check, not a request."""
    with pytest.raises(CheckError, match=r"refers to .*elsewhere"):
        apply({"check": "schema", "schema": {"$ref": "http://127.0.0.1:9/elsewhere"}}, case(), "{}")


@pytest.mark.parametrize(
    ("text", "check"),
    [
        ("exact", {"check": "exact"}),
        ("distance=0.2", {"check": "distance", "below": 0.2}),
        ("contains=a=b", {"check": "contains", "text": "a=b"}),
        ("judge=0.7", {"check": "judge", "least": 0.7}),
    ],
)
def test_the_command_line_has_checks_too(text: str, check: dict[str, Any]) -> None:
    """With their share or text."""
    assert read_option(text) == check


@pytest.mark.parametrize("text", ["distance=much", "distance=7", "exact=1", "nothing"])
def test_a_wrong_option_is_refused(text: str) -> None:
    """It names what was given."""
    with pytest.raises(CheckError):
        read_option(text)


def test_a_check_without_the_output_it_needs_is_left_out() -> None:
    """Where none is left, that there is an answer."""
    without = case(expected=None)
    both = [{"check": "distance"}, {"check": "contains", "text": "days"}]
    assert applicable(both, without) == [{"check": "contains", "text": "days"}]
    assert applicable([{"check": "exact"}], without) == [{"check": "nonempty"}]
    assert applicable([{"check": "unlike"}], case(output=None)) == [{"check": "nonempty"}]


def test_a_generated_test_asks_for_the_failures() -> None:
    """None where all hold."""
    one = case(checks=[{"check": "distance"}, {"check": "contains", "text": "14"}])
    assert failures_of(one, "Within 14 days.") == []
    assert [each.check for each in failures_of(one, "Never.")] == ["distance", "contains"]
