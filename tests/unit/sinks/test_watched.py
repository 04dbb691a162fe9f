"""The metrics that are watched: each once, with its successes, also where these follow from what was usual."""

import pytest

from keeprate.sinks.closed import watched
from keeprate.sinks.closed.watched import METRICS, Success, Tally, counted, named


def tallies(**outcomes: int) -> list[Tally]:
    return [(0, tuple(("s", outcome, number) for outcome, number in outcomes.items()))]


SIZES: list[Tally] = [(0, (("s", "0.25", 10), ("s", "0.5", 40), ("s", "1", 44), ("s", "2", 4), ("s", "+Inf", 2)))]


def test_every_metric_is_of_batches_that_close() -> None:
    """Named once, and found again by its name, its kind and what it closes with."""
    names = [each.name for each in METRICS]
    assert len(names) == len(set(names))
    for name in [*(each for each in names if not each.endswith("_")), "retention_600", "judge_grounded"]:
        kind = watched.kind_of(name)
        assert name in watched.names(kind)
        assert kind in watched.kinds(watched.closed_as(name)) or kind.startswith("judge_")


def test_a_size_is_a_rate_above_the_bound_nearest_to_a_quantile() -> None:
    """Half of 100 are above half a second, six above one."""
    assert named("latency_over_p50").success(SIZES) == Success(above=0.5)
    assert named("latency_over_p95").success(SIZES) == Success(above=1)
    ((_, trials, successes, parts),) = counted(SIZES, named("latency_over_p95").success(SIZES))
    assert (trials, successes, parts) == (100, 6, (("s", 100, 6),))


def test_a_judge_is_watched_by_its_usual_answer_or_its_middle_score() -> None:
    """Labels have no better and worse that is known here; numbers have a middle."""
    assert named("judge_x").success(tallies(correct=9, incorrect=3)) == Success(frozenset({"correct"}))
    scores = [(0, (("s", "0.1", 3), ("s", "0.7", 3), ("s", "0.9", 6)))]
    assert named("judge_x").success(scores) == Success(above=0.7)


@pytest.mark.parametrize("outcome", ["unknown", "cancelled", "closed"])
def test_what_is_not_known_is_no_trial(outcome: str) -> None:
    """Neither kept nor lost."""
    assert counted([(0, (("s", outcome, 5),))], named("acceptance").success(())) == []
