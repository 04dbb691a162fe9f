"""The detector keeps its budget of false alarms, and still sees a change, in a small simulation of its own."""

import random

import pytest

from keeprate.streams.quality.baseline import DAY_S, Window, fit
from keeprate.streams.quality.detector import Policy, State, evidence_ratio, score

POLICY = Policy()
PER_BATCH = 200 / 12
BATCH_S = 300


def simulated(generator: random.Random, since_s: int, days: int, rate: float) -> list[Window]:
    """Windows of about 200 trials an hour; a normal approximation to the binomial would hide its tails."""
    windows = []
    for at_s in range(since_s, since_s + days * DAY_S, BATCH_S):
        trials = max(0, round(generator.gauss(PER_BATCH, PER_BATCH**0.5)))
        windows.append(Window(at_s, trials, sum(generator.random() < rate for _ in range(trials))))
    return windows


def alarms(generator: random.Random, days: int, rate: float) -> list[int]:
    """At which seconds a fresh series, fitted on 28 days at 0.3, raises an alarm; it begins anew after each."""
    baseline = fit(simulated(generator, 0, 28, 0.3))
    assert baseline is not None
    state, found = State(), []
    for window in simulated(generator, 29 * DAY_S, days, rate):
        state = score(state, window.at_s, [baseline.stratum(window)], POLICY)
        if max(evidence_ratio(state.fell, POLICY), evidence_ratio(state.rose, POLICY)) >= 1:
            found.append(window.at_s - 29 * DAY_S)
            state = State(window.at_s)
    return found


@pytest.mark.slow
def test_false_alarms_stay_within_their_budget() -> None:
    """20 series over 28 days without a change: 560 series-days, 0.56 alarms by the budget, three at most."""
    generator = random.Random(20260302)
    assert sum(len(alarms(generator, 28, 0.3)) for _ in range(20)) <= 3


@pytest.mark.slow
def test_a_fall_from_30_to_25_percent_is_found_within_half_a_day() -> None:
    """The median of nine series at 200 an hour: 10 h is the target."""
    generator = random.Random(20260302)
    delays = sorted(next(iter(alarms(generator, 3, 0.25)), 3 * DAY_S) for _ in range(9))
    assert delays[4] / 3600 <= 12
