"""From sums of batches to what Prometheus reads."""

from datetime import UTC, datetime, timedelta

from prometheus_client.core import Metric as Family

from keeprate.deploy.monitor import catalogue
from keeprate.deploy.monitor.expected import is_due, metric_label
from keeprate.deploy.monitor.families import horizon_label, quality
from keeprate.deploy.monitor.totals import SHOWN_FOR, Totals
from keeprate.sinks.closed.batches import Count, Labels

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
LABELS = Labels("a", "p", "1", "m", "s")


def families(counts: list[Count], announced: tuple[Labels, ...] = ()) -> dict[str, Family]:
    totals = Totals()
    totals.add(counts)
    return {family.name: family for family in quality(totals, announced)}


def values(family: Family, label: str) -> dict[str, float]:
    return {sample.labels[label]: sample.value for sample in family.samples if label in sample.labels}


def test_every_outcome_stands_at_zero_from_the_start() -> None:
    """A series that appears with its first event hides that event from increase()."""
    found = families([Count("acceptance", AT, LABELS, "accepted", 3)])
    assert values(found["keeprate_suggestions"], "outcome") == {"accepted": 3, "rejected": 0, "ignored": 0}


def test_a_series_that_was_announced_stands_at_zero() -> None:
    """Before its first batch has closed."""
    found = families([], (LABELS,))
    assert set(values(found["keeprate_suggestions"], "outcome").values()) == {0}
    assert set(values(found["keeprate_generations"], "status").values()) == {0}


def test_counts_of_batches_add_up() -> None:
    """Over batches, and over the labels that a metric does not have."""
    other = Labels("a", "q", "7", "m", "t")
    counts = [
        Count("generation", AT + timedelta(minutes=5 * n), each, "ok", 2) for n in (0, 1) for each in (LABELS, other)
    ]
    assert values(families(counts)["keeprate_generations"], "status")["ok"] == 8


def test_buckets_are_cumulative() -> None:
    """Each bucket holds what is below its bound; the sum is that of the values."""
    counts = [
        Count("latency", AT, LABELS, bucket, 1, seconds)
        for bucket, seconds in (("0.5", 0.4), ("5", 4.0), ("+Inf", 99.0))
    ]
    found = families(counts)[catalogue.DURATION.name]
    buckets = values(found, "le")
    assert (buckets["0.25"], buckets["0.5"], buckets["5.0"], buckets["60.0"], buckets["+Inf"]) == (0, 1, 2, 2, 3)
    assert next(sample.value for sample in found.samples if sample.name.endswith("_sum")) == 103.4


def test_a_series_that_is_long_silent_is_not_exported() -> None:
    """It could only add to the cardinality; its sums are kept."""
    old = Labels("old", "p", "1", "m", "s")
    counts = [
        Count("generation", AT - SHOWN_FOR - timedelta(minutes=5), old, "ok", 1),
        Count("generation", AT, LABELS, "ok", 1),
    ]
    assert set(values(families(counts)["keeprate_generations"], "app")) == {"a"}


def test_a_counter_does_not_fall_when_some_of_what_it_sums_is_silent() -> None:
    """Prometheus takes a fall for a reset, and counts all that is left as an increase of that moment."""
    old, outcomes = Labels("a", "q", "7", "m", "t"), ("ok", "error")
    before = [Count("generation", AT, old, outcome, 5) for outcome in outcomes]
    before += [Count("latency", AT, old, "0.5", 5, 2.0), Count("tokens", AT, old, "input", 5, 70.0)]
    later = AT + SHOWN_FOR + timedelta(minutes=5)
    after = [Count("generation", later, LABELS, "ok", 1), Count("latency", later, LABELS, "0.5", 1, 0.4)]
    found = families([*before, *after], (LABELS,))
    assert values(found["keeprate_generations"], "status").items() >= {"ok": 6, "error": 5, "timeout": 0}.items()
    assert values(found["keeprate_tokens"], "direction") == {"input": 70, "output": 0}
    assert values(found[catalogue.DURATION.name], "le")["+Inf"] == 6


def test_a_series_that_comes_back_stands_where_it_stood() -> None:
    """Also between its first new event and the close of that batch."""
    old = [Count("acceptance", AT, LABELS, "accepted", 3), Count("acceptance", AT, LABELS, "ignored", 4)]
    other = Count("generation", AT + 2 * SHOWN_FOR, Labels("b", "p", "1", "m", "s"), "ok", 1)
    assert values(families([*old, other])["keeprate_suggestions"], "outcome") == {}
    announced = families([*old, other], (LABELS,))["keeprate_suggestions"]
    assert values(announced, "outcome") == {"accepted": 3, "rejected": 0, "ignored": 4}


def test_horizons_read_as_people_say_them() -> None:
    """In the largest unit of hours, minutes and seconds that divides them."""
    assert [horizon_label(each) for each in (30, 90, 600, 3600, 5400, 86_400)] == [
        "30s",
        "90s",
        "10m",
        "1h",
        "90m",
        "24h",
    ]
    assert [metric_label(kind) for kind in ("acceptance", "retention_600")] == ["acceptance", "retention_10m"]


def test_baselines_are_due_once_a_day_at_five_past_midnight() -> None:
    """And at once where there is none."""
    today = AT.replace(hour=0, minute=5)
    assert is_due(None, AT)
    assert is_due(today - timedelta(seconds=1), AT)
    assert not is_due(today, AT)
    assert not is_due(today - timedelta(days=1), today - timedelta(seconds=1))
    assert is_due(today - timedelta(days=1), today)
