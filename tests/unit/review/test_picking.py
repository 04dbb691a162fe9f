"""Which suggestions teach most: those that contradict themselves, and of each part of the traffic some."""

from datetime import UTC, datetime
from typing import Any

import pytest

from keeprate.deploy.review.picking import contradiction, in_order, listing_of
from keeprate.deploy.review.settings import DEFAULT_QUEUES, Queue
from keeprate.sinks.reading.lists.conditions import CHECK_FATES, FATES, SIGNALS
from keeprate.sinks.reading.lists.listing import Place, Suggestion
from keeprate.sinks.reading.voices import Scales

INFORMATIVE = DEFAULT_QUEUES[-1]
NOTHING: dict[str, Any] = {
    "accepted": False,
    "votes_positive": 0,
    "state": "",
    "negative": False,
    "undone": False,
    "corrections": 0,
    "end_reason": "",
    "app": "app",
    "prompt_version": "v1",
    "model": "m",
    "language": "python",
    "choice_index": 0,
}


def row(number: int, **values: Any) -> Suggestion:
    return Suggestion(Place(0, 0, number, 0, "app"), 0, NOTHING | {"generation_id": str(number)} | values)


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({}, {"accepted": True}),
        ({"accepted": True}, {"accepted": True, "state": "removed"}),
        ({"accepted": True, "state": "unchanged"}, {"accepted": True, "state": "removed"}),
        ({"negative": True, "state": "removed"}, {"negative": True, "state": "unchanged"}),
    ],
    ids=["nothing is known", "one sign", "all speak for it", "all speak against it"],
)
def test_what_speaks_for_and_against_is_more_contradictory(less: dict[str, Any], more: dict[str, Any]) -> None:
    """And what nothing is known of is not contradictory at all."""
    assert 0 <= contradiction(NOTHING | less) < contradiction(NOTHING | more) <= 1


def test_no_part_of_the_traffic_fills_the_queue() -> None:
    """Of equally contradictory ones, each language has its turn, and one that was reviewed waits."""
    rows = [row(number, accepted=True, state="removed", language="python") for number in range(5)]
    rows += [row(9, accepted=True, state="removed", language="go")]
    rows += [row(10, accepted=True, state="removed", language="rust"), row(11, language="rust")]
    ordered = in_order(INFORMATIVE, rows, {("app", "11", 0): frozenset({"ann"})})
    assert [each.values["language"] for each in ordered[:2]] == ["python", "go"]
    assert len(ordered) == len(rows)
    assert ordered[-1].values["generation_id"] == "11"


@pytest.mark.parametrize("queue", DEFAULT_QUEUES, ids=lambda queue: str(queue.name))
def test_a_rule_that_is_called_as_a_list_is_asks_for_that_list(queue: Queue) -> None:
    """One word is one question, on the page's lists and in its queues."""
    asked = listing_of(queue, datetime(2026, 3, 2, tzinfo=UTC), 600, Scales())
    assert (queue.rule in SIGNALS, queue.rule in {**FATES, **CHECK_FATES}) == (
        list(asked.signals) == [queue.rule],
        asked.fate == queue.rule,
    )
