"""The numbers of the page: what groups are called."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeprate.deploy.page.parts.places import name_of
from keeprate.sinks.reading.queries import CohortSegment

AT = datetime(2026, 3, 2, tzinfo=UTC)
VALUES = st.one_of(st.sampled_from(["", "a", "·", " · ", "a · b", '"', '"a"', "(not set)", '"(not set)"']), st.text())


def _name(*values: str) -> str:
    return name_of(CohortSegment(AT, {str(number): value for number, value in enumerate(values)}))


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ((), ""),
        (("",), ""),
        (("v 2",), "v 2"),
        (("editor", "v3"), "editor · v3"),
        (("", "go"), "(not set) · go"),
        (("a · b", "c"), '"a · b" · c'),
    ],
)
def test_a_group_is_called_by_its_values(values: tuple[str, ...], name: str) -> None:
    """In the order of the cut; what was sent without a value says so beside others."""
    assert _name(*values) == name


@given(st.tuples(VALUES, VALUES), st.tuples(VALUES, VALUES))
def test_two_groups_never_share_a_name(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Or the numbers of one would stand for those of the other."""
    assert (_name(*one) == _name(*other)) == (one == other)
