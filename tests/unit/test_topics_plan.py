"""Which topics are created, which existing ones are refused, and which of their settings differ."""

import pytest

from keeprate.deploy.topics import SettingDifference, TopicsError, compare, plan
from keeprate.schemas.topics import ALL, DEFAULT_PARTITIONS, FEEDBACK, GENERATIONS, OUTCOMES


def test_nothing_there_means_all_with_the_default_count() -> None:
    """On an empty broker every topic is created with the default partition count."""
    todo = plan({}, None)
    assert (todo.missing, todo.partitions) == (ALL, DEFAULT_PARTITIONS)
    assert plan({}, None, by_default=2).partitions == 2
    assert plan({GENERATIONS.name: 12}, None, by_default=2).partitions == 12


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


def test_a_setting_that_differs_is_named_with_both_values() -> None:
    """A topic that a broker made by itself keeps records for a week and never compacts: both are told, and no more."""
    made_by_the_broker = {**OUTCOMES.config, "cleanup.policy": "delete", "retention.ms": "604800000", "segment.ms": "1"}
    assert compare({OUTCOMES.name: made_by_the_broker}) == (
        SettingDifference(OUTCOMES.name, "cleanup.policy", "delete", "compact,delete"),
        SettingDifference(OUTCOMES.name, "retention.ms", "604800000", OUTCOMES.config["retention.ms"]),
    )


def test_the_order_of_a_policy_and_topics_that_are_absent_do_not_differ() -> None:
    """`delete,compact` is the same policy, and a topic that is not there has no settings."""
    assert compare({OUTCOMES.name: {**OUTCOMES.config, "cleanup.policy": "delete,compact"}}) == ()
