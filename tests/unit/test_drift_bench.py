"""The drift benchmark: its detector over many replicates is the shipped one, and its rivals are what they say."""

import numpy as np
import pytest

from keeprate.streams.quality.baseline import fit
from keeprate.streams.quality.detector import Policy, State, evidence_ratio, score
from tests.drift import plot
from tests.drift.ours import Fleet, counted, hourly
from tests.drift.outside import covering, f1
from tests.drift.rivals import episodes, focus, threshold
from tests.drift.worlds import PER_DAY, WORLDS


@pytest.mark.parametrize(("world", "per_hour"), [("all at once", 50), ("mix", 6), ("wandering", 200)])
def test_many_replicates_at_once_score_as_the_shipped_detector_does_one_by_one(world: str, per_hour: float) -> None:
    """The same evidence after every window of three days, alarms included, on both sides."""
    days, policy = 18, Policy(days=0.5)
    traffic = WORLDS[world].traffic(np.random.default_rng(5), 3, days, per_hour)
    fleet = Fleet(traffic, policy)
    alarms = {(each.replicate, each.window, each.side) for each in fleet.alarms(since_day=15)}
    assert alarms
    expected = set()
    for replicate in range(3):
        state, windows = State(), counted(traffic, replicate)
        for day in range(15, days):
            begin = day * PER_DAY
            suspected = max(evidence_ratio(state.fell, policy), evidence_ratio(state.rose, policy)) > 0.1
            if day == 15 or not suspected:
                # The reference ends a day before: nothing of the last one is in it.
                baseline = fit(hourly(traffic, replicate)[: (day - 1) * 24])
            assert baseline is not None
            for t in range(begin, begin + PER_DAY):
                state = score(state, t, baseline.scored(windows[t]), policy)
                fired = [evidence_ratio(side, policy) >= 1 for side in (state.fell, state.rose)]
                expected |= {(replicate, t, side) for side in (0, 1) if fired[side]}
                if any(fired):
                    state = State(t)
        ratios = fleet.ratios()[replicate]
        assert ratios[0] == pytest.approx(evidence_ratio(state.fell, policy), rel=1e-9)
        assert ratios[1] == pytest.approx(evidence_ratio(state.rose, policy), rel=1e-9)
    assert alarms == expected


def test_focus_over_a_grid_is_the_exact_statistic_within_two_percent() -> None:
    """The largest likelihood ratio over every time and every size of a change, by trying all of them."""
    generator = np.random.default_rng(3)
    n = generator.poisson(15, (1, 300))
    s = generator.binomial(n, np.where(np.arange(300) < 200, 0.3, 0.22))
    found = focus(n, s, np.array([0.3]))[0]
    for t in (50, 150, 230, 260, 299):
        trials, kept = n[0, t::-1].cumsum(), s[0, t::-1].cumsum()
        rate = np.clip(kept / trials, 1e-9, 1 - 1e-9)
        exact = (kept * np.log(rate / 0.3) + (trials - kept) * np.log((1 - rate) / 0.7)).max()
        assert 0.98 * exact <= found[t] <= exact + 1e-9


def test_a_threshold_leaves_no_more_episodes_than_allowed() -> None:
    """Alarms within a day of one another are one."""
    statistic = np.random.default_rng(4).normal(size=(20, 10 * PER_DAY))
    limit = threshold(statistic, 5)
    assert episodes(statistic >= limit) <= 5 < episodes(statistic >= limit - 0.2)
    alarm = np.zeros((1, 3 * PER_DAY), bool)
    alarm[0, [10, 20, 30, 30 + PER_DAY + 1]] = True
    assert episodes(alarm) == 2


def test_labels_and_changes_are_compared_as_in_the_benchmark_that_made_them() -> None:
    """A perfect answer has 1 of both; none at all covers what is the longer part."""
    labels = {"one": [50], "two": [52]}
    assert f1({"one": [50]}, [50]) == 1
    assert covering({"one": [50]}, [50], 100) == 1
    assert f1(labels, []) == pytest.approx(2 * 1 * 0.5 / 1.5)
    assert covering({"one": [50]}, [], 100) == pytest.approx(0.5)
    assert f1(labels, [90]) < f1(labels, [])


def test_the_plot_is_that_of_the_documented_numbers() -> None:
    """docs/drift-delay.svg, drawn anew from the table; a rival that never alarms has no point there."""
    page = plot.PAGE.read_text("utf-8")
    assert plot.PICTURE.read_text("utf-8") == plot.svg(page)
    found = plot.rivals(page)
    assert next(iter(found)) == "Keeprate"
    assert all(found["Keeprate"][0])
    assert None in found["PSI, 1 h"][0]
