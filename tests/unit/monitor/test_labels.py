"""Bounded labels: what is admitted stays, what is beyond the limit is folded and counted, and nothing is lost."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from keeprate.deploy.monitor.labels import OTHER, Admission, LabelLimits, by_app, fold
from keeprate.sinks.closed.batches import UNKNOWN, Count, Labels

AT = datetime(2026, 3, 2, tzinfo=UTC)


def labels(app: str = "a", prompt: str = "p", version: str = "1", model: str = "m", surface: str = "s") -> Labels:
    return Labels(app, prompt, version, model, surface)


def test_a_value_that_is_not_known_reads_unknown() -> None:
    """An empty label would be an absent one, and it takes no place."""
    admission = Admission(LabelLimits(models=1))
    assert admission.fold(labels(model=""))[0].model == UNKNOWN
    assert admission.fold(labels(model="m"))[0].model == "m"


def test_the_first_values_stay_and_later_ones_are_folded() -> None:
    """Were an admitted value folded later, `other` would jump by all that it had counted."""
    admission = Admission(LabelLimits(apps=2))
    assert [admission.fold(labels(app=app))[0].app for app in ("a", "b", "c", "a", "d", "b")] == [
        *("a", "b", OTHER),
        *("a", OTHER, "b"),
    ]


def test_the_newest_versions_of_a_prompt_are_seen() -> None:
    """The fourth version takes the first one's place; another prompt's versions are its own."""
    admission = Admission(LabelLimits(versions=3))
    seen = [admission.fold(labels(version=version))[0].prompt_version for version in ("1", "2", "3", "4", "1", "2")]
    assert seen == ["1", "2", "3", "4", OTHER, "2"]
    assert admission.fold(labels(prompt="q", version="1"))[0].prompt_version == "1"


def test_a_restart_admits_what_was_admitted() -> None:
    """From the series that are kept, the oldest first."""
    before = Admission(LabelLimits(models=2))
    kept = [before.fold(labels(model=model, version=model))[0] for model in ("x", "y", "z")]
    after = Admission(LabelLimits(models=2))
    for each in kept:
        after.remember(each)
    for model in ("z", "y", "w", "x"):
        assert after.fold(labels(model=model)) == before.fold(labels(model=model))


def test_folding_names_the_labels_that_it_folded() -> None:
    """Each generation with a folded value is counted once per label."""
    admission = Admission(LabelLimits(apps=1, surfaces=1))
    counts = [
        Count("generation", AT, labels(), "ok", 5),
        Count("generation", AT + timedelta(minutes=5), labels(surface="t"), "ok", 7),
        Count("tokens", AT + timedelta(minutes=5), labels(surface="t"), "input", 7, 900.0),
    ]
    overflow = [each for each in fold(counts, admission) if each.kind == "overflow"]
    assert [(each.outcome, each.count) for each in overflow] == [("surface", 7)]


@given(st.lists(st.tuples(*(st.sampled_from(["", *"abcdefgh"]) for _ in range(5))), max_size=60))
def test_cardinality_is_bounded_and_no_event_is_lost(values: list[tuple[str, str, str, str, str]]) -> None:
    """Whatever comes, in whatever order."""
    admission = Admission(LabelLimits(apps=2, prompts=3, versions=2, models=2, surfaces=1))
    counts = [
        Count("generation", AT + timedelta(seconds=n), Labels(*each), "ok", n + 1) for n, each in enumerate(values)
    ]
    folded = [each for each in fold(counts, admission) if each.kind == "generation"]
    assert sum(each.count for each in folded) == sum(each.count for each in counts)
    for name, limit in (("app", 2), ("prompt", 3), ("model", 2), ("surface", 1)):
        assert len({getattr(each.labels, name) for each in folded} - {UNKNOWN, OTHER}) <= limit


def test_gauges_have_the_apps_that_counters_have() -> None:
    """Whoever may write to Kafka makes up as many names as they like: what is told of those is one series."""
    admission = Admission(LabelLimits(apps=2))
    admission.fold(labels(app="real"))
    lags = {(f"made-up-{number:04}", "store"): float(number) for number in range(1000)} | {("real", "store"): 5.0}
    assert by_app(lags, 0, admission, min) == {
        ("made-up-0000", "store"): 0.0,
        (OTHER, "store"): 1.0,
        ("real", "store"): 5.0,
    }
    assert by_app({("acceptance", "x"): 3.0, ("acceptance", "y"): 4.0}, 1, admission, max) == {
        ("acceptance", OTHER): 4.0
    }
    assert by_app({("", "60"): 1.0}, 0, admission, min) == {(UNKNOWN, "60"): 1.0}
