"""The drift detector: golden values, replay, and what each part of the baseline is for."""

from dataclasses import replace
from math import exp, log
from random import Random
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeprate.streams.quality.baseline import DAY_S, HOUR_S, Baseline, Window, fit, inherit
from keeprate.streams.quality.detector import (
    CAP,
    Policy,
    State,
    Stratum,
    changed_at,
    evidence_ratio,
    score,
)
from keeprate.streams.quality.strata import REST

POLICY = Policy()
P0 = log(0.3 / 0.7)


def first_alarm(trials: int, successes: int, batches: int) -> tuple[int, str] | None:
    state = State()
    for batch in range(1, batches + 1):
        state = score(state, batch, [Stratum(trials, successes, P0)], POLICY)
        for side, evidence in (("fell", state.fell), ("rose", state.rose)):
            if evidence_ratio(evidence, POLICY) >= 1:
                return batch, side
    return None


@pytest.mark.parametrize(
    ("trials", "successes", "alarm"),
    [(20, 5, (99, "fell")), (4, 0, (16, "fell")), (20, 8, (31, "rose")), (20, 6, None)],
)
def test_golden_values(trials: int, successes: int, alarm: tuple[int, str] | None) -> None:
    """A known baseline of 0.3 and a thousand days between false alarms."""
    assert first_alarm(trials, successes, 2000) == alarm


@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 1)), max_size=60), st.data())
def test_replaying_batches_gives_the_same_state(batches: list[tuple[int, float]], data: st.DataObject) -> None:
    """From any point before the last batch, any number of times: what was scored is skipped."""
    log_ = [(n, Stratum(trials, round(trials * share), P0)) for n, (trials, share) in enumerate(batches)]
    state = State()
    for n, stratum in log_:
        state = score(state, n, [stratum], POLICY)
    again = state
    for n, stratum in log_[data.draw(st.integers(0, len(log_))) :]:
        again = score(again, n, [stratum], POLICY)
    # A trailing batch without trials was never scored, and scoring it still changes nothing.
    assert again == state


@given(st.integers(1, 40), st.integers(0, 40), st.integers(0, 40))
def test_strata_of_one_rate_score_as_one(trials: int, first: int, second: int) -> None:
    """Splitting a batch by surface or language changes nothing where the rates are the same."""
    first, second = min(first, trials), min(second, trials)
    whole = score(State(), 1, [Stratum(2 * trials, first + second, P0)], POLICY)
    parts = score(State(), 1, [Stratum(trials, first, P0), Stratum(trials, second, P0)], POLICY)
    assert parts.fell.log_r == pytest.approx(whole.fell.log_r)
    assert parts.rose.log_r == pytest.approx(whole.rose.log_r)


@given(st.floats(0.02, 0.98), st.integers(1, 12))
def test_a_batch_multiplies_the_evidence_by_one_on_average(rate: float, trials: int) -> None:
    """Under the baseline, for every odds ratio: that is what makes the threshold a budget of days."""
    probabilities = [_binomial(trials, successes, rate) for successes in range(trials + 1)]
    log_odds = log(rate / (1 - rate))
    for side in ("fell", "rose"):
        states = [score(State(), 1, [Stratum(trials, s, log_odds)], POLICY) for s in range(trials + 1)]
        # After one batch from nothing, R is the likelihood ratio itself.
        for k in range(5):
            mean = sum(p * exp(getattr(state, side).log_r[k]) for p, state in zip(probabilities, states, strict=True))
            assert mean == pytest.approx(1)


def _binomial(trials: int, successes: int, rate: float) -> float:
    ways = 1
    for n in range(successes):
        ways = ways * (trials - n) // (n + 1)
    return float(ways * rate**successes * (1 - rate) ** (trials - successes))


def test_an_alarm_clears_after_a_bounded_time() -> None:
    """The cap keeps a long fall from holding the alarm for ever."""
    state = State()
    for batch in range(1, 2001):
        state = score(state, batch, [Stratum(20, 2, P0)], POLICY)
    assert evidence_ratio(state.fell, POLICY) == pytest.approx(CAP)
    normal = 0
    while evidence_ratio(state.fell, POLICY) >= 1:
        normal += 1
        state = score(state, 2000 + normal, [Stratum(20, 6, P0)], POLICY)
    assert normal * 20 <= 400


def test_a_change_is_dated() -> None:
    """By the odds ratio with the most evidence: 200 normal batches, then a fall."""
    state = State()
    for batch in range(1, 251):
        state = score(state, batch, [Stratum(20, 6 if batch <= 200 else 3, P0)], POLICY)
    assert evidence_ratio(state.fell, POLICY) >= 1
    assert changed_at(state.fell) == 201


def reference(days: int, rate_at: dict[int, tuple[int, int]] | None = None) -> list[Window]:
    """Twelve windows an hour with 3 of 10; where an hour of the day is named, with its own counts."""
    windows = []
    for at_s in range(0, days * DAY_S, 300):
        trials, successes = (rate_at or {}).get(at_s // HOUR_S % 24, (10, 3))
        windows.append(Window(at_s, trials, successes))
    return windows


def test_a_steady_reference_is_a_level_with_a_small_margin() -> None:
    """No profile where there is none, and dispersion 1."""
    baseline = fit(reference(28))
    assert baseline is not None
    assert baseline.log_odds == pytest.approx(P0, abs=1e-4)
    assert (baseline.dispersion, baseline.cells, baseline.events) == (1.0, {}, 28 * 288 * 10)
    assert baseline.margin == pytest.approx((1 / (28 * 288 * 10 * 0.21)) ** 0.5, rel=1e-3)


def test_a_profile_over_the_day_is_no_drift() -> None:
    """Six hours of the night at 1 of 10, expected, are no evidence; the same at noon are."""
    night = dict.fromkeys(range(6), (10, 1))
    baseline = fit(reference(28, night))
    assert baseline is not None
    assert len(baseline.cells) == 168
    at_night = baseline.stratum(Window(28 * DAY_S + 2 * HOUR_S, 10, 1))
    at_noon = baseline.stratum(Window(28 * DAY_S + 12 * HOUR_S, 10, 1))
    assert at_night.log_odds == pytest.approx(log(1 / 9), abs=0.05)
    assert at_noon.log_odds == pytest.approx(P0, abs=0.05)


def test_days_that_wander_cost_evidence_and_not_false_alarms() -> None:
    """Days of 20 % and 40 % in turn: variance beyond that of the hours is paid for."""
    windows = [Window(each.at_s, 10, 2 if each.at_s // DAY_S % 2 else 4) for each in reference(28)]
    steady, wandering = fit(reference(28)), fit(windows)
    assert steady is not None
    assert wandering is not None
    assert wandering.dispersion > 5 * steady.dispersion


def test_chance_is_hardly_taken_for_dispersion() -> None:
    """Hours of independent trials temper little: most series not at all. Trials that come in twos temper by two."""
    generator = Random(3)

    def dispersions(events: int) -> list[float]:
        found = []
        for _ in range(40):
            hours = [
                Window(at_s, 20, events * sum(generator.random() < 0.3 for _ in range(20 // events)))
                for at_s in range(0, 28 * DAY_S, HOUR_S)
            ]
            baseline = fit(hours)
            assert baseline is not None
            found.append(baseline.dispersion)
        return found

    assert dispersions(1).count(1.0) > 20
    assert 1.9 <= median(dispersions(2)) <= 2.2


def test_a_short_reference_has_no_profile_of_the_week() -> None:
    """Hours of the day from 4 days on, of the week from 14, none before; nothing from nothing."""
    night = dict.fromkeys(range(6), (10, 1))
    lengths = {}
    for days in (3, 4, 14):
        baseline = fit(reference(days, night))
        assert baseline is not None
        lengths[days] = len(baseline.cells)
    assert lengths == {3: 0, 4: 24, 14: 168}
    assert fit([]) is None
    assert fit([Window(0, 0, 0)]) is None


def test_a_young_version_has_its_own_level_and_its_parents_profile() -> None:
    """One day of a better version, seen against the nights of the old one."""
    parent = fit(reference(28, dict.fromkeys(range(6), (10, 1))))
    assert parent is not None
    young = inherit(parent, reference(1, dict.fromkeys(range(24), (10, 5))))
    assert young is not None
    assert young.cells == parent.cells
    assert young.events == 2880
    assert young.margin > parent.margin
    assert inherit(parent, []) is None


def test_a_young_version_allows_for_days_that_differ_as_its_parents_do() -> None:
    """Its level is of one day, and the next may be another: with days' margin dropped, it alarmed every tenth day."""
    swings = {hour: (10, 1 + (hour % 3)) for hour in range(24)}
    steady = fit(reference(28, swings))
    assert steady is not None
    moving = replace(steady, margin=steady.margin + 0.1)
    own = reference(1, swings)
    young, allowing = inherit(steady, own), inherit(moving, own)
    assert young is not None
    assert allowing is not None
    assert moving.wandering == pytest.approx(steady.wandering + 0.1)
    assert allowing.margin - young.margin == pytest.approx(0.1 * 2**0.5)


def mixed(days: int, shares: dict[int, tuple[int, int]], since_day: int = 0) -> list[Window]:
    """Windows of 20 trials of two languages, of which 15 in 100 and 45 in 100 succeed; their shares by day."""
    windows = []
    for day in range(since_day, since_day + days):
        first, second = shares[day % len(shares)]
        for at_s in range(day * DAY_S, (day + 1) * DAY_S, 300):
            # Fractions of a success are carried from window to window.
            kept = [
                (n * rate * (at_s // 300 + 1) // 100) - (n * rate * (at_s // 300) // 100)
                for n, rate in ((first, 15), (second, 45))
            ]
            windows.append(Window(at_s, 20, sum(kept), (("de", first, kept[0]), ("en", second, kept[1]))))
    return windows


def highest(baseline: Baseline, windows: list[Window], split: bool) -> float:
    state, ratio = State(), 0.0
    for window in windows:
        state = score(state, window.at_s, baseline.scored(window) if split else [baseline.stratum(window)], POLICY)
        ratio = max(ratio, evidence_ratio(state.fell, POLICY))
    return ratio


def test_a_change_of_the_mix_is_no_change_of_the_rate() -> None:
    """From half of each language to three quarters of the weaker one: an alarm, unless the languages are told apart."""
    baseline = fit(mixed(28, {0: (10, 10)}))
    assert baseline is not None
    after = mixed(2, {0: (15, 5)}, since_day=29)
    assert highest(baseline, after, split=False) >= 1
    assert highest(baseline, after, split=True) < 0.01


def test_days_of_another_mix_cost_no_evidence() -> None:
    """Where the mix differs from day to day, strata leave nothing to pay for."""
    windows = mixed(28, {0: (12, 8), 1: (8, 12), 2: (10, 10)})
    split, whole = fit(windows), fit([Window(*each[:3]) for each in windows])
    assert split is not None
    assert whole is not None
    assert split.dispersion == 1
    assert whole.dispersion > 1.5 or whole.margin > 5 * split.margin


def test_a_stratum_that_the_reference_does_not_know_is_scored_with_the_rest() -> None:
    """With those too rare for a level of their own; where there are none, the window is scored as a whole."""
    rare = [Window(each.at_s, 20, each.successes, (("de", 19, each.successes), ("fr", 1, 0))) for each in reference(1)]
    plain = fit(mixed(28, {0: (10, 10)}))
    with_rest = fit([*mixed(28, {0: (10, 10)}), *[each._replace(at_s=each.at_s + 28 * DAY_S) for each in rare[:50]]])
    assert plain is not None
    assert with_rest is not None
    new = Window(29 * DAY_S, 20, 6, (("de", 10, 1), ("it", 10, 5)))
    assert plain.scored(new) == [plain.stratum(new)]
    assert [each.trials for each in with_rest.scored(new)] == [10, 10]
    assert set(with_rest.strata) == {"de", "en", REST}


def test_a_mix_that_rests_on_little_has_the_larger_margin() -> None:
    """A day of a rare language alone is judged by how well its own level is known."""
    baseline = fit(mixed(28, {0: (19, 1)}))
    assert baseline is not None
    usual = baseline.scored(Window(0, 20, 4, (("de", 19, 3), ("en", 1, 1))))
    rare = baseline.scored(Window(0, 20, 4, (("en", 20, 4),)))
    assert usual[0].margin == pytest.approx(baseline.margin, rel=0.02)
    assert rare[0].margin > 3 * baseline.margin
