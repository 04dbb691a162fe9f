"""Verdicts on releases: golden values, which version replaces which, and what the users and the hours cost."""

from datetime import UTC, datetime
from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeprate.deploy.releases.judging import Release, goes_on
from keeprate.sinks.closed import released
from keeprate.sinks.reading import versions
from keeprate.sinks.reading.versions import VersionCount
from keeprate.streams.quality import concurrent, successor
from keeprate.streams.quality.baseline import DAY_S, HOUR_S, Window
from keeprate.streams.quality.concurrent import Hour, UserTrials, design_effect, split_evidence
from keeprate.streams.quality.detector import Stratum
from keeprate.streams.quality.evidence import Comparison, Promise, no_gains, radius
from keeprate.streams.quality.evidence import add as add_gains
from keeprate.streams.quality.predecessor import MIN_TRAFFIC, Replacement, Traffic, replacements
from keeprate.streams.quality.verdict import judge

PROMISE = Promise()
DAYS = 14


def before(trials: int = 20, successes: int = 17, days: int = DAYS) -> list[Window]:
    return [Window(at_s, trials, successes) for at_s in range(0, days * DAY_S, HOUR_S)]


def after(trials: int, successes: int, hours: int) -> list[Window]:
    return [Window(DAYS * DAY_S + n * HOUR_S, trials, successes) for n in range(hours)]


def succeeded(new: list[Window], old: list[Window] | None = None) -> Comparison:
    return successor.compare(before() if old is None else old, new, HOUR_S, "fell")


def together(new: tuple[int, int], old: tuple[int, int], hours: int) -> Comparison:
    return concurrent.compare([Hour((n + 1) * HOUR_S, *new, *old) for n in range(hours)], 1.0, "fell")


@pytest.mark.parametrize(("days", "times"), [(7, 7 / 2.833), (14, 14 / 7.790), (28, 28 / 18.939)])
def test_a_variance_of_few_days_may_be_too_small(days: int, times: float) -> None:
    """By the tenth percentile of chi-squared, from a table; fewer days than a week say no less than a week."""
    assert successor.underestimated(days) == pytest.approx(times, rel=0.01)
    assert successor.underestimated(1) == successor.underestimated(7)


@pytest.mark.parametrize(
    ("successes", "verdict", "found_after"),
    [(11, "worse", 3), (15, "worse", 19), (17, "not_yet", None), (20, "better", 7)],
)
def test_golden_values_of_a_successor(successes: int, verdict: str, found_after: int | None) -> None:
    """85 % of 6,720 before; twenty an hour after, for a day."""
    judged = judge(succeeded(after(20, successes, 24)), PROMISE, "fell")
    assert judged.verdict == verdict
    found = None if judged.found_at_s is None else (judged.found_at_s - DAYS * DAY_S) // HOUR_S
    assert found == found_after


@pytest.mark.parametrize(
    ("successes", "verdict", "found_after"),
    [(11, "worse", 5), (15, "worse", 26), (17, "not_yet", None), (20, "better", 6)],
)
def test_golden_values_of_versions_side_by_side(successes: int, verdict: str, found_after: int | None) -> None:
    """Twenty an hour each, 85 % of the old one's kept, for two days."""
    judged = judge(together((20, successes), (20, 17), 48), PROMISE, "fell")
    assert judged.verdict == verdict
    assert (None if judged.found_at_s is None else judged.found_at_s // HOUR_S) == found_after


def test_the_side_that_is_bad_says_what_a_change_is_called() -> None:
    """More flags are worse, more accepts better: the evidence is the same."""
    compared = succeeded(after(20, 20, 24))
    assert judge(compared, PROMISE, "fell").verdict == "better"
    assert judge(compared, PROMISE, "rose").verdict == "worse"


def test_equal_rates_become_the_same_within_the_margin() -> None:
    """Once the interval lies within two points; a version that is half a point off as well."""
    compared = succeeded(after(200, 170, 14 * 24), before(200, 170))
    assert judge(compared, PROMISE, "fell").verdict == "same"
    close = succeeded(after(200, 169, 14 * 24), before(200, 170))
    assert judge(close, PROMISE, "fell").verdict == "same"
    assert judge(close, Promise(margin=0.004), "fell").verdict != "same"


def test_a_hair_that_is_certain_is_still_the_same() -> None:
    """With enough traffic a difference of one point is beyond chance, and within the margin."""
    compared = succeeded(after(2000, 1680, 14 * 24), before(2000, 1700))
    judged = judge(compared, PROMISE, "fell")
    assert judged.fell >= 1
    assert judged.verdict == "same"


def test_the_margin_of_what_is_rare_is_a_part_of_it() -> None:
    """One flag in a hundred that become two are not the same, though they are one point apart."""
    compared = successor.compare(before(500, 5), after(500, 10, 14 * 24), HOUR_S, "rose")
    assert judge(compared, PROMISE, "rose").verdict == "worse"


def test_a_small_predecessor_limits_what_can_be_known() -> None:
    """Against thirty events, no traffic of the new version proves a small fall; and that is said."""
    compared = succeeded(after(20, 16, 28 * 24), [*before(1, 1, 1), Window(DAY_S, 6, 3)])
    judged = judge(compared, PROMISE, "fell")
    assert judged.verdict == "not_yet"
    assert judged.trials_left is None


def test_nothing_to_compare_with_is_not_yet() -> None:
    """Neither without a predecessor nor without trials of the new version."""
    for compared in (succeeded(after(20, 3, 5), []), succeeded([]), together((0, 0), (5, 3), 3)):
        judged = judge(compared, PROMISE, "fell")
        assert (judged.verdict, judged.p_value, compared.difference) == ("not_yet", 1.0, None)


def test_what_is_left_until_a_tenth_is_seen() -> None:
    """As many trials as a version that is a tenth worse then takes."""
    judged = judge(succeeded(after(20, 17, 1)), PROMISE, "fell")
    assert judged.trials_left is not None
    hours = 2 + int(judged.trials_left / 100)
    assert judge(succeeded(after(100, 76, hours)), PROMISE, "fell").verdict == "worse"
    assert judge(succeeded(after(100, 77, hours // 2)), PROMISE, "fell").verdict == "not_yet"


def test_the_promise_is_shared_by_the_metrics_of_a_release() -> None:
    """Each has its part of alpha, so that a harmless release is called bad no more often for having nine of them."""
    assert Promise(metrics=9).log_threshold == pytest.approx(log(2 * 9 / 0.01))


@given(st.floats(0.02, 0.98), st.integers(1, 12))
def test_evidence_begins_at_one_and_stays_there_on_average(share: float, events: int) -> None:
    """Without a difference, whatever the split: which version the next event comes from is as the split says."""
    for side in ("fell", "rose"):
        for k in range(5):
            mean = 0.0
            for new in range(events + 1):
                gains = no_gains()
                add_gains(gains, [Stratum(events, new, log(share / (1 - share)))])
                mean += _binomial(events, new, share) * exp(gains[side][k])
            assert mean == pytest.approx(1)


def _binomial(trials: int, successes: int, rate: float) -> float:
    ways = 1
    for n in range(successes):
        ways = ways * (trials - n) // (n + 1)
    return float(ways * rate**successes * (1 - rate) ** (trials - successes))


def test_a_ramp_is_no_difference() -> None:
    """The new version has the busy hours, whose rate is lower: by sums it looks worse, hour by hour it is equal."""
    hours = [
        Hour((n + 1) * HOUR_S, 2, 1, 38, 19) if n < 100 else Hour((n + 1) * HOUR_S, 30, 6, 10, 2) for n in range(200)
    ]
    compared = concurrent.compare(hours, 1.0, "fell")
    assert compared.new_successes / compared.new_trials < 0.25 < compared.old_successes / compared.old_trials
    assert compared.difference is not None
    assert compared.difference.value == pytest.approx(0)
    assert judge(compared, PROMISE, "fell").verdict != "worse"


def test_users_who_stay_with_a_version_cost_evidence_and_those_who_have_both_do_not() -> None:
    """Ten people who always accept and ten who never do, assigned; and the same ones, alternating."""
    assigned = [UserTrials(40, 40 * (n % 2), 0, 0) for n in range(10)] + [
        UserTrials(0, 0, 40, 40 * (n % 2)) for n in range(10)
    ]
    alternating = [UserTrials(20, 20 * (n % 2), 20, 20 * (n % 2)) for n in range(20)]
    strangers = [UserTrials(1, n % 2, 0, 0) for n in range(400)] + [UserTrials(0, 0, 1, n % 2) for n in range(400)]
    assert design_effect(assigned) == pytest.approx(40)
    assert design_effect(alternating) == 1.0
    assert design_effect(strangers) == pytest.approx(1, abs=0.1)
    assert design_effect([]) == 1.0


def test_hours_that_swing_cost_evidence() -> None:
    """Sessions that are all or nothing: an hour's difference varies more than that of independent trials."""
    steady = [Hour((n + 1) * HOUR_S, 20, 8 + n % 2, 20, 10) for n in range(100)]
    swinging = [Hour((n + 1) * HOUR_S, 20, 17 * (n % 2), 20, 10) for n in range(100)]
    found = [judge(concurrent.compare(each, 1.0, "fell"), PROMISE, "fell") for each in (steady, swinging)]
    assert found[0].fell > 10 * found[1].fell


def test_a_split_that_is_not_as_meant_is_found() -> None:
    """Of a thousand, 600 where 500 were meant; not 510."""
    assert split_evidence(600, 400, 0.5) > 1 / PROMISE.alpha
    assert split_evidence(510, 490, 0.5) < 1
    assert split_evidence(100, 900, 0.1) < 1


def test_an_interval_narrows_with_information() -> None:
    """And is wider than the one that may be looked at once."""
    assert radius(100) > 1.96 / 10
    assert radius(10_000) < radius(100) / 5


FAMILY = ("editor", "inline")


def traffic(version: str, first_day: int, days: int, number: int) -> list[Traffic]:
    return [
        Traffic(FAMILY, version, at_s, number)
        for at_s in range(first_day * DAY_S, (first_day + days) * DAY_S, 6 * HOUR_S)
    ]


def test_a_version_replaces_the_one_with_most_traffic_in_the_week_before() -> None:
    """Not the one with most ever, nor the newest."""
    seen = traffic("v1", 0, 10, 900) + traffic("v2", 10, 12, 50) + traffic("v3-test", 20, 2, 2)
    assert replacements(seen + traffic("v4", 21, 5, 50)) == [
        Replacement(FAMILY, "v2", "v1", 10 * DAY_S, 22 * DAY_S - 6 * HOUR_S),
        Replacement(FAMILY, "v3-test", "v2", 20 * DAY_S, 22 * DAY_S - 6 * HOUR_S),
        Replacement(FAMILY, "v4", "v2", 21 * DAY_S, 26 * DAY_S - 6 * HOUR_S),
    ]


def test_what_begins_with_its_app_replaces_nothing() -> None:
    """Nor what comes after a silence of a week, after next to nothing, or has no version."""
    assert replacements([*traffic("a", 0, 9, 50), Traffic(FAMILY, "b", 3 * HOUR_S, 50)]) == []
    assert replacements(traffic("a", 0, 2, 50) + traffic("b", 10, 2, 50)) == []
    assert replacements([Traffic(FAMILY, "a", 0, MIN_TRAFFIC - 1), *traffic("b", 2, 2, 50)]) == []
    assert replacements(traffic("a", 0, 9, 50) + traffic("", 3, 2, 50)) == []
    other = [Traffic(("editor", "chat"), "b", 5 * DAY_S, 50)]
    assert replacements(traffic("a", 0, 9, 50) + other) == []


def test_a_predecessor_goes_on_by_what_both_are_counted_by() -> None:
    """Calls are known from closed batches, which a release that is told of late is not in."""
    at = datetime(2026, 11, 28, 9, tzinfo=UTC)
    release = Release("prompt_version", ("editor", "inline"), "v5", "v3", at, at)
    accepted, failed = versions.METRICS[0], released.METRICS[0]
    told = [VersionCount(accepted, 0, "v5", 0, "", 950, 90), VersionCount(accepted, 0, "v3", 0, "", 50, 20)]
    assert not goes_on([*told, VersionCount(failed, 0, "v3", 0, "", 500, 5)], release)
    assert goes_on([*told, VersionCount(accepted, 0, "v3", 3600, "", 500, 100)], release)
