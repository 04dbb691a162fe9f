"""What a difference is made of: the parts add up, and each says what it should of a difference made by hand."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeprate.streams.quality.decomposition import Contribution, Decomposition, Portion, decompose

COUNTS = st.tuples(st.integers(0, 500), st.integers(0, 500)).map(lambda both: (max(both), min(both)))


def decomposed(*rows: tuple[str, int, int, int, int], among: int = 1) -> tuple[Decomposition, dict[str, Contribution]]:
    """With the contributions by value."""
    found = decompose([Portion(*row) for row in rows], among)
    assert found is not None
    return found, {each.portion.value: each for each in found.contributions}


@given(st.lists(st.tuples(COUNTS, COUNTS), min_size=1, max_size=8))
def test_the_parts_add_up_to_the_difference(counts: list[tuple[tuple[int, int], tuple[int, int]]]) -> None:
    """Mix and moved rates are all of it, whatever the counts."""
    portions = [Portion(str(at), *old, *new) for at, (old, new) in enumerate(counts)]
    found = decompose(portions)
    old, new = sum(each.old_trials for each in portions), sum(each.new_trials for each in portions)
    if not old or not new:
        assert found is None
        return
    assert found is not None
    rates = sum(each.new_successes for each in portions) / new - sum(each.old_successes for each in portions) / old
    moved = sum(
        (each.portion.old_trials / old + each.portion.new_trials / new) / 2 * each.moved.value
        for each in found.contributions
        if each.moved is not None
    )
    assert found.difference.value == pytest.approx(rates, abs=1e-9)
    assert found.mix.value + moved == pytest.approx(rates, abs=1e-9)
    assert sum(each.mix.value for each in found.contributions) == pytest.approx(found.mix.value, abs=1e-9)


def test_other_shares_of_the_same_rates_are_all_mix() -> None:
    """More Go, which is kept less, lowers the whole though no language is kept less than before."""
    found, by_value = decomposed(("python", 800, 720, 400, 360), ("go", 200, 100, 600, 300))
    assert found.difference.value == pytest.approx(-0.16)
    assert found.mix.value == pytest.approx(-0.16)
    moved = by_value["go"].moved
    assert moved is not None
    assert moved.value == 0
    assert moved.high == pytest.approx(-moved.low) == pytest.approx(0.08, abs=0.01)
    # Less of the one and more of the other: both are why.
    assert by_value["go"].mix.value < -0.05
    assert by_value["python"].mix.value < -0.05


def test_a_fall_in_one_value_alone_is_its_excess() -> None:
    """Had TypeScript stayed as the rest did, nothing would be left of the fall."""
    found, by_value = decomposed(("typescript", 500, 450, 500, 250), ("go", 500, 450, 500, 450))
    assert found.difference.value == pytest.approx(-0.2)
    assert found.mix.value == pytest.approx(0)
    excess = by_value["typescript"].excess
    assert excess is not None
    assert excess.value == pytest.approx(-0.2)
    assert excess.high < 0
    moved = by_value["go"].moved
    assert moved is not None
    assert moved.low < 0 < moved.high


def test_a_fall_that_is_everywhere_the_same_is_nobodys_excess() -> None:
    """However large a value is."""
    found, by_value = decomposed(("typescript", 900, 810, 900, 540), ("go", 100, 90, 100, 60))
    assert found.difference.value == pytest.approx(-0.3)
    for each in by_value.values():
        assert each.excess is not None
        assert each.excess.value == pytest.approx(0)
        assert each.excess.low < 0 < each.excess.high


def test_what_only_one_side_has_is_all_mix() -> None:
    """A version that took over is why, and has no rate of its own before."""
    found, by_value = decomposed(("v3", 1000, 850, 400, 340), ("v4", 0, 0, 600, 330))
    assert found.difference.value == pytest.approx(-0.18)
    assert found.mix.value == pytest.approx(-0.18)
    assert by_value["v4"].moved is None
    assert by_value["v4"].excess is None
    assert by_value["v4"].mix.value == pytest.approx(-0.126)


def test_of_more_statements_each_is_less_certain() -> None:
    """The interval of one among forty is wider than that of one alone, around the same number."""
    rows = ("a", 200, 100, 200, 80), ("b", 200, 100, 200, 100)
    alone, _ = decomposed(*rows)
    among, _ = decomposed(*rows, among=40)
    assert among.difference.value == alone.difference.value
    assert among.difference.low < alone.difference.low < alone.difference.high < among.difference.high


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of 400 samples of one world, mix, difference and an excess are outside in about one of twenty."""
    rng = Random(11)
    shares, rates = {"old": (0.6, 0.3, 0.1), "new": (0.4, 0.4, 0.2)}, {"old": (0.8, 0.7, 0.5), "new": (0.6, 0.65, 0.5)}
    truth, by_value = decomposed(
        *(
            (str(at), *_large(shares["old"][at], rates["old"][at]), *_large(shares["new"][at], rates["new"][at]))
            for at in range(3)
        )
    )
    expected = {"difference": truth.difference, "mix": truth.mix, "excess": by_value["0"].excess}
    missed = dict.fromkeys(expected, 0)
    for _ in range(400):
        counts = {side: _sample(rng, shares[side], rates[side]) for side in ("old", "new")}
        found, own = decomposed(*((str(at), *counts["old"][at], *counts["new"][at]) for at in range(3)))
        for name, each in (("difference", found.difference), ("mix", found.mix), ("excess", own["0"].excess)):
            true = expected[name]
            assert each is not None
            assert true is not None
            missed[name] += not each.low <= true.value <= each.high
    assert all(8 <= each <= 34 for each in missed.values()), missed


def _large(share: float, rate: float) -> tuple[int, int]:
    trials = round(share * 1_000_000)
    return trials, round(trials * rate)


def _sample(rng: Random, shares: tuple[float, ...], rates: tuple[float, ...]) -> list[tuple[int, int]]:
    counts = [[0, 0] for _ in shares]
    for at in rng.choices(range(len(shares)), shares, k=400):
        counts[at][0] += 1
        counts[at][1] += rng.random() < rates[at]
    return [(trials, successes) for trials, successes in counts]
