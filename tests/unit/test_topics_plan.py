"""Which topics are created, and which existing ones are refused."""

import pytest

from keeprate.deploy.topics import TopicsError, plan
from keeprate.schemas.topics import ALL, DEFAULT_PARTITIONS, FEEDBACK, GENERATIONS


def test_nothing_there_means_all_with_the_default_count() -> None:
    """On an empty broker every topic is created with the default partition count."""
    todo = plan({}, None)
    assert (todo.missing, todo.partitions) == (ALL, DEFAULT_PARTITIONS)


def test_missing_topics_take_the_count_of_the_existing_ones() -> None:
    """A topic that is added later gets the partition count that the others have."""
    todo = plan({GENERATIONS.name: 12, "somebody.else": 1}, None)
    assert todo.partitions == 12
    assert todo.existing == (GENERATIONS,)


def test_two_counts_are_refused_by_name() -> None:
    """Topics that are joined and disagree in their partition count are named, with their counts."""
    with pytest.raises(TopicsError, match=r"keeprate\.generations 4, keeprate\.feedback 8"):
        plan({GENERATIONS.name: 4, FEEDBACK.name: 8}, None)


def test_a_wish_does_not_change_an_existing_count() -> None:
    """The count of existing topics is fixed for life: asking for another one is refused."""
    with pytest.raises(TopicsError, match="--partitions 8"):
        plan({GENERATIONS.name: 4}, 8)
