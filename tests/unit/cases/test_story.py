"""The story of a suite: which stretch of runs was red, what ended it, and in which cases."""

from keeprate.deploy.cases.story import most_common, stories
from keeprate.sinks.facts.case_results import Told


def told(at: int, version: str, suite: str = "s", **labels: str) -> list[Told]:
    """A run: what each case came to."""
    return [
        Told("app", suite, f"run-{at}", version, case, f"g-{case}", 0, label, at, f"{case} at {at}")
        for case, label in labels.items()
    ]


def test_the_last_red_stretch_is_told_with_what_ended_it() -> None:
    """Each case as it failed first, and what every run changed."""
    runs = [
        *told(1, "v3", a="failed", b="passed"),
        *told(2, "v3", a="passed", b="passed"),
        *told(3, "v4", a="failed", b="passed"),
        *told(4, "v4", a="failed", b="failed"),
        *told(5, "v5", a="passed", b="passed"),
        *told(6, "v6", a="passed", b="passed"),
    ]
    (story,) = stories(runs)
    assert story.red is not None
    assert story.fixed is not None
    assert (story.red.run, story.fixed.run) == ("run-3", "run-5")
    assert [each.why for each in story.cases] == ["a at 3", "b at 4"]
    assert [list(each.since.regressions) for each in story.chapters] == [[], [], ["a"], ["b"], [], []]
    assert story.chapters[4].since.repairs == ["a", "b"]


def test_a_suite_that_is_red_has_no_end_yet() -> None:
    """And one that never was has no story."""
    (red, green) = stories([*told(1, "v3", suite="green", a="passed"), *told(2, "v4", a="failed")])
    assert (red.suite, green.suite) == ("s", "green")
    assert red.red is not None
    assert red.fixed is None
    assert (green.red, green.cases) == (None, [])


def test_no_answer_is_not_red() -> None:
    """A server that was down says nothing of a version."""
    (story,) = stories(told(1, "v4", a="error"))
    assert story.red is None


def test_most_have_a_value() -> None:
    """Of those that have any."""
    assert (most_common(["", "v4", "v4", "v3"]), most_common([""])) == ("v4", "")
